"""What an API worker and the main process say to each other over the worker's stdin and stdout: lines of JSON.

The worker tells every second what it has counted. A scrape of /metrics that the kernel gave to it is answered by the
main process, which alone has the figures of all: told first, then asked, so that the answer holds them.
"""

import asyncio
import itertools
import os
import sys
from collections.abc import Callable

import msgspec
import structlog
from msgspec import Struct

from pombo.app.sums import Family
from pombo.errors import Unavailable

log = structlog.get_logger()

LINE_OCTETS = 64 * 1024 * 1024  # the page of a platform with very many connections is a few MB
_TELL_S = 1.0
_ANSWER_S = 10.0


class Told(Struct):
    """From the worker. The first line says that it accepts."""

    families: list[Family]
    ask: int = 0  # not 0: the page of all figures is wanted, under this number
    accept: str = ""


class Page(Struct):
    """From the main process."""

    ask: int
    text: str
    content_type: str


class ToMain:
    """The worker's end: `open` first, `tell_now_and_then` once it accepts; `page` is what a scrape gets."""

    def __init__(self, counted: Callable[[], list[Family]]) -> None:
        self._counted = counted
        self._asked: dict[int, asyncio.Future[Page]] = {}
        self._numbers = itertools.count(1)

    async def open(self) -> None:
        """The process ends at once when the main process has gone."""
        loop = asyncio.get_running_loop()
        self._reader = asyncio.StreamReader(LINE_OCTETS)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(self._reader), sys.stdin)
        self._writing, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, sys.stdout)
        self._listening = asyncio.create_task(self._listen(), name="main process")

    async def tell_now_and_then(self) -> None:
        while True:
            if (
                not self._writing.get_write_buffer_size()
            ):  # else it does not read: it is frozen, and memory is not
                self._tell(Told(self._counted()))
            await asyncio.sleep(_TELL_S)

    async def page(self, accept: str) -> tuple[bytes, str]:
        """Raises Unavailable when the main process does not answer."""
        ask = next(self._numbers)
        answer = self._asked[ask] = asyncio.get_running_loop().create_future()
        try:
            self._tell(Told(self._counted(), ask, accept))
            async with asyncio.timeout(_ANSWER_S):
                page = await answer
        except TimeoutError:
            raise Unavailable("the main process does not answer") from None
        finally:
            del self._asked[ask]
        return page.text.encode(), page.content_type

    def _tell(self, told: Told) -> None:
        self._writing.write(msgspec.json.encode(told) + b"\n")

    async def _listen(self) -> None:
        while line := await self._reader.readline():
            page = msgspec.json.decode(line, type=Page)
            answer = self._asked.get(page.ask)
            if answer is not None and not answer.done():
                answer.set_result(page)
        log.warning("api_worker_alone", hint="the main process has gone")
        os._exit(1)
