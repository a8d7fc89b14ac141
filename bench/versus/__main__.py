"""Pombo and Kannel in turn, A B A B, on the same machine against the same peers; medians, ratios, processor time, memory.

    python -m bench.versus [--quick] [--json] [--rounds N] [--write FILE]

--quick leaves out the million that waits, and takes fewer messages. --write puts the tables into FILE as Markdown, with
a plot (SVG) beside it.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench.versus import report
from bench.versus.gateways import Gateway, Kannel, Pombo
from bench.versus.measure import Run, Site, drained, run, settle
from bench.versus.million import million
from bench.versus.peers import Operator, Peer, Receiver
from bench.versus.results import Results

BATCH = 1000
FIRST = 11_900_000_000  # of the numbers, each used once


class Works:
    """The works that are measured, and the numbers that are left for them."""

    def __init__(self, quick: bool) -> None:
        self._next = FIRST
        self._scale = 1 if quick else 3
        self.of: dict[str, Callable[[Site], Run]] = {
            "accept_single": self.accept_single,
            "end_to_end_single": self.end_to_end_single,
            "end_to_end_single_callbacks": self.end_to_end_single_callbacks,
            "accept_batch": self.accept_batch,
            "end_to_end_batch": self.end_to_end_batch,
            "end_to_end_batch_callbacks": self.end_to_end_batch_callbacks,
        }

    def accept_single(self, site: Site) -> Run:
        """The operator is away: nothing but accepting goes on."""
        with _away(site, self):
            return self._single(site, 15_000, submitted=False)

    def end_to_end_single(self, site: Site) -> Run:
        return self._single(site, 15_000)

    def end_to_end_single_callbacks(self, site: Site) -> Run:
        return self._single(site, 10_000, called=True)

    def accept_batch(self, site: Site) -> Run:
        with _away(site, self):
            return self._batch(site, 100_000, submitted=False)

    def end_to_end_batch(self, site: Site) -> Run:
        return self._batch(site, 60_000)

    def end_to_end_batch_callbacks(self, site: Site) -> Run:
        return self._batch(site, 30_000, called=True)

    def paced(self, site: Site, per_s: float) -> Run:
        """Singles at a pace, for their latency."""
        count = int(per_s * 5)
        requests = [site.gateway.single(number, callback=False) for number in self.take(count)]
        return run(site, requests, count, connections=50, per_s=per_s)

    def take(self, count: int) -> range:
        first, self._next = self._next, self._next + count
        return range(first, first + count)

    def _single(self, site: Site, count: int, *, submitted: bool = True, called: bool = False) -> Run:
        count *= self._scale
        requests = [site.gateway.single(number, callback=called) for number in self.take(count)]
        return run(site, requests, count, connections=50, submitted=submitted, called=called)

    def _batch(self, site: Site, count: int, *, submitted: bool = True, called: bool = False) -> Run:
        count *= self._scale
        pombo = site.gateway
        assert isinstance(pombo, Pombo)
        firsts = [numbers.start for numbers in (self.take(BATCH) for _ in range(count // BATCH))]
        requests = [pombo.batch(first, BATCH, callback=called) for first in firsts]
        return run(site, requests, count, connections=4, submitted=submitted, called=called)


@contextmanager
def _away(site: Site, works: Works) -> Iterator[None]:
    """The operator is down meanwhile; afterwards it takes what waited."""
    site.operator.ask("leave")
    taken = works._next
    try:
        yield
    finally:
        site.operator.ask("reset")
        site.operator.ask("listen")
        drained(site.operator, works._next - taken)
        settle(site.gateway)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.versus", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under four minutes, without the million")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, help="how often each work is measured on each side")
    parser.add_argument("--write", type=Path, help="a Markdown file for the tables")
    given = parser.parse_args()
    rounds = given.rounds or (1 if given.quick else 3)
    console = Console(stderr=True)
    operator, receiver = Peer(Operator), Peer(Receiver)
    pombo = Pombo(operator.port, receiver.port)
    kannel = Kannel(operator.port, receiver.port) if Kannel.installed() else None
    if kannel is None:
        console.print("Kannel is not installed (Debian: apt install kannel): Pombo is measured alone.")
    results = Results()
    try:
        measure(
            results, Works(given.quick), operator, receiver, [pombo, *([kannel] if kannel else [])], rounds
        )
        if not given.quick:
            results.million = million(pombo, operator, receiver)
    finally:
        for gateway in (pombo, kannel):
            if gateway is not None:
                gateway.remove()
        operator.stop()
        receiver.stop()
    if given.write:
        report.write(given.write, results)
    if given.json:
        sys.stdout.write(json.dumps(report.facts(results)) + "\n")
    else:
        report.show(results)


def measure(
    results: Results, works: Works, operator: Peer, receiver: Peer, gateways: list[Gateway], rounds: int
) -> None:
    """One gateway runs at a time, and has the machine to itself."""
    columns = TextColumn("{task.description:<40}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=rounds * sum(len(_works_of(g, works)) + 1 for g in gateways))
        for _ in range(rounds):
            for gateway in gateways:
                gateway.start()
                site = Site(gateway, operator, receiver)
                for work in _works_of(gateway, works):
                    progress.update(task, description=f"{gateway.name}: {work.replace('_', ' ')}")
                    results.add(gateway.name, work, works.of[work](site))
                    progress.advance(task)
                top = results.rate(gateway.name, "end_to_end_single")
                assert top is not None
                progress.update(task, description=f"{gateway.name}: latency at half its rate")
                results.add(gateway.name, "latency", works.paced(site, top / 2))
                progress.advance(task)
                gateway.stop()


def _works_of(gateway: Gateway, works: Works) -> list[str]:
    return [work for work in works.of if gateway.name == "pombo" or "batch" not in work]


if __name__ == "__main__":
    main()
