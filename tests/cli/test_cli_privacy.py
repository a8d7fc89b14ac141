"""`privacy export|erase|search|access`: a number that stands in every place there is, shown whole, and then gone.

What is left is looked for here without the program's own list of places: in every row of every table, in the planners'
samples, and in the octets of the files.
"""

import json
import re
from pathlib import Path

import msgspec
import pytest
from cli_commands import Pombo, in_database, rows

from pombo.smpp.pdu import DeliverSm
from pombo.store import pg_place, receipts
from pombo.store.database import Database
from pombo.store.intake import accept
from pombo.store.receipts import Parked
from rows import SECRETS, one_message

NUMBER, NATIONAL = 5511987651234, "11987651234"
OTHER = 5511976540000
CANARY = "canário amarelo"
SEARCHED = f"1{NATIONAL[1:]}|{CANARY}|{CANARY.encode('latin-1').hex()}|{NATIONAL.encode().hex()}"


async def _message(db: Database, message_id: int, number: int, account_id: int, ref: str, state: int) -> None:
    new = one_message(account_id, message_id, number, 1, text=CANARY if number == NUMBER else "oi")
    await accept(db, new._replace(client_refs=[ref], destinations=[str(number)[2:]]))
    if state:
        await db.execute("delete from queue where message_id = $1", message_id)
        await db.execute(
            "update message set state = 1, sent_at = now() where id = $1", message_id,
        )  # fmt: skip
        await db.execute(
            "update message set state = $2, final_at = now(), parts_delivered = 1 where id = $1 and $2 <> 1",
            message_id,
            state,
        )
        await db.execute(
            "insert into attempt (message_id, part, n, smsc_id, session_id, number, smsc_message_id, smsc_key, state,"
            " submitted_at) values ($1::bigint, 1, 1, 1, 1, $2, $1::bigint::text, $1::bigint::text, 1, now())",
            message_id, number,
        )  # fmt: skip
        if state == 3:
            await _called(db, 1, message_id, account_id, number)


async def _called(db: Database, kind: int, subject_id: int, account_id: int, number: int) -> None:
    national = str(number)[2:]
    callback_id = await db.fetchval(
        "insert into callback (account_id, kind, subject_id, state) values ($1, $2, $3, 0) returning id",
        account_id, kind, subject_id,
    )  # fmt: skip
    await db.execute(
        "insert into callback_attempt (callback_id, at, url, signature, address, status, error, duration_ms, answer)"
        " values ($1, now(), $2, 's', '192.0.2.1', 500, '', 5, $3)",
        callback_id, f"http://a/?numero={national}&mensagem=can%C3%A1rio", f"sem {national}".encode(),
    )  # fmt: skip


async def _reply(db: Database, reply_id: int, number: int, account_id: int | None, ref: str) -> None:
    await db.execute(
        "insert into inbox (id, account_id, smsc_id, source, destination, body, data_coding, message_id, client_ref,"
        " body_hash, session_id, sequence_number) values ($1, $2, 1, $3, '27300', $4, 0, 1, $5, 'hash', 1, 1)",
        reply_id, account_id, str(number), CANARY if number == NUMBER else "oi", ref,
    )  # fmt: skip
    if account_id is not None:
        await _called(db, 2, reply_id, account_id, number)


async def _fill(db: Database) -> None:
    for account_id in (1, 2):
        for number, ours in ((NUMBER, True), (OTHER, False)):
            first = 1000 * account_id + (0 if ours else 500)
            await _message(
                db, first + 1, number, account_id, f"pedido-{NATIONAL}-1" if ours else "outro-1", 3
            )
            await _message(db, first + 2, number, account_id, "a-2" if ours else "outro-2", 1)
            await _message(db, first + 3, number, account_id, "a-3" if ours else "outro-3", 0)
            await _reply(db, first + 9, number, account_id, f"pedido-{NATIONAL}-1" if ours else "")
            await db.execute(
                "insert into contact (account_id, number, name, folded, note) values ($1, $2, $3, $3, $3)",
                account_id, number, CANARY if ours else "outro",
            )  # fmt: skip
            campaign_id = await db.fetchval(
                "insert into campaign (account_id, name, file_name, titles, uses) values ($1, 'n', 'f', '{a,b}', '{}')"
                " returning id",
                account_id,
            )
            cells = [f"({NATIONAL[:2]}) {NATIONAL[2:7]}-{NATIONAL[7:]}", CANARY] if ours else ["1", "outro"]
            for n, checked in enumerate((number, None)):
                await db.execute(
                    "insert into campaign_row (campaign_id, n, cells, number) values ($1, $2, $3, $4)",
                    campaign_id, n, cells, checked,
                )  # fmt: skip
        query = f"numero=%28{NATIONAL[:2]}%29+{NATIONAL[2:7]}-{NATIONAL[7:]}"
        await db.execute(
            "insert into saved_view (account_id, name, query) values ($1, 'dela', $2)", account_id, query
        )
        await db.execute(
            "insert into saved_view (account_id, name, query) values ($1, 'tudo', 'estado=3')", account_id
        )
    await _reply(db, 9001, NUMBER, None, "")
    for n, number in enumerate((NUMBER, OTHER, None)):
        source = str(number or NUMBER).encode()
        text = f"id:{n} stat:DELIVRD text:can".encode() + "ário amarelo".encode("latin-1") * (number != OTHER)
        body = DeliverSm(source_addr=source, esm_class=4, short_message=text)
        parked = Parked(str(n), [str(n)], body.command_id, msgspec.msgpack.encode(body), number)
        await receipts.park(db, 1, [parked])
    for reference, source in enumerate(
        (f"+{NUMBER}", f"0{NATIONAL}", NATIONAL[:2] + NATIONAL[3:], str(OTHER))
    ):
        await db.execute(
            "insert into reply_part (smsc_id, source, destination, reference, total, sequence, data_coding, octets,"
            " session_id) values (1, $1, '27300', $2, 2, 1, 3, $3, 1)",
            source, reference, CANARY.encode("latin-1") if source != str(OTHER) else b"oi",
        )  # fmt: skip
    await db.execute(
        "insert into block (number_hmac, account_id, reason) values ($1, 1, 'manual')",
        SECRETS.number_hmac(NUMBER),
    )
    await db.execute("analyze")


@pytest.fixture
def full(operator: Pombo, database_url: str) -> Pombo:
    """Accounts `loja` (1) and `banco` (2), with something of the number in every place that there is."""
    operator("account", "add", "banco", "--balance", "10.00")
    in_database(database_url, _fill)
    return operator


def left(url: str) -> dict[str, int]:
    """By table: rows that have the number or the text, in letters or octets."""

    async def look(db: Database) -> dict[str, int]:
        tables = [
            row[0]
            for row in await db.fetch("select tablename::text from pg_tables where schemaname = 'public'")
        ]
        counts = {
            table: await db.fetchval(f"select count(*) from {table} t where t::text ~ $1", SEARCHED)
            for table in tables
        }
        counts["pg_stats"] = await db.fetchval(
            "select count(*) from pg_stats s where schemaname = 'public' and s::text ~ $1", SEARCHED
        )
        return {table: count for table, count in counts.items() if count}

    found: dict[str, int] = in_database(url, look)
    return found


_PLACES = {
    "attempt", "callback_attempt", "campaign_row", "contact", "conversation", "inbox", "message", "message_key",
    "parked_receipt", "reply_part",
}  # fmt: skip


def test_after_an_erasure_nothing_is_found_in_any_row_of_any_table(full: Pombo, database_url: str) -> None:
    before = left(database_url)
    assert before.keys() >= _PLACES, "the search finds what there is"

    ran = full("privacy", "erase", "(11) 98765-1234", "--yes", "--json")

    assert ran.code == 0 and ran.json["erased"] is True
    assert ran.json["rows"].keys() >= {*_PLACES, "saved_view"}
    assert left(database_url) == {}
    [[queries]] = rows(database_url, "select array_agg(name order by name) from saved_view")
    assert queries == ["tudo", "tudo"]
    search = full("privacy", "search", NATIONAL, "--json")
    assert (search.code, search.json["found"]) == (0, False)
    assert full("privacy", "search", str(OTHER)[2:], "--json").code == 1


def test_counts_money_states_and_everybody_else_stay(full: Pombo, database_url: str) -> None:
    counted = (
        "select (select count(*) from message), (select count(*) from inbox), (select count(*) from attempt)"
    )
    others = f"select count(*) from message m where m::text ~ '{OTHER}'"
    before = rows(database_url, counted)[0], rows(database_url, others)[0]
    states = rows(
        database_url, "select id, state, price_milli, client_ref from message where state <> 0 order by id"
    )

    full("privacy", "erase", NATIONAL, "--yes")

    assert (rows(database_url, counted)[0], rows(database_url, others)[0]) == before
    after = rows(database_url, "select id, state, price_milli, client_ref from message where id = any($1) order by id",
                 [row["id"] for row in states])  # fmt: skip
    assert [tuple(row)[:3] for row in after] == [tuple(row)[:3] for row in states]
    refs = [row["client_ref"] for row in after if row["id"] in (1001, 1002, 1501)]
    assert refs == ["erased-1001", "a-2", "outro-1"], (
        "an id that is made of the number goes, another one stays"
    )
    assert full("doctor", "--json").json["faults"] == []
    assert full("block", "check", NATIONAL, "--json").json["blocked"] is False, "another platform's secret"
    [[kept]] = rows(database_url, "select count(*) from block")
    assert kept == 1


def test_what_waits_is_not_sent_and_refunded(full: Pombo, database_url: str) -> None:
    before = rows(database_url, "select id, balance_milli from account order by id")

    ran = full("privacy", "erase", NATIONAL, "--yes", "--json")

    assert ran.json["ended"] == 2
    assert [
        row["balance_milli"] for row in rows(database_url, "select balance_milli from account order by id")
    ] == [row["balance_milli"] + 80 for row in before]
    waiting = rows(
        database_url, "select m.client_ref from queue q join message m on m.id = q.message_id order by 1"
    )
    assert [row[0] for row in waiting] == ["outro-3", "outro-3"]
    assert full("explain", "1003", "--text", "--json").json["state"] == "cancelled"


def test_what_an_operator_has_in_its_hands_is_left_and_said(
    full: Pombo, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows(database_url, "update queue set state = 1, session_id = 1 where message_id = 1003")
    monkeypatch.setattr("pombo.account.erasure.WRITING_S", 0.0)

    ran = full("privacy", "erase", NATIONAL, "--yes", "--json")

    assert (ran.code, ran.json["erased"], ran.json["writing"]) == (1, False, 1)
    assert left(database_url).keys() == {"message"}
    rows(database_url, "update queue set state = 0, session_id = null where message_id = 1003")
    assert full("privacy", "erase", NATIONAL, "--yes").code == 0
    assert left(database_url) == {}


def test_one_accounts_erasure_touches_no_other(full: Pombo, database_url: str) -> None:
    other = "select (select count(*) from message where account_id = 2 and number = $1), (select count(*) from inbox where"
    other += " source = $1::text), (select count(*) from contact where number = $1), (select count(*) from parked_receipt)"
    before = rows(database_url, other, NUMBER)[0]

    ran = full("privacy", "erase", NATIONAL, "--account", "loja", "--yes", "--json")

    assert ran.code == 0
    messages, replies, contacts, parked = rows(database_url, other, NUMBER)[0]
    assert (messages, replies, contacts, parked) == (before[0], before[1] - 1, before[2] - 1, before[3])


def test_an_erasure_asks_and_is_in_the_trail_without_the_number(full: Pombo, database_url: str) -> None:
    refused = full("privacy", "erase", NATIONAL)
    assert refused.code == 1 and "--yes" in refused.err
    assert "message" in left(database_url)

    full("privacy", "erase", NATIONAL, "--account", "loja", "--yes")

    records = full("audit", "list", "--action", "privacy.erase", "--json").json["records"]
    assert {record["subject"] for record in records} == {"number (11) 9****-1234"}
    told = [record["after"] for record in records]
    assert {"account": 1, "ended": 1} in told
    assert sum(after.get("message", 0) for after in told) == 3
    assert full("audit", "verify").code == 0


def test_an_erased_message_still_answers_its_state(full: Pombo) -> None:
    full("privacy", "erase", NATIONAL, "--yes")

    facts = full("explain", "1002", "--text", "--number", "--json").json

    assert (facts["state"], facts["id"], facts["number"], facts["text"]) == ("submitted", "a-2", "—", None)
    assert facts["erased_at"]
    assert "its text was erased" in full("explain", "1002", "--text").out
    replies = full("reply", "list", "--text", "--number", "--json").json["replies"]
    assert {(r["number"], r["text"]) for r in replies} == {("—", None), (str(OTHER), "oi")}
    assert {c["number"] for c in full("callback", "list", "--number", "--json").json["callbacks"]} == {
        None,
        str(OTHER),
    }


def test_an_export_has_all_of_a_number_and_nothing_of_another(
    full: Pombo, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "dela.json"

    ran = full("privacy", "export", NATIONAL, "--file", str(file), "--json")

    told = json.loads(file.read_text(encoding="utf-8"))
    assert file.stat().st_mode & 0o777 == 0o600
    assert told["number"] == "(11) 98765-1234"
    assert {row["table"] for row in told["kept"]} == {*_PLACES, "saved_view", "callback"}
    assert len(told["kept"]) == sum(ran.json["rows"].values())
    messages = [row for row in told["kept"] if row["table"] == "message"]
    assert len(messages) == 6
    assert {(m["body"], m["number"]) for m in messages} == {(CANARY, NUMBER)}
    assert {m["state"] for m in messages} == {"waiting", "submitted", "delivered"}
    receipt = next(row for row in told["kept"] if row["table"] == "parked_receipt")
    assert f"{NUMBER}" in receipt["body"], "octets are shown with what can be read in them"
    assert str(OTHER)[2:] not in file.read_text(encoding="utf-8")
    again = full("privacy", "export", NATIONAL, "--file", str(file))
    assert again.code == 1 and "is there already" in again.err
    of_one = full("privacy", "export", NATIONAL, "--file", str(tmp_path / "b"), "--account", "loja", "--json")
    assert of_one.json["rows"]["message"] == 3 and "parked_receipt" not in of_one.json["rows"]
    [record, first] = full("audit", "list", "--action", "privacy.export", "--json").json["records"]
    assert (first["subject"], first["after"]) == ("number (11) 9****-1234", {"rows": len(told["kept"])})
    assert record["after"]["account"] == 1


def _in_files(url: str, data: Path) -> set[str]:
    """Files of tables and indexes that hold the number, as letters or as the integer it is stored as, or the text."""
    rows(url, "create database flushed template blank strategy file_copy")  # begins with a checkpoint
    rows(url, "drop database flushed")  # and ends with one
    [[oid]] = rows(url, "select oid from pg_database where datname = current_database()")
    wanted = [NATIONAL.encode(), NUMBER.to_bytes(8, "little"), CANARY.encode(), CANARY.encode("latin-1")]
    pattern = re.compile(b"|".join(map(re.escape, wanted)))
    files = (pg_place.cluster_of(data) / "base" / str(oid)).iterdir()
    return {path.name for path in files if path.is_file() and pattern.search(path.read_bytes())}


def test_a_rewrite_leaves_no_octet_of_it_in_the_files_of_tables_and_indexes(
    full: Pombo, database_url: str, postgres_data: Path
) -> None:
    assert len(_in_files(database_url, postgres_data)) > 2 * len(_PLACES), "tables, and the indexes on them"

    assert full("privacy", "erase", NATIONAL, "--yes", "--rewrite").code == 0

    assert _in_files(database_url, postgres_data) == set()


def test_accesses_are_listed_and_written_to_a_file(
    operator: Pombo, database_url: str, tmp_path: Path
) -> None:
    rows(
        database_url,
        "insert into access (minute_at, kind, who, what, address, account_id, times) values"
        " ('2026-11-24 10:00+00', 'api', 'token 1', 'send', '192.0.2.7', 1, 12),"
        " ('2026-11-24 10:01+00', 'api', 'token 1', 'read', '192.0.2.8', 1, 3),"
        " ('2026-11-25 10:00+00', 'panel', 'person 7', 'sign in', '2001:db8::1', 1, 1)",
    )
    listed = operator("privacy", "access", "--account", "loja", "--until", "2026-11-25", "--json").json[
        "accesses"
    ]
    assert [
        (a["minute_at"][:16], a["who"], a["what"], a["address"], a["account_name"], a["times"])
        for a in listed
    ] == [
        ("2026-11-24T10:01", "token 1", "read", "192.0.2.8", "loja", 3),
        ("2026-11-24T10:00", "token 1", "send", "192.0.2.7", "loja", 12),
    ]
    assert "192.0.2.7" in operator("privacy", "access", "--address", "192.0.2.7").out
    file = tmp_path / "accesses"
    operator("privacy", "access", "--account", "loja", "--file", str(file))
    assert [json.loads(line)["kind"] for line in file.read_text().splitlines()] == ["panel", "api", "api"]


def test_commands_are_accesses_with_who_ran_them_and_from_where(
    operator: Pombo, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "maria")
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.7 50000 192.0.2.1 22")
    for _ in range(2):
        operator("reply", "list", "--text", "--json")
    accesses = operator("privacy", "access", "--address", "192.0.2.7", "--json").json["accesses"]
    assert {(a["kind"], a["who"].partition("@")[0], a["what"]) for a in accesses} == {
        ("command", "cli:maria", "reply list"), ("command", "cli:maria", "privacy access"),
    }  # fmt: skip
    assert sum(a["times"] for a in accesses if a["what"] == "reply list") == 2


def test_an_account_says_how_long_its_texts_are_kept(operator: Pombo) -> None:
    assert operator("account", "show", "loja", "--json").json["retention_days"] == 90
    assert operator("account", "set", "loja", "--retention-days", "30", "--json").json["retention_days"] == 30
    for days in ("0", "3651"):
        assert operator("account", "set", "loja", "--retention-days", days).code == 2
    [record] = operator("audit", "list", "--action", "account.set", "--json").json["records"]
    assert (record["before"], record["after"]) == ({"retention_days": 90}, {"retention_days": 30})
