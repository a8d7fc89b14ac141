"""Counting that costs next to nothing: plain numbers that a stage adds to, and that somebody reads now and then.

Stages know nothing of how figures are shown: `app/metrics.py` does that.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

FAST_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Histogram:
    """How many values fell below which bound."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float] = FAST_S) -> None:
        """bounds: upper ends of the buckets, ascending, each included; what is above the last has one more."""
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float, times: int = 1) -> None:
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times
