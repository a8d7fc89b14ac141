"""Who guesses passwords has to wait; whose password it is does not.

Wrong passwords are counted for fifteen minutes, in the database, so on all nodes together: by address, and by e-mail.
Browsers that signed in with this e-mail before hold a cookie that says so, and are counted apart, each by itself: strangers
who use up the tries of an e-mail lock nobody out of a browser of theirs (OWASP, device cookies).
A one-time link always works. Codes of a second factor are counted apart from passwords: to whoever is asked for one, a
password or link was known, so nobody else can use up those tries.
"""

import hmac
import ipaddress
import secrets as random
from datetime import timedelta
from typing import Final, NamedTuple

from litestar.datastructures import Cookie

from pombo.account.secret import Secrets
from pombo.panel.session import Asked, address_of, cookie, doors_of
from pombo.store import users

WITHIN: Final = timedelta(minutes=15)
MOST_OF_EMAIL: Final = 5
MOST_OF_ADDRESS: Final = 30  # a whole office may be behind it
_COOKIE: Final = "pombo_navegador"
_KNOWN_S: Final = 400 * 86400


class Try(NamedTuple):
    """One password, counted before it is looked at."""

    ids: list[int]
    wait: timedelta | None  # there were too many: how long it takes until there may be one more


async def begin(request: Asked, email: str, what: str = "e-mail") -> Try:
    """what: is tried, "e-mail" with a password or "code" of a second factor. Raises Unavailable."""
    doors = doors_of(request)
    by_address = doors.secrets.panel_hmac("tries of address", _place(address_of(request)))
    by_email = doors.secrets.panel_hmac(f"tries of {what}", f"{email} {_known(request, email)}")
    begun = await users.begin_try(doors.db, [by_address, by_email], WITHIN)
    most = {by_address: MOST_OF_ADDRESS, by_email: MOST_OF_EMAIL}
    rows = await users.tries(doors.db, list(most), WITHIN)
    waits = [row["wait"] for row in rows if row["count"] > most[row["hmac"]]]
    if waits:  # what is refused counts for nothing: else whoever keeps trying would wait for ever
        await users.forget_tries(doors.db, begun["ids"])
        return Try([], max(waits))
    return Try(begun["ids"], None)


async def succeeded(request: Asked, attempt: Try) -> None:
    await users.forget_tries(doors_of(request).db, attempt.ids)


def known_from_now_on(request: Asked, email: str) -> Cookie:
    """For a browser that has signed in."""
    nonce = _known(request, email) or random.token_urlsafe(16)
    return cookie(
        request, _COOKIE, f"{nonce}.{_mark(doors_of(request).secrets, email, nonce)}", max_age_s=_KNOWN_S
    )


def _known(request: Asked, email: str) -> str:
    """What tells this browser apart from others that signed in with the e-mail; "" for a stranger's."""
    nonce, _, mark = request.cookies.get(_COOKIE, "").partition(".")
    right = _mark(doors_of(request).secrets, email, nonce)
    return nonce if nonce and hmac.compare_digest(mark.encode(), right.encode()) else ""


def _mark(secrets: Secrets, email: str, nonce: str) -> str:
    return secrets.panel_hmac("known browser", f"{email} {nonce}").hex()


def _place(address: str) -> str:
    """Of IPv6 the /64: whoever has one address there has them all."""
    if ":" in address:
        return str(int(ipaddress.IPv6Address(address.partition("%")[0])) >> 64)
    return address
