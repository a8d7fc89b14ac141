"""`receipt list|rematch`: receipts whose message is not known, seen and matched by hand."""

import msgspec
import pytest
from cli_commands import Pombo, in_database, rows

from pombo.message import AttemptState, CallbackKind, State
from pombo.smpp.pdu import DeliverSm
from pombo.store import receipts
from pombo.store.intake import accept
from pombo.store.receipts import Parked
from rows import one_message

NUMBER = 5511999999999


def parked(
    url: str, raw_id: str, *, stat: str = "DELIVRD", number: int | None = NUMBER, hours_ago: int = 1
) -> int:
    """A receipt over connection 1 that waits; returns its number."""
    text = f"id:{raw_id} stat:{stat} err:000".encode()
    body = DeliverSm(source_addr=str(number or "op").encode(), esm_class=4, short_message=text)
    of_one = Parked(raw_id, [raw_id], body.command_id, msgspec.msgpack.encode(body), number)
    in_database(url, lambda db: receipts.park(db, 1, [of_one]))
    [[receipt]] = rows(
        url,
        "update parked_receipt set received_at = now() - make_interval(hours => $1)"
        " where id = (select max(id) from parked_receipt) returning id",
        hours_ago,
    )
    return int(receipt)


def submitted(url: str, message_id: int, raw_id: str | None, *, parts: int = 1, number: int = NUMBER) -> None:
    """Taken by the operator as raw_id; None: never answered."""
    in_database(url, lambda db: accept(db, one_message(1, message_id, number, 1, parts=parts)))
    rows(url, "delete from queue")
    for part in range(1, parts + 1):
        rows(
            url,
            "insert into attempt (message_id, part, n, smsc_id, session_id, number, smsc_message_id, smsc_key, state,"
            " submitted_at) values ($1, $2, 1, 1, 1, $3, $4, $4, $5, now())",
            message_id, part, number, raw_id, int(AttemptState.TAKEN if raw_id else AttemptState.UNCERTAIN),
        )  # fmt: skip


def state_of(url: str, message_id: int) -> State:
    return State(rows(url, "select state from message where id = $1", message_id)[0][0])


def left(url: str) -> list[int]:
    return [row[0] for row in rows(url, "select id from parked_receipt order by id")]


def test_list_says_why_each_receipt_waits(operator: Pombo, database_url: str) -> None:
    parked(database_url, "lost", hours_ago=30)
    parked(database_url, "", number=None)
    submitted(database_url, 1, "other", number=5511988888888)
    parked(database_url, "other")
    parked(database_url, "early", hours_ago=0)

    listed = operator("receipt", "list", "--json").json

    assert listed["total"] == 4
    assert [(r["smsc_message_id"], r["why"], r["number"]) for r in listed["receipts"]] == [
        ("early", "waiting", "(11) 9****-9999"),
        ("other", "ambiguous", "(11) 9****-9999"),
        ("", "no_id", None),
        ("lost", "unknown_id", "(11) 9****-9999"),
    ]
    people = operator("receipt", "list", "--number").out
    assert "no message has this id" in people
    assert str(NUMBER) in people


def test_list_filters(operator: Pombo, database_url: str) -> None:
    operator("smsc", "add", "vivo", "--host", "h", "--port", "1", "--system-id", "s", "--password", "p")
    parked(database_url, "old", hours_ago=30)
    new = parked(database_url, "new")

    assert operator("receipt", "list", "--smsc", "vivo", "--json").json == {"total": 0, "receipts": []}
    recent = operator("receipt", "list", "--since-h", "2", "--json").json
    assert (recent["total"], [r["receipt"] for r in recent["receipts"]]) == (1, [new])
    limited = operator("receipt", "list", "--limit", "1", "--json").json
    assert (limited["total"], len(limited["receipts"])) == (2, 1)
    assert "No receipt waits" in operator("receipt", "list", "--smsc", "vivo").out


@pytest.mark.parametrize("which", [["--smsc", "tim"], ["--all"], ["1"]])
def test_rematch_tries_again_and_its_customer_is_called(
    operator: Pombo, database_url: str, which: list[str]
) -> None:
    operator("callback", "set", "loja", "--kind", "dlr", "--url", "https://example.com/dlr")
    assert parked(database_url, "a1") == 1
    stays = parked(database_url, "b1", number=5511977777777)
    submitted(database_url, 1, "a1")

    assert operator("receipt", "rematch", *which, "--json").json == {"matched": 1, "final": 1}

    assert state_of(database_url, 1) is State.DELIVERED
    assert left(database_url) == [stays]
    called = rows(database_url, "select kind, subject_id, leased_by from callback")
    assert [tuple(row) for row in called] == [(CallbackKind.DLR, 1, None)]


def test_a_person_gives_a_receipt_to_its_message_and_the_log_says_so(
    operator: Pombo, database_url: str
) -> None:
    receipt = parked(database_url, "unheard-of", stat="EXPIRED")
    submitted(database_url, 1, "known")

    ran = operator("receipt", "rematch", str(receipt), "--message", "1", "--json")

    assert ran.json == {"matched": 1, "final": 1}
    assert "receipt_assigned" in ran.err
    assert str(NUMBER) not in ran.err
    assert state_of(database_url, 1) is State.UNDELIVERED
    assert rows(database_url, "select error from message")[0][0] == "EXPIRED"
    assert left(database_url) == []
    refused = operator("receipt", "rematch", str(receipt), "--message", "1", "--json")
    assert refused.code == 1
    assert f"No receipt {receipt} waits" in refused.json["error"]


def test_of_several_parts_a_person_says_which(operator: Pombo, database_url: str) -> None:
    receipt = parked(database_url, "unheard-of")
    submitted(database_url, 1, "known", parts=2)
    arguments = ["receipt", "rematch", str(receipt), "--message", "1", "--json"]

    assert "--part" in operator(*arguments).json["error"]
    assert operator(*arguments, "--part", "2").json == {"matched": 1, "final": 0}

    assert rows(database_url, "select parts_delivered from message")[0][0] == 2
    assert [row[0] for row in rows(database_url, "select state from attempt order by part")] == [1, 2]


def test_a_message_that_waits_for_nothing_takes_no_receipt(operator: Pombo, database_url: str) -> None:
    receipt = parked(database_url, "unheard-of")
    in_database(database_url, lambda db: accept(db, one_message(1, 1, NUMBER, 1)))

    ran = operator("receipt", "rematch", str(receipt), "--message", "1", "--json")

    assert "waits for a receipt" in ran.json["error"]
    assert left(database_url) == [receipt]


@pytest.mark.parametrize(
    "arguments", [[], ["1", "--all"], ["--smsc", "tim", "--message", "1"], ["--all", "--part", "1"]]
)
def test_what_is_meant_must_be_said(operator: Pombo, database_url: str, arguments: list[str]) -> None:
    receipt = parked(database_url, "a1")
    submitted(database_url, 1, "a1")

    assert operator("receipt", "rematch", *arguments, "--json").code == 1

    assert left(database_url) == [receipt]
