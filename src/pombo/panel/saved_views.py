"""Saved views of *Mensagens*: filters under a name, for all people of an account."""

import re
from typing import NamedTuple
from urllib.parse import unquote_plus

from litestar.exceptions import NotFoundException

from pombo.panel import filters
from pombo.panel.page import Asked, Page, act, doors_of, form_of, person_of, redirect
from pombo.panel.words import _, noted
from pombo.store import views

_MOST_NAME = 40
_BETWEEN_DIGITS = re.compile(r"[ +().-]")
_NUMBER = re.compile(r"\d{10}")  # with its area code; a day has eight


class View(NamedTuple):
    """view_id: None for those that everybody has."""

    name: str
    query: str
    view_id: int | None = None


_EVERYBODYS = (
    View(noted("Hoje"), ""),
    View(noted("Falhas de hoje"), "situacao=falhas"),
    View(noted("Sem DLR há 10 min"), "situacao=sem-dlr"),
    View(noted("Na fila"), "periodo=30d&situacao=na-fila"),
)


async def shown(request: Asked) -> list[View]:
    """Those that whoever asks may see."""
    own = [
        View(row["name"], row["query"], row["id"])
        for row in await views.views(doors_of(request).db, person_of(request).account.id)
        if _may_see(request, row["name"], row["query"])
    ]
    return [View(_(view.name), view.query) for view in _EVERYBODYS] + own


def _may_see(request: Asked, name: str, query: str) -> bool:
    """A view that looks for a number is none for those who see no number whole."""
    if person_of(request).role.sees_numbers:
        return True
    written = (_BETWEEN_DIGITS.sub("", unquote_plus(text)) for text in (name, query))
    return not any(map(_NUMBER.search, written))


@act("/mensagens/visoes")
async def save_view(request: Asked) -> Page:
    account, form = person_of(request).account, await form_of(request)
    name = " ".join(form.get("nome", "").split())[:_MOST_NAME]
    query = filters.of_query(form.get("filtros", "")).query()
    if not name or not name.isprintable():
        return redirect(request, f"/mensagens?{query}", said=_("Dê um nome à visão."), bad=True)
    if not _may_see(request, name, query):
        said = _("Visões com um número são de quem vê os números inteiros.")
        return redirect(request, f"/mensagens?{query}", said=said, bad=True)
    if not await views.save(doors_of(request).db, account.id, name, query):
        said = _("Sua conta já tem %(n)s visões: apague uma antes.", n=views.MOST)
        return redirect(request, f"/mensagens?{query}", said=said, bad=True)
    return redirect(request, f"/mensagens?{query}", said=_("Visão “%(name)s” salva.", name=name))


@act("/mensagens/visoes/{view_id:int}/apagar")
async def remove_view(request: Asked, view_id: int) -> Page:
    account = person_of(request).account
    if not await views.remove(doors_of(request).db, account.id, view_id):
        raise NotFoundException
    return redirect(request, "/mensagens", said=_("Visão apagada."))


handlers = (save_view, remove_view)
