"""What was measured, and how the two compare."""

import statistics

from bench.versus.measure import Run
from bench.versus.million import Million

# Kannel knows no batches: what Pombo does with them is held against what Kannel does with single requests.
AGAINST = {
    "accept_batch": "accept_single",
    "end_to_end_batch": "end_to_end_single",
    "end_to_end_batch_callbacks": "end_to_end_single_callbacks",
    "accept_single": "accept_single",
    "end_to_end_single": "end_to_end_single",
    "end_to_end_single_callbacks": "end_to_end_single_callbacks",
}


class Results:
    """Runs by gateway and work."""

    def __init__(self) -> None:
        self.runs: dict[tuple[str, str], list[Run]] = {}
        self.million: Million | None = None

    def add(self, gateway: str, work: str, one: Run) -> None:
        self.runs.setdefault((gateway, work), []).append(one)

    def rates(self, gateway: str, work: str) -> list[float]:
        return [_rate_of(one, work) for one in self.runs.get((gateway, work), [])]

    def rate(self, gateway: str, work: str) -> float | None:
        """The median of what the work is about."""
        rates = self.rates(gateway, work)
        return statistics.median(rates) if rates else None

    def ratios(self) -> dict[str, float]:
        found = {}
        for work, against in AGAINST.items():
            ours, theirs = self.rate("pombo", work), self.rate("kannel", against)
            if ours and theirs:
                found[work] = round(ours / theirs, 2)
        return found


def _rate_of(one: Run, work: str) -> float:
    if work.endswith("_callbacks"):
        assert one.called_per_s is not None
        return one.called_per_s
    if work.startswith("end_to_end"):
        assert one.end_to_end_per_s is not None
        return one.end_to_end_per_s
    return one.accept_per_s
