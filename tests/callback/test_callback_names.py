"""Name servers that are dead delay only their own customers."""

import asyncio
import threading
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from pombo.callback import names
from pombo.callback.names import Names

pytestmark = pytest.mark.anyio

WAIT_S = 10.0
HERE = [ip_address("192.0.2.1")]


class NameServers:
    """Those of `dead…` do not answer until they are released."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.released = threading.Event()

    def resolve(self, host: str) -> list[str]:
        self.asked.append(host)
        if host.startswith("dead"):
            self.released.wait(WAIT_S * 3)
            raise OSError
        if host.startswith("no"):
            raise OSError
        return ["192.0.2.1"]


@pytest.fixture
def servers() -> Iterator[NameServers]:
    made = NameServers()
    yield made
    made.released.set()


async def begun(servers: NameServers, count: int) -> None:
    async with asyncio.timeout(WAIT_S):
        while len(servers.asked) < count:
            await asyncio.sleep(0)


async def test_more_dead_names_than_there_are_places_do_not_stop_a_good_one(servers: NameServers) -> None:
    of = Names(servers.resolve)
    dead = [asyncio.ensure_future(of.addresses(f"dead{n}")) for n in range(names.PLACES * 2)]
    await begun(servers, names.PLACES)
    async with asyncio.timeout(WAIT_S):
        assert await of.addresses("good") == HERE
    assert not any(asked.done() for asked in dead)
    servers.released.set()
    assert await asyncio.gather(*dead) == [[]] * len(dead)


async def test_a_name_that_was_slow_takes_no_place_of_the_quick_ones_again(
    servers: NameServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "SLOW_S", 0.0)
    monkeypatch.setattr(names, "FAILED_S", -1.0)
    of = Names(servers.resolve)
    dead = [asyncio.ensure_future(of.addresses(f"dead{n}")) for n in range(names.PLACES)]
    await begun(servers, names.PLACES)
    for _ in range(names.PLACES):  # each has given its place back
        await of._places.acquire()
    for _ in range(names.PLACES):
        of._places.release()
    servers.released.set()
    await asyncio.gather(*dead)
    servers.released.clear()
    monkeypatch.setattr(names, "SLOW_S", WAIT_S * 2)  # whoever held a place now would hold it for long
    again = [asyncio.ensure_future(of.addresses(f"dead{n}")) for n in range(names.PLACES)]
    await begun(servers, names.PLACES * 2)
    async with asyncio.timeout(WAIT_S):
        assert await of.addresses("good") == HERE
    servers.released.set()
    await asyncio.gather(*again)


async def test_a_name_is_asked_for_once_however_many_wait_for_it(servers: NameServers) -> None:
    of = Names(servers.resolve)
    waiting = [asyncio.ensure_future(of.addresses("dead")) for _ in range(50)]
    await begun(servers, 1)
    for one in waiting[:25]:  # attempts whose time is over
        one.cancel()
    servers.released.set()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert servers.asked == ["dead"]


async def test_both_answers_are_remembered_for_a_while(
    servers: NameServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = Names(servers.resolve)
    for _ in range(3):
        assert await of.addresses("good") == HERE
        assert await of.addresses("nowhere") == []
    assert servers.asked == ["good", "nowhere"]
    monkeypatch.setattr(names, "KNOWN_S", -1.0)
    monkeypatch.setattr(names, "FAILED_S", -1.0)
    forgetful = Names(servers.resolve)
    for _ in range(2):
        await forgetful.addresses("good")
        await forgetful.addresses("nowhere")
    assert servers.asked == ["good", "nowhere"] * 3


async def test_whatever_a_resolver_raises_is_a_name_that_was_not_found() -> None:
    def resolve(host: str) -> list[str]:
        raise RuntimeError

    async with asyncio.timeout(WAIT_S):
        assert await Names(resolve).addresses("odd") == []
