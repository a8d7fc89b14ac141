"""What work costs, counted instead of timed: statements that go to the database, and writes to operators' sockets."""

import asyncio
from collections import Counter
from typing import Any

import asyncpg
import pytest

from pombo.send.wire import Wire

_STATEMENTS = ("execute", "executemany", "fetch", "fetchrow", "fetchval")


class Cost:
    """Counts from when it is made. Statements by their first words: a failed test then says which are too many."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.of: Counter[str] = Counter()
        self.socket_writes = 0
        for name in _STATEMENTS:
            monkeypatch.setattr(asyncpg.Connection, name, self._counting(getattr(asyncpg.Connection, name)))
        made = Wire.connection_made

        def connection_made(wire: Wire, transport: Any) -> None:
            made(wire, _Writes(transport, self))

        monkeypatch.setattr(Wire, "connection_made", connection_made)

    @property
    def statements(self) -> int:
        return self.of.total()

    def start(self) -> None:
        self.of.clear()
        self.socket_writes = 0

    def _counting(self, method: Any) -> Any:
        async def counted(connection: asyncpg.Connection, statement: str, *args: Any, **more: Any) -> Any:
            self.of[" ".join(statement.split()[:6])] += 1
            return await method(connection, statement, *args, **more)

        return counted


class _Writes:
    def __init__(self, transport: asyncio.Transport, cost: Cost) -> None:
        self._transport = transport
        self._cost = cost

    def write(self, octets: bytes) -> None:
        self._cost.socket_writes += 1
        self._transport.write(octets)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
