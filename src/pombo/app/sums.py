"""Figures of several processes as one: API workers tell what they have counted, the main process adds it to its own."""

from collections.abc import Iterable, Iterator

from msgspec import Struct
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

_Key = tuple[str, tuple[tuple[str, str], ...]]  # a sample's name and labels


class Family(Struct):
    name: str
    lasting: bool  # counted since the process began, and not how things are now
    samples: list[tuple[str, dict[str, str], float]]


def told(families: Iterable[Metric]) -> list[Family]:
    """What a worker says."""
    return [
        Family(of.name, of.type != "gauge", [(s.name, s.labels, s.value) for s in of.samples])
        for of in families
    ]


class Sums:
    """What workers have counted, also those that have ended: a sum never goes down."""

    def __init__(self) -> None:
        self._by_worker: dict[int, list[Family]] = {}
        self._ended: dict[str, dict[_Key, float]] = {}

    def tell(self, worker: int, families: list[Family]) -> None:
        self._by_worker[worker] = families

    def end(self, worker: int) -> None:
        """The process has ended; the next one of this number counts from 0."""
        for family in self._by_worker.pop(worker, ()):
            if family.lasting:
                _add(self._ended.setdefault(family.name, {}), family)

    def added_to(self, families: Iterable[Metric]) -> Iterator[Metric]:
        """The main process's own, each with what the workers have of it."""
        for family in families:
            sums: dict[_Key, float] = {(s.name, tuple(s.labels.items())): s.value for s in family.samples}
            for key, value in self._ended.get(family.name, {}).items():
                sums[key] = sums.get(key, 0.0) + value
            for of_worker in self._by_worker.values():
                for of in of_worker:
                    if of.name == family.name:
                        _add(sums, of)
            family.samples = [Sample(name, dict(labels), value) for (name, labels), value in sums.items()]
            yield family


def _add(sums: dict[_Key, float], family: Family) -> None:
    for name, labels, value in family.samples:
        key = name, tuple(labels.items())
        sums[key] = sums.get(key, 0.0) + value
