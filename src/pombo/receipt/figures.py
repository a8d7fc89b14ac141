"""What the receipts of one connection come to, counted in memory since the process started."""

from collections import Counter
from collections.abc import Sequence

from pombo.figures import Histogram

_BOUNDS_S = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0, 21600.0, 86400.0)


class ReceiptFigures:
    """Counted when a batch is judged: one that must be written twice, because the database was lost, counts twice."""

    __slots__ = ("latency_s", "matched", "outcomes", "parked", "rematched")

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()  # as they came: delivered, failed, interim
        self.matched = 0  # found their attempt when they came, repetitions included
        self.parked = 0  # had to wait
        self.rematched = 0  # of those that waited: found it later
        self.latency_s = Histogram(_BOUNDS_S)  # final receipts by time from the submit

    def took(self, seconds: Sequence[float]) -> None:
        for each in seconds:
            self.latency_s.add(each)
