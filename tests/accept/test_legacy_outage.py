"""CONTRACT "503": what is told when the store does not confirm, and that one request's fault is its own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import asyncpg
import pytest
from legacy_gateway import NUMBER, TOKEN, Gateway, Reply

from pombo.accept.intake import Intake
from pombo.errors import Unavailable
from pombo.store import intake as rows
from pombo.store.database import Database

pytestmark = pytest.mark.anyio


def message(text: str = "Oi", **more: Any) -> dict[str, Any]:
    return {"destino": NUMBER, "msg": text, **more}


@contextlib.asynccontextmanager
async def locked(database_url: str, account_id: int) -> AsyncIterator["asyncpg.Connection[Any]"]:
    """While this lasts, no flush with messages of the account can commit."""
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            await connection.execute("select from account where id = $1 for update", account_id)
            yield connection
    finally:
        await connection.close()


async def _waits_for_lock(db: Database) -> int:
    """The process id of the backend that the flush under way runs on."""
    find = "select pid from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    async with asyncio.timeout(10):
        while (pid := await db.fetchval(find)) is None:
            await asyncio.sleep(0)
    return int(pid)


async def _nothing_waits_for_a_lock(db: Database) -> None:
    """Abandoned flushes have been cancelled: else they might commit after all when the lock goes."""
    find = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    async with asyncio.timeout(10):
        while await db.fetchval(find) is not None:
            await asyncio.sleep(0)


@pytest.fixture
async def hasty(database: Database) -> AsyncIterator[Gateway]:
    """As `gateway`, but it waits 0.2 s for a commit until `be_patient`, and 10 messages may wait."""
    hasty = Gateway(database, commit_timeout_s=0.2, limit_messages=10)
    await hasty.add_account("alfa", TOKEN)
    async with hasty.running():
        yield hasty


def be_patient(hasty: Gateway) -> None:
    """From here on commits come, if only as fast as this machine makes them."""
    hasty.intake._commit_timeout_s = 10


async def test_a_commit_that_does_not_come_is_503_with_every_item(hasty: Gateway, database_url: str) -> None:
    messages = [message("1", id="a"), message("2"), message("", id="c"), None]
    async with locked(database_url, 1):
        reply = await hasty.send_many(messages)
        assert reply.status == 503
        assert reply.headers["content-type"] == "application/json; charset=utf-8"
        assert [(item["status"], item["messageID"]) for item in reply.items] == [
            (0, "a"),
            (0, ""),
            (0, "c"),
            (0, ""),
        ]
        assert reply.told[:3] == ["Servico indisponivel", "Servico indisponivel", "Mensagem vazia"]
        single = await hasty.send_one(id="a")
        assert (single.status, single.told, single.item["messageID"]) == (503, ["Servico indisponivel"], "a")
        assert (await hasty.send_one("")).status == 200  # what needs no store is answered as ever
        await _nothing_waits_for_a_lock(hasty.db)
    be_patient(hasty)
    assert await hasty.stored() == []
    # "With its own id the client may safely send again."
    assert (await hasty.send_many(messages[:1])).told == ["OK"]
    assert (await hasty.send_many(messages[:1])).told == ["OK"]
    assert await hasty.balance(1) == 1_000_000 - 80


async def test_requests_that_wait_behind_a_lost_flush_are_told_in_time(
    hasty: Gateway, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not after a timeout for each flush that was before them."""
    monkeypatch.setattr("pombo.accept.intake._FLUSH_MESSAGES", 1)
    async with locked(database_url, 1):
        first = asyncio.create_task(hasty.send_one("1"))
        await _waits_for_lock(hasty.db)
        later = [asyncio.create_task(hasty.send_one(str(n))) for n in range(9)]
        began = asyncio.get_running_loop().time()
        replies = await asyncio.gather(first, *later)
        assert asyncio.get_running_loop().time() - began < 1.0
        await _nothing_waits_for_a_lock(hasty.db)
    assert {reply.status for reply in replies} == {503}
    be_patient(hasty)
    assert (await hasty.send_one("after")).status == 200
    assert await hasty.texts() == ["after"]


async def test_a_full_intake_refuses_and_forgets_nothing_that_waits(
    gateway: Gateway, database_url: str
) -> None:
    full = Gateway(gateway.db, node=2, limit_messages=10)
    async with full.running():
        async with locked(database_url, 1):
            under_way = asyncio.create_task(full.send_one("0"))
            await _waits_for_lock(full.db)
            waiting = [asyncio.create_task(full.send_many([message(str(n))] * 5)) for n in range(2)]
            while full.intake.figures.waiting < 10:
                await asyncio.sleep(0)
            refused = await full.send_many([message("too many", id="x")])
            assert (refused.status, refused.told) == (503, ["Servico indisponivel"])
        accepted = await asyncio.gather(under_way, *waiting)
        assert [reply.status for reply in accepted] == [200, 200, 200]
        assert len(await full.stored()) == 11
        assert (await full.send_many([message()] * 11)).status == 200  # an empty intake takes any batch


async def test_a_connection_lost_in_the_flush_is_503_and_the_next_one_works(
    gateway: Gateway, database_url: str
) -> None:
    async with locked(database_url, 1) as holder:
        lost = asyncio.create_task(gateway.send_one(id="a"))
        pid = await _waits_for_lock(gateway.db)
        await holder.execute("select pg_terminate_backend($1)", pid)
        reply = await lost
        assert (reply.status, reply.told) == (503, ["Servico indisponivel"])
    assert (await gateway.send_one(id="a")).told == ["OK"]


async def test_a_driver_that_does_not_come_back_holds_nobody_up(
    hasty: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frozen server does not even answer the driver's request to cancel."""
    frozen = asyncio.Event()

    async def accept(*_: object) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await frozen.wait()

    with monkeypatch.context() as patched:
        patched.setattr(rows, "accept", accept)
        async with asyncio.timeout(2):
            assert (await hasty.send_one()).status == 503
            assert (await hasty.send_one()).status == 503
    be_patient(hasty)
    assert (await hasty.send_one()).status == 200
    frozen.set()


async def test_a_stop_waits_for_no_flush_that_was_given_up(
    hasty: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way, frozen = asyncio.Event(), asyncio.Event()

    async def accept(*_: object) -> None:
        under_way.set()
        try:
            await asyncio.Event().wait()
        finally:
            await frozen.wait()

    monkeypatch.setattr(rows, "accept", accept)
    asking = asyncio.create_task(hasty.send_one())
    await under_way.wait()
    async with asyncio.timeout(2):
        await hasty.intake.stop()
        assert (await asking).status == 503
    frozen.set()


async def test_a_flush_that_is_given_up_half_way_answers_each_of_its_requests_once(
    hasty: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database refuses a value, so that it is tried in halves, and says nothing more after the first one."""
    await hasty.send_one()
    accept, tried = rows.accept, []

    async def refusing_then_silent(*args: Any) -> bool:
        tried.append(len(args[1].message_ids))
        if tried == [1]:
            while hasty.intake.figures.waiting < 4:
                await asyncio.sleep(0)
        elif tried == [1, 4]:
            raise asyncpg.DataError("a value")
        elif tried == [1, 4, 2, 2]:
            await asyncio.Event().wait()
        return await accept(*args)

    query = urlencode({"token": TOKEN, "destino": NUMBER, "msg": "Oi"})
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(hasty.connected()) for _ in range(5)]
        asking = []
        with monkeypatch.context() as patched:
            patched.setattr(rows, "accept", refusing_then_silent)
            for client in clients:
                asking.append(asyncio.create_task(client.ask("GET", f"/api/unitario.php?{query}")))
                while not tried:
                    await asyncio.sleep(0)
            async with asyncio.timeout(5):
                replies = await asyncio.gather(*asking)
        assert sorted(reply.status for reply in replies) == [200, 200, 200, 503, 503]
        be_patient(hasty)
        for client in clients:
            assert (await client.ask("GET", f"/api/saldo.php?{query}")).body.startswith(b'{"saldo":')


async def test_without_a_database_every_path_says_503(database: Database) -> None:
    gateway = Gateway(database)
    async with gateway.running():
        await database.close()
        for page, envelope in (
            ("unitario", "envio"),
            ("envio", "detalhes"),
            ("dlr", "dlr"),
            ("mo", "mo"),
            ("saldo", "saldo"),
        ):
            reply: Reply = await gateway.get(page, destino=NUMBER, msg="Oi")
            assert reply.status == 503
            assert next(iter(reply.json)) == envelope
            assert b'"status":0,' in reply.body
            assert b'"detailDescription":"Servico indisponivel"' in reply.body


async def test_200_is_said_after_the_commit(gateway: Gateway, database_url: str) -> None:
    """Invariant 1: message, key, charge and queue row are there when the answer is."""
    async with locked(database_url, 1):
        waiting = asyncio.create_task(gateway.send_one(id="a"))
        await _waits_for_lock(gateway.db)
        assert not waiting.done()
    assert (await waiting).told == ["OK"]
    counts = await gateway.db.fetchrow(
        "select (select count(*) from message), (select count(*) from message_key), (select count(*) from queue),"
        " (select count(*) from ledger where kind = 'charge')"
    )
    assert counts is not None
    assert list(counts) == [1, 1, 1, 1]


async def test_a_value_that_the_database_will_not_have_harms_only_its_own_request(
    gateway: Gateway, database_url: str
) -> None:
    """Invariant 10. The poison: a price beyond the column."""
    await gateway.add_account("dear", "the token of dear", balance_milli=10**15, price_milli=3_000_000_000)
    async with locked(database_url, 1):
        under_way = asyncio.create_task(gateway.send_one("first"))
        await _waits_for_lock(gateway.db)
        good = [asyncio.create_task(gateway.send_one(f"good {n}")) for n in range(7)]
        bad = asyncio.create_task(
            gateway.send_many([message("bad", id="x"), message("bad too")], "the token of dear")
        )
        good += [asyncio.create_task(gateway.send_many([message(f"good {n}")])) for n in range(7, 9)]
        while gateway.intake.figures.waiting < 11:
            await asyncio.sleep(0)
    assert {(await task).status for task in [under_way, *good]} == {200}
    assert ((await bad).status, (await bad).told) == (503, ["Servico indisponivel"] * 2)
    assert sorted(await gateway.texts()) == ["first"] + [f"good {n}" for n in range(9)]
    assert await gateway.balance(1) == 1_000_000 - 800


async def test_a_request_is_never_split_over_two_commits(gateway: Gateway, database_url: str) -> None:
    """Invariant 10, second half: 1000 messages commit together, whatever waits beside them."""
    async with locked(database_url, 1):
        under_way = asyncio.create_task(gateway.send_one("first"))
        await _waits_for_lock(gateway.db)
        batches = [asyncio.create_task(gateway.send_many([message(str(n))] * 999)) for n in range(7)]
        while gateway.intake.figures.waiting < 7 * 999:
            await asyncio.sleep(0)
    await asyncio.gather(under_way, *batches)
    commits = await gateway.db.fetch(
        "select count(distinct xmin::text) as commits, body from message group by body"
    )
    assert {row["commits"] for row in commits} == {1}
    assert len(commits) == 8


async def test_a_fault_of_ours_ends_its_requests_and_not_the_intake(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def faulty(*_: object) -> None:
        raise KeyError("not foreseen")

    with monkeypatch.context() as patched:
        patched.setattr(rows, "accept", faulty)
        assert (await gateway.send_one()).status == 503
    assert (await gateway.send_one()).status == 200


async def test_a_fault_of_ours_in_reading_is_503_and_not_a_refusal(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(*_: object) -> None:
        raise KeyError("not foreseen")

    monkeypatch.setattr(gateway.api, "_judge", faulty)
    for reply in (await gateway.send_one(), await gateway.send_many([message()])):
        assert (reply.status, reply.told) == (503, ["Servico indisponivel"])


async def test_a_stopping_intake_commits_what_waits_and_takes_no_more(
    gateway: Gateway, database_url: str
) -> None:
    async with locked(database_url, 1):
        waiting = [asyncio.create_task(gateway.send_one("first"))]
        await _waits_for_lock(gateway.db)
        waiting += [asyncio.create_task(gateway.send_one(str(n))) for n in range(2)]
        while gateway.intake.figures.waiting < 2:
            await asyncio.sleep(0)
        stopping = asyncio.create_task(gateway.intake.stop())
        await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await gateway.intake.submit([])
        late = await gateway.send_one("late")
        assert late.status == 503
    assert {(await task).status for task in waiting} == {200}
    await stopping


async def test_connections_that_got_messages_are_told_of_them(database: Database) -> None:
    told: list[set[int]] = []
    gateway = Gateway(database)
    gateway.intake._stored = told.append
    await gateway.add_account("alfa", TOKEN)
    async with gateway.running():
        await gateway.send_one()
        await gateway.send_one("", id="a")
        await gateway.send_many([message(id="a")] * 2)
        await gateway.send_many([message(id="a")] * 2)  # retries only: nothing new to send
    assert told == [{1}, {1}]


def test_made_ids_grow_also_when_the_clock_steps_back(monkeypatch: pytest.MonkeyPatch) -> None:
    intake = Intake(
        None, None, stored=lambda _: None, number_hmac=lambda _: b"", limit_messages=1, commit_timeout_s=1
    )  # type: ignore[arg-type]
    times = iter([1_800_000_000.0, 1_800_000_000.0, 1_700_000_000.0, 1_800_000_001.0])
    monkeypatch.setattr("pombo.accept.intake.time.time", lambda: next(times))
    made = [intake._new_reference() for _ in range(4)]
    assert made == sorted(set(made))
    assert {len(ref) for ref in made} == {13}
