"""Whose turn it is to have messages claimed: class by class, and within a class account by account.

Which accounts have due messages is looked up now and then, not with each claim, in a walk round all of them that goes
on page by page: thousands of accounts, even if their messages are all due later, cost each claim little. The walk also
finds what became due before the place that an account's claims have reached (a message that was committed late).
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
from pombo.store.queue import Claimed, Head, Line, Turn

_PAGE = 500  # lines (an account in a class) that one look goes on by: 2 ms
_PAGE_NEWS = 100  # looked at when messages were queued: a code must be found at once
_LOOK_S = 0.01  # the least between two looks
_LOOK_FULL_S = 0.05  # while claims come back full
_LOOK_MOST_S = 0.5  # the most, while there is work
_LOOK_SHARE = 20  # while there is work, looks take a twentieth of the time
_START = Line(MessageClass.OTP, 0)
_LAST_CODE = Line(MessageClass.OTP, 2**63 - 1)


class Taken(NamedTuple):
    claimed: list[Claimed]  # in the order in which they are to go
    again_s: float | None  # when the next claim may find more; None: nothing else is due


class Ring:
    """The accounts of one class that had due messages when we looked, and whose turn it is."""

    def __init__(self, message_class: int) -> None:
        self.message_class = message_class
        self._accounts: list[int] = []  # in order of id
        self._after: dict[int, tuple[datetime, int]] = {}  # account: (due_at, message_id) before what it has
        self._served = 0  # the account that had its turn last

    def __len__(self) -> int:
        return len(self._accounts)

    def looked(self, heads: Sequence[Head], after: int, up_to: int | None) -> None:
        """What a look found at the accounts behind `after`; up_to: where it stopped, None at the end."""
        first = bisect_right(self._accounts, after)
        end = len(self._accounts) if up_to is None else bisect_right(self._accounts, up_to)
        for account in self._accounts[first:end]:
            del self._after[account]
        self._accounts[first:end] = [head.line.account_id for head in heads]
        for head in heads:
            self._after[head.line.account_id] = (head.due_at, head.message_id - 1)

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
        self.full = False  # was the last claim
        self._news = False
        self._look_at = float("-inf")  # monotonic
        self._looked_up_to = _START  # of the walk
        self._missed = False  # this walk may have: messages were queued since it began
        self._rings = [Ring(message_class) for message_class in MessageClass]

    def news(self) -> None:
        """Messages were queued: a code among them goes with the next claim."""
        self._news = True

    async def claim(self, db: Db, session_id: int, room: int, now: float) -> Taken:
        """Of the first class that has any due: those after it have their claims once it has none. now: monotonic
        seconds."""
        news, self._news = self._news, False
        self._missed |= news
        all_seen = False
        if self._look_at <= now:
            all_seen = await self._look(db, now)
        elif news:
            heads, last = await queue.heads(db, self._smsc_id, _START, MessageClass.OTP, _PAGE_NEWS)
            self._learn(heads, _START, last or _LAST_CODE)
        claimed: list[Claimed] = []
        self.full = False
        waiting = [ring for ring in self._rings if ring]
        if waiting:
            ring = waiting[0]
            turns = ring.turns(room)
            claimed = await queue.claim(db, self._smsc_id, session_id, room, ring.message_class, turns)
            self.full = sum(message.parts for message in claimed) >= room or any(m.more for m in claimed)
            ring.claimed(turns, claimed, full=self.full, others_wait=len(waiting) > 1)
        if any(self._rings):
            return Taken(claimed, 0.0)
        return Taken(claimed, None if all_seen else max(0.0, self._look_at - now))

    async def _look(self, db: Db, now: float) -> bool:
        """Go on with the walk by a page. Whether it has come to its end and has seen all there is."""
        began = time.monotonic()
        after = self._looked_up_to
        if after == _START:
            self._missed = False
        heads, last = await queue.heads(db, self._smsc_id, after, MessageClass.MARKETING, _PAGE)
        self._learn(heads, after, last)
        self._looked_up_to = last or _START
        took = time.monotonic() - began
        least = _LOOK_FULL_S if self.full else _LOOK_S
        share = _LOOK_SHARE * took if any(self._rings) else 0.0
        self._look_at = now + min(_LOOK_MOST_S, max(least, share))
        return last is None and not self._missed

    def _learn(self, heads: Sequence[Head], after: Line, last: Line | None) -> None:
        for ring in self._rings:
            line_class = ring.message_class
            if line_class < after.message_class or (last is not None and line_class > last.message_class):
                continue
            ring.looked(
                [head for head in heads if head.line.message_class == line_class],
                after.account_id if line_class == after.message_class else 0,
                last.account_id if last is not None and line_class == last.message_class else None,
            )
