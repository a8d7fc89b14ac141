"""The gateway dies at every named commit point, one after the other, under load; what customers were told stays true.

The operators and the callback receiver survive, and have logged what they got.
"""

import re
import urllib.parse
from pathlib import Path

import pytest
from crash_checker import Operator, end_of_kills
from crash_load import Load, Mortal, Replies, replies_until_dead
from story_program import new_number, until
from story_receiver import Receiver

import pombo

# Where it dies, and at the how manieth time: so that there is something in every stage.
POINTS = {
    "accept.before_commit": 15,
    "accept.committed": 15,
    "accept.before_answer": 15,
    "claim.committed": 10,
    "submit.written": 10,
    "results.before_commit": 10,
    "results.committed": 10,
    "receipts.before_commit": 10,
    "receipts.committed": 10,
    "deliver.answered": 10,
    "replies.before_commit": 3,
    "replies.committed": 3,
    "callback.answered": 20,
    "callback.committed": 5,
    "session.before_end": 1,
    "session.ended": 1,
    "recovery.before_commit": 2,  # of the second connection, with the first one's recovery committed
}
BREAKS_LINK = {"session.before_end", "session.ended"}


def test_every_point_in_the_code_is_one_that_is_tried() -> None:
    source = "".join(path.read_text("utf-8") for path in Path(pombo.__file__).parent.rglob("*.py"))
    named = set(re.findall(r'crash\.point\("([\w.]+)"\)', source))
    named |= {f"{what}.{at}" for what in re.findall(r'crash\.point\(f"(\w+)\.\{at\}"\)', source)
              for at in ("before_commit", "committed")}  # fmt: skip

    assert named == set(POINTS)


def in_rio() -> str:
    return "21" + new_number()[2:]


@pytest.fixture
def loads(program: Mortal, receiver: Receiver) -> list[Load]:
    customer = program.add_account("loja", "1000000.00")
    for kind in ("dlr", "mo"):
        program.run("callback", "set", "loja", "--kind", kind, "--url", f"{receiver.url}/{kind}")
    program.run("shortcode", "add", "27300", "--account", "loja")
    return [Load(customer, "sp"), Load(customer, "rio", singles=1, number=in_rio)]


def test_death_at_every_commit_point_loses_nothing(
    program: Mortal, operators: list[Operator], loads: list[Load], receiver: Receiver
) -> None:
    vivo = operators[0].smsc
    replies = Replies(vivo)
    for load in loads:
        load.wait(5)
    program.kill()
    for point, passes in POINTS.items():
        mark = vivo.mark
        program.start_to_die(point, passes)
        if point in BREAKS_LINK:
            vivo.wait("bind", since=mark, status=0)
            vivo.wait("submit", since=mark, count=20)
            vivo.do("drop")
        replies_until_dead(program, replies, point)
        program.bury()

    figures = end_of_kills(program, operators, loads, replies, breaks=len(POINTS) + 1)

    print(f"{figures}; {len(replies.sent)} replies")
    delivered = {row["client_ref"] for row in program.sql("select client_ref from message where state = 3")}
    until(lambda: told(receiver, "dlr", "id") == delivered, timeout_s=20, what="every end to be told")
    until(
        lambda: told(receiver, "mo", "mensagem") == set(replies.sent),
        timeout_s=20,
        what="every reply to be told",
    )


def told(receiver: Receiver, kind: str, field: str) -> set[str]:
    """Of what their customer has been called."""
    targets = [urllib.parse.urlsplit(target) for target in list(receiver.targets)]
    return {urllib.parse.parse_qs(t.query)[field][0] for t in targets if t.path == f"/{kind}"}
