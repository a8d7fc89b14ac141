"""Prices and notices of a node that runs: what is changed counts at once, and is told once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from pombo.app.money import Money
from pombo.app.node import Node
from pombo.config import Config
from pombo.store import ledger, prices
from pombo.store.database import Database

pytestmark = pytest.mark.anyio


@pytest.fixture
async def node(database_url: str, tmp_path: Path) -> AsyncIterator[Node]:
    node = await Node.open(database_url, Config(data=tmp_path))
    await node.start()
    yield node
    await node.stop()
    await node.close()


async def soon(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):  # the net under NOTIFY takes ten seconds
        while not true():
            await asyncio.sleep(0.01)


async def test_a_price_counts_as_soon_as_it_is_set(node: Node) -> None:
    listening = (
        "select count(*) from pg_stat_activity where query ilike 'listen%' and datname = current_database()"
    )
    async with asyncio.timeout(5):
        while not await node.db.fetchval(listening):
            await asyncio.sleep(0.01)
    before = node._money.prices
    price_id = await prices.set_price(node.db, 70, prefix="55", account_id=None, message_class=None)
    await soon(lambda: node._money.prices is not before)
    before = node._money.prices
    await prices.remove_price(node.db, price_id)
    await soon(lambda: node._money.prices is not before)


async def test_of_two_nodes_one_logs_a_low_balance_once(database: Database) -> None:
    account_id = await database.fetchval(
        "insert into account (name, low_balance_milli) values ('a', 100) returning id"
    )
    await ledger.book(database, account_id, "recharge", 150)
    await ledger.book(database, account_id, "adjustment", -51)
    with capture_logs() as logged:
        await asyncio.gather(*(Money(database).tell() for _ in range(2)))
        await Money(database).tell()
    assert [dict(entry) for entry in logged] == [
        {
            "event": "balance_low", "log_level": "warning", "account": account_id, "available_milli": 99,
            "low_balance_milli": 100,
        }
    ]  # fmt: skip
