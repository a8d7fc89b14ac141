"""What people change leaves its record, whatever the command; and `audit list|verify|export`."""

import getpass
import hashlib
import json
import socket
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
from cli_commands import Pombo, in_database, rows
from test_cli_receipt import parked, submitted

from pombo.app import reached, run
from pombo.cli import actor
from pombo.cli.program import COMMANDS
from pombo.config import from_env
from pombo.message import CallbackKind
from pombo.store import replies
from pombo.store.intake import accept
from pombo.store.replies import NewReply
from rows import one_message

# Those that change nothing. `reached` gives them a database that would refuse it.
READING = {
    "account list", "account show", "account statement", "token list", "user list", "price list", "smsc list", "smsc show",
    "route list", "route explain", "queue list", "receipt list", "callback endpoints", "callback list", "callback show",
    "reply list", "shortcode list", "link list",
    "block list", "block check", "block export", "audit list", "audit verify", "audit export", "explain",
    "privacy search", "privacy access", "status", "doctor", "backup",
}  # fmt: skip
# What they do is no change of a person's: they run the platform; a message and its charge are their own record.
WITHOUT = {"demo", "serve", "migrate", "send"}
# It needs a platform of its own: tests/story/test_story_backup.py looks for its record.
ELSEWHERE = {"restore"}

SECRETS = ("canary-password", "canary-token", "canary-text", "5511987654321", "98765")
SMSC = ("--host", "127.0.0.1", "--port", "2775", "--system-id", "s", "--password", "canary-password")
SEND = ("send", "loja", "11987654321", "canary-text")
DLR = ("--kind", "dlr")
SHORTCODE = ("shortcode", "add", "27300", "--account", "loja")
LINK = ("link", "add", "loja.com.br", "--account", "loja")
BLOCK = ("block", "add", "11987654321", "--global")
CALLBACK = (
    "callback",
    "set",
    "loja",
    *DLR,
    "--url",
    "https://example.com/canary-token?t=canary-token",
)


def a_reply(url: str) -> None:
    new = NewReply(1, "5511987654321", 5511987654321, "27300", "canary-text", 0, b"k", 1, 1, "canary")
    in_database(url, lambda db: replies.store(db, 1, [new]))


def a_callback(url: str) -> None:
    rows(
        url,
        "insert into callback (account_id, kind, subject_id, state) values (1, $1, 1, 2)",
        int(CallbackKind.DLR),
    )


def a_message(url: str) -> None:
    in_database(url, lambda db: accept(db, one_message(1, 1, 5511987654321, 1, text="canary-text")))


def put_off(url: str) -> None:
    rows(url, "update queue set due_at = now() + interval '1 hour'")


def a_receipt(url: str) -> None:
    submitted(url, 1, "op1", number=5511987654321)
    parked(url, "op1", number=5511987654321)


def an_orphan(url: str) -> None:
    submitted(url, 1, "op1", number=5511987654321)
    parked(url, "other", number=5511987654321)


def second_factors(url: str) -> None:
    rows(
        url,
        "insert into second_factor (person_id, secret_sealed, on_since) select id, 'canary-secret', now() from person",
    )


ANA = ("user", "add", "loja", "ana@example.com")
BIA = ("user", "add", "loja", "bia@example.com")
# command: (its arguments, what has to be there first, the action and the subject of its one record)
Needs = tuple[tuple[str, ...] | Callable[[str], None], ...]
CHANGES: dict[str, tuple[tuple[str, ...], Needs, str, str]] = {
    "account add": (("banco", "--balance", "1"), (), "account.add", "account 2"),
    "account set": (("loja", "--class", "otp"), (), "account.set", "account 1"),
    "account suspend": (("loja",), (), "account.suspend", "account 1"),
    "account resume": (("loja",), (("account", "suspend", "loja"),), "account.resume", "account 1"),
    "account recharge": (("loja", "5.00"), (), "account.recharge", "account 1"),
    "account adjust": (("loja", "-1.00", "--note", "n"), (), "account.adjust", "account 1"),
    "account token": (("loja",), (), "token.add", "token 2"),
    "token add": (("loja", "--import"), (), "token.add", "token 2"),
    "token set": (("1", "--scope", "read"), (), "token.set", "token 1"),
    "token rotate": (("1",), (), "token.rotate", "token 1"),
    "token revoke": (("1",), (), "token.revoke", "token 1"),
    "user add": (BIA[2:], (), "user.add", "person 1"),
    "user role": (("bia@example.com", "viewer"), (ANA, BIA), "user.role", "person 2"),
    "user password": (("bia@example.com",), (BIA,), "user.password", "person 1"),
    "user onefactor": (("bia@example.com",), (BIA, second_factors), "user.second_factor", "person 1"),
    "user remove": (("bia@example.com",), (ANA, BIA), "user.remove", "person 2"),
    "price set": (("0.07", "--prefix", "55"), (), "price.set", "price 1"),
    "price remove": (("1",), (("price", "set", "0.07"),), "price.remove", "price 1"),
    "smsc add": (("oi", *SMSC), (), "smsc.add", "smsc 2"),
    "smsc set": (("tim", "--window", "7", "--password", "canary-password"), (), "smsc.set", "smsc 1"),
    "smsc start": (("tim",), (("smsc", "stop", "tim"),), "smsc.start", "smsc 1"),
    "smsc stop": (("tim",), (), "smsc.stop", "smsc 1"),
    "smsc drain": (("tim",), (), "smsc.drain", "smsc 1"),
    "smsc remove": (("oi",), (("smsc", "add", "oi", *SMSC), ("smsc", "stop", "oi")), "smsc.remove", "smsc 2"),
    "route add": (("--prefix", "5511", "--smsc", "tim"), (), "route.add", "route 2"),
    "route remove": (("1",), (), "route.remove", "route 1"),
    "queue retry": (("--all",), (SEND, put_off), "queue.retry", "queue"),
    "queue hold": (("--account", "loja"), (SEND,), "queue.hold", "queue"),
    "queue release": (("--all",), (SEND, ("queue", "hold", "--all")), "queue.release", "queue"),
    "queue discard": (("--all", "--yes"), (SEND,), "queue.discard", "queue"),
    "cancel": (("1",), (a_message,), "message.cancel", "queue"),
    "callback set": (CALLBACK[2:], (), "callback.set", "account 1"),
    "callback secret": (("loja", *DLR, "--rotate"), (CALLBACK,), "callback.secret", "account 1"),
    "callback remove": (("loja", *DLR), (CALLBACK,), "callback.remove", "account 1"),
    "callback replay": (("1",), (CALLBACK, a_callback), "callback.replay", "callback 1"),
    "receipt rematch": (("--all",), (a_receipt,), "receipt.rematch", "smsc 1"),
    "reply assign": (("1", "--account", "loja"), (a_reply,), "reply.assign", "account 1"),
    "shortcode add": (("27300", "--account", "loja", "--unowned"), (a_reply,), "shortcode.add", "shortcode 27300"),
    "shortcode remove": (("27300",), (SHORTCODE,), "shortcode.remove", "shortcode 27300"),
    "block add": (("11987654321", "--account", "loja"), (), "block.add", "account 1"),
    "block remove": (("11987654321", "--global"), (BLOCK,), "block.remove", "everybody"),
    "block import": (("FILE", "--global"), (), "block.import", "everybody"),
    "link add": (LINK[2:], (), "link.add", "account 1"),
    "link remove": (LINK[2:], (LINK,), "link.remove", "account 1"),
    "link guard": (("--account", "loja"), (), "link.guard", "account 1"),
    "privacy export": (
        ("11987654321", "--file", "NEW"), (SEND,), "privacy.export", "number (11) 9****-4321"
    ),
    "privacy erase": (("11987654321", "--yes"), (a_reply,), "privacy.erase", "number (11) 9****-4321"),
    "block confirmation": (("canary-text", "--account", "loja"), (), "block.confirmation", "account 1"),
}  # fmt: skip


def records(url: str) -> list[asyncpg.Record]:
    return rows(url, "select * from audit order by id")


def done(pombo: Pombo, url: str, needs: Needs) -> None:
    for need in needs:
        if callable(need):
            need(url)
        else:
            assert pombo(*need).code == 0, need


def test_every_command_changes_nothing_or_has_its_record() -> None:
    """A new command stands in one of these lists."""
    assert sorted([*READING, *WITHOUT, *ELSEWHERE, *CHANGES]) == sorted(COMMANDS)


@pytest.mark.parametrize("words", CHANGES)
def test_a_command_leaves_one_record_without_secrets(
    operator: Pombo, database_url: str, tmp_path: Path, words: str
) -> None:
    arguments, needs, action, subject = CHANGES[words]
    (tmp_path / "numbers.csv").write_text("11987654321\n")
    done(operator, database_url, needs)
    before = len(records(database_url))

    files = {"FILE": str(tmp_path / "numbers.csv"), "NEW": str(tmp_path / "new")}
    given = [files.get(argument, argument) for argument in arguments]
    ran = operator(*words.split(), *given, "--json", stdin=b"canary-token-1")

    assert ran.code == 0, ran
    [record] = records(database_url)[before:]
    assert (record["action"], record["subject"]) == (action, subject)
    assert record["actor"].startswith("cli:")
    assert record["before"] or record["after"]
    for secret in SECRETS:
        for kept in records(database_url):
            assert secret not in str(dict(kept))
    assert operator("audit", "verify").code == 0


@pytest.mark.parametrize("words", ["route remove", "block remove", "callback replay", "token revoke"])
def test_a_command_that_is_refused_leaves_no_record(operator: Pombo, database_url: str, words: str) -> None:
    before = len(records(database_url))
    arguments = ("11987654321", "--global") if words == "block remove" else ("77",)

    assert operator(*words.split(), *arguments).code == 1

    assert len(records(database_url)) == before


def test_a_receipt_that_a_person_assigns_is_recorded_with_its_message(
    operator: Pombo, database_url: str
) -> None:
    an_orphan(database_url)

    assert operator("receipt", "rematch", "1", "--message", "1").code == 0

    record = records(database_url)[-1]
    assert (record["action"], record["subject"]) == ("receipt.assign", "receipt 1")
    assert json.loads(record["after"]) == {"message_id": 1, "part": 1, "final": 1}


def test_what_changes_nothing_leaves_no_record(operator: Pombo, database_url: str) -> None:
    before = len(records(database_url))
    operator("token", "revoke", "1")
    operator("account", "recharge", "loja", "5.00", "--reference", "invoice 1")
    for _ in range(2):
        operator("token", "revoke", "1")
        operator("account", "recharge", "loja", "5.00", "--reference", "invoice 1")
        operator("queue", "hold", "--all")

    assert len(records(database_url)) == before + 2


def test_commands_that_read_get_a_database_that_refuses_changes(pombo: Pombo, database_url: str) -> None:
    pombo("status")

    async def change() -> None:
        async with reached(from_env()) as doors:
            await doors.db.execute("update account set active = false")

    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        run(change())


def test_a_record_says_what_was_and_what_is(operator: Pombo) -> None:
    operator("smsc", "set", "tim", "--window", "7", "--password", "canary-password")

    [record] = operator("audit", "list", "--subject", "smsc 1", "--limit", "1", "--json").json["records"]

    assert record["before"] == {"window": 20}
    assert record["after"] == {"window": 7, "new_password": True}
    shown = operator("audit", "list", "--action", "smsc").out
    assert "window: 20 → 7" in shown
    assert operator("audit", "list", "--action", "sms", "--json").json == {"records": []}


def test_the_actor_is_who_called_sudo_and_the_source_is_what_ssh_says(
    operator: Pombo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "maria")
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.7 50000 192.0.2.1 22")
    operator("smsc", "stop", "tim")

    [record] = operator("audit", "list", "--limit", "1", "--json").json["records"]

    assert record["actor"] == f"cli:maria@{socket.gethostname()}"
    assert record["source"].startswith("192.0.2.7")
    found = operator("audit", "list", "--actor", record["actor"], "--json").json["records"]
    assert found == [record]


def test_without_sudo_and_terminal_the_actor_is_the_user_of_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_terminal() -> str:
        raise OSError

    monkeypatch.delenv("SUDO_USER", raising=False)
    monkeypatch.setattr(actor.os, "getlogin", no_terminal)

    assert actor.this_actor().name == f"cli:{getpass.getuser()}@{socket.gethostname()}"


def test_a_broken_chain_ends_verify_with_1_and_says_where(operator: Pombo, database_url: str) -> None:
    newest = operator("audit", "verify", "--json").json
    assert newest["records"] == 3
    assert operator("audit", "verify", "--expect", newest["newest"]).code == 0
    assert operator("audit", "verify", "--expect", "0f" * 32).code == 1
    assert operator("audit", "verify", "--expect", "f" * 63).code == 1

    rows(database_url, "alter table audit disable trigger append_only")
    rows(database_url, "update audit set actor = 'cli:nobody@here' where id = 2")
    rows(database_url, "alter table audit enable trigger append_only")

    ran = operator("audit", "verify", "--json")
    assert ran.code == 1
    assert "record 2 was changed" in ran.json["error"]


def test_an_export_holds_the_chain(operator: Pombo, tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"

    told = operator("audit", "export", "--out", str(file), "--json").json

    lines = file.read_text().splitlines()
    assert told == {"records": 3, "newest": json.loads(lines[-1])["hash"], "file": str(file)}
    assert file.stat().st_mode & 0o777 == 0o600
    last = "0" * 64
    for line in lines:
        record = json.loads(line)
        found = record.pop("hash")
        assert record["previous"] == last
        text = json.dumps(record, sort_keys=True, separators=(",", ":"))
        assert hashlib.sha256(text.encode()).hexdigest() == found
        last = found
    assert operator("audit", "export", "--out", "-").out.splitlines() == lines
    again = operator("audit", "export", "--out", str(file), "--json")
    assert again.code == 1
    assert "is there already" in again.json["error"]


def test_the_record_of_changed_terms_holds_nothing_of_the_balance(operator: Pombo, database_url: str) -> None:
    """Which moves by itself while messages are accepted, and would stand there as somebody's doing."""
    operator("account", "set", "loja", "--billing", "postpaid", "--limit", "5.00")
    record = records(database_url)[-1]
    assert json.loads(record["after"]) == {"billing": "postpaid", "limit_milli": 5000}
