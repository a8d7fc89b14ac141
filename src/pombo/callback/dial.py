"""From a host name to a connection, over addresses that the guard has passed.

A name is resolved by us, the answer filtered, and the very address that passed is dialled: there is no second
look-up whose answer could differ. Literal addresses take the same way.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

from pombo.callback.connection import Connection
from pombo.callback.guard import Address, may_dial
from pombo.config import Network

# Look-ups block a thread each. One per name at a time, so one customer's dead name server holds one thread.
RESOLVER_THREADS = 32
RESOLVED_FOR_S = 10.0
CONNECT_S = 5.0  # for one address; the attempt as a whole has its own limit

Resolve = Callable[[str], list[str]]


class DialError(Exception):
    """Its text is short and names no URL: it becomes `last_error`."""


def system_resolve(host: str) -> list[str]:
    """Every address of a host, as the system's resolver says. Blocks. Raises OSError."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class Dialler:
    def __init__(
        self, *, allow: Sequence[Network], tls: ssl.SSLContext, resolve: Resolve = system_resolve
    ) -> None:
        self._allow = tuple(allow)
        self._tls = tls
        self._resolve = resolve
        self._threads = ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix="resolve")
        self._known: dict[str, tuple[float, list[Address]]] = {}
        self._asking: dict[str, asyncio.Future[list[str]]] = {}

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def connect(self, host: str, port: int, *, tls: bool, make: Callable[[], Connection]) -> Connection:
        """Raises DialError."""
        error = "name has no address"
        for address in await self._addresses(host):
            try:
                return await self._connect(address, host, port, tls, make)
            except TimeoutError:
                error = "no connection in time"
            except ConnectionRefusedError:
                error = "connection refused"
            except ssl.SSLCertVerificationError as refused:
                error = f"TLS: {refused.verify_message}"[:200]
            except (ssl.SSLError, ConnectionError):
                error = "TLS handshake failed" if tls else "connection reset"
            except OSError as failed:
                error = f"no connection: {failed.strerror or type(failed).__name__}"[:200]
        raise DialError(error)

    async def _connect(
        self, address: Address, host: str, port: int, tls: bool, make: Callable[[], Connection]
    ) -> Connection:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_S):
            _, connection = await loop.create_connection(
                make,
                str(address),
                port,
                ssl=self._tls if tls else None,
                server_hostname=host if tls else None,
            )
        return connection

    async def _addresses(self, host: str) -> list[Address]:
        """Those that may be dialled. Raises DialError when there is none."""
        now = asyncio.get_running_loop().time()
        known = self._known.get(host)
        if known is None or known[0] < now:
            if len(self._known) > 10_000:
                self._known.clear()
            known = self._known[host] = (now + RESOLVED_FOR_S, [ip_address(a) for a in await self._ask(host)])
        allowed = [address for address in known[1] if may_dial(address, self._allow)]
        if not allowed:
            raise DialError("address not allowed")
        return allowed

    async def _ask(self, host: str) -> list[str]:
        asking = self._asking.get(host)
        if asking is None:
            asking = asyncio.get_running_loop().run_in_executor(self._threads, self._resolve, host)
            self._asking[host] = asking
            asking.add_done_callback(lambda done: self._asked(host, done))
        try:
            return await asyncio.shield(asking)
        except (OSError, UnicodeError):
            raise DialError("name not found") from None

    def _asked(self, host: str, done: "asyncio.Future[list[str]]") -> None:
        self._asking.pop(host, None)
        if not done.cancelled():
            done.exception()  # seen: whoever asked may have given up
