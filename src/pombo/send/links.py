"""The links of this node: one per configured connection, following the configuration as it changes."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from pombo.send.doors import Doors
from pombo.send.flow import LinkFigures, Tally, needs_new_sessions
from pombo.send.link import Link
from pombo.store.smscs import Smsc


class Links:
    def __init__(self, doors: Doors, left: Callable[[int], Awaitable[None]]) -> None:
        """left: told when a connection has been left for good: unbound, and its books closed."""
        self._doors = doors
        self._left = left
        self._wanted: dict[int, Smsc] = {}
        self._links: dict[int, Link] = {}
        self._tallies: dict[int, Tally] = {}
        self._changes: dict[int, asyncio.Task[None]] = {}  # at most one a connection

    def follow(self, smscs: Iterable[Smsc]) -> None:
        """Start new connections, stop removed and stopped ones, start changed ones anew where that is needed. One
        that takes long to drain holds up no other."""
        self._wanted = {smsc.id: smsc for smsc in smscs if smsc.wanted != "stopped"}
        for smsc_id in self._wanted.keys() | self._links.keys():
            if smsc_id not in self._changes and not self._is_as_wanted(smsc_id):
                self._changes[smsc_id] = asyncio.create_task(self._change(smsc_id))

    async def _change(self, smsc_id: int) -> None:
        try:
            while not self._is_as_wanted(smsc_id):
                if link := self._links.get(smsc_id):
                    await link.stop()
                    del self._links[smsc_id]
                    if smsc_id not in self._wanted:
                        await self._left(smsc_id)
                else:
                    tally = self._tallies.setdefault(smsc_id, Tally())
                    self._links[smsc_id] = Link(self._wanted[smsc_id], self._doors, tally)
                    self._links[smsc_id].start()
        finally:
            del self._changes[smsc_id]

    def _is_as_wanted(self, smsc_id: int) -> bool:
        """Settings that need no new session apply at once. One that is owned anew is bound anew."""
        link, wanted = self._links.get(smsc_id), self._wanted.get(smsc_id)
        if link is None or wanted is None:
            return link is None and wanted is None
        if link.lease is not self._doors.lease(smsc_id) or needs_new_sessions(link.smsc, wanted):
            return False
        if link.smsc != wanted:
            link.follow(wanted)
        return True

    def has(self, smsc_id: int) -> bool:
        """Also while it is being left."""
        return smsc_id in self._links or smsc_id in self._changes

    def abandon(self, smsc_ids: Iterable[int]) -> None:
        """Another node owns these now, or will in a moment: write no more, and close their sockets at once."""
        for smsc_id in smsc_ids:
            if link := self._links.get(smsc_id):
                link.abandon()

    def figures(self) -> list[LinkFigures]:
        """Of each connection that this node serves."""
        return [link.figures() for link in self._links.values()]

    def wake(self, smsc_ids: Iterable[int]) -> None:
        """Messages were queued for these connections."""
        for smsc_id in smsc_ids:
            if link := self._links.get(smsc_id):
                link.wake()

    async def stop(self) -> None:
        """Drain and unbind all of them."""
        self.follow(())
        while self._changes:
            await asyncio.wait(self._changes.values())
