"""Who asks: the session that a cookie leads to, and what it may do.

The cookie holds 256 random bits; the database keeps their HMAC. Whoever is not signed in has a cookie of the same kind that
leads nowhere: what is posted carries a token made of either (CSRF), so no other site can post for somebody.
"""

import hmac
import secrets as random
from datetime import timedelta
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie, FormMultiDict
from litestar.enums import ScopeType
from litestar.exceptions import (
    ClientException,
    NotAuthorizedException,
    NotFoundException,
    PermissionDeniedException,
    ValidationException,
)
from litestar.handlers import BaseRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from pombo.accept.caller import address_of as address_of_peer
from pombo.accept.caller import caller_of
from pombo.account.account import Account
from pombo.account.people import Role
from pombo.panel import words
from pombo.panel.doors import Doors
from pombo.panel.words import Voice
from pombo.store import users
from pombo.store.audit import Actor

COOKIE: Final = "pombo_session"
LANGUAGE: Final = "pombo_idioma"
IDLE, LENGTH = timedelta(hours=2), timedelta(hours=12)
KEPT_IDLE, KEPT_LENGTH = timedelta(days=14), timedelta(days=30)  # "continue signed in on this computer"
_MOST_BROWSER = 200  # characters of what a browser calls itself
_MOST_PATH = 2000  # characters
_SAFE = ("GET", "HEAD", "OPTIONS")
_NUL = b"%00"
_URLENCODED = "application/x-www-form-urlencoded"
MOST_FORM_OCTETS: Final = 256 * 1024  # of what people write; files come on top
MOST_PUBLIC_FORM_OCTETS: Final = 16 * 1024  # of whoever is not signed in

Asked = Request[Any, Any, Any]


class Person(NamedTuple):
    id: int
    email: str
    name: str
    role: Role
    locale: str | None  # None: as the browser asks
    theme: str  # light, dark or system
    account: Account
    balance_milli: int
    billing: str  # prepaid or postpaid
    limit_milli: int  # that a postpaid account may owe
    available_milli: int  # that the account may still spend
    session_id: int
    may_choose_password: bool  # without knowing the old one: came by a code some minutes ago, or has none
    has_password: bool

    @property
    def called(self) -> str:
        return self.name or self.email


class BadToken(PermissionDeniedException):
    """What was posted does not come from a page of ours, or from one that is too old."""


def doors_of(request: "ASGIConnection[Any, Any, Any, Any]") -> Doors:
    doors: Doors = request.app.state.doors
    return doors


def person_of(request: Asked) -> Person:
    """Who is signed in. For handlers that are not public."""
    person = somebody(request)
    assert person is not None
    return person


def somebody(request: "ASGIConnection[Any, Any, Any, Any]") -> Person | None:
    person: Person | None = request.state.get("person")
    return person


def actor_of(request: Asked) -> Actor:
    """For the audit trail."""
    return Actor(f"panel:{person_of(request).email}", address_of(request))


def address_of(request: "ASGIConnection[Any, Any, Any, Any]") -> str:
    """Whom it comes from, also through proxies that are ours; "" where that is not known."""
    caller = caller_of(dict(request.scope), 0, doors_of(request).config.trusted_proxies)
    return "" if caller.address is None else str(caller.address)


def middleware(app: ASGIApp) -> ASGIApp:
    """Finds out who asks, and in which voice they are answered. The database takes no NUL, so addresses have none."""

    async def asked(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP:
            while _NUL in scope["query_string"]:
                scope["query_string"] = scope["query_string"].replace(_NUL, b"")
            await find(Request(scope, receive, send))
        await app(scope, receive, send)

    return asked


async def find(request: Asked) -> None:
    """Raises Unavailable."""
    doors, cookie = doors_of(request), request.cookies.get(COOKIE, "")
    chosen = request.cookies.get(LANGUAGE, "")
    words.speak(words.voice()._replace(locale=chosen if chosen in words.LOCALES else asked_for(request)))
    request.state.person = None
    row = await users.session(doors.db, doors.secrets.panel_hmac("session", cookie)) if cookie else None
    if row is not None:
        account = Account.of(row)
        request.state.person = person = Person(
            row["person_id"], row["email"], row["person_name"], Role(row["role"]), row["locale"], row["theme"],
            account, row["balance_milli"], row["billing"], row["limit_milli"], row["available_milli"], row["session_id"],
            row["by_code"] or not row["has_password"], row["has_password"],
        )  # fmt: skip
        locale = person.locale or words.voice().locale
        words.speak(Voice(locale, account.zone, person.role.sees_numbers))


def asked_for(request: Asked) -> str:
    """The language that the browser would like best."""
    return words.negotiated(request.headers.get("accept-language", ""))


def allowed(connection: "ASGIConnection[Any, Any, Any, Any]", handler: BaseRouteHandler) -> None:
    """A guard of all pages: public ones are for everybody, the others for people with one of the page's roles.

    Numbers that are no ids are told apart here: the database could not even be asked for them.
    """
    if any(isinstance(one, int) and not 0 < one < 2**63 for one in connection.path_params.values()):
        raise NotFoundException
    if handler.opt.get("public"):
        return
    person = somebody(connection)
    if person is None:
        raise NotAuthorizedException
    if person.role not in handler.opt.get("roles", ()):  # OPTIONS has none
        raise PermissionDeniedException


# Tokens against requests from elsewhere


def csrf_of(request: Asked) -> str:
    """The token for this browser's cookie; makes one where it has none (see `cookies`)."""
    value = request.cookies.get(COOKIE) or request.state.get("fresh_cookie")
    if not value:
        value = request.state.fresh_cookie = random.token_urlsafe(32)
    return doors_of(request).secrets.panel_hmac("csrf", value).hex()


async def check_csrf(request: Asked) -> None:
    """Of everything that may change something: in the header for scripts, in the form else. Raises BadToken."""
    if request.method in _SAFE:
        return
    kind = request.headers.get("content-type", "")
    if request.route_handler.opt.get("files") and kind.startswith(_URLENCODED):
        raise ClientException(
            status_code=415
        )  # parsing one as long as a file may be would hold up everything else
    given: object = request.headers.get("x-csrf-token")
    if given is None and kind.startswith((_URLENCODED, "multipart/form-data")):
        given = (await posted(request)).get("csrf")
    cookie = request.cookies.get(COOKIE, "")
    right = doors_of(request).secrets.panel_hmac("csrf", cookie).hex()
    if not cookie or not isinstance(given, str) or not hmac.compare_digest(given.encode(), right.encode()):
        raise BadToken


async def posted(request: Asked) -> FormMultiDict:
    """A form and its files. Raises ValidationException where it cannot be read."""
    try:
        return await request.form()
    except (UnicodeError, LookupError):  # a field in no alphabet, or in one that nobody knows
        raise ValidationException from None


# Cookies


def is_secure(request: Asked) -> bool:
    """Whether the browser speaks TLS, to us or to a proxy that is ours."""
    if request.scope["scheme"] == "https":
        return True
    peer = address_of_peer(request.client.host) if request.client else None
    trusted = doors_of(request).config.trusted_proxies
    is_ours = peer is not None and any(peer in network for network in trusted)
    return is_ours and request.headers.get("x-forwarded-proto", "").rpartition(",")[2].strip() == "https"


def base_url(request: Asked) -> str:
    """Where this browser reaches us, and programs of the same people will."""
    return f"{'https' if is_secure(request) else 'http'}://{request.headers.get('host', 'localhost')}"


def cookie(request: Asked, name: str, value: str, max_age_s: int | None = None) -> Cookie:
    """max_age_s: None for as long as the browser is open, 0 to take it away."""
    return Cookie(
        key=name,
        value=value,
        path="/",
        max_age=max_age_s,
        httponly=True,
        samesite="lax",
        secure=is_secure(request),
    )


def fresh_cookies(request: Asked) -> list[Cookie]:
    """What a page has to give along, so that what is posted from it can be known again."""
    value = request.state.get("fresh_cookie")
    return [cookie(request, COOKIE, value)] if value else []


async def begin(request: Asked, person_id: int, *, by_code: bool, kept: bool) -> Cookie:
    """A new session under a new cookie, never under one that was there before; that session, if there was one, ends."""
    doors, value = doors_of(request), random.token_urlsafe(32)
    before = somebody(request)
    if before is not None:
        await users.end_session(doors.db, before.id, before.session_id)
    terms = {
        "by_code": by_code,
        "idle": KEPT_IDLE if kept else IDLE,
        "length": KEPT_LENGTH if kept else LENGTH,
        "address": address_of(request),
        "browser": "".join(c for c in request.headers.get("user-agent", "") if c.isprintable())[
            :_MOST_BROWSER
        ],
    }
    await users.begin_session(doors.db, person_id, doors.secrets.panel_hmac("session", value), terms)
    return cookie(request, COOKIE, value, int(KEPT_LENGTH.total_seconds()) if kept else None)


async def end(request: Asked) -> Cookie:
    person = person_of(request)
    await users.end_session(doors_of(request).db, person.id, person.session_id)
    return cookie(request, COOKIE, "", 0)


def way_to_sign_in(request: Asked) -> str:
    """With the way back, where somebody wanted to look at a page."""
    if request.method != "GET" or request.url.path == "/":
        return "/entrar"
    query = f"?{request.url.query}" if request.url.query else ""
    return f"/entrar?depois={quote(request.url.path + query)}"


def own_path(text: str) -> str:
    """A path of ours that a form named, as it stands in a header; `/` for what would lead elsewhere."""
    is_path = text.isascii() and text.isprintable() and len(text) <= _MOST_PATH
    is_ours = text.startswith("/") and not text.startswith("//") and "\\" not in text
    return text if is_path and is_ours else "/"
