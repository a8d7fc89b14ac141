"""Host names to addresses. The system's resolver blocks a thread for as long as it likes; a name server that is dead must
delay nobody but its own customers.

One look-up per name at a time. It begins on one of a few places, and moves to one of many more when it takes long, so that
the few are always soon free again. A name that was slow begins among the many the next time.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from ipaddress import ip_address
from typing import NamedTuple

from pombo.callback.guard import Address

PLACES = 32
SLOW_PLACES = 224
SLOW_S = 0.5
KNOWN_S = 10.0
FAILED_S = 2.0  # less than the first pause of the schedule
_NAMES_MOST = 10_000

Resolve = Callable[[str], list[str]]


def system_resolve(host: str) -> list[str]:
    """Every address of a host, as the system's resolver says. Blocks. Raises OSError."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class _Known(NamedTuple):
    until: float  # loop time
    addresses: list[Address]  # none: not found
    slow: bool


class Names:
    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._known: dict[str, _Known] = {}
        self._asking: dict[str, asyncio.Task[_Known]] = {}
        self._places = asyncio.Semaphore(PLACES)
        self._slow_places = asyncio.Semaphore(SLOW_PLACES)

    async def addresses(self, host: str) -> list[Address]:
        """None at all: the name was not found, now or a moment ago."""
        known = self._known.get(host)
        if known is None or known.until < asyncio.get_running_loop().time():
            asking = self._asking.get(host)
            if asking is None:
                asking = asyncio.create_task(self._look_up(host, slow=known is not None and known.slow))
                self._asking[host] = asking
            known = await asyncio.shield(asking)  # others wait for it, too
        return known.addresses

    def close(self) -> None:
        for asking in self._asking.values():
            asking.cancel()

    async def _look_up(self, host: str, *, slow: bool) -> _Known:
        try:
            found, slow = await self._ask(host, slow=slow)
        finally:
            del self._asking[host]
        if len(self._known) >= _NAMES_MOST:
            self._known.clear()
        until = asyncio.get_running_loop().time() + (KNOWN_S if found else FAILED_S)
        known = self._known[host] = _Known(until, found, slow)
        return known

    async def _ask(self, host: str, *, slow: bool) -> tuple[list[Address], bool]:
        """What the resolver says, and whether it took long."""
        if not slow:
            async with self._places:
                answer = self._in_thread(host)
                await asyncio.wait([answer], timeout=SLOW_S)
                if answer.done():
                    return answer.result(), False
                await self._slow_places.acquire()
        else:
            await self._slow_places.acquire()
            answer = self._in_thread(host)
        try:
            started = asyncio.get_running_loop().time()
            found = await answer
            return found, not slow or asyncio.get_running_loop().time() - started > SLOW_S
        finally:
            self._slow_places.release()

    def _in_thread(self, host: str) -> "asyncio.Future[list[Address]]":
        """A thread of its own, which a stopping process does not wait for as it would for an executor's."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Address]] = loop.create_future()

        def tell(found: list[Address]) -> None:
            if not answer.done():
                answer.set_result(found)

        def run() -> None:
            try:
                found = [ip_address(address) for address in self._resolve(host)]
            except (
                Exception
            ):  # OSError, or whatever a strange name makes of the resolver: who waits must be told
                found = []
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(tell, found)

        try:
            threading.Thread(target=run, name="resolve", daemon=True).start()
        except RuntimeError:  # the system gives no more threads
            tell([])
        return answer
