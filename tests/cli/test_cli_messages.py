import uuid
from datetime import UTC, datetime, timedelta

import pytest
from cli_commands import Pombo, in_database, rows

from pombo.message import AttemptState, State
from pombo.store import callbacks, leases, nodes, outbox, queue, receipts, replies, sessions
from pombo.store.callbacks import Failure
from pombo.store.database import Database
from pombo.store.queue import Attempt
from pombo.store.receipts import AttemptKey, Effect, Parked
from pombo.store.replies import NewReply
from rows import claim

_NODE = uuid.UUID(int=1)
_LONG = "palavra " * 30  # two parts


def test_send_queues_a_message_and_charges_it(operator: Pombo, database_url: str) -> None:
    ran = operator("send", "loja", "(11) 98765-4321", "- Olá", "--id", "a-1", "--json")

    assert ran.code == 0
    accepted_at = ran.json["accepted_at"]
    assert ran.json == {"account": 1, "id": "a-1", "parts": 1, "price_milli": 80, "accepted_at": accepted_at}
    assert datetime.now(UTC) - datetime.fromisoformat(accepted_at) < timedelta(minutes=1)
    [message] = rows(database_url, "select client_ref, number, body, state from message")
    assert tuple(message) == ("a-1", 5511987654321, "- Olá", State.WAITING)
    assert rows(database_url, "select balance_milli from account") == [(9_920,)]
    assert rows(database_url, "select count(*) from queue") == [(1,)]


def test_send_twice_with_one_id_sends_once(operator: Pombo, database_url: str) -> None:
    first = operator("send", "loja", "11987654321", "Olá", "--id", "a-1", "--json").json
    second = operator("send", "loja", "11987654321", "Olá", "--id", "a-1", "--json").json

    assert second == first
    assert rows(database_url, "select count(*) from message") == [(1,)]


def test_send_again_is_answered_as_before_whatever_changed_since(operator: Pombo, database_url: str) -> None:
    first = operator("send", "loja", "11987654321", "Olá", "--id", "a-1", "--json").json
    rows(database_url, "delete from route")

    assert operator("send", "loja", "11987654321", "Olá", "--id", "a-1", "--json").json == first
    assert operator("send", "loja", "11987654321", "Outra", "--id", "a-1", "--json").json == {
        "error": "ID duplicado"
    }


@pytest.mark.parametrize(
    ("number", "text", "refusal"),
    [
        ("1133334444", "Olá", "Destino invalido"),
        ("11987654321", " ", "Mensagem vazia"),
        ("11987654321", "x" * 2000, "Mensagem muito longa"),
        ("11987654321", "palavra " * 190, "Saldo insuficiente"),
    ],
)
def test_send_refuses_what_the_api_refuses(operator: Pombo, number: str, text: str, refusal: str) -> None:
    operator("account", "add", "pobre", "--balance", "0.50")

    ran = operator("send", "pobre", number, text, "--json")

    assert (ran.code, ran.json) == (1, {"error": refusal})


def test_send_without_a_route_is_refused(pombo: Pombo) -> None:
    pombo("account", "add", "loja", "--balance", "1")

    assert pombo("send", "loja", "11987654321", "Olá", "--json").json == {"error": "Sem rota"}


def test_explain_of_an_unknown_id_is_refused(operator: Pombo) -> None:
    for unknown in ("nope", "123", "9" * 30, "²"):
        ran = operator("explain", unknown, "--json")
        assert (ran.code, ran.json) == (1, {"error": f"No message has the id {unknown!r}."})


def test_explain_of_a_waiting_message_hides_number_and_text(operator: Pombo) -> None:
    operator("send", "loja", "11987654321", "segredo", "--id", "a-1")

    facts = operator("explain", "a-1", "--json").json

    assert facts["number"] == "(11) 9****-4321"
    assert (facts["state"], facts["status"], facts["smsc"], facts["price_milli"]) == (
        "waiting",
        "0",
        "tim",
        80,
    )
    assert facts["queue"]["state"] == "waiting"
    assert facts["attempts"] == facts["callbacks"] == facts["replies"] == []
    for shown in (operator("explain", "a-1").out, operator("explain", "a-1", "--json").out):
        assert "segredo" not in shown
        assert "98765" not in shown


def test_explain_shows_number_and_texts_when_asked(operator: Pombo) -> None:
    operator("send", "loja", "11987654321", "Olá [b]você[/b]", "--id", "a-1")

    facts = operator("explain", "a-1", "--text", "--number", "--json").json

    assert facts["number"] == "(11) 98765-4321"
    assert (facts["text"], facts["sent_text"]) == ("Olá [b]você[/b]", "Ola [b]voce[/b]")
    assert "Olá [b]você[/b]" in operator("explain", "a-1", "--text").out


def test_explain_takes_the_message_id_too(operator: Pombo) -> None:
    operator("send", "loja", "11987654321", "Olá", "--id", "a-1")
    message_id = operator("explain", "a-1", "--json").json["message_id"]

    assert operator("explain", message_id, "--json").json["id"] == "a-1"


def test_an_id_that_two_accounts_used_asks_which(operator: Pombo) -> None:
    operator("account", "add", "outra", "--balance", "10")
    for account in ("loja", "outra"):
        operator("send", account, "11987654321", "Olá", "--id", "same")

    ran = operator("explain", "same", "--json")

    assert ran.code == 1
    assert "loja, outra" in ran.json["error"]
    assert operator("explain", "same", "--account", "outra", "--json").json["account_name"] == "outra"


def test_explain_of_a_message_no_longer_kept_says_so(operator: Pombo, database_url: str) -> None:
    operator("send", "loja", "11987654321", "Olá", "--id", "a-1")
    rows(database_url, "delete from message")

    assert "no longer kept" in operator("explain", "a-1", "--json").json["error"]


def test_explain_tells_the_whole_life_of_a_message(operator: Pombo, database_url: str) -> None:
    operator("callback", "set", "loja", "--kind", "dlr", "--url", "https://example.com/dlr")
    operator("callback", "set", "loja", "--kind", "mo", "--url", "https://example.com/mo")
    operator("send", "loja", "11987654321", _LONG, "--id", "a-1")
    in_database(database_url, _deliver_it)

    facts = operator("explain", "a-1", "--json").json

    assert (facts["state"], facts["status"], facts["queue"]) == ("delivered", "2", None)
    assert [
        (a["n"], a["part"], a["state"], a["status"], a["smsc_message_id"]) for a in facts["attempts"]
    ] == [
        (1, 1, "refused", "ESME_RX_T_APPN", None),
        (1, 2, "delivered", "ESME_ROK", "OP2"),
        (2, 1, "delivered", "ESME_ROK", "OP1"),
    ]
    assert all(a["receipt_at"] for a in facts["attempts"][1:])
    assert [
        (c["kind"], c["state"], c["attempts"], c["last_status"], c["last_error"]) for c in facts["callbacks"]
    ] == [
        ("dlr", "due", 1, 500, "answered 500"),
        ("mo", "confirmed", 1, 200, ""),
    ]
    [reply] = facts["replies"]
    assert "text" not in reply
    [parked] = facts["parked_receipts"]
    assert parked["smsc_message_id"] == "op1"


def test_the_timeline_is_in_order_of_time(operator: Pombo, database_url: str) -> None:
    operator("callback", "set", "loja", "--kind", "dlr", "--url", "https://example.com/dlr")
    operator("send", "loja", "11987654321", _LONG, "--id", "a-1")
    in_database(database_url, _deliver_it)

    shown = operator("explain", "a-1", "--text").out

    told = [
        "accepted",
        "refused: ESME_RX_T_APPN",
        "taken as OP2",
        "taken as OP1",
        "part 1: delivered",
        "HTTP 500",
        "SIM!",
    ]
    assert sorted(told, key=shown.index) == told


def test_explain_shows_what_is_held(operator: Pombo, database_url: str) -> None:
    operator("send", "loja", "11987654321", "Olá", "--id", "a-1")
    rows(database_url, "update smsc set uncertain_policy = 'hold'")
    in_database(database_url, _break_off)

    facts = operator("explain", "a-1", "--json").json

    assert (facts["state"], facts["status"], facts["queue"]["state"]) == ("uncertain", "1", "held")
    assert [(a["state"], a["status"]) for a in facts["attempts"]] == [("uncertain", None)]
    assert "never answered" in operator("explain", "a-1").out


def test_status_counts_what_waits_and_what_is_stuck(operator: Pombo, database_url: str) -> None:
    operator("callback", "set", "loja", "--kind", "dlr", "--url", "https://example.com/dlr")
    for n in range(3):
        operator("send", "loja", "11987654321", _LONG, "--id", f"a-{n}")
    in_database(database_url, _deliver_it)

    facts = operator("status", "--json").json

    assert facts["database"]["migrations"][0] == "0001_foundation"
    [smsc] = facts["smscs"]
    assert (smsc["name"], smsc["bound"], smsc["binds"], smsc["writing"], smsc["held"]) == ("tim", 1, 1, 0, 0)
    assert smsc["waiting"] == {"otp": 0, "transactional": 2, "marketing": 0}
    assert smsc["oldest_due_s"]["transactional"] > 0
    assert smsc["parked_receipts"] == 1
    assert (facts["callbacks"]["due"], facts["callbacks"]["parked"]) == (1, 0)
    assert facts["accounts"] == [
        {"account": 1, "name": "loja", "active": True, "balance_milli": 10_000 - 6 * 80}
    ]
    shown = operator("status").out
    assert "R$ 9,52" in shown
    assert "bound" in shown


def test_a_connection_whose_node_died_is_not_bound(operator: Pombo, database_url: str) -> None:
    in_database(database_url, lambda db: nodes.lease_number(db, _NODE))
    session_id = in_database(database_url, _session)
    assert operator("status", "--json").json["smscs"][0]["bound"] == 0  # the operator has not answered yet
    in_database(database_url, lambda db: sessions.note_bound(db, session_id))
    assert operator("status", "--json").json["smscs"][0]["bound"] == 1

    rows(database_url, "update lease set lease_until = now()")

    assert operator("status", "--json").json["smscs"][0]["bound"] == 0
    assert operator("smsc", "list", "--json").json["smscs"][0]["bound"] == 0


def test_status_says_first_what_somebody_should_look_at(operator: Pombo, database_url: str) -> None:
    operator("send", "loja", "11987654321", "oi", "--id", "late")
    operator("send", "loja", "11987654321", "oi", "--id", "held")
    rows(
        database_url,
        "update queue set due_at = now() - interval '10 min' where message_id = (select min(id) from message)",
    )
    rows(database_url, "update queue set state = 2 where message_id = (select max(id) from message)")
    rows(
        database_url,
        "insert into callback (account_id, kind, subject_id, state) values (1, 1, 1, 2), (1, 1, 2, 2)",
    )
    ran = operator("status", "--json")
    said = ran.json["attention"]
    for part in ("No node runs", "tim is down", "transactional message has waited 10 min", "tim: 1 messages are held",
                 "2 callbacks were given up on"):  # fmt: skip
        assert [sentence for sentence in said if part in sentence], part
    assert operator("status").out.startswith("! No node runs")


def test_status_and_lists_of_an_empty_platform(pombo: Pombo) -> None:
    assert pombo("status", "--json").json["smscs"] == []
    for words in (["status"], ["account", "list"], ["smsc", "list"], ["route", "list"], ["callback", "list"]):
        ran = pombo(*words)
        assert (ran.code, ran.err) == (0, "")
        assert "No" in ran.out


async def _deliver_it(db: Database) -> None:
    """The first message's first part is refused for now and taken at the second try; then receipts, callbacks, a reply."""
    await nodes.lease_number(db, _NODE)
    session_id = await _session(db)
    await sessions.note_bound(db, session_id)
    [claimed] = await claim(db, 1, session_id, 2)
    now = datetime.now(UTC)

    def attempt(part: int, n: int, smsc_message_id: str | None, status: int) -> Attempt:
        state = AttemptState.TAKEN if status == 0 else AttemptState.REFUSED
        key = smsc_message_id and smsc_message_id.lower()
        return Attempt(
            claimed.message_id, part, n, claimed.number, smsc_message_id, key, state, status, now, True
        )

    await queue.commit_results(db, 1, session_id, [attempt(1, 1, None, 0x64), attempt(2, 1, "OP2", 0)], [])
    await queue.commit_results(db, 1, session_id, [attempt(1, 2, "OP1", 0)], [claimed.message_id])
    await receipts.park(db, 1, [Parked("op1", ["op1"], 5, b"")])
    keys = [AttemptKey(claimed.message_id, 1, 2), AttemptKey(claimed.message_id, 2, 1)]
    effects = [
        Effect(key, AttemptState.DELIVERED, State.DELIVERED, "DELIVRD", f"OP{key.part}", "") for key in keys
    ]
    [dlr] = (await outbox.of_messages(db, _NODE, (await receipts.apply(db, effects)).final)).jobs
    await callbacks.fail(db, _NODE, [Failure(dlr.callback_id, 60.0, 500, "answered 500")])
    [(inbox_id, _)] = await replies.store(
        db,
        1,
        [
            NewReply(
                claimed.message_id + 1, "5511987654321", 5511987654321, "27300", "SIM!", 0, b"", session_id, 7
            )
        ],
    )
    url = "https://example.com/mo?data=1"
    await callbacks.confirm(
        db,
        [
            callbacks.Attempt(mo.callback_id, now.timestamp(), url, "v1,", "203.0.113.7", 200, "", 5, b"")
            for mo in await outbox.of_replies(db, _NODE, [inbox_id])
        ],
    )


async def _session(db: Database) -> int:
    """Of the node that owns connection 1."""
    lease = await leases.take(db, 1, _NODE, 60)
    assert lease is not None
    session_id = await sessions.begin_session(db, 1, _NODE, lease.epoch)
    assert session_id is not None
    return session_id


async def _break_off(db: Database) -> None:
    """Claimed, written, and the connection breaks before any answer."""
    session_id = await _session(db)
    await claim(db, 1, session_id, 1)
    await sessions.end_sessions(db, [session_id])
