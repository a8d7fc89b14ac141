"""What a million waiting messages cost Pombo: rates beside those of a short queue, memory, and the time to start."""

import time
from typing import NamedTuple

from bench.versus.gateways import Pombo
from bench.versus.measure import Site, drained, pss_mb, run, settle
from bench.versus.peers import Peer

_BATCH = 1000
_SHORT = 50_000
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
    accept_short, drain_short = _short(site)
    operator.ask("leave")
    filling = _fill(site, _FIRST + _SHORT, _WAITING)
    pombo.stop()
    start_s = pombo.start()
    accept_full = _fill(site, _FIRST + 2 * _WAITING, _SHORT)
    most, depths = _drain(site, _WAITING + _SHORT)
    first = [per_s for waiting, per_s in depths if waiting > _WAITING * 0.8]
    pombo.stop()
    return Million(
        accept_full.accept_per_s / accept_short, sum(first) / len(first) / drain_short,
        max(most, filling.pss_mb, accept_full.pss_mb), start_s, depths,
    )  # fmt: skip


def _short(site: Site) -> tuple[float, float]:
    site.operator.ask("leave")
    accepted = _fill(site, _FIRST, _SHORT).accept_per_s
    site.operator.ask("reset")
    site.operator.ask("listen")
    first, last = drained(site.operator, _SHORT)
    settle(site.gateway)
    return accepted, _SHORT / (last - first)


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
