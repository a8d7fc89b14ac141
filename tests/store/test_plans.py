"""The statements of a claim have one plan, whether their table is empty or full and whatever is known of it."""

import re
from collections.abc import AsyncIterator

import pytest

from pombo.store import queue
from pombo.store.database import Database

pytestmark = pytest.mark.anyio

_FILL = """
insert into queue (message_id, smsc_id, account_id, class, due_at, expires_at, parts)
select n, 1, 1 + n % 50, n % 3, now(), now(), 1 from generate_series(1, 20000) n
"""
_STATEMENTS = [
    (queue._CLAIM, "1, 1, 20, 1::smallint, '{1,2}', '{10,10}', '{2026-01-01,2026-01-01}', '{0,0}'"),
    (queue._HEADS, "1, 0::smallint, 0, 2::smallint, 500"),
]
_ALLOWED = {"queue_turn", "queue_pkey", "message_pkey", "session_pkey"}


@pytest.fixture
async def hot(database_url: str) -> AsyncIterator[Database]:
    db = await Database.open(database_url, size=1, hot=True)
    yield db
    await db.close()


async def _plan(db: Database, statement: str, arguments: str) -> str:
    """As all later executions have it: planned without a look at the arguments."""
    await db.execute(f"prepare judged as {statement}")
    try:
        return "\n".join(row[0] for row in await db.fetch(f"explain (costs off) execute judged({arguments})"))
    finally:
        await db.execute("deallocate judged")


@pytest.mark.parametrize(("statement", "arguments"), _STATEMENTS, ids=["claim", "look"])
@pytest.mark.parametrize(
    "state", ["empty", "filled", "analysed empty, then filled", "analysed", "drained and vacuumed"]
)
async def test_claims_and_looks_go_by_their_indexes(
    hot: Database, statement: str, arguments: str, state: str
) -> None:
    await hot.execute("alter table queue set (autovacuum_enabled = off)")
    if state.startswith("analysed empty"):
        await hot.execute("analyze queue")
    if state != "empty":
        await hot.execute(_FILL)
    if state == "analysed":
        await hot.execute("analyze queue")
    if state == "drained and vacuumed":
        for message in ("message", "queue"):  # a platform in its first minutes: both are believed to be tiny
            await hot.execute(f"delete from {message}")
            await hot.execute(f"vacuum (analyze) {message}")
    plan = await _plan(hot, statement, arguments)
    assert set(re.findall(r"using (\w+)", plan)) <= _ALLOWED, plan
    assert "using queue_turn" in plan, plan
    assert plan.count("Index Cond") == len(re.findall(r"using (\w+)", plan)), plan  # none is read as a whole
    assert not re.search(r"Seq Scan|Bitmap|Hash Join|Merge Join", plan), plan
    # Each account's order, and the walk's, is the index's; only what a claim has picked is put in order.
    assert len(re.findall(r"->  (?:Incremental )?Sort", plan)) == (1 if statement is queue._CLAIM else 0), (
        plan
    )
