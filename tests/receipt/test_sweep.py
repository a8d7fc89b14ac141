"""The upkeep of a whole node: what one connection cannot do, the others still do."""

import msgspec
import pytest

from pombo.app.node import Node
from pombo.config import Config
from pombo.smpp.pdu import DeliverSm
from pombo.store import smscs

pytestmark = pytest.mark.anyio


@pytest.fixture
async def node(database_url, tmp_path):
    node = await Node.open(database_url, Config(data=tmp_path))
    await node._deliverer.start()
    yield node
    await node._deliverer.stop()
    await node.close()


async def parked_and_taken(db, smsc_id: int, message_id: int, body: bytes) -> None:
    """A receipt that waits, and the attempt that it speaks of."""
    parked_id = await db.fetchval(
        "insert into parked_receipt (smsc_id, raw_id, command_id, body) values ($1, 'x', 5, $2) returning id",
        smsc_id, body,
    )  # fmt: skip
    await db.execute(
        "insert into parked_key (smsc_id, key, parked_receipt_id) values ($1, 'x', $2)", smsc_id, parked_id
    )
    await db.execute(
        "insert into attempt (message_id, part, n, smsc_id, session_id, number, smsc_message_id, smsc_key, state,"
        " submitted_at) values ($1, 1, 1, $2, 1, 5511999999999, 'x', 'x', 1, now())",
        message_id, smsc_id,
    )  # fmt: skip


async def test_a_connection_whose_sweep_fails_holds_up_nobody(node):
    for n in (1, 2):
        await smscs.add_smsc(node.db, f"op{n}", "h", n, "s", b"")
    first, second = await smscs.smscs(node.db)
    for smsc in (first, second):
        node._stages_of(smsc)
    await parked_and_taken(node.db, first.id, 1, b"no msgpack")
    receipt = DeliverSm(source_addr=b"5511999999999", esm_class=4, short_message=b"id:x stat:DELIVRD err:000")
    await parked_and_taken(node.db, second.id, 2, msgspec.msgpack.encode(receipt))
    await node.db.execute(
        "insert into parked_receipt (smsc_id, raw_id, command_id, body, received_at)"
        " values ($1, 'old', 5, '', now() - interval '73 hours')",
        first.id,
    )
    await node._chores.sweep()
    assert await node.db.fetch("select message_id, state from attempt order by 1") == [(1, 1), (2, 2)]
    assert await node.db.fetch("select raw_id, smsc_id from parked_receipt") == [("x", first.id)]
