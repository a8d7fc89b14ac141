from datetime import UTC, datetime

import pytest

from pombo.route.availability import unavailable
from pombo.store import routes, smscs
from pombo.store.database import Database
from pombo.store.routes import Connection

SINCE = datetime(2026, 11, 24, 12, tzinfo=UTC)


def down(seconds, wanted="started"):
    return Connection(1, wanted, 60, None if seconds is None else SINCE, seconds, "tim")


def test_a_connection_is_waited_for_as_long_as_its_patience():
    assert unavailable([down(59.0)]) == {}
    assert unavailable([down(59.0)], later_s=2.0)[1].down_since == SINCE
    assert unavailable([down(None)], later_s=1e9) == {}


def test_what_was_down_before_this_node_ran_is_given_its_patience_again():
    assert unavailable([down(86400.0)], watched_s=59.0) == {}
    assert unavailable([down(86400.0)], watched_s=61.0)


@pytest.mark.parametrize("wanted", ["stopped", "draining"])
def test_a_connection_that_is_stopped_or_draining_gets_nothing_new_at_once_but_keeps_what_it_has(wanted):
    assert unavailable([down(None, wanted)])[1] == (wanted, None)
    assert str(unavailable([down(None, wanted)])[1]) == wanted
    assert str(unavailable([down(61.0, wanted)])[1]) == f"{wanted} and down since 2026-11-24 12:00:00 UTC"


@pytest.mark.anyio
async def test_one_that_was_never_bound_is_down_since_it_was_added(database: Database):
    for name in ("never", "bound", "lost"):
        await smscs.add_smsc(database, name, "127.0.0.1", 2775, "id", b"pw")
    await database.execute("update smsc set created_at = now() - interval '90 s'")
    await database.execute(
        "insert into link (smsc_id, bound, down_since) values (2, 1, null), (3, 0, now() - interval '30 s')"
    )
    await database.execute(
        "insert into lease (smsc_id, holder, epoch, lease_until)"
        " values (2, gen_random_uuid(), 1, now() + interval '5 s'), (3, gen_random_uuid(), 1, now() - interval '5 s')"
    )
    never, bound, lost = await routes.connections(database)
    assert 89 < never.down_s < 120
    assert (bound.down_since, bound.down_s) == (None, None)
    assert 29 < lost.down_s < 60
    assert list(unavailable([never, bound, lost])) == [1]


@pytest.mark.anyio
async def test_a_connection_whose_owner_died_is_down_since_its_lease_ended(database: Database):
    await smscs.add_smsc(database, "tim", "127.0.0.1", 2775, "id", b"pw")
    await database.execute("insert into link (smsc_id, bound, down_since) values (1, 1, null)")
    await database.execute(
        "insert into lease (smsc_id, holder, epoch, lease_until)"
        " values (1, gen_random_uuid(), 1, now() - interval '70 s')"
    )
    [dead] = await routes.connections(database)
    assert 69 < dead.down_s < 100
    assert list(unavailable([dead])) == [1]
