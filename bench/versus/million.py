"""What a million waiting messages cost Pombo: rates beside those of a short queue, memory, and the time to start."""

import itertools
import time
from statistics import median
from typing import NamedTuple

from bench.versus.gateways import Pombo
from bench.versus.measure import Site, drained, pss_mb, run, settle
from bench.versus.peers import Peer

_BATCH = 1000
_SHORT = 50_000
_TIMES = 3  # that takes a second: medians
_WAITING = 1_000_000
_FIRST = 21_900_000_000
_LOOK_S = 0.5


class Million(NamedTuple):
    accept_ratio: float  # with a million waiting ÷ with an empty queue
    drain_ratio: float  # the first of them ÷ a short queue
    pss_mb: float  # the most while they were accepted and drained
    start_s: float  # to ready, with all of them waiting
    depths: list[tuple[int, float]]  # how many wait, and how many a second go


def million(pombo: Pombo, operator: Peer, receiver: Peer) -> Million:
    pombo.start()
    site = Site(pombo, operator, receiver)
    firsts = itertools.count(_FIRST, _WAITING)
    short = [_short(site, next(firsts)) for _ in range(_TIMES)]
    operator.ask("leave")
    fills = [_fill(site, next(firsts), _WAITING)]
    fills += [_fill(site, next(firsts), _SHORT) for _ in range(_TIMES)]
    pombo.stop()
    start_s = pombo.start()
    most, depths = _drain(site, _WAITING + _TIMES * _SHORT)
    first = [per_s for waiting, per_s in depths if waiting > _WAITING * 0.8]
    pombo.stop()
    return Million(
        median(fill.accept_per_s for fill in fills[1:]) / median(accepted for accepted, _ in short),
        sum(first) / len(first) / median(drained for _, drained in short),
        max(most, *(fill.pss_mb for fill in fills)), start_s, depths,
    )  # fmt: skip


def _short(site: Site, first: int) -> tuple[float, float]:
    """What a queue of so many is accepted and drained with."""
    site.operator.ask("leave")
    accepted = _fill(site, first, _SHORT).accept_per_s
    site.operator.ask("reset")
    site.operator.ask("listen")
    began_at, ended_at = drained(site.operator, _SHORT)
    settle(site.gateway)
    return accepted, _SHORT / (ended_at - began_at)


def _fill(site: Site, first: int, count: int):
    assert isinstance(site.gateway, Pombo)
    requests = [site.gateway.batch(at, _BATCH, callback=False) for at in range(first, first + count, _BATCH)]
    return run(site, requests, count, connections=4, submitted=False)


def _drain(site: Site, count: int) -> tuple[float, list[tuple[int, float]]]:
    site.operator.ask("reset")
    site.operator.ask("listen")
    most, depths, before, at = 0.0, [], 0, time.monotonic()
    while before < count:
        time.sleep(_LOOK_S)
        most = max(most, pss_mb(site.gateway))
        now, taken = time.monotonic(), int(site.operator.ask("figures")["submits"])
        if before:  # not the moment in which it begins
            depths.append((count - taken, (taken - before) / (now - at)))
        before, at = taken, now
    return most, depths
