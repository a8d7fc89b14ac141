"""What a node does about a connection that it owns and that is stopped."""

import pytest

from pombo.app.node import Node
from pombo.config import Config
from pombo.message import AttemptState, State
from pombo.store import leases, smscs

pytestmark = pytest.mark.anyio


@pytest.fixture
async def node(database_url, tmp_path):
    """It owns one connection, which is stopped."""
    node = await Node.open(database_url, Config(data=tmp_path))
    await smscs.add_smsc(node.db, "op", "127.0.0.1", 1, "id", b"", wanted="stopped")
    await node._deliverer.start()
    await node._reload()
    await node._owner.start()
    assert list(node._owner.owned) == [1]
    yield node
    await node._owner.stop()
    await node._deliverer.stop()
    await node.close()


async def test_another_node_may_have_it_and_give_it_back(node):
    await node._give_up(1)
    assert [standing.free for standing in await leases.standings(node.db, node._holder)] == [True]
    await node._owner._look()
    await smscs.change_smsc(node.db, 1, wanted="started")
    await node._reload()
    assert node._links.has(1)
    await node._links.stop()


async def test_what_it_never_answered_is_given_up_in_time(node):
    """A receipt failed the second attempt, and nobody will say any more what became of the first."""
    for n, state in (1, AttemptState.UNCERTAIN), (2, AttemptState.FAILED):
        await node.db.execute(
            "insert into attempt (message_id, part, n, smsc_id, session_id, number, smsc_key, state, submitted_at,"
            " receipt_error, failed_as) values (7, 1, $1, 1, 1, 5511999999999, $2, $3, now() - interval '73 hours',"
            " 'UNDELIV', 4)",
            n, "x" if n == 2 else None, state,
        )  # fmt: skip
    await node.db.execute(
        "insert into message (id, account_id, client_ref, destination, number, body, ucs2, parts, price_milli, smsc_id,"
        " accepted_at, state) values (7, 1, '7', '', 5511999999999, 'oi', false, 1, 0, 1, now(), 1)"
    )
    await node._chores.sweep()
    assert await node.db.fetchval("select state from message") == State.UNDELIVERED
