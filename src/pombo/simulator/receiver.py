"""A customer's program that takes callbacks, shows them as they came, and answers 200: for `demo`.

    GET  /receptor/<secret>/dlr?status=…   or  /receptor/<secret>/dlr/status=…  where the URL is registered as literal
    GET  /receptor/<secret>/mo?data=…      POST is taken as well

With another secret everything is 404. What came is kept in memory, bounded.
"""

import hmac
import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

from litestar import HttpMethod, Request, Response, Router, route
from litestar.exceptions import NotFoundException

CALLS_KEPT: Final = 50  # the newest
KINDS: Final = ("dlr", "mo")
# What a receiver may want to read: who calls, how the parameters came, and what it knows a repetition and a forgery by.
HEADERS: Final = (
    "host",
    "user-agent",
    "content-type",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
)
_BODY_OCTETS: Final = 64 * 1024
_SHOWN: Final = 4000  # characters of a target, a header or a body
_PARAMETERS: Final = 20
_PATH: Final = "/receptor"
_ANSWER: Final = (200, "OK")


class Received(NamedTuple):
    number: int  # higher than those of all before it, also of an earlier run
    at: datetime
    kind: str  # one of KINDS
    method: str
    target: str  # path and query, as they came
    parameters: Sequence[tuple[str, str]]  # decoded
    headers: Sequence[tuple[str, str]]  # those of HEADERS, in their order
    body: str
    status: int  # that it was answered with
    answer: str


class Receiver:
    """secret: what its address has that nobody can guess."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self.calls: deque[Received] = deque(maxlen=CALLS_KEPT)
        self.newest = time.time_ns() // 1_000_000

    def url(self, base_url: str, kind: str) -> str:
        """Where it is called, on the server that has its routes."""
        return f"{base_url}{_PATH}/{self._secret}/{kind}"

    def is_at(self, url: str, kind: str) -> bool:
        """Whether a URL is this receiver's, at whatever address it was served."""
        return url.endswith(f"{_PATH}/{self._secret}/{kind}")

    def routes(self) -> Router:
        """To be registered with the application."""

        @route(
            ["/", "/{rest:path}"],
            http_method=[HttpMethod.GET, HttpMethod.POST],
            request_max_body_size=_BODY_OCTETS,
        )
        async def receive(request: Request[Any, Any, Any], secret: str, kind: str) -> Response[str]:
            right = hmac.compare_digest(secret.encode("utf-8", "surrogateescape"), self._secret.encode())
            if not right or kind not in KINDS:
                raise NotFoundException
            self._take(request, kind, await request.body())
            status, answer = _ANSWER
            return Response(answer, status_code=status, media_type="text/plain")

        return Router(
            f"{_PATH}/{{secret:str}}/{{kind:str}}", route_handlers=[receive], include_in_schema=False
        )

    def _take(self, request: Request[Any, Any, Any], kind: str, body: bytes) -> None:
        path = request.scope["raw_path"].decode("latin-1")
        query = request.scope["query_string"].decode("latin-1")
        text = body.decode("utf-8", "replace")
        literal = path.partition(f"/{self._secret}/{kind}")[2].lstrip("/")
        given = query or literal or text
        self.newest += 1
        self.calls.append(
            Received(
                self.newest,
                datetime.now(UTC),
                kind,
                request.method,
                (f"{path}?{query}" if query else path)[:_SHOWN],
                parse_qsl(given[:_SHOWN], keep_blank_values=True)[:_PARAMETERS],
                [(name, request.headers[name][:_SHOWN]) for name in HEADERS if name in request.headers],
                text[:_SHOWN],
                *_ANSWER,
            )
        )
