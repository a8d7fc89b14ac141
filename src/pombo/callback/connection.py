"""One HTTP/1.1 connection to a receiver, over which callbacks go one after the other.

Why not aiohttp: callbacks are the dearest thing that the platform does in Python. This takes a fraction of
the time, because there is no task, no session and no URL object per call.
"""

import asyncio
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import httptools

from pombo.callback.figures import Cause
from pombo.store.callbacks import Job

if TYPE_CHECKING:
    from pombo.callback.lane import Endpoint, Lane

MAX_ANSWER_OCTETS = 64 * 1024
KEPT_OCTETS = 2048  # with the attempt, head included; longer values would leave its row for a table of their own (TOAST)
_HEAD_OCTETS = 16 * 1024  # in which `Retry-After` is looked for
_RETRY_AFTER = re.compile(rb"\nretry-after:[ \t]*([^\r\n]{0,64})", re.IGNORECASE)


class Call:
    """One attempt at one callback, from the moment it has a place until its outcome is known."""

    __slots__ = (
        "address", "at_s", "connection", "deadline", "dialling", "endpoint", "job", "lane", "request", "signature",
        "started", "target",
    )  # fmt: skip

    def __init__(
        self, lane: "Lane", endpoint: "Endpoint", job: Job, at_s: float, started: float, deadline: float
    ) -> None:
        self.lane = lane
        self.endpoint = endpoint  # as registered when the call began
        self.job = job
        self.at_s = at_s  # since 1970
        self.target = ""  # of the request, below with its signature
        self.signature = ""
        self.request = b""
        self.started = started  # loop time
        self.deadline = deadline  # loop time
        self.connection: Connection | None = None
        self.address = ""  # that was dialled
        self.dialling: asyncio.Task[None] | None = None


class Answer:
    """What came of a call. status: of the HTTP answer, None where there was none; then `error` says why."""

    __slots__ = ("cause", "error", "octets", "status", "untouched")

    def __init__(
        self,
        status: int | None,
        error: str = "",
        cause: Cause = Cause.BROKEN,
        octets: bytes = b"",
        untouched: bool = False,
    ) -> None:
        self.status = status
        self.error = error
        self.cause = cause  # of the error
        self.octets = octets  # the first of it, as they came
        self.untouched = untouched  # a kept-alive connection ended before one octet of answer

    @property
    def retry_after(self) -> str:
        """The header, as it came; '' where there is none. Looked for only now: few answers are asked for it."""
        head, _, rest = self.octets.partition(b"\r\n\r\n")
        while head[9:10] == b"1" and rest:  # HTTP/1.1 1xx
            head, _, rest = rest.partition(b"\r\n\r\n")
        found = _RETRY_AFTER.search(head)
        return found[1].decode("latin-1") if found else ""


class Connection(asyncio.Protocol):
    """Calls `on_answer(connection, call, answer)` once per `send`; then `usable` says if more may follow."""

    def __init__(self, on_answer: Callable[["Connection", Call, Answer], None]) -> None:
        self._on_answer = on_answer
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._call: Call | None = None
        self._calls = 0
        self._octets = 0  # of the answer under way, so far
        self._kept = b""  # the first of them
        self._status = 0  # final status of the answer under way; 0 until its headers are complete
        self._complete = False
        self.usable = False
        self.address = ""  # that was dialled
        self.idle_since = 0.0  # loop time; kept by the lane

    def send(self, call: Call) -> None:
        assert self._call is None and self._transport is not None
        self._call = call
        self._calls += 1
        self._octets = 0
        self._kept = b""
        self._status = 0
        self._complete = False
        call.connection = self
        call.address = self.address
        self._transport.write(call.request)

    def give_up(self) -> None:
        """The time of the call under way is over: a status decides, where one has come."""
        self._finish("timeout", keep=False, cause=Cause.TIMEOUT)

    def close(self) -> None:
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    def _finish(self, error: str, *, keep: bool, cause: Cause = Cause.BROKEN) -> None:
        call, self._call = self._call, None
        if not keep:
            self.close()
        if call is None:
            return
        untouched = self._calls > 1 and not self._octets
        answer = Answer(self._status or None, "" if self._status else error, cause, self._kept, untouched)
        self._on_answer(self, call, answer)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self.usable = True

    def data_received(self, data: bytes) -> None:
        if self._call is None:  # nobody asked
            self.close()
            return
        if not self._octets:  # most answers come in one piece
            self._kept = data
        elif self._octets < _HEAD_OCTETS:
            self._kept += data
        self._octets += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._finish("answer is not HTTP", keep=False)
        except httptools.HttpParserError:
            self._finish("answer is not HTTP", keep=False)
        else:
            if self._complete:
                self._finish("", keep=self.usable)
            elif self._octets > MAX_ANSWER_OCTETS:
                self._finish("answer too long", keep=False)

    def connection_lost(self, error: Exception | None) -> None:
        self.usable = False
        self._finish("connection reset" if error else "connection closed without an answer", keep=False)

    # httptools: called from feed_data

    def on_message_begin(self) -> None:
        if self._complete:  # more octets than the answer: what follows would be taken for the next one
            self.usable = False

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200 and not self._complete:  # 1xx: the answer proper is still to come (RFC 9110 §15.2)
            self._status = status

    def on_message_complete(self) -> None:
        if self._status:
            self._complete = True
            self.usable = self.usable and self._parser.should_keep_alive()
