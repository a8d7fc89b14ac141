"""What is long over is purged: a little in each step, and all of it in the course of days. And the queue is kept lean."""

import random
import time

from pombo.store import limits, upkeep
from pombo.store.database import Database

_SESSIONS = 1000
_BLOCKS = 256  # of `message_key` in one statement: 2 MiB, some 20,000 keys
_PAGES = 4  # in one step
_DEAD = 20_000  # rows: as many as 10,000 messages leave that were claimed and done
_DEAD_SHARE = 0.2  # of those that live: a vacuum reads the indexes of them all
_VACUUM_SHARE = 20  # times as long as the last one took


class Upkeep:
    """`step` now and then, on any number of nodes. Four pages a minute go round a year of keys, a million a day, in
    about four days."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._next_block: int | None = None  # None: somewhere, so that nodes that often start get round, too

    async def step(self) -> None:
        while await upkeep.drop_old_sessions(self._db, _SESSIONS) == _SESSIONS:
            pass
        await limits.drop_old_prefixes(self._db)
        blocks = await upkeep.blocks_of_keys(self._db)
        if self._next_block is None:
            self._next_block = random.randrange(blocks + 1)  # noqa: S311 - not a secret
        for _ in range(min(_PAGES, blocks // _BLOCKS + 1)):
            if self._next_block >= blocks:
                self._next_block = 0
            await upkeep.drop_old_keys(self._db, self._next_block, _BLOCKS)
            self._next_block += _BLOCKS


class Vacuum:
    """`step` every second. Messages come and go at the head of the queue's index, and who looks for the first one that is
    due walks over all that are dead: autovacuum comes too seldom for thousands a second.

    Where a transaction that began long ago keeps the dead ones from going, a vacuum in vain costs a twentieth of the time.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._not_before = float("-inf")  # monotonic

    async def step(self) -> None:
        began = time.monotonic()
        if began < self._not_before:
            return
        dead, live = await upkeep.dead_in_queue(self._db)
        if dead > max(_DEAD, _DEAD_SHARE * live):
            await upkeep.vacuum_queue(self._db)
            ended = time.monotonic()
            self._not_before = ended + _VACUUM_SHARE * (ended - began)
