"""Single messages as most programs send them, each a GET that comes in one piece: taken without parser, scope and task,
which together cost as much as judging the message. All else goes the common way."""

import re
from collections.abc import Callable
from typing import Final

from pombo.accept.connection import Connection, octets_of_answer

PATH: Final = "/api/unitario.php"

Peer = tuple[str, int] | None
Answer = Callable[[int, bytes, bytes], None]  # status, head and body as `connection.answer_whole` has them
AtOnce = Callable[[bytes, Peer, bytes, Answer], bool]  # query, peer, lines of the head

# Without a header that says where the request ends, what is wanted before or after it, or that another protocol is spoken.
_REQUEST = re.compile(
    rb"GET " + re.escape(PATH.encode()) + rb"\?([!\"$-~]*+) HTTP/1\.1\r\n"
    rb"((?i:(?!content-length|transfer-encoding|expect|upgrade|(?:proxy-)?connection(?!: keep-alive\r))"
    rb"[-!#$%&'*+.^_`|~0-9a-z]++:[\t -~\x80-\xff]*+\r\n)*+)\r\n"
)
_MOST_OCTETS = 16 * 1024


class PlainConnection(Connection):
    at_once: AtOnce

    _in_message = False  # the parser is
    _answering = False  # a request that was taken at once
    _meanwhile = b""  # what came before its answer
    _last = False  # the connection ends with its answer

    @classmethod
    def of(cls, at_once: AtOnce) -> "type[PlainConnection]":
        """at_once: takes a request and answers it when it likes, or gives it back untouched (False)."""
        return type(cls.__name__, (cls,), {"at_once": staticmethod(at_once)})

    def data_received(self, data: bytes) -> None:
        if self._answering:
            self._meanwhile += data
            self.flow.pause_reading()
        elif not (len(data) <= _MOST_OCTETS and self._is_idle() and self._take(data)):
            super().data_received(data)

    def _is_idle(self) -> bool:
        return not (
            self._in_message
            or self._is_answering()
            or self._refused
            or self.flow.write_paused
            or self.transport.is_closing()
        )

    def _take(self, data: bytes) -> bool:
        found = _REQUEST.fullmatch(data)
        if found is None:
            return False
        self._unset_keepalive_if_required()
        self._unexpect_head()
        query, lines = found.groups()
        self._answering = True
        taken = self.at_once(query, self.client, lines, self._answer)
        self._answering &= taken
        return taken

    def _answer(self, status: int, head: bytes, body: bytes) -> None:
        self._answering = False
        if self.transport.is_closing():
            return
        self.server_state.total_requests += 1
        self.transport.write(
            octets_of_answer(status, self.server_state.default_headers, head, not self._last, body)
        )
        if self._last:
            self.transport.close()
            return
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )
        if self._meanwhile:
            meanwhile, self._meanwhile = self._meanwhile, b""
            self.flow.resume_reading()
            self.data_received(meanwhile)

    def on_message_begin(self) -> None:
        self._in_message = True
        super().on_message_begin()

    def on_message_complete(self) -> None:
        self._in_message = False
        super().on_message_complete()

    def shutdown(self) -> None:
        if self._answering:
            self._last = True
        else:
            super().shutdown()
