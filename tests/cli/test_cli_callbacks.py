import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cli_commands import Pombo, rows

from pombo.message import CallbackKind, CallbackState, State

DUE, CONFIRMED, PARKED = CallbackState.DUE, CallbackState.CONFIRMED, CallbackState.PARKED
NOW = datetime.now(UTC)
URL = "https://example.com/dlr?token=t&status=2&id=ref1&destino=11987654321&entrega=2026-11-24%2010:00:00"
ANSWER = b"HTTP/1.1 500 Oops\r\nContent-Length: 9\r\n\r\nno \x1b[31mway"


@pytest.fixture
def called(pombo: Pombo) -> Pombo:
    """With an account `loja` that is called for DLR."""
    pombo("account", "add", "loja", "--balance", "10.00")
    pombo("callback", "set", "loja", "--kind", "dlr", "--url", "https://example.com/dlr?token=t")
    return pombo


def written(url: str, number: int, state: CallbackState = DUE, account_id: int = 1, **columns: Any) -> None:
    """A delivered message with this number as its id, and its callback."""
    rows(
        url,
        "insert into message (id, account_id, client_ref, destination, number, body, ucs2, parts, price_milli, state,"
        " smsc_id, accepted_at, final_at)"
        " values ($1::bigint, $2, 'ref' || $1::bigint, '11987654321', 5511987654321, 'oi', false, 1, 80, $3, 1, now(),"
        " now())",
        number, account_id, int(State.DELIVERED),
    )  # fmt: skip
    columns = {"account_id": account_id, "kind": 1, "subject_id": number, "state": int(state), **columns}
    places = ", ".join(f"${n}" for n in range(1, len(columns) + 1))
    rows(url, f"insert into callback ({', '.join(columns)}) values ({places})", *columns.values())


def attempted(url: str, callback_id: int, at: datetime = NOW) -> None:
    rows(
        url,
        "insert into callback_attempt values ($1, $2, $3, 'v1,sig', '203.0.113.7', 500, '', 12, $4)",
        callback_id, at, URL, ANSWER,
    )  # fmt: skip


def standing(url: str) -> list[tuple[int, CallbackState, int]]:
    found = rows(url, "select id, state, attempts from callback order by id")
    return [(row["id"], CallbackState(row["state"]), row["attempts"]) for row in found]


def test_the_list_shows_the_newest_first_and_masks_numbers(called: Pombo, database_url: str) -> None:
    written(
        database_url,
        1,
        last_status=500,
        last_error="HTTP 500",
        attempts=2,
        due_at=NOW + timedelta(days=4, hours=12),
    )
    written(database_url, 2, CONFIRMED, last_status=200, attempts=1)

    second, first = called("callback", "list", "--json").json["callbacks"]

    assert (first["callback"], first["id"], first["message_id"], first["state"]) == (1, "ref1", "1", "due")
    assert (first["attempts"], first["last_status"], first["last_error"]) == (2, 500, "HTTP 500")
    assert (first["number"], first["account_name"], first["kind"]) == ("(11) 9****-4321", "loja", "dlr")
    assert first["due_at"] is not None
    assert (second["state"], second["due_at"]) == ("confirmed", None)
    shown = called("callback", "list").out
    assert "in 4 d" in shown
    assert "HTTP 500" in shown
    assert "11987654321" not in shown
    assert "5511987654321" in called("callback", "list", "--number").out


@pytest.mark.parametrize(
    ("options", "fitting"),
    [
        ((), [4, 3, 2, 1]),
        (("--state", "parked"), [3]),
        (("--state", "due"), [4, 1]),
        (("--account", "other"), [4]),
        (("--kind", "mo"), []),
        (("--since", "2026-11-01"), [4, 3, 1]),
        (("--until", "2026-11-01"), [2]),
        (("--since", "2026-10-01T09:00-03:00", "--until", "2026-10-01 12:01"), [2]),
        (("--limit", "1"), [4]),
    ],
)  # fmt: skip
def test_the_list_can_be_narrowed(
    called: Pombo, database_url: str, options: tuple[str, ...], fitting: list[int]
) -> None:
    called("account", "add", "other", "--balance", "1")
    written(database_url, 1)
    written(database_url, 2, CONFIRMED, created_at=datetime(2026, 10, 1, 12, 0, tzinfo=UTC))
    written(database_url, 3, PARKED)
    written(database_url, 4, account_id=2)

    listed = called("callback", "list", *options, "--json").json["callbacks"]

    assert [c["callback"] for c in listed] == fitting


def test_show_tells_each_attempt_and_hides_who_was_meant_unless_all_is_asked_for(
    called: Pombo, database_url: str
) -> None:
    written(database_url, 1, PARKED, attempts=2)
    attempted(database_url, 1, NOW)
    attempted(database_url, 1, NOW - timedelta(seconds=5))

    told = called("callback", "show", "1", "--json").json

    earlier, later = told["attempts_made"]
    assert earlier["at"] < later["at"]
    assert later == {
        "at": later["at"],
        "url": URL.replace("11987654321", "…"),
        "webhook_id": "cb_1",
        "webhook_timestamp": int(NOW.timestamp()),
        "webhook_signature": "v1,sig",
        "address": "203.0.113.7",
        "status": 500,
        "error": "",
        "duration_ms": 12,
        "answer_octets_kept": len(ANSWER),
    }
    assert told["parked_at"] is not None
    shown = called("callback", "show", "1").out
    assert "11987654321" not in shown + json.dumps(told)
    assert "way" not in shown
    full = called("callback", "show", "1", "--full").out
    assert URL in full
    assert "< no ·[31mway" in full
    assert (
        called("callback", "show", "1", "--full", "--json").json["attempts_made"][0]["answer"]
        == ANSWER.decode()
    )


def test_one_callback_is_replayed_by_its_id_even_when_it_was_confirmed(
    called: Pombo, database_url: str
) -> None:
    written(database_url, 1, PARKED, attempts=11)
    written(database_url, 2, CONFIRMED, attempts=1)

    assert called("callback", "replay", "1", "--json").json == {"callbacks": 1}
    assert called("callback", "replay", "2", "--json").json == {"callbacks": 1}

    assert standing(database_url) == [(1, DUE, 0), (2, DUE, 0)]


@pytest.mark.parametrize(
    ("options", "fitting"),
    [
        (("--state", "parked"), {3, 4, 5, 6}),
        (("--account", "loja"), {3, 4, 6}),
        (("--kind", "dlr", "--since", "2026-11-01"), {3, 5, 6}),
        (("--until", "2026-11-01"), {4}),
        (("--state", "due"), {2}),
        (("--failed-since", (NOW - timedelta(hours=1)).isoformat()), {2, 3}),
        (("--failed-since", "2026-11-01", "--account", "other"), {5}),
    ],
)  # fmt: skip
def test_all_that_fit_are_replayed_and_nothing_else(
    called: Pombo, database_url: str, options: tuple[str, ...], fitting: set[int]
) -> None:
    called("account", "add", "other", "--balance", "1")
    called("callback", "set", "other", "--kind", "dlr", "--url", "https://example.com/")
    day_ago = NOW - timedelta(days=1)
    written(database_url, 1, due_at=NOW + timedelta(hours=1))  # never tried
    written(database_url, 2, attempts=3, due_at=NOW + timedelta(hours=1))
    attempted(database_url, 2)
    written(database_url, 3, PARKED, attempts=11)
    written(
        database_url, 4, PARKED, attempts=11, created_at=datetime(2026, 10, 1, tzinfo=UTC), due_at=day_ago
    )
    written(database_url, 5, PARKED, account_id=2, attempts=11, due_at=day_ago)
    written(database_url, 6, PARKED, attempts=11, due_at=day_ago)
    written(database_url, 7, CONFIRMED, attempts=1)

    assert called("callback", "replay", *options, "--json").json == {"callbacks": len(fitting)}

    assert {
        id_ for id_, state, attempts in standing(database_url) if state == DUE and not attempts
    } == fitting | {1}


def test_more_than_a_page_is_replayed_to_the_last(
    called: Pombo, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pombo.store.deliveries.PAGE", 3)
    for number in range(1, 8):
        written(database_url, number, PARKED)

    ran = called("callback", "replay", "--state", "parked")

    assert "7 callback(s) are due now" in ran.out
    assert {state for _, state, _ in standing(database_url)} == {DUE}


def test_what_a_node_is_calling_is_not_replayed(called: Pombo, database_url: str) -> None:
    written(database_url, 1, attempts=1, leased_until=NOW + timedelta(days=1))

    assert called("callback", "replay", "--state", "due", "--json").json == {"callbacks": 0}
    ran = called("callback", "replay", "1", "--json")

    assert ran.code == 1
    assert "being called right now" in ran.json["error"]
    assert called("callback", "list", "--json").json["callbacks"][0]["calling"]


def test_what_has_no_url_is_not_replayed(called: Pombo, database_url: str) -> None:
    written(database_url, 1, PARKED)
    called("callback", "remove", "loja", "--kind", "dlr")

    assert called("callback", "replay", "--state", "parked", "--json").json == {"callbacks": 0}
    assert "pombo callback set loja" in called("callback", "replay", "1", "--json").json["error"]
    assert "No URL is registered" in called("callback", "show", "1").out
    assert standing(database_url) == [(1, PARKED, 0)]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("replay",), "Say which"),
        (("replay", "1", "--state", "parked"), "Say which"),
        (("replay", "--since", "soon"), "is no time"),
        (("replay", "7"), "no callback 7"),
        (("show", "7"), "no callback 7"),
        (("list", "--account", "nobody"), "no account 'nobody'"),
        (("set", "loja", "--kind", "mo", "--url", "ftp://x.example/"), "The URL must begin with http:// or https://."),
        (("remove", "loja", "--kind", "mo"), "no URL registered for mo"),
        (("secret", "loja", "--kind", "mo", "--rotate"), "no URL registered for mo"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said(called: Pombo, words: tuple[str, ...], complaint: str) -> None:
    ran = called("callback", *words, "--json")

    assert ran.code == 1
    assert complaint in ran.json["error"]


def test_a_secret_is_shown_and_rotated(called: Pombo) -> None:
    before = called("callback", "secret", "loja", "--kind", "dlr", "--json").json
    rotated = called("callback", "secret", "loja", "--kind", "dlr", "--rotate", "--json").json

    assert before["secret"] != rotated["secret"]
    assert called("callback", "secret", "loja", "--kind", "dlr", "--json").json["secret"] == rotated["secret"]
    assert (before["rotated"], rotated["rotated"]) == (False, True)


def test_an_endpoint_is_removed(called: Pombo) -> None:
    assert called("callback", "remove", "loja", "--kind", "dlr", "--json").json == {
        "account": 1,
        "kind": "dlr",
    }
    assert called("callback", "endpoints", "--json").json == {"endpoints": []}


def test_a_reply_is_listed_by_its_id_and_its_handset_masked(called: Pombo, database_url: str) -> None:
    rows(
        database_url,
        "insert into inbox (id, account_id, smsc_id, source, destination, body, data_coding, body_hash, session_id,"
        " sequence_number) values (9, 1, 1, '5511987654321', '27182', 'SIM', 0, '', 1, 1),"
        " (10, 1, 1, 'BANK', '27182', '', 0, '', 1, 1)",
    )
    for reply in (9, 10):
        rows(
            database_url,
            "insert into callback (account_id, kind, subject_id) values (1, $1, $2)",
            int(CallbackKind.MO),
            reply,
        )

    named, known = called("callback", "list", "--kind", "mo", "--json").json["callbacks"]

    assert (known["mo_id"], known["number"], known["message_id"]) == ("9", "(11) 9****-4321", None)
    assert (named["mo_id"], named["number"]) == ("10", "…")
