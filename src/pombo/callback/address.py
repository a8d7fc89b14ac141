"""Where a callback goes: a registered URL checked and taken apart, and the request target that is called.

Everything here is octet-exact: what `opening` and `query` return is what stands in the request line and under
the signature.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from enum import Enum
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import SplitResult, quote, urlsplit
from zoneinfo import ZoneInfo

from pombo import country
from pombo.callback.guard import literal_address, may_dial
from pombo.config import Network
from pombo.errors import PomboError
from pombo.message import CallbackKind
from pombo.store.callbacks import Job

MAX_URL_CHARACTERS = 2000
DEFAULT_TIME_ZONE = "America/Sao_Paulo"

# What may stand in a URL as it is (RFC 3986 §2.2, §2.3), and `%`: what is encoded stays as it is.
_URL_SAFE = "%/:?#[]@!$&'()*+,;=~-._"
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\ufeff]")
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?", re.ASCII)


class Wrong(Enum):
    """What is wrong with a URL, as commands say it; pages have words of their own for each."""

    EMPTY = "Give the URL."
    LONG = f"The URL is too long: {MAX_URL_CHARACTERS} characters at most."
    BLANKS = "The URL has blanks or control characters. Write %20 for a blank."
    SCHEME = "The URL must begin with http:// or https://."
    CREDENTIALS = (
        "The URL cannot have a user and a password. Put a token into the parameters, such as ?token=…."
    )
    ADDRESS = "The URL is not valid: check the address and the port."
    NO_HOST = "The URL has no address, such as https://www.example.com/dlr."
    IPV6 = "The IPv6 address in the URL is not valid."
    HOST = "The address in the URL is not valid: check the name after http:// or https://."
    INTERNAL = "The URL leads to an internal network, which cannot be called. Use a public address."


class BadUrl(PomboError):
    def __init__(self, wrong: Wrong) -> None:
        super().__init__(wrong.value)
        self.wrong = wrong


class Place(NamedTuple):
    """A URL taken apart for dialling."""

    tls: bool
    host: str  # ASCII, without brackets
    port: int
    authority: str  # as in the Host header
    target: str  # path and query, percent-encoded; "" where the URL has neither


def check_url(url: str, allow: Iterable[Network] = ()) -> str:
    """The URL as it is stored. Raises BadUrl if it cannot be called."""
    place = split_url(url)
    address = literal_address(place.host)
    if address is not None and not may_dial(address, allow):
        raise BadUrl(Wrong.INTERNAL)
    return f"http{'s' if place.tls else ''}://{place.authority}{place.target}"


def split_url(url: str) -> Place:
    """Takes a URL apart; a fragment is dropped. Raises BadUrl, as `check_url` does."""
    if not url:
        raise BadUrl(Wrong.EMPTY)
    if len(url) > MAX_URL_CHARACTERS:
        raise BadUrl(Wrong.LONG)
    if _FORBIDDEN.search(url):
        raise BadUrl(Wrong.BLANKS)
    try:
        parts = urlsplit(url, allow_fragments=True)
        port = parts.port
    except ValueError:
        raise BadUrl(Wrong.ADDRESS) from None
    if parts.scheme not in ("http", "https"):
        raise BadUrl(Wrong.SCHEME)
    if "@" in parts.netloc:
        raise BadUrl(Wrong.CREDENTIALS)
    tls = parts.scheme == "https"
    host = _host(parts)
    default = 443 if tls else 80
    if port == 0:
        raise BadUrl(Wrong.ADDRESS)
    name = f"[{host}]" if ":" in host else host
    authority = name if port in (None, default) else f"{name}:{port}"
    return Place(tls, host, port or default, authority, _target(parts, url))


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if not host:
        raise BadUrl(Wrong.NO_HOST)
    if ":" in host:
        if literal_address(host) is None or "%" in host:
            raise BadUrl(Wrong.IPV6)
        return host
    try:
        ascii_host = host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        ascii_host = ""
    if len(ascii_host) > 253 or not _NAME.fullmatch(ascii_host):
        raise BadUrl(Wrong.HOST)
    return ascii_host


def _target(parts: SplitResult, url: str) -> str:
    # urlsplit cannot tell "/dlr?" from "/dlr", but a `?` at the end decides how the parameters are joined.
    asked = parts.query or url.partition("#")[0].endswith("?")
    target = parts.path + (f"?{parts.query}" if asked else "")
    return quote(target, safe=_URL_SAFE)


def opening(target: str, *, literal: bool) -> str:
    """The request target up to the first parameter.

    literal: as the original document writes it, `http://url/status=…`; a `?` or `/` at its end is
    not doubled.
    """
    if literal:
        start = target if target.startswith("/") or not target else "/" + target
        return start if start.endswith(("?", "/")) else start + "/"
    start = target if target.startswith("/") else "/" + target
    if "?" not in start:
        return start + "?"
    return start if start.endswith(("?", "&")) else start + "&"


def query(job: Job) -> str:
    """The parameters, in the contract's order. Percent-encoded UTF-8; a space is `%20`, a colon stays."""
    at = _local(int(job.at.timestamp()), job.time_zone)
    if job.kind == CallbackKind.DLR:
        return f"status={job.status}&id={_value(job.client_ref)}&destino={_value(job.number)}&entrega={at}"
    number = _value(country.shown(job.number))
    return f"data={at}&numero={number}&mensagem={_value(job.text)}&id={_value(job.client_ref)}"


def _value(text: str) -> str:
    if text.isalnum() and text.isascii():
        return text
    return quote(text, ":", "utf-8", "replace")


@lru_cache(maxsize=4096)  # the callbacks of one moment come together
def _local(at_s: int, time_zone: str) -> str:
    local = datetime.fromtimestamp(at_s, _zone(time_zone)).replace(tzinfo=None)
    return local.isoformat("T").replace("T", "%20")


@lru_cache(maxsize=1024)
def _zone(name: str) -> tzinfo:
    for known in (name, DEFAULT_TIME_ZONE):
        try:
            return ZoneInfo(known)
        except (OSError, ValueError):  # ZoneInfoNotFoundError is a KeyError on some systems
            continue
        except KeyError:
            continue
    return UTC
