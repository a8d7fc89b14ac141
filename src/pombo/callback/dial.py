"""From a host name to a connection, over addresses that the guard has passed.

A name is resolved by us, the answer filtered, and the very address that passed is dialled: there is no second
look-up whose answer could differ. Literal addresses take the same way.
"""

import asyncio
import ssl
from collections.abc import Callable, Sequence

from pombo.callback.connection import Connection
from pombo.callback.figures import Cause
from pombo.callback.guard import Address, may_dial
from pombo.callback.names import Names, Resolve
from pombo.config import Network

CONNECT_S = 5.0  # for one address; the attempt as a whole has its own limit


class DialError(Exception):
    """Its text is short and names no URL: it becomes `last_error`. address: dialled last, '' when none was."""

    def __init__(self, cause: Cause, text: str, address: str = "") -> None:
        super().__init__(text)
        self.cause = cause
        self.address = address


class Dialler:
    def __init__(self, *, allow: Sequence[Network], tls: ssl.SSLContext, resolve: Resolve) -> None:
        self._allow = tuple(allow)
        self._tls = tls
        self._names = Names(resolve)

    def close(self) -> None:
        self._names.close()

    async def connect(self, host: str, port: int, *, tls: bool, make: Callable[[], Connection]) -> Connection:
        """Raises DialError."""
        addresses = await self._addresses(host)
        for address in addresses:
            try:
                return await self._connect(address, host, port, tls, make)
            except OSError as error:  # the next address may do better
                failed = error
        raise DialError(*_said(failed, tls=tls), str(addresses[-1]))

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
        connection.address = str(address)
        return connection

    async def _addresses(self, host: str) -> list[Address]:
        """Those that may be dialled. Raises DialError when there is none."""
        found = await self._names.addresses(host)
        if not found:
            raise DialError(Cause.NAME, "name not found")
        allowed = [address for address in found if may_dial(address, self._allow)]
        if not allowed:
            raise DialError(Cause.GUARD, "address not allowed")
        return allowed


def _said(error: OSError, *, tls: bool) -> tuple[Cause, str]:
    match error:
        case TimeoutError():
            return Cause.TIMEOUT, "no connection in time"
        case ConnectionRefusedError():
            return Cause.REFUSED, "connection refused"
        case ssl.SSLCertVerificationError():
            return Cause.TLS, f"TLS: {error.verify_message}"[:200]
        case ssl.SSLError() | ConnectionError():
            return (Cause.TLS, "TLS handshake failed") if tls else (Cause.BROKEN, "connection reset")
        case _:
            return Cause.REFUSED, f"no connection: {error.strerror or type(error).__name__}"[:200]
