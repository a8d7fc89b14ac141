"""Hearing of what anybody commits: NOTIFY, on a connection to the database of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import asyncpg
import structlog

from pombo.errors import Unavailable
from pombo.store.database import LOST

log = structlog.get_logger()

_CHANGES = "pombo_change"  # says which table, see the triggers in the migrations
_AGAIN_S = 1.0  # after a connection was lost


class Listener:
    def __init__(
        self,
        url: str,
        *,
        told: Mapping[str, Callable[[str], None]],
        everything: Callable[[], Awaitable[None]],
        changed: Callable[[str], Awaitable[None]],
    ) -> None:
        """told: by channel, what is said there. changed: told of tables that have changed, one after the other.
        everything: called first, and after each lost connection: what was said meanwhile is not known."""
        self._url = url
        self._told = told
        self._everything = everything
        self._changed = changed

    async def run(self) -> None:
        while True:
            try:
                await self._listen()
            except (Unavailable, asyncpg.PostgresError, *LOST) as error:
                log.warning("listener_lost", error=type(error).__name__)
            await asyncio.sleep(_AGAIN_S)

    async def _listen(self) -> None:
        changes: asyncio.Queue[str] = asyncio.Queue()
        connection = await asyncpg.connect(self._url)
        try:
            connection.add_termination_listener(lambda _: changes.put_nowait(""))
            await connection.add_listener(_CHANGES, _payload_to(changes.put_nowait))
            for channel, told in self._told.items():
                await connection.add_listener(channel, _payload_to(told))
            await self._everything()
            while not connection.is_closed():
                await self._changed(await changes.get())
        finally:
            await connection.close(timeout=2)


def _payload_to(told: Callable[[str], None]) -> Callable[..., None]:
    return lambda connection, pid, channel, payload: told(str(payload))
