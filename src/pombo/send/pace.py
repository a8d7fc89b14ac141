"""How fast one connection may submit. Time is an argument: monotonic seconds."""

from typing import Final

SLOWEST_PER_S: Final = 20.0
_RECOVERY_PER_S: Final = 1.1  # a tenth more each second
_UNLIMITED_PER_S: Final = 20_000.0  # a connection without a limit that has recovered so far has none again
_BATCH_S: Final = (
    0.025  # allowance comes in batches of so much time: a claim for each single submit would cost too much
)
_BURST_S: Final = 0.075  # of unused allowance is kept at the most
_LATE_S: Final = (
    0.25  # a look may come so late, while there is work, and loses nothing: a claim takes its time
)


class Pace:
    """A token bucket that halves when the operator throttles, and recovers by itself."""

    def __init__(self, rate_per_s: float, now: float) -> None:
        """rate_per_s: the agreed limit; 0 for none."""
        self._limit = rate_per_s or None
        self._rate = self._limit  # None: no bound at this moment
        self._halved_at = float("-inf")
        self._seen_at = now
        self._tokens = 1.0
        self._busy = False  # since the last look the allowance was waited for, or used
        self._sent_since = now
        self._sent = 0

    def limit(self, rate_per_s: float, now: float) -> None:
        """Another limit, as above. A pace that has slowed down recovers towards it."""
        self.allowance(now)
        slowed = self._rate is not None and self._rate != self._limit
        self._limit = rate_per_s or None
        if not slowed:
            self._rate = self._limit
        elif self._limit is not None and self._rate is not None:
            self._rate = min(self._rate, self._limit)
        self._tokens = min(self._tokens, 1.0)

    @property
    def rate_per_s(self) -> float | None:
        return self._rate

    def allowance(self, now: float) -> int | None:
        """Submits allowed right now, a batch or 0; None for as many as the window has room for."""
        elapsed, self._seen_at = max(0.0, now - self._seen_at), now
        if self._rate is None:
            return None
        kept_s = _LATE_S if self._busy else _BURST_S
        self._tokens = min(self._tokens + elapsed * self._rate, 1.0 + self._rate * kept_s)
        self._recover(elapsed)
        self._busy = self._tokens < self._batch()
        return 0 if self._busy else int(self._tokens)

    def delay_s(self) -> float:
        """Until `allowance` is more than 0 again."""
        return 0.0 if self._rate is None else max(0.0, (self._batch() - self._tokens) / self._rate)

    def took(self, count: int, now: float) -> None:
        """So many were submitted."""
        if self._rate is not None:
            self._tokens -= count
            self._busy = True
        if now - self._sent_since > 2.0:
            self._sent_since, self._sent = now, 0
        self._sent += count

    def throttled(self, now: float) -> None:
        """The operator asked for less: half the pace, at most once a second, and never below SLOWEST_PER_S."""
        if now - self._halved_at < 1.0:
            return
        self._halved_at = now
        self.allowance(now)  # what was earned and recovered until now
        measured = self._sent / max(0.5, now - self._sent_since)
        current = min(self._rate, measured) if self._rate is not None and measured else self._rate or measured
        floor = min(SLOWEST_PER_S, self._limit) if self._limit else SLOWEST_PER_S
        self._rate = max(floor, current / 2)
        self._tokens = min(self._tokens, 1.0)

    def _batch(self) -> float:
        return max(1.0, (self._rate or 0.0) * _BATCH_S)

    def _recover(self, elapsed: float) -> None:
        if self._rate is None or self._rate == self._limit:
            return
        self._rate *= _RECOVERY_PER_S**elapsed
        if self._limit is not None:
            self._rate = min(self._rate, self._limit)
        elif self._rate > _UNLIMITED_PER_S:
            self._rate = None
