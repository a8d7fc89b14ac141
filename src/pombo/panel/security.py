"""Dados e segurança: one's name, password, and where one is signed in."""

from pombo.account import password, people
from pombo.account.password import Weak
from pombo.account.people import Fault, Refused
from pombo.panel import tries, words
from pombo.panel.page import Asked, Page, act, doors_of, form_of, person_of, redirect, render, show
from pombo.panel.session import actor_of
from pombo.panel.words import _, noted
from pombo.store import second_factors, users
from pombo.store.audit import changing

_PATH = "/perfil/seguranca"
_WHY = {
    Fault.WRONG: noted("A senha atual não confere."),
    Fault.NAME: noted("O nome é longo demais: no máximo 100 caracteres."),
    Weak.SHORT: noted("A senha nova é curta: pelo menos 10 caracteres."),
    Weak.LONG: noted("A senha nova é longa demais: no máximo 200 caracteres."),
    Weak.PLAIN: noted("A senha nova é fácil de adivinhar. Junte algumas palavras que só você ligaria."),
}
# What a browser calls itself, and what people call it; the first that fits.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("Firefox", "Firefox"),
    ("Chrom", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS = (
    ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"), ("Mac OS", "macOS"),
    ("CrOS", "ChromeOS"), ("Linux", "Linux"),
)  # fmt: skip


@show(_PATH)
async def security(request: Asked) -> Page:
    return await _page(request)


@act(f"{_PATH}/nome")
async def keep_name(request: Asked) -> Page:
    form, person = await form_of(request), person_of(request)
    try:
        async with changing(doors_of(request).db, actor_of(request), "user.name") as change:
            await people.set_name(change, person.id, form.get("nome", ""))
    except Refused as refused:
        return await _page(request, name_refused=_(_WHY[refused.fault]))
    return redirect(request, _PATH, said=_("Salvo."))


@act(f"{_PATH}/senha")
async def keep_password(request: Asked) -> Page:
    form, person, doors = await form_of(request), person_of(request), doors_of(request)
    new = form.get("nova", "")
    if new != form.get("de_novo", ""):
        return await _page(request, password_refused=_("As duas senhas novas não são iguais."))
    old = None if person.may_choose_password else form.get("atual", "")
    attempt = await tries.begin(request, person.email) if old is not None else None
    if attempt and attempt.wait is not None:
        wait = words.took(attempt.wait)
        return await _page(request, password_refused=_("Muitas tentativas. Espere %(wait)s.", wait=wait))
    try:
        async with changing(doors.db, actor_of(request), "user.password") as change:
            row = await users.person(change.db, None, person.id)
            assert row is not None
            ended = await people.choose_password(change, row, new, old, person.session_id)
    except Refused as refused:
        if attempt and refused.fault is not Fault.WRONG:
            await tries.succeeded(request, attempt)
        return await _page(request, password_refused=_(_WHY[refused.fault]))
    if attempt:
        await tries.succeeded(request, attempt)
    said = _("Senha trocada.")
    if ended:
        said += " " + words.ngettext(
            "%(num)s outra sessão foi encerrada.", "%(num)s outras sessões foram encerradas.", ended
        )
    return redirect(request, _PATH, said=said)


@act(f"{_PATH}/sessoes/{{session_id:int}}")
async def end_session(request: Asked, session_id: int) -> Page:
    await users.end_session(doors_of(request).db, person_of(request).id, session_id)
    return redirect(request, _PATH, said=_("Sessão encerrada."))


@act(f"{_PATH}/sessoes")
async def end_others(request: Asked) -> Page:
    person = person_of(request)
    await users.end_sessions(doors_of(request).db, person.id, but=person.session_id)
    return redirect(request, _PATH, said=_("As outras sessões foram encerradas."))


def device(browser: str) -> str:
    """`Chrome, Windows`: what people know it by."""
    found = [next((name for mark, name in marks if mark in browser), "") for marks in (_BROWSERS, _SYSTEMS)]
    return ", ".join(name for name in found if name) or browser[:40] or _("navegador desconhecido")


async def _page(request: Asked, *, name_refused: str = "", password_refused: str = "") -> Page:
    db, person = doors_of(request).db, person_of(request)
    factor = await second_factors.of(db, person.id)
    return render(
        request,
        "security.html",
        status=422 if name_refused or password_refused else 200,
        sessions=await users.sessions(db, person.id),
        factor=factor if factor and factor["on_since"] else None,
        device=device,
        name_refused=name_refused,
        password_refused=password_refused,
        least=password.LEAST_CHARACTERS,
    )


handlers = (security, keep_name, keep_password, end_session, end_others)
