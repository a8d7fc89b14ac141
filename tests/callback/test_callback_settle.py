"""Outcomes are kept until they are committed."""

import asyncio
from typing import Any

import pytest
from callback_outbox import NODE
from callback_receiver import WAIT_S

from pombo.callback.settle import Settlement
from pombo.message import CallbackState
from pombo.store.callbacks import Attempt, Failure

pytestmark = pytest.mark.anyio


def ok(callback_id: int) -> Attempt:
    return Attempt(
        callback_id, 1795352404.5, "http://h/?id=1", "v1,x", "127.0.0.1", 200, "", 5, b"HTTP/1.1 200 OK"
    )


async def test_what_comes_in_during_the_last_commit_is_committed_before_the_end(outbox: Any) -> None:
    account = await outbox.account()
    first, second = await outbox.delivered(account, 2, leased_by=NODE)
    settlement = Settlement(outbox.database, NODE, lambda pause_s: None)
    running = asyncio.create_task(settlement.run())
    async with outbox.database.transaction() as other, asyncio.timeout(WAIT_S):
        await other.execute("select from callback where id = $1 for update", first.callback_id)
        settlement.confirmed(ok(first.callback_id))
        waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        while not await outbox.database.fetchval(waiting):
            await asyncio.sleep(0)
        settlement.confirmed(ok(second.callback_id))
        settlement.stop()
    await running
    assert [row["state"] for row in await outbox.rows()] == [CallbackState.CONFIRMED] * 2


async def test_a_failure_of_a_row_that_another_node_holds_changes_nothing(outbox: Any) -> None:
    account = await outbox.account()
    (job,) = await outbox.delivered(account, 1, leased_by=NODE)
    await outbox.database.execute("update callback set leased_by = gen_random_uuid()")
    settlement = Settlement(outbox.database, NODE, lambda pause_s: None)
    settlement.failed(Failure(job.callback_id, None, 500, "HTTP 500", None))
    assert await settlement.flush()
    row = await outbox.row()
    assert (row["state"], row["attempts"]) == (CallbackState.DUE, 0)


async def test_outcomes_wait_while_the_database_refuses(outbox: Any) -> None:
    account = await outbox.account()
    (job,) = await outbox.delivered(account, 1, leased_by=NODE)
    settlement = Settlement(outbox.database, NODE, lambda pause_s: None)
    settlement.confirmed(ok(job.callback_id))
    await outbox.database.execute("alter table callback rename to away")
    assert not await settlement.flush()
    await outbox.database.execute("alter table away rename to callback")
    assert await settlement.flush()
    assert (await outbox.row())["state"] == CallbackState.CONFIRMED
