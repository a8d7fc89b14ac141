"""Verificação em duas etapas: one's second factor turned on and off, and its recovery codes."""

import time
from contextlib import suppress
from typing import Any

import segno
from markupsafe import Markup

from pombo.account import second_factor
from pombo.account.people import Fault, Refused
from pombo.panel import tries, words
from pombo.panel.page import Asked, Page, act, doors_of, form_of, person_of, redirect, render, show
from pombo.panel.session import actor_of
from pombo.panel.words import _, noted
from pombo.store import second_factors
from pombo.store.audit import changing

_SECURITY = "/perfil/seguranca"
_PATH = f"{_SECURITY}/duas-etapas"
_ACTION = "user.second_factor"
_WHY: dict[object, str] = {
    Fault.WRONG: noted("A senha atual não confere."),
    Fault.CODE: noted("O código não confere, ou já foi usado. Espere o próximo do aplicativo."),
    Fault.SPENT: noted("Houve códigos errados demais. Agora só um código de recuperação entra."),
}


@show(_PATH)
async def state(request: Asked) -> Page:
    return await _page(request)


@act(_PATH)
async def begin(request: Asked) -> Page:
    """A new secret, each time that somebody begins."""
    doors = doors_of(request)
    with suppress(Refused):  # it is on: so says the page
        await second_factor.begin(doors.db, doors.secrets, person_of(request).id)
    return redirect(request, _PATH)


@act(f"{_PATH}/ligar")
async def turn_on(request: Asked) -> Page:
    """The recovery codes are shown on the answer itself, this once."""
    form, person, doors = await form_of(request), person_of(request), doors_of(request)
    attempt = await tries.begin(request, person.email)
    if attempt.wait is not None:
        return await _held(request, attempt)
    try:
        async with changing(doors.db, actor_of(request), _ACTION) as change:
            codes = await second_factor.turn_on(
                change, doors.secrets, person.id, form.get("senha", ""), form.get("codigo", ""),
                session_id=person.session_id, now_s=time.time(),
            )  # fmt: skip
    except Refused as refused:
        return await _refused(request, refused)
    await tries.succeeded(request, attempt)
    return await _page(request, codes=codes)


@act(f"{_PATH}/desligar")
async def turn_off(request: Asked) -> Page:
    attempt, refusal = await _proved(request)
    if refusal is not None:
        return refusal
    try:
        async with changing(doors_of(request).db, actor_of(request), _ACTION) as change:
            await second_factor.turn_off(change, person_of(request).id)
    except Refused as refused:
        return await _refused(request, refused)
    await tries.succeeded(request, attempt)
    return redirect(request, _SECURITY, said=_("A verificação em duas etapas está desligada."))


@act(f"{_PATH}/codigos")
async def renew_codes(request: Asked) -> Page:
    attempt, refusal = await _proved(request)
    if refusal is not None:
        return refusal
    doors = doors_of(request)
    try:
        async with changing(doors.db, actor_of(request), _ACTION) as change:
            codes = await second_factor.renew_codes(change, doors.secrets, person_of(request).id)
    except Refused as refused:
        return await _refused(request, refused)
    await tries.succeeded(request, attempt)
    return await _page(request, codes=codes)


async def _proved(request: Asked) -> tuple[tries.Try, Page | None]:
    """Password and code once more; else the page that says why not."""
    form, person, doors = await form_of(request), person_of(request), doors_of(request)
    attempt = await tries.begin(request, person.email)
    if attempt.wait is not None:
        return attempt, await _held(request, attempt)
    try:
        await second_factor.prove(
            doors.db, doors.secrets, actor_of(request), person.id,
            form.get("senha", ""), form.get("codigo", ""), time.time(),
        )  # fmt: skip
    except Refused as refused:
        return attempt, await _refused(request, refused)
    return attempt, None


async def _held(request: Asked, attempt: tries.Try) -> Page:
    said = _("Muitas tentativas. Espere %(wait)s.", wait=words.took(attempt.wait))
    return await _page(request, refused=said, status=429)


async def _refused(request: Asked, refused: Refused) -> Page:
    why = _WHY.get(refused.fault)
    if why is None:  # turned on or off meanwhile, perhaps in another tab
        return redirect(request, _PATH)
    return await _page(request, refused=_(why), status=422)


async def _page(
    request: Asked, *, codes: list[str] | None = None, refused: str = "", status: int = 200
) -> Page:
    """codes: recovery codes that were made a moment ago."""
    doors, person = doors_of(request), person_of(request)
    row = await second_factors.of(doors.db, person.id)
    begun: dict[str, Any] = {"qr": "", "secret": ""}
    if row is not None and row["on_since"] is None:
        secret = doors.secrets.unseal(row["secret_sealed"])
        begun = {"qr": _qr(second_factor.uri(secret, person.email)), "secret": second_factor.written(secret)}
    factor = None if row is None or row["on_since"] is None else row
    return render(
        request,
        "second_factor.html",
        status=status,
        factor=factor,
        codes=codes or [],
        refused=refused,
        **begun,
    )


def _qr(text: str) -> Markup:
    """Dark on light in both themes: cameras want it so. Without styles, which the policy forbids."""
    code = segno.make(text, error="m", micro=False)
    title = _("Código QR com a chave abaixo")
    svg = code.svg_inline(border=4, light="#fff", svgclass="qr", lineclass=None, omitsize=True, title=title)
    return Markup(svg)  # noqa: S704 - made of numbers, and the title that it escapes


handlers = (state, begin, turn_on, turn_off, renew_codes)
