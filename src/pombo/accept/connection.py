"""One HTTP connection: uvicorn's, which also takes what old clients do with URLs."""

import asyncio
import re
from functools import partial
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

WHOLE_ANSWER: Final = "pombo.whole_answer"  # in scope["extensions"]: see `answer_whole`

_HEAD_OCTETS = 64 * 1024
_PIECE_OCTETS = 16 * 1024
_TOO_LARGE = b"""\
HTTP/1.1 431 Request Header Fields Too Large\r
content-length: 0\r
connection: close\r
\r
"""
_STALLED_S = 30.0  # a client that takes not one octet of its answer for so long has gone
_LINE = re.compile(rb"[\r\n]*[^\n]*")  # RFC 9112 §2.2: empty lines may come before it
_NOT_ASCII = re.compile(rb"[\x80-\xff]")


class Connection(HttpToolsProtocol):
    """For `uvicorn.Config(http=Connection)`.

    Old clients put raw UTF-8 or cp1252 into the URL. The parser refuses those octets, so they are percent-encoded
    before it sees them. (Not in a pipelined request that comes in one piece with the one before.)

    The parser takes a head of any size, in a time that grows with its square, and waits for it for ever. So a head
    has 64 KiB (give or take a piece, and the same goes for what surrounds the chunks of a body) and `head_timeout_s`.
    """

    head_timeout_s = 30.0

    _idle_octets = 0  # received since the parser got hold of something: a head, or a piece of a body
    _head_begun = False
    _head_timer: asyncio.TimerHandle | None = None
    _refused = False
    _started: RequestResponseCycle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        if not data.isascii() and self._in_request_line():
            line = _LINE.match(data)
            assert line is not None, "the pattern fits everything"
            data = _NOT_ASCII.sub(lambda octet: b"%%%02X" % octet[0][0], line[0]) + data[line.end() :]
        for at in range(0, len(data), _PIECE_OCTETS):
            if self._refused or self.transport.is_closing():
                return
            self._feed(data[at : at + _PIECE_OCTETS])
        if self._head_begun or not self._is_answering():
            self._expect_head()

    def _feed(self, piece: bytes) -> None:
        self._idle_octets += len(piece)
        super().data_received(piece)
        if self._idle_octets > _HEAD_OCTETS and not self.transport.is_closing():
            self._refuse()

    def _refuse(self) -> None:
        """The connection stays half open until the client has read the answer: closed at once, it might be lost."""
        self._refused = True
        self._expect_head()
        if self._is_answering():
            self.transport.close()
        else:
            self.transport.write(_TOO_LARGE)
            self.transport.write_eof()

    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _expect_head(self) -> None:
        """It has its time from now on, if not already from before."""
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_timeout_s, self._head_is_late)

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._is_answering():  # the next request waits, perhaps unread
            self._expect_head()
        else:
            self.transport.close()

    def _unexpect_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def on_message_begin(self) -> None:
        self._head_begun = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head_begun = False
        self._idle_octets = 0
        self._unexpect_head()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._idle_octets = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._idle_octets = 0
        super().on_message_complete()

    def _in_request_line(self) -> bool:
        scope: dict[str, Any] | None = self.scope  # type: ignore[assignment]
        if scope is None:
            return True
        if "method" not in scope:  # its head is on the way
            return not self.headers
        return not self.cycle.more_body

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._started = cycle
        cycle.scope["extensions"] = {WHOLE_ANSWER: partial(answer_whole, cycle)}  # type: ignore[dict-item]
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        # What answers it hangs on the request and holds it: left so, all of it would wait for the garbage collector.
        if self._started is not None:
            self._started.scope.pop("extensions", None)
        super().on_response_complete()

    def pause_writing(self) -> None:
        """The client does not take its answer as fast as it comes: watch whether it takes it at all."""
        super().pause_writing()
        self._watch(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unwatch()

    def _watch(self, left_octets: int) -> None:
        self._unwatch()
        self._stalled = self.loop.call_later(_STALLED_S, self._look_again, left_octets)

    def _unwatch(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _look_again(self, left_octets: int) -> None:
        left_now_octets = self.transport.get_write_buffer_size()
        if left_now_octets < left_octets:
            self._watch(left_now_octets)
        else:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        self._unexpect_head()
        # uvicorn tells the newest request only; with pipelining, an older one is being answered.
        if self._started is not None and not self._started.response_complete:
            self._started.disconnected = True
            self._started.message_event.set()
        super().connection_lost(exc)


async def answer_whole(cycle: RequestResponseCycle, status: int, head: bytes, body: bytes) -> None:
    """The same octets as by two ASGI messages, in one write: 16 instead of 23 us for a request and its answer.

    head: lines that end in CRLF, with the content-length. Not for an answer to HEAD, which has no body.
    """
    if cycle.flow.write_paused and not cycle.disconnected:
        await cycle.flow.drain()
    if cycle.disconnected:
        return
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    cycle.transport.write(octets_of_answer(status, cycle.default_headers, head, cycle.keep_alive, body))
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()


def octets_of_answer(
    status: int, default_headers: list[tuple[bytes, bytes]], head: bytes, keep_alive: bool, body: bytes
) -> bytes:
    lines = [STATUS_LINE[status]]
    for name, value in default_headers:
        lines += [name, b": ", value, b"\r\n"]
    lines += [head, b"\r\n" if keep_alive else b"connection: close\r\n\r\n", body]
    return b"".join(lines)
