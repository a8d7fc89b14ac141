"""`queue list|retry|hold|release|discard`: what they do to messages that are not sent yet."""

from typing import Any

import pytest
from cli_commands import Pombo, in_database, rows

from pombo.message import CallbackKind, CallbackState, MessageClass, QueueState, State
from pombo.store.intake import accept
from rows import one_message

LATER = "now() + interval '1 hour'"


def queued(url: str, message_id: int, **columns: object) -> None:
    """A message of account 1 for connection 1; columns: of its queue row, as SQL."""
    in_database(url, lambda db: accept(db, one_message(1, message_id, 5511999990000 + message_id, 1)))
    for column, value in columns.items():
        rows(url, f"update queue set {column.rstrip('_')} = {value} where message_id = {message_id}")


def standing(url: str) -> dict[int, str | None]:
    """Per message: how its queue row stands; None for one that is not in the queue."""
    found = rows(url, "select m.id, q.state from message m left join queue q on q.message_id = m.id")
    return {row["id"]: None if row["state"] is None else QueueState(row["state"]).name for row in found}


def state_of(url: str, message_id: int) -> State:
    return State(rows(url, "select state from message where id = $1", message_id)[0][0])


def test_list_counts_everything_and_shows_the_oldest(operator: Pombo, database_url: str) -> None:
    queued(database_url, 1)
    queued(database_url, 2, class_=int(MessageClass.OTP))
    queued(database_url, 3, state=int(QueueState.HELD))

    ran = operator("queue", "list", "--limit", "2", "--json")

    counts = [(c["smsc"], c["class"], c["state"], c["messages"]) for c in ran.json["counts"]]
    assert counts == [
        ("tim", "otp", "waiting", 1),
        ("tim", "transactional", "waiting", 1),
        ("tim", "transactional", "held", 1),
    ]
    assert [m["message_id"] for m in ran.json["messages"]] == ["1", "2"]
    assert ran.json["messages"][0]["number"] == "(11) 9****-0001"
    people = operator("queue", "list", "--number").out
    assert "5511999990003" in people
    assert "held" in people


def test_list_of_nothing_says_so(operator: Pombo) -> None:
    assert operator("queue", "list", "--json").json == {"counts": [], "messages": []}
    assert "Nothing is in the queue" in operator("queue", "list").out


@pytest.mark.parametrize(
    ("filters", "fitting"),
    [
        (["--smsc", "tim"], {1, 2, 3}),
        (["--account", "loja"], {1, 2, 3}),
        (["--account", "outra"], set()),
        (["--class", "otp"], {2}),
        (["--older-than-min", "30"], {3}),
        (["--class", "transactional", "--older-than-min", "30"], {3}),
    ],
)
def test_filters_choose(operator: Pombo, database_url: str, filters: list[str], fitting: set[int]) -> None:
    operator("account", "add", "outra", "--balance", "1")
    queued(database_url, 1)
    queued(database_url, 2, class_=int(MessageClass.OTP))
    queued(database_url, 3)
    rows(database_url, "update message set accepted_at = now() - interval '1 hour' where id = 3")

    listed = operator("queue", "list", *filters, "--json")
    held = operator("queue", "hold", *filters, "--json")

    assert {int(m["message_id"]) for m in listed.json["messages"]} == fitting
    assert held.json == {"messages": len(fitting)}
    assert {id_ for id_, state in standing(database_url).items() if state == "HELD"} == fitting


@pytest.mark.parametrize("word", ["retry", "hold", "release", "discard"])
def test_nothing_is_done_to_all_by_accident(operator: Pombo, database_url: str, word: str) -> None:
    queued(database_url, 1)

    ran = operator("queue", word, "--json")

    assert ran.code == 1
    assert "--all" in ran.json["error"]
    assert standing(database_url) == {1: "WAITING"}


def test_retry_makes_due_what_waits_for_its_next_try(operator: Pombo, database_url: str) -> None:
    queued(database_url, 1, due_at=LATER)
    queued(database_url, 2)
    queued(database_url, 3, due_at=LATER, state=int(QueueState.HELD))

    assert operator("queue", "retry", "--all", "--json").json == {"messages": 1}

    due = rows(database_url, "select message_id from queue where due_at <= now() order by 1")
    assert [row[0] for row in due] == [1, 2]


def test_messages_are_held_and_released_by_either_id(operator: Pombo, database_url: str) -> None:
    queued(database_url, 1)
    queued(database_url, 2)
    rows(database_url, "update message set client_ref = 'pedido-2' where id = 2")
    rows(database_url, "update message_key set client_ref = 'pedido-2' where message_id = 2")

    assert operator("queue", "hold", "pedido-2", "--json").json == {"messages": 1}
    assert standing(database_url) == {1: "WAITING", 2: "HELD"}
    assert operator("queue", "release", "2", "--json").json == {"messages": 1}
    assert standing(database_url) == {1: "WAITING", 2: "WAITING"}


def test_an_id_that_no_message_has_is_refused(operator: Pombo) -> None:
    assert "No message has the id '77'" in operator("queue", "hold", "77", "--json").json["error"]


@pytest.mark.parametrize(("sent_at", "state"), [("null", State.WAITING), ("now()", State.SUBMITTED)])
def test_a_message_whose_fate_is_not_known_is_sent_again_once_it_is_released(
    operator: Pombo, database_url: str, sent_at: str, state: State
) -> None:
    queued(database_url, 1, state=int(QueueState.HELD), due_at=LATER)
    rows(database_url, f"update message set state = {State.UNCERTAIN:d}, sent_at = {sent_at}")

    assert operator("queue", "release", "--all", "--json").json == {"messages": 1}

    assert state_of(database_url, 1) is state
    assert rows(database_url, "select 1 from queue where state = 0 and due_at <= now()")


def test_what_is_being_written_is_left_alone(operator: Pombo, database_url: str) -> None:
    queued(database_url, 1, state=int(QueueState.WRITING))

    for words in (["retry"], ["hold"], ["release"], ["discard", "--yes"]):
        assert operator("queue", *words, "--all", "--json").json == {"messages": 0}
    assert standing(database_url) == {1: "WRITING"}
    assert state_of(database_url, 1) is State.WAITING


@pytest.mark.parametrize(
    ("before", "sent_at", "after"),
    [
        (State.WAITING, "null", State.CANCELLED),
        (State.UNCERTAIN, "null", State.CANCELLED),
        (State.UNCERTAIN, "now()", State.UNDELIVERED),
        (State.SUBMITTED, "now()", State.UNDELIVERED),
    ],
)
def test_a_discarded_message_ends_and_its_customer_is_called(
    operator: Pombo, database_url: str, before: State, sent_at: str, after: State
) -> None:
    operator("callback", "set", "loja", "--kind", "dlr", "--url", "https://example.com/dlr")
    queued(database_url, 1, state=int(QueueState.HELD))
    rows(database_url, f"update message set state = {before:d}, sent_at = {sent_at}")

    ran = operator("queue", "discard", "1", "--yes", "--json")

    assert (ran.code, ran.json) == (0, {"messages": 1})
    assert standing(database_url) == {1: None}
    assert state_of(database_url, 1) is after
    [message] = rows(database_url, "select error, final_at from message")
    assert message["error"] == "DISCARDED"
    assert message["final_at"] is not None
    [callback] = rows(database_url, "select kind, subject_id, state, leased_by, leased_until from callback")
    assert tuple(callback) == (CallbackKind.DLR, 1, CallbackState.DUE, None, None)


def test_without_somebody_to_ask_nothing_is_discarded(operator: Pombo, database_url: str) -> None:
    queued(database_url, 1)

    for more in ([], ["--json"]):
        ran = operator("queue", "discard", "--all", *more)
        assert ran.code == 1
        assert "1 message(s) in the queue fit" in ran.out + ran.err
        assert "--yes" in ran.out + ran.err
    assert standing(database_url) == {1: "WAITING"}


@pytest.mark.parametrize(("answer", "left"), [("n", {1: "WAITING"}), ("y", {1: None})])
def test_whoever_sits_at_a_terminal_is_asked(
    operator: Pombo, database_url: str, monkeypatch: pytest.MonkeyPatch, answer: str, left: dict[int, Any]
) -> None:
    queued(database_url, 1)
    monkeypatch.setattr("pombo.cli.queue.at_terminal", lambda: True)

    ran = operator("queue", "discard", "--all", stdin=f"{answer}\n".encode())

    assert ran.code == 0
    assert "cannot be undone" in ran.out
    assert standing(database_url) == left


def test_more_than_a_page_is_done_page_by_page(
    operator: Pombo, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pombo.store.waiting.PAGE", 2)
    for message_id in range(1, 6):
        queued(database_url, message_id)

    assert operator("queue", "hold", "--all", "--json").json == {"messages": 5}
    assert operator("queue", "release", "--all", "--json").json == {"messages": 5}
    assert operator("queue", "discard", "--all", "--yes", "--json").json == {"messages": 5}
    assert set(standing(database_url).values()) == {None}


def test_a_message_that_ends_just_now_holds_nobody_up(operator: Pombo, database_url: str) -> None:
    """Somebody else has the message locked: a receipt, say. It is passed over, not waited for."""
    queued(database_url, 1)
    queued(database_url, 2)

    async def meanwhile(db: Any) -> Any:
        from pombo.store import waiting

        async with db.transaction() as tx:
            await tx.execute("select from message where id = 1 for update")
            other = await type(db).open(database_url, size=1)
            try:
                return await waiting.hold(other, waiting.Which(), 0)
            finally:
                await other.close()

    assert in_database(database_url, meanwhile) == (1, None)
    assert standing(database_url) == {1: "WAITING", 2: "HELD"}
