"""Accepting costs statements by the commit, not by the message."""

import asyncio
import contextlib
import gc
from collections.abc import Sequence
from urllib.parse import urlencode

import asyncpg
import pytest
from legacy_gateway import NUMBER, TOKEN, Gateway

from cost import Cost
from pombo.store import intake as rows
from pombo.store.database import Db

pytestmark = pytest.mark.anyio


async def test_a_thousand_messages_in_one_request_are_one_statement(
    gateway: Gateway, alfa: int, cost: Cost
) -> None:
    await gateway.send_one()  # the token is known from here on
    cost.start()
    reply = await gateway.send_many([{"destino": NUMBER, "msg": f"Oi {n}"} for n in range(1000)])
    assert len(reply.items) == 1000
    assert cost.statements == 1, cost.of


async def test_requests_that_come_during_a_commit_share_the_next_one(
    gateway: Gateway, alfa: int, cost: Cost, database_url: str
) -> None:
    await gateway.send_one()
    query = urlencode({"token": TOKEN, "destino": NUMBER, "msg": "Oi"})
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(gateway.connected()) for _ in range(100)]
        other = await asyncpg.connect(database_url)
        stack.push_async_callback(other.close)
        await other.execute("begin; select from account for update")
        cost.start()
        asking = [
            asyncio.ensure_future(client.ask("GET", f"/api/unitario.php?{query}")) for client in clients
        ]
        while gateway.intake.figures.waiting < 99:  # one is in the commit that waits
            await asyncio.sleep(0)
        await other.execute("commit")
        replies = await asyncio.gather(*asking)
    assert all(reply.item["status"] == 200 for reply in replies)
    ours = cost.statements - 1  # without the commit above
    assert ours <= 3, cost.of


async def test_half_of_what_is_under_way_is_committed_while_the_other_half_is_judged(
    gateway: Gateway, alfa: int, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it at a time, and database and process wait for each other: that took a fifth of the rate."""
    await gateway.send_one()
    commits = []
    accept = rows.accept

    async def counted(db: Db, new: rows.NewMessages, *unlisted: Sequence[int]) -> bool:
        commits.append(len(new.message_ids))
        return await accept(db, new, *unlisted)

    monkeypatch.setattr(rows, "accept", counted)
    query = urlencode({"token": TOKEN, "destino": NUMBER, "msg": "Oi"})
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(gateway.connected()) for _ in range(61)]
        other = await asyncpg.connect(database_url)
        stack.push_async_callback(other.close)
        await other.execute("begin; select from account for update")
        asking = [asyncio.ensure_future(clients[0].ask("GET", f"/api/unitario.php?{query}"))]
        while not commits:
            await asyncio.sleep(0)
        asking += [asyncio.ensure_future(one.ask("GET", f"/api/unitario.php?{query}")) for one in clients[1:]]
        while gateway.intake.figures.waiting < 60:
            await asyncio.sleep(0)
        await other.execute("commit")
        await asyncio.gather(*asking)
    assert commits == [1, 31, 29]


async def test_a_request_leaves_nothing_behind_for_the_garbage_collector(gateway: Gateway, alfa: int) -> None:
    query = urlencode({"token": TOKEN, "destino": NUMBER, "msg": "Oi"})
    async with gateway.connected() as client:
        await client.ask("GET", f"/api/unitario.php?{query}")
        gc.collect()
        for _ in range(20):
            await client.ask("GET", f"/api/unitario.php?{query}")
        assert gc.collect() < 20
