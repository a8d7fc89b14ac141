"""CONTRACT "mo.php": the inbox, at least once and never lost."""

import asyncio
import socket
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from legacy_gateway import TOKEN, Gateway, request

from pombo.accept import connection
from pombo.errors import Unavailable
from pombo.store import inbox
from pombo.store.database import Database

pytestmark = pytest.mark.anyio

FIRST = datetime(2026, 11, 22, 13, 5, 0, tzinfo=UTC)
POLL = f"/api/mo.php?token={quote(TOKEN)}"


async def _arrive(
    gateway: Gateway, account_id: int | None, count: int = 1, first_id: int = 1, **columns: Any
) -> None:
    """`count` replies, a second after each other, with ids that do not follow their order."""
    reply = {"source": "5511999999999", "body": "SIM", "client_ref": "", "read_at": None, **columns}
    ids = list(range(first_id + count - 1, first_id - 1, -1))
    await gateway.db.execute(
        "insert into inbox (id, account_id, smsc_id, source, destination, body, data_coding, client_ref, body_hash,"
        " session_id, sequence_number, received_at, read_at)"
        " select id, $2, 1, $3, '27000', $4, 0, $5, '', 1, 1, at, $7"
        " from unnest($1::bigint[], $6::timestamptz[]) t(id, at)",
        ids, account_id, reply["source"], reply["body"], reply["client_ref"],
        [FIRST + timedelta(seconds=n) for n in range(count)], reply["read_at"],
    )  # fmt: skip


async def _poll(gateway: Gateway, **parameters: object) -> list[str]:
    """The `mo_id`s of a poll."""
    return [reply["mo_id"] for reply in (await gateway.get("mo", **parameters)).json["mo"]]


async def _let_leases_end(gateway: Gateway) -> None:
    await gateway.db.execute("update inbox set leased_until = now() where leased_until is not null")


async def test_a_reply_is_answered_octet_for_octet(gateway: Gateway, alfa: int) -> None:
    await _arrive(gateway, alfa, body="SIM é", client_ref="5b6457cc6003b", first_id=77)
    assert (await gateway.get("mo")).body == (
        b'{"mo":[{"destino":"11999999999","numero":"11999999999","data":"2026-11-22 10:05:00",'
        b'"mensagem":"SIM \\u00e9","id":"5b6457cc6003b","mo_id":"77"}]}'
    )
    assert (await gateway.get("mo")).body == b'{"mo":[]}'


async def test_handsets_are_shown_in_national_form(gateway: Gateway, alfa: int) -> None:
    for n, source in enumerate(("5511999999999", "551177777777", "27000", "15551234567", "TIM")):
        await _arrive(gateway, alfa, source=source, first_id=n + 1)
    shown = sorted((reply["mo_id"], reply["destino"]) for reply in (await gateway.get("mo")).json["mo"])
    assert [destino for _, destino in shown] == ["11999999999", "1177777777", "27000", "15551234567", "TIM"]


async def test_a_bad_token_is_told(gateway: Gateway) -> None:
    for query in ("", "?token=x", "?token=x&todas=1", "?token=x&de=ontem"):
        reply = await gateway.ask("GET", "/api/mo.php" + query)
        assert (reply.status, reply.body) == (
            200,
            b'{"mo":[],"status":0,"detailDescription":"Token invalido"}',
        )


async def test_nobody_sees_anothers_replies_nor_those_of_nobody(gateway: Gateway, alfa: int) -> None:
    """Invariant 7."""
    beta = await gateway.add_account("beta", "the token of beta")
    await _arrive(gateway, beta, first_id=1)
    await _arrive(gateway, None, first_id=2)
    for more in ({}, {"todas": 1}, {"todas": 1, "apos": 1}, {"todas": 1, "apos": 999}):
        assert (await gateway.get("mo", **more)).body == b'{"mo":[]}'
    assert await _poll(gateway, token="the token of beta") == ["1"]


async def test_unread_replies_come_oldest_first_and_1000_at_the_most(gateway: Gateway, alfa: int) -> None:
    await _arrive(gateway, alfa, count=1500)
    ids = [str(n) for n in range(1500, 0, -1)]
    assert await _poll(gateway) == ids[:1000]
    assert await _poll(gateway) == ids[1000:]
    assert await _poll(gateway) == []


async def test_replies_that_a_callback_confirmed_are_not_offered(gateway: Gateway, alfa: int) -> None:
    await _arrive(gateway, alfa, first_id=1, read_at=FIRST)
    await _arrive(gateway, alfa, first_id=2)
    assert await _poll(gateway) == ["2"]
    assert sorted(await _poll(gateway, todas=1)) == ["1", "2"]


async def test_leased_replies_are_skipped_by_a_poll_at_the_same_time(gateway: Gateway, alfa: int) -> None:
    await _arrive(gateway, alfa, count=3)
    leased = await inbox.lease_unread(gateway.db, alfa, None, None, 2)
    assert [row["id"] for row in leased] == [3, 2]
    (until,) = {row["leased_until"] for row in leased}
    assert 50 < (until - datetime.now(UTC)).total_seconds() <= 60.1
    assert await _poll(gateway) == ["1"]
    await _let_leases_end(gateway)
    assert await _poll(gateway) == ["3", "2"]


async def test_parallel_polls_share_the_inbox_without_overlap(gateway: Gateway, alfa: int) -> None:
    await _arrive(gateway, alfa, count=2500)
    polls = await asyncio.gather(*(_poll(gateway) for _ in range(10)))
    handed = [ref for poll in polls for ref in poll] + await _poll(gateway)
    assert sorted(map(int, handed)) == list(range(1, 2501))


async def test_replies_count_as_read_once_their_answer_was_handed_over(gateway: Gateway, alfa: int) -> None:
    await _arrive(gateway, alfa)
    async with gateway.connected() as client:
        assert len((await client.ask("GET", POLL)).json["mo"]) == 1
        assert (await client.ask("GET", POLL)).json["mo"] == []  # the first answer has ended by now
    assert await gateway.db.fetchval("select read_at is not null from inbox")


async def test_a_client_that_hangs_up_gets_its_replies_again(
    gateway: Gateway, alfa: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hangs up while the database is asked: the answer goes to a connection that is no more."""
    await _arrive(gateway, alfa, count=3)
    asked, go_on, settled = asyncio.Event(), asyncio.Event(), asyncio.Event()
    lease, give_back, mark_read = inbox.lease_unread, inbox.give_back, inbox.mark_read

    async def slow_lease(*args: Any) -> Any:
        asked.set()
        await go_on.wait()
        return await lease(*args)

    async def seen_give_back(*args: Any) -> None:
        await give_back(*args)
        settled.set()

    async def seen_mark_read(*args: Any) -> None:
        await mark_read(*args)
        settled.set()

    monkeypatch.setattr(inbox, "lease_unread", slow_lease)
    monkeypatch.setattr(inbox, "give_back", seen_give_back)
    monkeypatch.setattr(inbox, "mark_read", seen_mark_read)
    for pipelined in (b"", request("GET", POLL)):
        for event in (asked, go_on, settled):
            event.clear()
        async with gateway.connected() as client:
            await client.send(request("POST", POLL, b"") + pipelined)
            await asked.wait()
        await _connections_end(gateway)
        go_on.set()
        await settled.wait()
        assert (
            await gateway.db.fetchval(
                "select count(*) from inbox where read_at is null and leased_until is null"
            )
            == 3
        )
    monkeypatch.undo()
    assert await _poll(gateway) == ["3", "2", "1"]


async def _connections_end(gateway: Gateway) -> None:
    """Waits until the server has seen that its client is gone."""
    async with asyncio.timeout(10):
        while gateway.server.server_state.connections:
            await asyncio.sleep(0)


async def test_a_client_that_takes_nothing_of_its_answer_is_cut_off_and_gets_it_again(
    gateway: Gateway, alfa: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is larger than all buffers on the way; invariant 9: it must not stay in memory."""
    await _arrive(gateway, alfa, count=1000, body="x" * 20_000)
    monkeypatch.setattr(connection, "_STALLED_S", 0.1)
    with socket.create_connection(("127.0.0.1", gateway.port)) as deaf:
        deaf.sendall(request("GET", POLL))
        while not await gateway.db.fetchval("select count(*) from inbox where leased_until is not null"):
            await asyncio.sleep(0)
        await _connections_end(gateway)
    while await gateway.db.fetchval("select count(*) from inbox where leased_until is not null"):
        await asyncio.sleep(0)
    assert len(await _poll(gateway)) == 1000


async def test_replies_that_cannot_be_marked_are_offered_again(
    gateway: Gateway, alfa: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is out when the database goes away: at least once."""

    async def lost(db: Database, ids: object) -> None:
        raise Unavailable

    await _arrive(gateway, alfa)
    monkeypatch.setattr(inbox, "mark_read", lost)
    async with gateway.connected() as client:
        assert len((await client.ask("GET", POLL)).json["mo"]) == 1
        assert (await client.ask("GET", POLL)).json["mo"] == []
    monkeypatch.undo()
    await _let_leases_end(gateway)
    assert len(await _poll(gateway)) == 1


async def test_todas_shows_read_ones_too_and_changes_nothing(gateway: Gateway, alfa: int) -> None:
    await _arrive(gateway, alfa, count=2, first_id=1, read_at=FIRST)
    await _arrive(gateway, alfa, count=1, first_id=10)
    for _ in range(2):
        assert sorted(await _poll(gateway, todas=1)) == ["1", "10", "2"]
    reply = await gateway.ask("POST", POLL, b'{"todas":true}')
    assert len(reply.json["mo"]) == 3
    assert await _poll(gateway, todas=0) == ["10"]


async def test_pages_of_todas_follow_each_other_by_apos(gateway: Gateway, alfa: int) -> None:
    await _arrive(gateway, alfa, count=1200)
    await gateway.db.execute("update inbox set received_at = $1 where id > 1100", FIRST)  # many at one moment
    first = await _poll(gateway, todas=1)
    second = await _poll(gateway, todas=1, apos=first[-1])
    assert (len(first), len(second)) == (1000, 200)
    assert sorted(map(int, first + second)) == list(range(1, 1201))
    assert await _poll(gateway, todas=1, apos=second[-1]) == []


async def test_apos_takes_any_mo_id_and_refuses_what_is_none(gateway: Gateway, alfa: int) -> None:
    await _arrive(gateway, alfa, first_id=2**63 - 1)
    assert await _poll(gateway, todas=1, apos=2**63 - 1) == []
    for apos in ("x", -1, 2**63, "1" * 30, "1.5"):
        reply = await gateway.get("mo", todas=1, apos=apos)
        assert (reply.status, reply.json) == (
            200,
            {"mo": [], "status": 0, "detailDescription": "Requisicao invalida: apos deve ser um mo_id"},
        )


async def test_de_and_ate_are_moments_of_the_accounts_time_zone_and_both_count(
    gateway: Gateway, alfa: int
) -> None:
    await _arrive(gateway, alfa, count=3)  # 10:05:00, 10:05:01 and 10:05:02 in São Paulo, with ids 3, 2, 1
    await gateway.db.execute("update inbox set received_at = received_at + interval '0.9 s'")
    for parameters, ids in (
        ({"de": "2026-11-22 10:05:01"}, ["2", "1"]),
        ({"ate": "2026-11-22 10:05:01"}, ["3", "2"]),  # what is shown as :01 is within :01
        ({"de": "2026-11-22 10:05:01", "ate": "2026-11-22 10:05:01"}, ["2"]),
        ({"de": "2026-11-22", "ate": "2026-11-22"}, ["3", "2", "1"]),
        ({"de": "2026-11-23"}, []),
        ({"ate": "2026-11-21"}, []),
        ({"de": "0001-01-01", "ate": "9999-12-31"}, ["3", "2", "1"]),
        ({"de": "", "ate": " "}, ["3", "2", "1"]),
    ):
        assert await _poll(gateway, todas=1, **parameters) == ids
    assert await _poll(gateway, de="2026-11-22 10:05:02") == ["1"]
    assert await _poll(gateway) == ["3", "2"]
    await gateway.change(alfa, time_zone="UTC")
    assert await _poll(gateway, todas=1, ate="2026-11-22 10:05:02") == []


async def test_a_date_that_is_none_is_refused(gateway: Gateway) -> None:
    for name in ("de", "ate"):
        for date in ("ontem", "22/11/2026", "2026-11-31", "2026-11-22T10:00:00", "2026-11-22 25:00:00"):
            reply = await gateway.get("mo", **{name: date})
            assert reply.json == {
                "mo": [],
                "status": 0,
                "detailDescription": f"Requisicao invalida: {name} deve ser AAAA-MM-DD ou AAAA-MM-DD HH:MM:SS",
            }
