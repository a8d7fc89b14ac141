"""What accounts may still have accepted at this moment: taken under their locks, and used up in input order."""

from collections import Counter
from collections.abc import Mapping
from math import inf

from pombo.accept.submission import Submission
from pombo.errors import Limit, Refusal
from pombo.store.limits import Left

_OPEN_DIGITS = 1000  # numbers that agree in all but their last three digits are one prefix


def prefix_of(number: int) -> int:
    """What counts as one place where messages are pumped to: 1000 numbers in a row, in whatever country."""
    return number // _OPEN_DIGITS


class _Account:
    __slots__ = ("day_messages", "day_milli", "milli", "second_messages")

    def __init__(self, left: Left) -> None:
        self.milli = left.available_milli
        self.second_messages = inf if left.second_messages is None else left.second_messages
        self.day_messages = inf if left.day_messages is None else left.day_messages
        self.day_milli = inf if left.day_milli is None else left.day_milli


class Allowance:
    def __init__(self, left: Mapping[int, Left], prefixes: Mapping[tuple[int, int], int]) -> None:
        """left: by account. prefixes: messages of this hour, by account and prefix."""
        self._accounts = {account_id: _Account(of_one) for account_id, of_one in left.items()}
        self._prefixes = dict(prefixes)
        self.refused_prefixes: Counter[tuple[int, int]] = Counter()  # by account and prefix

    def take(self, s: Submission) -> tuple[Refusal, Limit | None] | None:
        """None: it may be accepted, and is taken off. Else why not, and by which limit."""
        assert s.account is not None
        of = self._accounts[s.account.id]
        if s.price_milli > of.milli:
            return Refusal.CREDIT, None
        if not s.ours:
            limit = self._limit(s, of)
            if limit is not None:
                return Refusal.RATE, limit
            of.second_messages -= 1
            of.day_messages -= 1
            of.day_milli -= s.price_milli
        of.milli -= s.price_milli
        return None

    def _limit(self, s: Submission, of: _Account) -> Limit | None:
        if of.day_messages < 1:
            return Limit.MESSAGES_PER_DAY
        if s.price_milli and s.price_milli > of.day_milli:
            return Limit.SPEND_PER_DAY
        if of.second_messages < 1:
            return Limit.MESSAGES_PER_S
        assert s.account is not None
        most = s.account.messages_per_prefix
        if most:
            place = s.account.id, prefix_of(s.number)
            if self._prefixes.get(place, 0) >= most:
                self.refused_prefixes[place] += 1
                return Limit.MESSAGES_PER_PREFIX
            self._prefixes[place] = self._prefixes.get(place, 0) + 1
        return None
