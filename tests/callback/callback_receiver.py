"""A receiver of callbacks on a real socket, and ways in which receivers answer."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"
WAIT_S = 10.0  # longest that a test waits for something that must happen

Reply = Callable[["Request", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Request:
    target: str
    headers: dict[str, str]


async def ok(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(OK)


def answers(octets: bytes) -> Reply:
    async def reply(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(octets)

    return reply


def answers_in_turn(*octets: bytes) -> Reply:
    """The last answer is given to all that follow."""
    left = list(octets)

    async def reply(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(left.pop(0) if len(left) > 1 else left[0])

    return reply


async def hangs(request: Request, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


@dataclass
class Receiver:
    reply: Reply = ok
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    _more: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/cb"

    @property
    def targets(self) -> list[str]:
        return [request.target for request in self.requests]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii").split("\r\n")
                headers = dict(line.split(": ", 1) for line in head[1:-2])
                request = Request(head[0].split(" ")[1], headers)
                assert head[0] == f"GET {request.target} HTTP/1.1"
                self.requests.append(request)
                async with self._more:
                    self._more.notify_all()
                await self.reply(request, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def got(self, count: int) -> list[Request]:
        async with asyncio.timeout(WAIT_S), self._more:
            await self._more.wait_for(lambda: len(self.requests) >= count)
        return self.requests
