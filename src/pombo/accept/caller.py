"""Who asks: the address that a request comes from, also through proxies that are ours."""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from pombo.account.token import Address, normalised
from pombo.config import Network

_MOST_PROXIES = 20  # in front of each other
_MOST_CHARACTERS = 64  # of an address with its zone and port; what is longer is none, and not remembered


class Caller(NamedTuple):
    address: Address | None  # None: not known
    octets: int = 0  # of its request, which stay in memory until it is answered


def caller_of(scope: dict[str, Any], octets: int, trusted: Sequence[Network]) -> Caller:
    """The peer; or, where that is a trusted proxy, whom it names.

    Each proxy adds whom it was asked by to the right end of X-Forwarded-For, and everybody may write what he likes to
    the left of that: so the right-most address that is not a trusted proxy's counts. Where they all are, the left-most one.
    """
    peer = scope.get("client")
    address = address_of(peer[0]) if peer else None
    if address is None or not trusted or not _is_one_of(address, trusted):
        return Caller(address, octets)
    values = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    for named in reversed(b",".join(values).decode("latin-1").rsplit(",", _MOST_PROXIES)):
        if not named.strip():
            continue
        before = address_of(named)
        if before is None:  # `unknown`, or nonsense: what stands to the left of it proves nothing
            return Caller(None, octets)
        address = before
        if not _is_one_of(address, trusted):
            break
    return Caller(address, octets)


def address_of(text: str) -> Address | None:
    """`192.0.2.7`, `::ffff:192.0.2.7`, and with a port as some proxies write it; None for what is no address."""
    return _parsed(text.strip()) if len(text) <= _MOST_CHARACTERS else None


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Address | None:
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return normalised(ipaddress.ip_address(text))
    except ValueError:
        return None


def _is_one_of(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)
