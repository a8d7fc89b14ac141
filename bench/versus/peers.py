"""The two ends that both gateways talk to, each in a process of its own: an operator (SMSC) and a receiver of callbacks.

The operator parses just enough to answer: it takes hundreds of thousands of submit_sm a second, so that the gateway is
what is measured.
"""

import asyncio
import collections
import contextlib
import multiprocessing
import os
import socket
import struct
import time
from typing import Any

import uvloop

_HEAD = struct.Struct(">IIII")
_BINDS = (0x01, 0x02, 0x09)
_SUBMIT, _DELIVER, _UNBIND, _ENQUIRE, _RESPONSE = 0x04, 0x05, 0x06, 0x15, 0x80000000
_RECEIPT_AFTER_S = 0.2
_RECEIPT_WINDOW = 200  # deliver_sm without an answer, per session


class Peer:
    """A process that serves one port, and does what it is asked over a pipe."""

    def __init__(self, serve: Any) -> None:
        here, there = multiprocessing.Pipe()
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._pipe = here
        self._process = multiprocessing.get_context("fork").Process(
            target=_run, args=(serve, self.port, there), daemon=True
        )
        self._process.start()
        assert self.ask("pid") == self._process.pid

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def ask(self, what: str) -> Any:
        self._pipe.send(what)
        return self._pipe.recv()

    def stop(self) -> None:
        self._process.kill()
        self._process.join()


def _run(serve: Any, port: int, pipe: Any) -> None:
    async def main() -> None:
        side = serve(port)
        asked = asyncio.Event()
        asyncio.get_running_loop().add_reader(pipe.fileno(), asked.set)
        await side.listen()
        while True:
            await asked.wait()
            asked.clear()
            while pipe.poll():
                what = pipe.recv()
                if what == "pid":
                    pipe.send(os.getpid())
                else:
                    pipe.send(await getattr(side, what)())

    with contextlib.suppress(KeyboardInterrupt, EOFError):
        uvloop.run(main())


class Operator:
    """Takes submits from when it listens on; a receipt for each that asked for one."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._server: asyncio.Server | None = None
        self.connections: set[_Session] = set()
        self.receipts: collections.deque[tuple[float, bytes, bytes, bytes]] = collections.deque()
        self.last_id = int(time.time() * 1000) % 10**9 * 1000
        self.gives_receipts = True
        self._zero()

    def _zero(self) -> None:
        self.submits = self.receipts_taken = 0
        self.first_at = self.last_at = 0.0

    async def reset(self) -> None:
        self.receipts.clear()
        self._zero()

    async def give_receipts(self) -> None:
        """To whoever asks for them."""
        self.gives_receipts = True

    async def give_no_receipts(self) -> None:
        self.gives_receipts = False

    async def figures(self) -> dict[str, float]:
        return {
            "submits": self.submits, "receipts": self.receipts_taken, "bound": sum(one.bound for one in self.connections),
            "first_at": self.first_at, "last_at": self.last_at,
        }  # fmt: skip

    async def listen(self) -> None:
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(lambda: _Session(self), "127.0.0.1", self._port)
            self._pump = asyncio.create_task(self._pump_receipts())

    async def leave(self) -> None:
        """As an operator that is down: no port, no sessions."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self._pump.cancel()
            for one in list(self.connections):
                one.transport.abort()

    async def _pump_receipts(self) -> None:
        while True:
            for one in self.connections:
                if one.bound:
                    one.pump()
            await asyncio.sleep(0.002)


class _Session(asyncio.Protocol):
    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self._octets = b""
        self._sequence = self._open = 0
        self._paused = False
        self.bound = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._operator.connections.add(self)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False

    def connection_lost(self, exc: Exception | None) -> None:
        self._operator.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        octets = self._octets + data if self._octets else data
        at, out, now = 0, [], time.time()
        while len(octets) - at >= 16:
            length, command, _, sequence = _HEAD.unpack_from(octets, at)
            if len(octets) - at < length:
                break
            if command == _SUBMIT:
                out.append(self._submitted(octets, at, now, sequence))
            elif command == _DELIVER | _RESPONSE:
                self._open -= 1
                self._operator.receipts_taken += 1
            elif command in _BINDS:
                self.bound = True
                out.append(_HEAD.pack(22, command | _RESPONSE, 0, sequence) + b"bench\0")
            elif not command & _RESPONSE:
                out.append(_HEAD.pack(16, command | _RESPONSE, 0, sequence))
            at += length
        self._octets = octets[at:]
        if out:
            self.transport.write(b"".join(out))

    def _submitted(self, octets: bytes, at: int, now: float, sequence: int) -> bytes:
        operator = self._operator
        operator.last_id += 1
        message_id = b"%012d" % operator.last_id
        operator.submits += 1
        operator.first_at = operator.first_at or now
        operator.last_at = now
        begin = octets.index(b"\0", at + 16) + 3  # service_type; TON and NPI
        end = octets.index(b"\0", begin)
        source = octets[begin:end]
        begin = end + 3
        end = octets.index(b"\0", begin)
        destination = octets[begin:end]
        begin = octets.index(b"\0", end + 4) + 1  # schedule_delivery_time
        begin = octets.index(b"\0", begin) + 1  # validity_period
        if octets[begin] & 3 and operator.gives_receipts:  # registered_delivery
            operator.receipts.append((now + _RECEIPT_AFTER_S, message_id, source, destination))
        return _HEAD.pack(17 + len(message_id), _SUBMIT | _RESPONSE, 0, sequence) + message_id + b"\0"

    def pump(self) -> None:
        """Receipts that are due, as far as the window goes."""
        due, now, out = self._operator.receipts, time.time(), []
        date = time.strftime("%y%m%d%H%M", time.localtime(now)).encode()
        while self._open < _RECEIPT_WINDOW and due and due[0][0] <= now and not self._paused:
            _, message_id, source, destination = due.popleft()
            text = b"id:%s sub:001 dlvrd:001 submit date:%s done date:%s stat:DELIVRD err:000 text:" % (
                message_id,
                date,
                date,
            )
            body = (
                b"\0\1\1" + destination + b"\0\1\1" + source + b"\0\x04\0\0\0\0\0\0\0\0"
                + bytes((len(text),)) + text
            )  # fmt: skip
            self._sequence += 1
            self._open += 1
            out.append(_HEAD.pack(16 + len(body), _DELIVER, 0, self._sequence) + body)
        if out:
            self.transport.write(b"".join(out))


class Receiver:
    """A customer's end of callbacks: 200 for every request."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.calls = 0
        self.last_at = 0.0

    async def reset(self) -> None:
        self.calls, self.last_at = 0, 0.0

    async def figures(self) -> dict[str, float]:
        return {"calls": self.calls, "last_at": self.last_at}

    async def listen(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_server(lambda: _Call(self), "127.0.0.1", self._port, backlog=1024)


class _Call(asyncio.Protocol):
    _ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nOK"

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._octets = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._octets += data
        heads = self._octets.count(b"\r\n\r\n")
        if heads:
            self._octets = self._octets.rpartition(b"\r\n\r\n")[2]
            self._receiver.calls += heads
            self._receiver.last_at = time.time()
            self._transport.write(self._ANSWER * heads)
