"""An account's API token as the hot path sees it, and the networks that it may come from."""

import ipaddress
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import asyncpg

from pombo.account.account import Account
from pombo.config import Network
from pombo.errors import PomboError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_MOST_NETWORKS = 100
_MAPPED_BITS = 96  # RFC 4291 §2.5.5.2: ::ffff:0:0/96 holds the addresses of IPv4


class Scope(StrEnum):
    SEND = "send"  # unitario.php, envio.php
    READ = "read"  # dlr.php, mo.php, saldo.php


class Token(NamedTuple):
    id: int
    account: Account  # with the token's id, and its class, where it has one
    scopes: frozenset[str]
    networks: tuple[Network, ...]  # empty: any
    account_networks: tuple[Network, ...]  # empty: any
    expires_at: float | None  # seconds since 1970

    @classmethod
    def of(cls, row: asyncpg.Record) -> "Token":
        account = Account.of(row)._replace(token_id=row["token_id"])
        if row["token_class"] is not None:
            account = account._replace(message_class=row["token_class"])
        expires_at: datetime | None = row["expires_at"]
        return cls(
            row["token_id"],
            account,
            frozenset(row["scopes"]),
            tuple(row["networks"]),
            tuple(row["account_networks"]),
            expires_at.timestamp() if expires_at else None,
        )

    def allows(self, scope: Scope, address: Address | None, now: float) -> bool:
        """address: None where it is not known, which fits no network. now: seconds since 1970."""
        return (
            scope in self.scopes
            and (self.expires_at is None or now < self.expires_at)
            and _within(address, self.networks)
            and _within(address, self.account_networks)
        )


def _within(address: Address | None, networks: tuple[Network, ...]) -> bool:
    return not networks or (address is not None and any(address in network for network in networks))


def normalised(address: Address) -> Address:
    """An IPv4 address that came in IPv6's clothes, as itself."""
    return getattr(address, "ipv4_mapped", None) or address


def parse_networks(text: str) -> list[Network]:
    """`192.0.2.7, 198.51.100.0/24, 2001:db8::/32`; none for `any`. Raises PomboError."""
    if text.strip().lower() == "any":
        return []
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise PomboError("Which networks? For example 192.0.2.7,198.51.100.0/24, or any.")
    if len(parts) > _MOST_NETWORKS:
        raise PomboError(f"Too many networks: {_MOST_NETWORKS} at most.")
    try:
        return sorted({_unmapped(ipaddress.ip_network(part)) for part in parts}, key=str)
    except ValueError as error:
        raise PomboError(f"{error}. Write networks as 192.0.2.7,198.51.100.0/24, or any.") from None


def _unmapped(network: Network) -> Network:
    inner = getattr(network.network_address, "ipv4_mapped", None)
    if inner is None or network.prefixlen < _MAPPED_BITS:
        return network
    return ipaddress.ip_network((inner, network.prefixlen - _MAPPED_BITS))
