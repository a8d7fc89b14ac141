"""The legacy API (`/api/*.php`), as thin raw ASGI in front of everything else.

The contract stands in docs/legacy-api.md. Handlers read octets, judge, hand over to the intake, and write octets.
"""

import asyncio
import contextlib
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import asyncpg
import structlog

from pombo.accept import parameters as read
from pombo.accept import plain, reply
from pombo.accept.auth import Authenticator
from pombo.accept.batch import read_batch
from pombo.accept.caller import Caller, caller_of
from pombo.accept.connection import WHOLE_ANSWER
from pombo.accept.intake import Intake
from pombo.accept.parameters import Malformed, Parameters, as_ref, as_text
from pombo.accept.plain import Answer, Peer
from pombo.accept.rates import RequestRates, TooFast
from pombo.accept.submission import Submission, judge, no_message
from pombo.account.account import Account
from pombo.account.prices import Prices
from pombo.account.secret import Secrets
from pombo.account.token import Scope as TokenScope
from pombo.config import Network
from pombo.errors import Limit, Refusal, Unavailable
from pombo.figures import Histogram
from pombo.route.routes import Routes
from pombo.store import accounts, inbox, messages
from pombo.store.database import Database, in_time

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

log = structlog.get_logger()

_ENVELOPES = {
    plain.PATH: "envio",
    "/api/envio.php": "detalhes",
    "/api/dlr.php": "dlr",
    "/api/mo.php": "mo",
    "/api/saldo.php": "saldo",
}
_INBOX_PAGE = 1000
_JUDGED_AT_ONCE = 50
_READ_ON_FACTOR = 4  # times the limit is read of a body over it, and thrown away, so that the answer arrives
_BODIES_FACTOR = 32  # all bodies under way together hold at most this many times the limit
_HIGHEST_ID = 2**63 - 1
_QUERY_S = 5.0  # a database that is slow or gone is told to the client by then
_GONE = 499  # in figures only: the client went away before its answer


class _TooLarge(Exception):
    pass


class _Slow(Exception):
    """The rest of the body did not come in time."""


class _Gone(Exception):
    """The client went away."""


class ApiFigures:
    """Since the process started."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()  # by path and status; 499: the client went away
        self.request_s: dict[str, Histogram] = defaultdict(Histogram)  # by path
        self.refused: Counter[Refusal] = Counter()  # messages, and requests that were refused as a whole
        self.limited: Counter[Limit] = Counter()  # those that were refused by Refusal.RATE


class LegacyApi:
    """The ASGI application of these paths; `paths` says which."""

    paths = frozenset(_ENVELOPES)

    def __init__(
        self,
        *,
        db: Database,
        authenticator: Authenticator,
        intake: Intake,
        secrets: Secrets,
        routes: Callable[[], Routes],
        prices: Callable[[], Prices],
        body_limit_octets: int,
        body_timeout_s: float,
        trusted_proxies: Sequence[Network] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """routes, prices: give the tables of this moment. clock: by which requests are counted."""
        self._db = db
        self._authenticator = authenticator
        self._intake = intake
        self._secrets = secrets
        self._routes = routes
        self._prices = prices
        self._body_limit_octets = body_limit_octets
        self._body_timeout_s = body_timeout_s
        self._trusted_proxies = trusted_proxies
        self._rates = RequestRates(clock)
        self._bodies_octets = 0
        self.figures = ApiFigures()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = time.perf_counter()
        path = scope["path"]
        status = await self._serve(path, scope, receive, send)
        self.figures.requests[path, status] += 1
        self.figures.request_s[path].add(time.perf_counter() - begun)

    def at_once(self, query: bytes, peer: Peer, lines: bytes, answer: Answer) -> bool:
        """For plain.PlainConnection: what is readable and comes with a good token that is remembered."""
        begun = time.perf_counter()
        scope = {"client": peer, "query_string": query, "headers": self._headers(lines)}
        try:
            given = read.of_urlencoded(query)
            token = as_text(given.get("token"))
            account = self._authenticator.at_once(token, self._caller(scope, b""), TokenScope.SEND)
            if account is None:
                return False
            item = self._judge(account, given, self._rates.over(account))
        except Exception:  # whatever it is comes to light on the common way
            return False
        self._intake.hand_in(item, partial(self._settled, item, answer, begun))
        return True

    def _headers(self, lines: bytes) -> list[tuple[bytes, bytes]]:
        """As a scope has them; empty where nobody looks at them."""
        if not self._trusted_proxies:
            return []
        pairs = (line.partition(b":") for line in lines.splitlines())
        return [(name.lower(), value.strip()) for name, _, value in pairs]

    def _settled(self, item: Submission, answer: Answer, begun: float, stored: bool) -> None:
        """stored: False where it is not known to be."""
        status = 200 if stored else 503
        try:
            content = self._submissions("envio", [item])
        except Exception as error:
            log.exception("legacy_api_failed", path=plain.PATH, error=type(error).__name__)
            status, content = 503, self._refused("envio", Refusal.UNAVAILABLE)
        answer(status, _HEAD % len(content), content)
        self.figures.requests[plain.PATH, status] += 1
        self.figures.request_s[plain.PATH].add(time.perf_counter() - begun)

    async def _serve(self, path: str, scope: Scope, receive: Receive, send: Send) -> int:
        """The status that was answered."""
        envelope = _ENVELOPES[path]
        method = scope["method"]
        if method not in ("GET", "POST"):
            return await _answer(send, {"HEAD": 200, "OPTIONS": 204}.get(method, 405), b"")
        try:
            body = await self._body(scope, receive)
            match envelope:
                case "envio":
                    status, content = await self._envio(scope, body)
                case "detalhes":
                    status, content = await self._detalhes(scope, body)
                case "dlr":
                    status, content = 200, await self._dlr(scope, body)
                case "saldo":
                    status, content = 200, await self._saldo(scope, body)
                case _:
                    return await self._mo(scope, body, receive, send)
        except _Gone:
            return _GONE
        except _TooLarge:
            return await self._refuse_large(envelope, scope, receive, send)
        except _Slow:
            slow = "o corpo nao chegou inteiro"
            content = self._refused(envelope, Refusal.MALFORMED, slow)
            return await _answer(send, 200, content, close=True)
        except Malformed as error:
            status, content = 200, self._refused(envelope, error.refusal, str(error))
        except Unavailable:
            status, content = 503, self._refused(envelope, Refusal.UNAVAILABLE)
        except Exception as error:
            # A fault of ours: the client must not take it for a refusal, and may try again.
            log.exception("legacy_api_failed", path=path, error=type(error).__name__)
            status, content = 503, self._refused(envelope, Refusal.UNAVAILABLE)
        whole = scope["extensions"][WHOLE_ANSWER]
        await whole(status, _HEAD % len(content), content)
        return status

    def _refused(self, envelope: str, refusal: Refusal, detail: str = "") -> bytes:
        """The answer to a request that is refused as a whole."""
        self.figures.refused[refusal] += 1
        if refusal is Refusal.RATE:
            self.figures.limited[Limit.REQUESTS_PER_S] += 1
        return reply.refused(envelope, refusal, detail)

    def _submissions(self, envelope: str, items: list[Submission]) -> bytes:
        """The answer, item by item."""
        for item in items:
            if item.refusal is not None:
                self.figures.refused[item.refusal] += 1
            if item.limit is not None:
                self.figures.limited[item.limit] += 1
        return reply.submissions(envelope, items)

    async def _envio(self, scope: Scope, body: bytes) -> tuple[int, bytes]:
        """unitario.php"""
        given = _merged(scope, body)
        account = await self._account(given, scope, body, TokenScope.SEND)
        item = self._judge(account, given, self._rates.over(account))
        status = await self._store([item])
        return status, self._submissions("envio", [item])

    async def _detalhes(self, scope: Scope, body: bytes) -> tuple[int, bytes]:
        """envio.php"""
        batch = read_batch(scope["query_string"], body, _content_type(scope))
        if batch.too_large:
            items = [_of_too_many(message) for _, message in batch.messages]
            return 200, self._submissions("detalhes", items)
        caller = self._caller(scope, body)
        senders = await self._authenticator.accounts(batch.tokens, caller, TokenScope.SEND)
        asking = {account.id: account for account in senders.values() if account}
        too_fast = {account.id for account in asking.values() if self._rates.over(account)}
        items = []
        for token, message in batch.messages:
            if len(items) % _JUDGED_AT_ONCE == _JUDGED_AT_ONCE - 1:
                await asyncio.sleep(0)  # long texts take half a millisecond each: others have their turn
            sender = senders[token]
            items.append(self._judge(sender, message, sender is not None and sender.id in too_fast))
        status = await self._store(items)
        return status, self._submissions("detalhes", items)

    async def _account(
        self, given: Parameters, scope: Scope, body: bytes, token_scope: TokenScope
    ) -> Account | None:
        token = as_text(given.get("token"))
        return await self._authenticator.account(token, self._caller(scope, body), token_scope)

    def _caller(self, scope: Scope, body: bytes) -> Caller:
        return caller_of(scope, len(scope["query_string"]) + len(body), self._trusted_proxies)

    def _judge(self, account: Account | None, message: Parameters | str, too_fast: bool) -> Submission:
        if isinstance(message, str):
            return no_message(account, message)
        return judge(
            account,
            as_text(message.get("destino")),
            as_text(message.get("msg")),
            as_ref(message.get("id")),
            as_ref(message.get("codificacao")),
            as_ref(message.get("agendar")),
            routes=self._routes(),
            prices=self._prices(),
            secrets=self._secrets,
            too_fast=too_fast,
        )

    async def _store(self, items: list[Submission]) -> int:
        """The HTTP status: 200 when every item has its verdict, 503 when some are not known to be stored."""
        return 200 if await self._intake.take_in(items) else 503

    async def _reader(self, given: Parameters, scope: Scope, body: bytes) -> Account | None:
        """Raises TooFast."""
        account = await self._account(given, scope, body, TokenScope.READ)
        if self._rates.over(account):
            raise TooFast
        return account

    async def _dlr(self, scope: Scope, body: bytes) -> bytes:
        given = _merged(scope, body)
        account = await self._reader(given, scope, body)
        if account is None:
            return self._refused("dlr", Refusal.TOKEN)
        asking = messages.message_by_ref(self._db, account.id, as_text(given.get("id")))
        return reply.status(account, await in_time(asking, _QUERY_S))

    async def _saldo(self, scope: Scope, body: bytes) -> bytes:
        given = _merged(scope, body)
        account = await self._reader(given, scope, body)
        if account is None:
            return self._refused("saldo", Refusal.TOKEN)
        return reply.balance(account, await in_time(accounts.balance(self._db, account.id), _QUERY_S))

    async def _mo(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> int:
        given = _merged(scope, body)
        account = await self._reader(given, scope, body)
        if account is None:
            return await _answer(send, 200, self._refused("mo", Refusal.TOKEN))
        since, until = (read.moment(given, name, account.zone) for name in ("de", "ate"))
        if given.get("todas") is not True and as_text(given.get("todas")).strip() in ("", "0"):
            # Listen before anything is leased: who hangs up meanwhile gets the replies again.
            gone = asyncio.ensure_future(_disconnect(receive))
            try:
                leasing = inbox.lease_unread(self._db, account.id, since, until, _INBOX_PAGE)
                rows = await in_time(leasing, _QUERY_S)
                return await self._hand_over(reply.inbox(account, rows), rows, gone, send)
            finally:
                gone.cancel()
        after_id = as_text(given.get("apos")).strip() or "0"
        if not after_id.isdecimal() or len(after_id) > 19 or int(after_id) > _HIGHEST_ID:
            raise Malformed("apos deve ser um mo_id")
        reading = inbox.read_again(self._db, account.id, since, until, int(after_id), _INBOX_PAGE)
        return await _answer(send, 200, reply.inbox(account, await in_time(reading, _QUERY_S)))

    async def _hand_over(
        self, content: bytes, rows: list[Any], gone: "asyncio.Future[None]", send: Send
    ) -> int:
        """Replies count as read once their last octet has been handed to a connection that still stands.

        Raises nothing once the answer has begun: what is not marked as read is offered again.
        """
        ids = [row["id"] for row in rows]
        try:
            status = await _answer(send, 200, content, last=False)
            await send({"type": "http.response.body", "body": b"", "more_body": True})  # waits for room
            await asyncio.sleep(0)  # a disconnect that has come already is seen first
            if ids and gone.done():
                status = _GONE
                await in_time(inbox.give_back(self._db, ids, rows[0]["leased_until"]), _QUERY_S)
            elif ids:
                await in_time(inbox.mark_read(self._db, ids), _QUERY_S)
        except (Unavailable, asyncpg.PostgresError) as error:
            log.warning("replies_not_marked_read", replies=len(ids), error=type(error).__name__)
        await send({"type": "http.response.body", "body": b""})
        return status

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        if not _has_body(scope):
            return b""
        if int(_header(scope, b"content-length") or 0) > self._body_limit_octets:
            raise _TooLarge
        chunks: list[bytes] = []
        octets = 0
        try:
            async for chunk in self._chunks(receive):
                octets += len(chunk)
                if octets > self._body_limit_octets:
                    raise _TooLarge
                chunks.append(chunk)
                self._bodies_octets += len(chunk)
                if self._bodies_octets > self._body_limit_octets * _BODIES_FACTOR:
                    raise Unavailable("too many large requests at once")
        finally:
            self._bodies_octets -= sum(map(len, chunks))
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def _chunks(self, receive: Receive) -> AsyncIterator[bytes]:
        while True:
            try:
                async with asyncio.timeout(self._body_timeout_s):
                    message = await receive()
            except TimeoutError:
                raise _Slow from None
            if message["type"] == "http.disconnect":
                raise _Gone
            yield message.get("body", b"")
            if not message.get("more_body", False):
                return

    async def _refuse_large(self, envelope: str, scope: Scope, receive: Receive, send: Send) -> int:
        """413 at once, and then the rest is read and thrown away: most clients read no answer before they have sent all."""
        limit = f"corpo acima de {self._body_limit_octets} octetos"
        content = self._refused(envelope, Refusal.MALFORMED, limit)
        status = await _answer(send, 413, content, last=False, close=True)
        octets = 0
        with contextlib.suppress(_Gone, _Slow):
            if not _header(scope, b"expect"):  # who asked first sends nothing now
                async for chunk in self._chunks(receive):
                    octets += len(chunk)
                    if octets > self._body_limit_octets * _READ_ON_FACTOR:
                        break
        await send({"type": "http.response.body", "body": b""})
        return status


async def _disconnect(receive: Receive) -> None:
    """Returns when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _of_too_many(message: Parameters | str) -> Submission:
    """Its token is not looked up: there may be as many as messages."""
    given = {} if isinstance(message, str) else message
    return Submission(None, as_text(given.get("destino")), as_text(given.get("id")), Refusal.BATCH_SIZE)


def _has_body(scope: Scope) -> bool:
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])


def _merged(scope: Scope, body: bytes) -> Parameters:
    return read.of_request(scope["query_string"], body, _content_type(scope) if body else "")


def _content_type(scope: Scope) -> str:
    return _header(scope, b"content-type").decode("latin-1")


def _header(scope: Scope, wanted: bytes) -> bytes:
    for name, value in scope["headers"]:
        if name == wanted:
            return bytes(value)
    return b""


_JSON = (b"content-type", b"application/json; charset=utf-8")
_HEAD = b"content-type: application/json; charset=utf-8\r\ncontent-length: %d\r\n"
_ALLOW = (b"allow", b"GET, POST, HEAD, OPTIONS")


async def _answer(send: Send, status: int, body: bytes, *, last: bool = True, close: bool = False) -> int:
    """The status, for the figures."""
    headers = [_JSON]
    if status != 204:
        headers.append((b"content-length", b"%d" % len(body)))
    if status in (204, 405):
        headers = [_ALLOW, (b"content-length", b"0")] if status == 405 else [_ALLOW]
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": not last})
    return status
