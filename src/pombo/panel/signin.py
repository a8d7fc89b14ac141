"""Coming in: by password, or by a code that lets in once; then by the second factor of whoever has one. And leaving."""

import secrets as random
import time
from datetime import timedelta
from typing import Final
from urllib.parse import quote

import asyncpg
import structlog
from litestar import get
from litestar.datastructures import Cookie

from pombo.account import password, second_factor
from pombo.account.people import Fault, Refused
from pombo.account.second_factor import Shown
from pombo.panel import session, tries, words
from pombo.panel.page import Page, act, act_public, form_of, redirect, render
from pombo.panel.session import Asked, address_of, doors_of, own_path, somebody
from pombo.panel.words import _, ngettext, noted
from pombo.store import second_factors, users
from pombo.store.audit import Actor

log = structlog.get_logger()

_PUBLIC = {"public": True}
_CHOOSE = "/perfil/seguranca"
_FIRST_STEPS = "/integracao/aparelho"
_SECOND = "/entrar/codigo"
_HALF: Final = "pombo_meio"  # the cookie of whoever is half-way in
_HALF_LENGTH = timedelta(minutes=10)
_MANY_WRONG = 3  # codes: fewer are one's own
_WHY = {
    Fault.CODE: noted("O código não confere, ou já foi usado. Espere o próximo do aplicativo."),
    Fault.SPENT: noted("Houve códigos errados demais. Agora só um código de recuperação entra."),
}


@get("/", opt=_PUBLIC)
async def home(request: Asked) -> Page:
    person = somebody(request)
    return redirect(request, "/entrar" if person is None else request.app.state.nav.home(person.role))


@get("/entrar", opt=_PUBLIC)
async def door(request: Asked, depois: str = "/") -> Page:
    if somebody(request) is not None:
        return redirect(request, own_path(depois))
    return _door(request, depois=own_path(depois))


@act_public("/entrar")
async def enter(request: Asked) -> Page:
    form = await form_of(request)
    email, depois = form.get("email", "").strip().lower(), own_path(form.get("depois", "/"))
    kept = "continuar" in form
    attempt = await tries.begin(request, email)
    if attempt.wait is not None:
        log.info("sign_in_held")
        wait = words.took(attempt.wait)
        said = _(
            "Muitas tentativas. Espere %(wait)s, ou peça um link de acesso a um administrador da sua conta.",
            wait=wait,
        )
        return _door(request, status=429, email=email, depois=depois, kept=kept, said=said)
    row = await users.by_email(doors_of(request).db, email)
    right = await password.fits(row["password_hash"] if row else None, form.get("senha", ""))
    if row is None or not right:
        said = _("E-mail ou senha não conferem.")
        return _door(request, status=401, email=email, depois=depois, kept=kept, said=said)
    await tries.succeeded(request, attempt)
    if row["has_second_factor"]:
        return await _half_way(request, row, by_code=False, kept=kept, depois=depois)
    return redirect(request, depois, cookies=await _arrival(request, row, by_code=False, kept=kept))


@get(_SECOND, opt=_PUBLIC)
async def second_door(request: Asked, depois: str = "/") -> Page:
    row = await second_factors.half(doors_of(request).db, _half_hmac(request))
    return _anew(request) if row is None else _second(request, row["email"], depois=own_path(depois))


@act_public(_SECOND)
async def enter_by_second(request: Asked) -> Page:
    """As many wrong codes as wrong passwords, then it takes as long."""
    doors, form, hmac = doors_of(request), await form_of(request), _half_hmac(request)
    row, depois = await second_factors.half(doors.db, hmac), own_path(form.get("depois", "/"))
    if row is None:
        return _anew(request)
    attempt = await tries.begin(request, row["email"], "code")
    if attempt.wait is not None:
        log.info("sign_in_held")
        wait = words.took(attempt.wait)
        said = _("Muitas tentativas. Espere %(wait)s.", wait=wait)
        return _second(request, row["email"], status=429, depois=depois, said=said)
    actor = Actor(f"panel:{row['email']}", address_of(request))
    before = await second_factors.of(doors.db, row["person_id"])
    try:
        shown = await second_factor.show(
            doors.db, doors.secrets, actor, row["person_id"], form.get("codigo", ""), time.time()
        )
    except Refused as refused:
        if refused.fault is Fault.GONE:
            return _anew(request)
        return _second(request, row["email"], status=401, depois=depois, said=_(_WHY[refused.fault]))  # type: ignore[index]
    await tries.succeeded(request, attempt)
    if before is None or not await second_factors.end_half(doors.db, hmac):
        return _anew(request)
    cookies = await _arrival(request, row, by_code=row["by_code"], kept=row["kept"])
    cookies.append(session.cookie(request, _HALF, "", 0))
    bad = before["wrong"] >= _MANY_WRONG
    return redirect(request, depois, said=_welcome(shown, before), bad=bad, cookies=cookies)


@get("/entrar/{code:str}", opt=_PUBLIC)
async def code_door(request: Asked, code: str, depois: str = "/") -> Page:
    """Looking does not use the code up: programs look at links before people do."""
    row = await users.code(doors_of(request).db, _code_hmac(request, code))
    if row is None:
        return _door(
            request, status=404, said=_("Este link já foi usado ou venceu. Entre com a senha, ou peça outro.")
        )
    return render(
        request, "code.html", email=row["email"], account=row["account"], code=code, depois=own_path(depois)
    )


@act_public("/entrar/{code:str}")
async def enter_by_code(request: Asked, code: str) -> Page:
    doors, form = doors_of(request), await form_of(request)
    hmac = _code_hmac(request, code)
    row = await users.code(doors.db, hmac)
    person_id = await users.use_code(doors.db, hmac)
    if row is None or person_id is None:
        return redirect(request, f"/entrar/{code}")
    depois = own_path(form.get("depois", "/"))
    if depois == "/":
        depois = _FIRST_STEPS if row["demo"] else _CHOOSE
    if row["has_second_factor"]:
        return await _half_way(request, row, by_code=True, kept=False, depois=depois)
    return redirect(request, depois, cookies=await _arrival(request, row, by_code=True, kept=False))


@act("/sair")
async def leave(request: Asked) -> Page:
    return redirect(request, "/entrar", cookies=[await session.end(request)])


@act_public("/idioma")
async def language(request: Asked) -> Page:
    """Of this browser; and of the person, where one is signed in."""
    form = await form_of(request)
    wanted = form.get("idioma", "")
    locale = wanted if wanted in words.LOCALES else words.LOCALES[0]
    person = somebody(request)
    if person is not None:
        await users.set_preferences(doors_of(request).db, person.id, locale=locale, theme=person.theme)
    cookies = [session.cookie(request, session.LANGUAGE, locale, 400 * 86400)]
    return redirect(request, own_path(form.get("depois", "/")), cookies=cookies)


def _door(
    request: Asked,
    *,
    status: int = 200,
    email: str = "",
    depois: str = "/",
    kept: bool = False,
    said: str = "",
) -> Page:
    return render(request, "signin.html", status=status, email=email, depois=depois, kept=kept, refusal=said)


async def _half_way(request: Asked, row: asyncpg.Record, *, by_code: bool, kept: bool, depois: str) -> Page:
    """No session yet: a cookie that leads to the second step alone, and ends soon."""
    doors, value = doors_of(request), random.token_urlsafe(32)
    await second_factors.begin_half(
        doors.db, doors.secrets.panel_hmac("half", value), row["person_id"],
        by_code=by_code, kept=kept, length=_HALF_LENGTH,
    )  # fmt: skip
    cookies = [session.cookie(request, _HALF, value, int(_HALF_LENGTH.total_seconds()))]
    return redirect(request, f"{_SECOND}?depois={quote(depois)}", cookies=cookies)


async def _arrival(request: Asked, row: asyncpg.Record, *, by_code: bool, kept: bool) -> list[Cookie]:
    return [
        await session.begin(request, row["person_id"], by_code=by_code, kept=kept),
        tries.known_from_now_on(request, row["email"]),
    ]


def _anew(request: Asked) -> Page:
    said = _("Comece de novo: já não se sabe quem estava entrando.")
    return redirect(request, "/entrar", said=said, bad=True)


def _second(request: Asked, email: str, *, depois: str, status: int = 200, said: str = "") -> Page:
    return render(request, "second_step.html", status=status, email=email, depois=depois, refusal=said)


def _welcome(shown: Shown, before: asyncpg.Record) -> str:
    """What people had better know, if anything. before: their second factor as it was."""
    said = []
    if shown is Shown.RECOVERY:
        said.append(
            ngettext(
                "Resta %(num)s código de recuperação.",
                "Restam %(num)s códigos de recuperação.",
                before["codes_left"] - 1,
            )
        )
    if before["wrong"] >= _MANY_WRONG:
        said.append(
            _(
                "Desde a última vez, quem sabe a sua senha errou o código %(times)s vezes. Se não foi você, troque-a.",
                times=words.count(before["wrong"]),
            )
        )
    return " ".join(said)


def _code_hmac(request: Asked, code: str) -> bytes:
    return doors_of(request).secrets.panel_hmac("code", code)


def _half_hmac(request: Asked) -> bytes:
    return doors_of(request).secrets.panel_hmac("half", request.cookies.get(_HALF, ""))


handlers = (home, door, enter, second_door, enter_by_second, code_door, enter_by_code, leave, language)
