"""The socket of one SMPP session."""

import asyncio
from collections.abc import Callable
from typing import cast

from pombo.smpp.events import Event
from pombo.smpp.session import Session

_TICK_MOST_S = 1.0


class Wire(asyncio.Protocol):
    """Carries octets between a socket and a sans-IO session, and the session's events to its owner."""

    def __init__(self, session: Session, on_events: Callable[[list[Event]], None]) -> None:
        """on_events: called with the events of each read and tick, and once more, with what was in flight, when the
        connection is gone; `closed` is set after that."""
        self.session = session
        self.closed = asyncio.Event()
        self._on_events = on_events
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._clogged = False
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not inherit from it
        self._arm()

    def data_received(self, data: bytes) -> None:
        self._take(self.session.receive(data, self._loop.time()))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        try:
            self._on_events(self.session.lost())
        finally:
            self.closed.set()

    def flush(self) -> None:
        """Write all that the session has queued, in one go."""
        octets = self.session.outgoing()
        if octets and self._transport is not None and not self._transport.is_closing():
            self._transport.write(octets)

    def close(self) -> None:
        """Close once what is queued has been written."""
        self.flush()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def pause_writing(self) -> None:
        """The peer does not read: what it asks meanwhile would only pile up answers."""
        self._clogged = True
        self._read_or_not()

    def resume_writing(self) -> None:
        self._clogged = False
        self._read_or_not()

    def pause_reading(self) -> None:
        """Its owner has enough for now."""
        self._paused = True
        self._read_or_not()

    def resume_reading(self) -> None:
        self._paused = False
        self._read_or_not()

    def _read_or_not(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        wanted = not (self._clogged or self._paused)
        if wanted and not self._transport.is_reading():
            self._transport.resume_reading()
        elif not wanted and self._transport.is_reading():
            self._transport.pause_reading()

    def _take(self, events: list[Event]) -> None:
        if events:
            self._on_events(events)
        self.flush()

    def _arm(self) -> None:
        now = self._loop.time()
        delay_s = min(max(self.session.deadline() - now, 0.01), _TICK_MOST_S)
        self._timer = self._loop.call_later(delay_s, self._tick)

    def _tick(self) -> None:
        try:
            self._take(self.session.tick(self._loop.time()))
        finally:
            self._arm()
