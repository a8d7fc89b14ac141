"""Bloqueios: numbers that the account must not write to. They are kept as keyed hashes: a list can be asked about one."""

from typing import Any

from pombo import country
from pombo.account import blocking
from pombo.account.blocking import BlockList, NotListed, OptedOut
from pombo.number import masked
from pombo.panel.page import Asked, Page, act, doors_of, form_of, person_of, redirect, show
from pombo.panel.people import EDITS, drawn
from pombo.panel.session import actor_of
from pombo.panel.words import _, ngettext
from pombo.store import blocks
from pombo.store.audit import changing

_RECENT = 20


@show("/bloqueios")
async def listed(request: Asked) -> Page:
    return await _page(request)


@act("/bloqueios/consultar")
async def check(request: Asked) -> Page:
    """The number stands in the form and not in the address."""
    typed = (await form_of(request)).get("numero", "")
    number = country.normalise(typed, None)
    if number is None:
        return await _page(request, typed=typed, fault=_no_number())
    return await _page(request, typed=typed, checked=number)


@act("/bloqueios", *EDITS)
async def add(request: Asked) -> Page:
    doors, typed = doors_of(request), (await form_of(request)).get("numero", "")
    number = country.normalise(typed, None)
    if number is None:
        return await _page(request, typed=typed, fault=_no_number())
    async with changing(doors.db, actor_of(request), "block.add") as change:
        blocked = await blocking.block(change, doors.secrets, _list(request), number)
    said = _("%(number)s já estava bloqueado.", number=masked(number))
    if blocked.added:
        said = _("%(number)s está bloqueado.", number=masked(number))
    return redirect(request, "/bloqueios", said=f"{said} {ended(blocked.ended)}".strip())


@act("/bloqueios/remover", *EDITS)
async def remove(request: Asked) -> Page:
    """pediu: the person, who opted out, has asked to come back."""
    doors, form = doors_of(request), await form_of(request)
    typed = form.get("numero", "")
    number = country.normalise(typed, None)
    if number is None:
        return await _page(request, typed=typed, fault=_no_number())
    try:
        async with changing(doors.db, actor_of(request), "block.remove") as change:
            await blocking.unblock(change, doors.secrets, _list(request), number, asked_back="pediu" in form)
    except NotListed:
        return await _page(request, typed=typed, checked=number)
    except OptedOut:
        fault = _(
            "Confirme que a pessoa pediu para voltar a receber: fica registrado quem confirmou e quando."
        )
        return await _page(request, typed=typed, checked=number, fault=fault)
    return redirect(request, "/bloqueios", said=_("%(number)s pode receber de novo.", number=masked(number)))


def ended(messages: int) -> str:
    """What a block has ended, in words; '' for nothing."""
    if not messages:
        return ""
    return ngettext(
        "%(num)s mensagem de marketing que esperava por ele foi cancelada.",
        "%(num)s mensagens de marketing que esperavam por ele foram canceladas.",
        messages,
    )


def _no_number() -> str:
    return _(
        "Escreva um celular do Brasil com DDD, como (11) 98765-4321, ou de outro país com + e o código, como +351 912"
        " 345 678."
    )


def _list(request: Asked) -> BlockList:
    return BlockList(person_of(request).account.id)


async def _page(request: Asked, *, typed: str = "", checked: int | None = None, fault: str = "") -> Page:
    doors, account_id = doors_of(request).db, person_of(request).account.id
    counts = {row["reason"]: row for row in await blocks.counted(doors, account_id)}
    context: dict[str, Any] = {"own": None, "everybody": None}
    if checked is not None:
        for entry in await blocks.lists_of(doors, doors_of(request).secrets.number_hmac(checked)):
            if entry["account_id"] == account_id:
                context["own"] = entry
            elif entry["account_id"] == blocks.EVERYBODY:
                context["everybody"] = entry
    return drawn(
        request, "blocks.html", status=422 if fault else 200,
        counts=counts, total=sum(row["numbers"] for row in counts.values()),
        recent=await blocks.recent_opt_outs(doors, account_id, _RECENT),
        typed=typed, checked=checked, fault=fault, **context,
    )  # fmt: skip


handlers = [listed, check, add, remove]
