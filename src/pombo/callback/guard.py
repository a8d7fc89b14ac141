"""Which addresses a callback may dial: the internet, and never the platform's own network.

Judged on the address that is dialled, never on how the URL spells it: `127.1`, `0x7f000001` and a name that
resolves to 127.0.0.1 are one and the same.
"""

import ipaddress
import socket
from collections.abc import Iterable

from pombo.config import Network

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# IANA IPv4 Special-Purpose Address Registry, what is not globally reachable; and addresses of clouds.
_REFUSED_4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network, unspecified
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT; metadata of one cloud (100.100.100.200)
        "127.0.0.0/8",
        "168.63.129.16/32",  # a cloud's host agent, on a public address
        "169.254.0.0/16",  # link-local; metadata of most clouds (169.254.169.254)
        "172.16.0.0/12",
        "192.0.0.0/24",  # IETF protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
# Only global unicast (RFC 4291 §2.4): this leaves out ::1, ::/96, fc00::/7, fe80::/10, ff00::/8.
_GLOBAL_6 = ipaddress.IPv6Network("2000::/3")
_REFUSED_6 = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # IETF protocol assignments: Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: wraps any IPv4 address
        "3fff::/20",  # documentation
    )
)
_NAT64 = ipaddress.IPv6Network(
    "64:ff9b::/96"
)  # RFC 6052: the last 32 bits are the IPv4 address really reached


def may_dial(address: Address, allow: Iterable[Network] = ()) -> bool:
    """True for an address on the internet, or in one of the networks that the operator allows."""
    allow = tuple(allow)
    if any(address.version == network.version and address in network for network in allow):
        return True
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _REFUSED_4)
    if address.ipv4_mapped is not None:
        return may_dial(address.ipv4_mapped, allow)
    if address in _NAT64:
        return may_dial(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF), allow)
    return address in _GLOBAL_6 and not any(address in network for network in _REFUSED_6)


def literal_address(host: str) -> Address | None:
    """The address that a host means without a look-up, in any spelling a resolver takes; None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))  # 127.1, 2130706433, 0177.0.0.1, 0x7f.1
    except (OSError, ValueError):
        return None
