"""Whether this process can take messages."""

import asyncio

from pombo.errors import Unavailable
from pombo.store.database import Database, in_time
from pombo.store.migrate import missing

_ANSWER_S = 2.0


class Health:
    """`stopping` is set by whoever stops the process, so that no new requests are sent to it."""

    def __init__(self, db: Database) -> None:
        self.stopping = False
        self._db = db
        self._asking: asyncio.Task[dict[str, str]] | None = None

    async def failed(self) -> dict[str, str]:
        """The checks that failed, with what is wrong; empty when messages can be accepted."""
        if self.stopping:
            return {"stopping": "this process is being stopped"}
        if self._asking is None or self._asking.done():  # whoever asks meanwhile gets the same answer
            self._asking = asyncio.create_task(self._ask(), name="readiness")
        return await asyncio.shield(self._asking)

    async def _ask(self) -> dict[str, str]:
        try:
            names = await in_time(missing(self._db), _ANSWER_S)
        except Unavailable as error:
            return {"database": str(error)}
        if names:
            return {"migrations": f"the database lacks {', '.join(names)}: restart, or run pombo migrate"}
        return {}
