"""The client: keep-alive connections that each send the next request when the last one is answered, or at a pace.

In a process of its own, with requests that were made before the clock runs.
"""

import asyncio
import multiprocessing
import time
from collections.abc import Sequence
from statistics import quantiles
from typing import Any, NamedTuple

import uvloop


class Sent(NamedTuple):
    began_at: float  # seconds since the epoch
    took_s: float
    accepted: int  # messages, by the answers
    p50_ms: float
    p99_ms: float
    cpu_s: float  # of the client


def send(
    port: int, requests: Sequence[bytes], *, connections: int, accepted: bytes, per_s: float = 0
) -> Sent:
    """accepted: what an answer holds once for each message it accepts. per_s: requests a second in all; 0: as fast as
    they are answered."""
    here, there = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(
        target=_run, args=(there, port, requests, connections, accepted, per_s)
    )
    process.start()
    there.close()
    sent: Sent = here.recv()
    process.join()
    return sent


def _run(
    pipe: Any, port: int, requests: Sequence[bytes], connections: int, accepted: bytes, per_s: float
) -> None:
    async def main() -> Sent:
        run = _Requests(requests, accepted, per_s)
        loop = asyncio.get_running_loop()
        clients = [
            (await loop.create_connection(lambda: _Client(run), "127.0.0.1", port))[1]
            for _ in range(min(connections, len(requests)))
        ]
        began_at, began, cpu = time.time(), time.perf_counter(), time.process_time()
        run.began = began
        for client in clients:
            client.next()
        await run.done.wait()
        took_s = time.perf_counter() - began
        cuts = quantiles(run.took_s, n=100) if len(run.took_s) > 1 else [run.took_s[0]] * 99
        return Sent(
            began_at, took_s, run.accepted, cuts[49] * 1000, cuts[98] * 1000, time.process_time() - cpu
        )

    pipe.send(uvloop.run(main()))


class _Requests:
    def __init__(self, requests: Sequence[bytes], mark: bytes, per_s: float) -> None:
        self.requests = requests
        self.mark = mark
        self.per_s = per_s
        self.began = 0.0
        self.given = 0
        self.accepted = 0
        self.took_s: list[float] = []
        self.done = asyncio.Event()

    def answered(self, took_s: float, answer: bytes) -> None:
        self.took_s.append(took_s)
        self.accepted += answer.count(self.mark)
        if len(self.took_s) == len(self.requests):
            self.done.set()


class _Client(asyncio.Protocol):
    def __init__(self, run: _Requests) -> None:
        self._run = run
        self._octets = b""
        self._asked_at = 0.0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._run.done.is_set():
            raise SystemExit("the gateway closed a connection")

    def next(self) -> None:
        run = self._run
        if run.given == len(run.requests):
            return
        at = run.began + run.given / run.per_s if run.per_s else 0.0
        request = run.requests[run.given]
        run.given += 1
        wait_s = at - time.perf_counter() if at else 0.0
        if wait_s > 0:
            asyncio.get_running_loop().call_later(wait_s, self._ask, request, at)
        else:  # a request that is late counts from when it was due: a slow gateway must not slow the clock
            self._ask(request, at or time.perf_counter())

    def _ask(self, request: bytes, at: float) -> None:
        self._asked_at = at
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._octets = octets = self._octets + data if self._octets else data
        head = octets.find(b"\r\n\r\n")
        if head < 0:
            return
        place = octets[:head].lower().find(b"content-length:")
        length = int(octets[place + 15 : head].split(b"\r\n", 1)[0])
        if len(octets) < head + 4 + length:
            return
        self._octets = b""
        self._run.answered(time.perf_counter() - self._asked_at, octets[head + 4 :])
        self.next()
