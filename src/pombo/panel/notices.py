"""Avisos, the bell at the top: what somebody of the account should look at, as far as they may see it."""

from datetime import UTC, datetime
from typing import NamedTuple

from pombo.panel.campaign_words import STOPS
from pombo.panel.page import Asked, Page, act, doors_of, person_of, render, show
from pombo.panel.words import _, count, money, ngettext, when
from pombo.store import attention
from pombo.store.attention import Happening, Kind

_CALLBACKS, _TOKENS, _REPORTS, _MESSAGES = (
    "/integracao/callbacks", "/integracao/tokens", "/relatorios", "/mensagens",
)  # fmt: skip


class Notice(NamedTuple):
    page: str  # whoever may not open it is not told
    path: str
    icon: str
    colour: str
    text: str
    at: datetime
    unseen: bool


@show("/avisos")
async def notices(request: Asked) -> Page:
    person = person_of(request)
    happened = await attention.of(doors_of(request).db, person.account.id, person.id)
    found = [notice for notice in map(_told, happened) if request.app.state.nav.has(notice.page, person.role)]
    unseen = sum(notice.unseen for notice in found)
    return render(request, "parts/notices.html", notices=found, unseen=unseen)


@act("/avisos/vistos")
async def seen(request: Asked) -> Page:
    await attention.see(doors_of(request).db, person_of(request).id)
    return render(request, "parts/notices_count.html", unseen=0)


def _told(one: Happening) -> Notice:
    page, path, icon, colour, text = _words(one)
    return Notice(page, path or page, icon, colour, text, one.at, one.unseen)


def _words(one: Happening) -> tuple[str, str, str, str, str]:
    """Page, the way on it, icon, colour and sentence."""
    match one.kind:
        case Kind.CAMPAIGN_DONE:
            text = _("A campanha “%(name)s” terminou: %(n)s aceitas.", name=one.name, n=count(one.number))
            return "/campanhas", f"/campanhas/{one.subject_id}", "check", "ok", text
        case Kind.CAMPAIGN_STOPPED:
            text = _("A campanha “%(name)s” parou sozinha.", name=one.name)
            why = STOPS.get(one.detail, "")
            return (
                "/campanhas",
                f"/campanhas/{one.subject_id}",
                "player-pause",
                "bad",
                f"{text} {_(why) if why else ''}",
            )
        case Kind.CALLBACKS_PARKED:
            text = ngettext(
                "%(num)s callback não foi confirmado, e não é mais tentado.",
                "%(num)s callbacks não foram confirmados, e não são mais tentados.",
                one.number,
            )
            return _CALLBACKS, f"{_CALLBACKS}?situacao=parked&dias=30", "webhook", "warn", text
        case Kind.BALANCE_LOW:
            return _REPORTS, "", "wallet", "warn", _("Saldo baixo: restam %(left)s.", left=money(one.number))
        case Kind.BALANCE_OVER:
            text = _("O saldo acabou: mensagens são recusadas até a próxima recarga.")
            return _REPORTS, "", "wallet", "bad", text
        case Kind.PREFIX_LIMIT:
            text = _("Mensagens a números em sequência passaram do limite da conta e são recusadas.")
            return _MESSAGES, "", "ban", "warn", text
        case Kind.TOKEN_ENDS:
            over = one.until is not None and one.until <= datetime.now(UTC)
            text = (
                _("O token “%(name)s” parou de valer %(at)s.", name=one.name, at=when(one.until))
                if over
                else _("O token “%(name)s” para de valer %(at)s.", name=one.name, at=when(one.until))
            )
            return _TOKENS, "", "key", "bad" if over else "warn", text


handlers = (notices, seen)
