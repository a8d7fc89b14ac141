"""What the pages of contacts, conversations, blocks and templates have in common."""

import re
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from litestar.exceptions import NotFoundException

from pombo import country
from pombo.account.people import Role
from pombo.panel.page import Page, render
from pombo.panel.session import Asked, person_of
from pombo.panel.words import _, voice, when
from pombo.text.keyword import folded

EDITS = (Role.ADMIN, Role.SENDER)
MOST_QUERY = 100  # characters
_PHONE = re.compile(r"[\d\s()+.-]+", re.ASCII)


def drawn(request: Asked, template: str, **context: Any) -> Page:
    """may_write: whether whoever looks may do more than look."""
    return render(request, template, may_write=person_of(request).role in EDITS, **context)


class Sought(NamedTuple):
    """What somebody wrote into a search box: a piece of a number, a piece of a name, or a number."""

    digits: str = ""
    name: str = ""
    number: int | None = None


def searched(request: Asked, q: str) -> Sought:
    """Who may not see numbers finds one that they know, and cannot find one out digit by digit."""
    q = " ".join(q.split())[:MOST_QUERY]
    if not q:
        return Sought()
    digits = "".join(char for char in q if char.isascii() and char.isdigit()) if _PHONE.fullmatch(q) else ""
    if not digits:
        return Sought(name=folded(q))
    if not person_of(request).role.sees_numbers:
        return Sought(name=folded(q), number=country.normalise(q, None))
    return Sought(digits.lstrip("0"), folded(q), country.normalise(q, None))


def known(given: int) -> int:
    """An id out of an address, which may be any number."""
    if not 0 < given < 2**63:
        raise NotFoundException
    return given


def lately(at: datetime, *, with_time: bool = False) -> str:
    """`17:42` of today, then `ontem` and `12/11`; with_time: on those days, too."""
    zone = voice().zone
    local, today = at.astimezone(zone), datetime.now(zone).date()
    if local.date() == today:
        return f"{local:%H:%M}"
    if with_time:
        return when(at)
    if local.date() == today - timedelta(days=1):
        return _("ontem")
    return when(at).rpartition(",")[0] or when(at).partition(" ")[0]
