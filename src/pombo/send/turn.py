"""Whose turn it is to have messages claimed: class by class, and within a class account by account.

Which accounts have due messages is looked up now and then, not with each claim: thousands of accounts whose messages
are all due later cost a look, and no claim anything. The look also finds what became due before the place that an
account's claims have reached (a message that was committed late).
"""

import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from pombo.message import MessageClass
from pombo.store import queue
from pombo.store.database import Db
from pombo.store.queue import Claimed, Head, Turn

_LOOK_S = 0.01  # the least between two looks at a class
_LOOK_FULL_S = 0.05  # while claims come back full
_LOOK_MOST_S = 0.5  # the most, while there is work: a new account's first message waits so long
_LOOK_SHARE = 20  # a look that takes long comes so much more seldom: a twentieth of the time
_LOOK_NEWS_ACCOUNTS = 100  # looked at when messages were queued: a code must be found at once
_LOOK_ACCOUNTS = 5000  # at the most at a time; the next look goes on from there


class Taken(NamedTuple):
    claimed: list[Claimed]  # in the order in which they are to go
    again_s: float | None  # when the next claim may find more; None: nothing else is due


class Ring:
    """The accounts of one class that had due messages when we looked, and whose turn it is."""

    def __init__(self, message_class: int) -> None:
        self.message_class = message_class
        self.look_at = float("-inf")  # monotonic
        self.looked_up_to = 0  # the last account of an unfinished look
        self._accounts: list[int] = []  # in order of id
        self._after: dict[int, tuple[datetime, int]] = {}  # account: (due_at, message_id) before what it has
        self._served = 0  # the account that had its turn last

    def __len__(self) -> int:
        return len(self._accounts)

    def looked(self, heads: Sequence[Head], last: int | None) -> None:
        """What a look that began behind `looked_up_to` found; last: where it stopped, None at the end."""
        first = self.looked_up_to
        for account in self._accounts:
            if account > first and (last is None or account <= last):
                del self._after[account]
        for head in heads:
            self._after[head.account_id] = (head.due_at, head.message_id - 1)
        self._accounts = sorted(self._after)
        self.looked_up_to = last or 0

    def turns(self, room: int) -> list[Turn]:
        """The next accounts in turn, each with its share of so many messages."""
        count = min(len(self._accounts), room)
        if count == 0:
            return []
        start = bisect_right(self._accounts, self._served)
        share, over = divmod(room, count)
        turns = []
        for place in range(count):
            account = self._accounts[(start + place) % len(self._accounts)]
            turns.append(Turn(account, share + (place < over), *self._after[account]))
        return turns

    def claimed(
        self, turns: Sequence[Turn], claimed: Sequence[Claimed], *, full: bool, others_wait: bool
    ) -> None:
        """What came of a claim. full: it had no places left, so that who gave less may have more all the same.
        others_wait: other classes have due messages."""
        gave = Counter(message.account_id for message in claimed)
        for message in claimed:
            self._after[message.account_id] = (message.due_at, message.message_id)
            self._served = message.account_id
        if full:
            return
        # One that gave all it has stays, for what comes next, unless it keeps places from others.
        crowded = others_wait or any(gave[turn.account_id] == turn.most for turn in turns)
        for turn in turns:
            if gave[turn.account_id] < (turn.most if crowded else 1):
                del self._after[turn.account_id]
        self._accounts = [account for account in self._accounts if account in self._after]


class Turns:
    """Of one connection. Its claims come one after the other."""

    def __init__(self, smsc_id: int) -> None:
        self._smsc_id = smsc_id
        self._full = False  # was the last claim
        self._news = False
        self._rings = [Ring(message_class) for message_class in MessageClass]

    def news(self) -> None:
        """Messages were queued: a code among them goes with the next claim."""
        self._news = True

    async def claim(self, db: Db, session_id: int, room: int, now: float) -> Taken:
        """Of the first class that has any due: those after it have their claims once it has none. now: monotonic
        seconds."""
        looked_at_all = True
        news, self._news = self._news, False
        for ring in self._rings:
            if ring.look_at <= now:
                await self._look(db, ring, now)
                looked_at_all &= not ring.looked_up_to
            else:
                looked_at_all = False
                if news and ring.message_class == MessageClass.OTP:
                    await self._look_up(db, ring, _LOOK_NEWS_ACCOUNTS)
        claimed: list[Claimed] = []
        waiting = [ring for ring in self._rings if ring]
        if waiting:
            ring = waiting[0]
            turns = ring.turns(room)
            claimed = await queue.claim(db, self._smsc_id, session_id, room, ring.message_class, turns)
            self._full = sum(message.parts for message in claimed) >= room or any(m.more for m in claimed)
            ring.claimed(turns, claimed, full=self._full, others_wait=len(waiting) > 1)
        if any(self._rings):
            return Taken(claimed, 0.0)
        if looked_at_all:
            return Taken(claimed, None)
        return Taken(claimed, max(0.0, min(ring.look_at for ring in self._rings) - now))

    async def _look(self, db: Db, ring: Ring, now: float) -> None:
        began = time.monotonic()
        await self._look_up(db, ring, _LOOK_ACCOUNTS)
        took = time.monotonic() - began
        least = _LOOK_FULL_S if self._full else _LOOK_S
        ring.look_at = now + min(_LOOK_MOST_S, max(least, _LOOK_SHARE * took))

    async def _look_up(self, db: Db, ring: Ring, accounts: int) -> None:
        ring.looked(*await queue.heads(db, self._smsc_id, ring.message_class, ring.looked_up_to, accounts))
