"""Callbacks over the real store and real sockets: `python -m bench.callbacks`.

How many a second, and how long a first attempt takes at 50 healthy endpoints, alone and beside a hung one, one that
answers an octet a second, one that resets, one that says 500, and one whose body never ends.
"""

import asyncio
import contextlib
import ipaddress
import multiprocessing
import shutil
import socket
import statistics
import struct
import sys
import tempfile
import time
import uuid
from pathlib import Path

import uvloop

from pombo.callback.deliver import Deliverer
from pombo.message import CallbackKind
from pombo.store import callbacks as store
from pombo.store import outbox
from pombo.store.database import Database
from pombo.store.embedded import Embedded
from pombo.store.migrate import migrate

HOLDER = uuid.UUID(int=1)
OK = (
    b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Tue, 24 Nov 2026 12:00:00 GMT\r\nContent-Type: text/html\r\n"
    b"Content-Length: 2\r\n\r\nOK"
)
OOPS = b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops"
BAD = ("hung", "octet", "reset", "500", "endless")
COUNT = 30_000  # in one measurement of the rate
ENDPOINTS = 20
HEALTHY = 50
ROUNDS = 5  # of the three measurements in turn, as others use the machine, too
WARM = 5  # waves before it counts: all endpoints are dialled in the first
WAVES = 60  # one callback for each healthy endpoint and 4 for each bad one


class Receiver(asyncio.Protocol):
    """Answers at once, as the first folder of the path says; tells the parent when a healthy one was reached."""

    def __init__(self, told):
        self.told = told
        self.octets = b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.octets += data
        while (end := self.octets.find(b"\r\n\r\n")) >= 0:
            head, self.octets = self.octets[:end], self.octets[end + 4 :]
            self.answer(head.split(b" ", 2)[1].decode())

    def answer(self, target):
        match target.split("/")[1]:
            case "ok":
                self.transport.write(OK)
                if self.told is not None:
                    subject = target.split("id=ref")[1].split("&")[0]
                    self.told.sendto(
                        struct.pack("!qd", int(subject), time.monotonic()), self.told.getpeername()
                    )
            case "octet":
                self.octet(0)
            case "reset":
                self.transport.abort()
            case "500":
                self.transport.write(OOPS)
            case "endless":
                self.transport.write(
                    b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + b"1000\r\n"
                    + b"x" * 4096
                    + b"\r\n"
                )
                self.endless()

    def octet(self, n):
        if not self.transport.is_closing():
            self.transport.write(OK[n : n + 1])
            asyncio.get_running_loop().call_later(1, self.octet, n + 1)

    def endless(self):
        if not self.transport.is_closing():
            self.transport.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
            asyncio.get_running_loop().call_later(0.001, self.endless)


def receive(ready, told_port):
    """In a process of its own."""

    async def serve():
        told = None
        if told_port:
            told = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            told.connect(("127.0.0.1", told_port))
        server = await asyncio.get_running_loop().create_server(lambda: Receiver(told), "127.0.0.1", 0)
        ready.send(server.sockets[0].getsockname()[1])
        await asyncio.Event().wait()

    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve())


@contextlib.contextmanager
def receiver(told_port=0):
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(
        target=receive, args=(there, told_port), daemon=True
    )
    process.start()
    try:
        yield here.recv()
    finally:
        process.kill()
        process.join()


@contextlib.asynccontextmanager
async def database():
    data = Path(tempfile.mkdtemp(prefix="pombo-bench-"))
    data.chmod(0o755)
    embedded = Embedded(data)
    try:
        db = await Database.open(await embedded.start(), size=20, hot=True)
        try:
            await migrate(db)
            yield db
        finally:
            await db.close()
    finally:
        await embedded.stop()
        shutil.rmtree(data, ignore_errors=True)


async def endpoint(db, name, url):
    account_id = await db.fetchval("insert into account (name) values ($1) returning id", name)
    await store.set_endpoint(
        db, account_id, CallbackKind.DLR, url, literal=False, any_2xx=False, secret_sealed=b"k" * 32
    )
    return account_id


async def final(db, first, account_ids):
    """Delivered messages, one for each mention of an account, and their callbacks, leased to us."""
    ids = list(range(first, first + len(account_ids)))
    await db.execute(
        "insert into message (id, account_id, client_ref, destination, number, body, ucs2, parts, price_milli, state,"
        " smsc_id, accepted_at, final_at) select i, a, 'ref' || i, '11999999999', 5511999999999, 'oi', false, 1, 80, 3,"
        " 1, now(), now() from unnest($1::bigint[], $2::bigint[]) t(i, a)",
        ids, account_ids,
    )  # fmt: skip
    return (await outbox.of_messages(db, HOLDER, ids)).jobs


def deliverer(db):
    return Deliverer(db, holder=HOLDER, unseal=bytes, allow=(ipaddress.ip_network("127.0.0.0/8"),))


async def rate():
    """Callbacks a second, committed outcomes included; and this process's CPU time for each."""
    with receiver() as port:
        async with database() as db:
            accounts = [
                await endpoint(db, f"a{n}", f"http://127.0.0.1:{port}/ok/{n}") for n in range(ENDPOINTS)
            ]
            calls = deliverer(db)
            await calls.start()
            jobs = []
            for first in range(0, COUNT, 5000):
                jobs += await final(db, 1000 + first, [accounts[n % ENDPOINTS] for n in range(5000)])
            await db.execute("vacuum analyze callback")
            started, cpu = time.perf_counter(), time.process_time()
            for first in range(0, COUNT, 100):
                calls.hand_over(jobs[first : first + 100])
                await asyncio.sleep(0)
            while await db.fetchval("select exists (select from callback where state = 0)"):
                await asyncio.sleep(0.01)
            took, cpu = time.perf_counter() - started, time.process_time() - cpu
            await calls.stop()
    return COUNT / took, cpu / COUNT * 1e6


async def first_attempts(others):
    """Seconds from hand-over to the receiver, for each first attempt at a healthy endpoint.

    others: what else is called, at the same time and 4 times as often.
    """
    told = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    told.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    told.bind(("127.0.0.1", 0))
    told.setblocking(False)
    loop = asyncio.get_running_loop()
    handed, took = {}, []

    def hear():
        with contextlib.suppress(BlockingIOError):
            while True:
                subject, at = struct.unpack("!qd", told.recv(64))
                took.append(at - handed.pop(subject))

    with receiver(told.getsockname()[1]) as port, receiver() as bad_port:
        async with database() as db:
            good = [await endpoint(db, f"a{n}", f"http://127.0.0.1:{port}/ok/{n}") for n in range(HEALTHY)]
            others = [
                await endpoint(db, f"other{n}", f"http://127.0.0.1:{bad_port}/{kind}")
                for n, kind in enumerate(others)
            ]
            calls = deliverer(db)
            await calls.start()
            loop.add_reader(told, hear)
            first = 1000
            for _ in range(WAVES):
                jobs = await final(db, first, good + others * 4)
                first += len(jobs)
                now = time.monotonic()
                handed |= {job.subject_id: now for job in jobs if job.account_id <= good[-1]}
                calls.hand_over(jobs)
                await asyncio.sleep(0.1)
            while handed:
                await asyncio.sleep(0.01)
            loop.remove_reader(told)
            await calls.stop(0)
    told.close()
    return took[WARM * HEALTHY :]


def p99_ms(took):
    return statistics.quantiles(took, n=100)[98] * 1000


def main():
    if "rate" in sys.argv[1:] or len(sys.argv) == 1:
        per_s, cpu_us = uvloop.run(rate())
        print(f"callbacks      {per_s:10,.0f} /s, {cpu_us:.0f} us of CPU each in this process", flush=True)
    if "fair" in sys.argv[1:] or len(sys.argv) == 1:
        rounds = [
            [p99_ms(uvloop.run(first_attempts(others))) for others in ((), ("ok",) * len(BAD), BAD)]
            for _ in range(ROUNDS)
        ]
        alone, well, bad = (statistics.median(p99s) for p99s in zip(*rounds, strict=True))
        print(
            f"first attempt  p99 {alone:.1f} ms alone, {well:.1f} ms beside five more that are well, {bad:.1f} ms beside"
            f" five bad ones (medians of {ROUNDS} rounds)"
        )


if __name__ == "__main__":
    main()
