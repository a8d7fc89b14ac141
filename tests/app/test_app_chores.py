"""What a node does now and then takes no more than its share of the time."""

import uuid

import pytest

from pombo.app.chores import Chores
from pombo.inbound.replies import Replies
from pombo.store import queue
from pombo.store.database import Database
from pombo.store.ids import Ids
from pombo.store.smscs import smscs

pytestmark = pytest.mark.anyio


async def test_a_look_for_expired_messages_that_takes_long_is_taken_less_often(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await database.execute(
        "insert into smsc (name, host, port, system_id, password_sealed) values ('op', 'h', 1, 's', '')"
    )
    connections = await smscs(database)
    chores = Chores(
        database,
        uuid.uuid4(),
        {},
        Replies(Ids(1), lambda _: "gsm", lambda _: b""),
        lambda: connections,
        lambda jobs: None,
    )
    now_s = 1000.0
    looked_at = []
    expire = queue.expire

    async def slow(*given: object) -> list[int]:
        nonlocal now_s
        looked_at.append(now_s)
        now_s += 2.0
        return await expire(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(queue, "expire", slow)
    monkeypatch.setattr("pombo.app.chores.time.monotonic", lambda: now_s)

    for _ in range(50):
        await chores.expire()
        now_s += 5.0

    assert looked_at == [1000.0, 1102.0, 1204.0]
