"""What is long over is purged: a little in each step, and all of it in the course of days."""

import random

from pombo.store import upkeep
from pombo.store.database import Database

_SESSIONS = 1000
_BLOCKS = 256  # of `message_key` in one statement: 2 MiB, some 20,000 keys
_PAGES = 4  # in one step


class Upkeep:
    """`step` now and then, on any number of nodes. Four pages a minute go round a year of keys, a million a day, in
    about four days."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._next_block: int | None = None  # None: somewhere, so that nodes that often start get round, too

    async def step(self) -> None:
        while await upkeep.drop_old_sessions(self._db, _SESSIONS) == _SESSIONS:
            pass
        blocks = await upkeep.blocks_of_keys(self._db)
        if self._next_block is None:
            self._next_block = random.randrange(blocks + 1)  # noqa: S311 - not a secret
        for _ in range(min(_PAGES, blocks // _BLOCKS + 1)):
            if self._next_block >= blocks:
                self._next_block = 0
            await upkeep.drop_old_keys(self._db, self._next_block, _BLOCKS)
            self._next_block += _BLOCKS
