"""What waits for a connection that is down for too long goes over another one, and what an operator may have stays."""

import asyncio
import time

import pytest

from pombo.app.routing import Routing
from pombo.route.operators import OperatorsFile
from pombo.store import routes, smscs
from pombo.store.ids import Ids
from pombo.store.intake import accept
from rows import one_message

pytestmark = pytest.mark.anyio

DOWN, UP = 1, 2
NUMBER = 5511999999999


class Scene:
    """Two connections that routes lead to: `down` comes first and is down for ten minutes, `up` is bound."""

    def __init__(self, db):
        self.db = db
        self.ids = Ids(1)
        self.woken = []
        self.routing = Routing(db, OperatorsFile(""), self.woken.append)
        self.routing._started_at -= 3600  # this node runs for an hour

    async def furnish(self):
        await self.db.execute("insert into account (name, balance_milli) values ('a', 100000000)")
        for name in ("down", "up"):
            await smscs.add_smsc(self.db, name, "127.0.0.1", 2775, "id", b"pw")
            await routes.add_route(self.db, "55", name)
        await self.db.execute("insert into link (smsc_id, bound, down_since) values (2, 1, null)")
        await self.down("10 minutes")

    async def down(self, ago, smsc_id=DOWN):
        await self.db.execute(
            "insert into link (smsc_id, bound, down_since) values ($1, 0, now() - $2::text::interval)"
            " on conflict (smsc_id) do update set bound = 0, down_since = excluded.down_since",
            smsc_id, ago,
        )  # fmt: skip

    async def bound(self, smsc_id=DOWN):
        await self.db.execute("update link set bound = 1, down_since = null where smsc_id = $1", smsc_id)

    async def message(self, *, number=NUMBER, parts=1, smsc_id=DOWN):
        (message_id,) = self.ids.take(1, time.time())
        await accept(self.db, one_message(1, message_id, number, smsc_id, parts=parts))
        return message_id

    async def attempt(self, message_id, state, smsc_id=DOWN):
        await self.db.execute(
            "insert into attempt (message_id, part, n, smsc_id, session_id, number, state, submitted_at)"
            " values ($1, 1, 1, $2, 1, $3, $4, now())", message_id, smsc_id, NUMBER, state,
        )  # fmt: skip
        await self.db.execute("update queue set attempts = 1 where message_id = $1", message_id)

    async def pass_over(self):
        await self.routing.reload()
        await self.routing.tick()

    async def places(self):
        """(connection of the queue row, of the message), by message."""
        rows = await self.db.fetch(
            "select q.message_id, q.smsc_id, m.smsc_id from queue q join message m on m.id = q.message_id order by 1"
        )
        return [(row[1], row[2]) for row in rows]


@pytest.fixture
async def scene(database):
    scene = Scene(database)
    await scene.furnish()
    return scene


async def test_what_waits_for_a_connection_that_is_down_too_long_moves_and_its_new_one_is_woken(scene):
    for _ in range(1203):  # more than two pages
        await scene.message()
    await scene.pass_over()
    assert set(await scene.places()) == {(UP, UP)}
    assert scene.woken[0] == {UP}


async def test_within_its_patience_nothing_moves_and_it_gets_new_messages(scene):
    await scene.down("50 seconds")
    await scene.message()
    await scene.pass_over()
    assert await scene.places() == [(DOWN, DOWN)]
    assert scene.routing.routes.choose(NUMBER).smsc_id == DOWN


async def test_patience_ends_without_anybody_saying_so(scene):
    await scene.down("59.5 seconds")
    await scene.message()
    await scene.routing.reload()
    async with asyncio.timeout(10):
        while (await scene.places()) == [(DOWN, DOWN)]:
            await scene.routing.tick()
            await asyncio.sleep(0.05)
    assert scene.routing.routes.choose(NUMBER).smsc_id == UP


async def test_a_node_that_has_just_started_waits_for_connections_to_bind(scene):
    scene.routing._started_at = time.monotonic()
    await scene.message()
    await scene.pass_over()
    assert await scene.places() == [(DOWN, DOWN)]


@pytest.mark.parametrize("state", [0, 1])
async def test_a_message_that_the_operator_may_have_stays(scene, state):
    await scene.attempt(await scene.message(), state)
    await scene.pass_over()
    assert await scene.places() == [(DOWN, DOWN)]


async def test_a_long_message_with_a_part_taken_stays(scene):
    message_id = await scene.message(parts=3)
    await scene.db.execute("update queue set parts_taken = 2 where message_id = $1", message_id)
    await scene.pass_over()
    assert await scene.places() == [(DOWN, DOWN)]


@pytest.mark.parametrize("state", [1, 2])
async def test_what_is_being_written_or_held_stays(scene, state):
    message_id = await scene.message()
    await scene.db.execute("update queue set state = $2 where message_id = $1", message_id, state)
    await scene.pass_over()
    assert await scene.places() == [(DOWN, DOWN)]


async def test_what_was_refused_before_is_due_at_once_elsewhere_but_not_where_it_was_refused(scene):
    pausing, refused = await scene.message(), await scene.message()
    await scene.attempt(pausing, 4)
    await scene.attempt(refused, 4, smsc_id=UP)
    await scene.db.execute("update queue set due_at = now() + interval '5 minutes'")
    await scene.pass_over()
    assert await scene.places() == [(UP, UP), (DOWN, DOWN)]
    assert await scene.db.fetchval("select array_agg(due_at <= now() order by message_id) from queue") == [
        True,
        False,
    ]


async def test_where_no_other_rule_fits_messages_wait_and_are_accepted_all_the_same(scene):
    await routes.remove_route(scene.db, 2)
    await scene.message()
    await scene.pass_over()
    assert await scene.places() == [(DOWN, DOWN)]
    assert scene.routing.routes.choose(NUMBER).smsc_id == DOWN


async def test_nothing_moves_to_a_connection_that_is_stopped_or_down_too(scene):
    await scene.message()
    await scene.db.execute("update smsc set wanted = 'stopped' where id = 2")
    await scene.pass_over()
    await scene.db.execute("update smsc set wanted = 'started' where id = 2")
    await scene.down("2 minutes", UP)
    await scene.pass_over()
    assert await scene.places() == [(DOWN, DOWN)]


async def test_once_another_connection_is_there_what_waited_in_vain_moves(scene):
    await scene.down("2 minutes", UP)
    await scene.message()
    await scene.pass_over()
    await scene.bound(UP)
    await scene.pass_over()
    assert await scene.places() == [(UP, UP)]


async def test_a_connection_that_drains_keeps_what_waits_and_gets_nothing_new(scene):
    await scene.bound()
    await scene.db.execute("update smsc set wanted = 'draining' where id = 1")
    await scene.message()
    await scene.pass_over()
    assert await scene.places() == [(DOWN, DOWN)]
    assert scene.routing.routes.choose(NUMBER).smsc_id == UP


async def test_messages_do_not_go_to_and_fro_with_a_connection_that_comes_and_goes(scene):
    await scene.message()
    await scene.pass_over()
    for _ in range(3):
        await scene.bound()
        await scene.pass_over()
        await scene.down("30 seconds")
        await scene.pass_over()
    assert await scene.places() == [(UP, UP)]
    assert scene.woken == [{UP}]


async def test_a_pass_that_moves_nothing_is_not_made_again_at_once(scene):
    await scene.attempt(await scene.message(), 0)
    await scene.pass_over()
    await scene.message()
    await scene.routing.tick()
    assert (DOWN, DOWN) in (await scene.places())[1:]  # not looked at yet
    scene.routing._passed_at[DOWN] -= 30
    await scene.routing.tick()
    assert await scene.places() == [(DOWN, DOWN), (UP, UP)]


async def test_what_was_claimed_since_it_was_looked_at_is_not_moved(scene):
    message_id = await scene.message()
    [seen] = await routes.waiting(scene.db, DOWN, routes.FIRST, 10)
    await scene.db.execute(
        "update queue set claims = claims + 1, attempts = 1 where message_id = $1", message_id
    )
    assert await routes.move(scene.db, DOWN, [(message_id, seen.claims, UP)]) == 0
    assert await scene.places() == [(DOWN, DOWN)]


async def test_a_rule_that_is_added_moves_at_once_what_no_rule_could(scene):
    await routes.remove_route(scene.db, 2)
    await routes.add_route(scene.db, "5521", "up")
    await scene.message()
    await scene.pass_over()
    assert await scene.places() == [(DOWN, DOWN)]
    await routes.add_route(scene.db, "5511", "up")
    await scene.pass_over()
    assert await scene.places() == [(UP, UP)]


async def test_routes_that_change_hold_from_the_next_message_on(scene):
    await scene.bound()
    await scene.routing.reload()
    assert scene.routing.routes.choose(NUMBER).smsc_id == DOWN
    await routes.add_route(scene.db, "5511", "up", position=1)
    await scene.routing.reload()
    assert scene.routing.routes.choose(NUMBER).smsc_id == UP
