"""The set of links follows the configuration."""

import asyncio
import socket

import pytest

from pombo.send.links import Links
from pombo.store import smscs

pytestmark = pytest.mark.anyio


@pytest.fixture
async def links(office):
    place = await office(start=False)
    links = Links(place.doors(), place.has_left)
    yield place, links
    place.operator.drop()
    await links.stop()


async def bound(place, count):
    async def there():
        return len(place.operator.binds) >= count

    await place.until(there)


async def test_a_changed_connection_is_bound_anew_and_a_removed_one_is_left(links):
    place, links = links
    links.follow([place.smsc])
    await bound(place, 1)
    links.follow([place.smsc._replace(system_id="other")])
    await bound(place, 2)
    assert place.operator.binds[1].system_id == b"other"
    links.follow([])

    async def ended():
        return await place.db.fetchval("select bool_and(ended_at is not null) from session")

    await place.until(ended)

    async def has_left():
        return place.left == [place.smsc.id]

    await place.until(has_left)


async def test_one_that_drains_slowly_holds_up_no_other(links):
    place, links = links
    links.follow([place.smsc])
    await bound(place, 1)
    await place.accept()
    links.wake([place.smsc.id])
    _, sequence = await place.operator.submit()
    slow = place.operator.peer
    await smscs.add_smsc(place.db, "second", "127.0.0.1", place.operator.port, "second", b"pw")
    second = (await smscs.smscs(place.db))[1]
    await place.own(second.id)
    links.follow([second])  # the first one is to go, with a submit in flight
    await bound(place, 2)
    assert place.operator.binds[1].system_id == b"second"
    place.operator.peer = slow
    place.operator.answer(sequence, b"1")


async def test_a_silent_host_does_not_hold_up_a_stop(links):
    """A listener that never accepts more: connecting just hangs."""
    place, links = links
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        clients = [socket.socket() for _ in range(3)]
        for client in clients:
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        links.follow([place.smsc._replace(port=full.getsockname()[1])])
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await links.stop()
        for client in clients:
            client.close()
