"""Coming in: by password, or by a code that lets in once. And leaving."""

import structlog
from litestar import get, post

from pombo.account import password
from pombo.panel import session, tries, words
from pombo.panel.page import Page, act, form_of, redirect, render
from pombo.panel.session import Asked, doors_of, own_path, somebody
from pombo.panel.words import _
from pombo.store import users

log = structlog.get_logger()

_PUBLIC = {"public": True}
_CHOOSE = "/perfil/seguranca"


@get("/", opt=_PUBLIC)
async def home(request: Asked) -> Page:
    person = somebody(request)
    return redirect(request, "/entrar" if person is None else request.app.state.nav.home(person.role))


@get("/entrar", opt=_PUBLIC)
async def door(request: Asked, depois: str = "/") -> Page:
    if somebody(request) is not None:
        return redirect(request, own_path(depois))
    return _door(request, depois=own_path(depois))


@post("/entrar", opt=_PUBLIC, status_code=200)
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
    cookies = [
        await session.begin(request, row["person_id"], by_code=False, kept=kept),
        tries.known_from_now_on(request, email),
    ]
    return redirect(request, depois, cookies=cookies)


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


@post("/entrar/{code:str}", opt=_PUBLIC, status_code=200)
async def enter_by_code(request: Asked, code: str) -> Page:
    doors, form = doors_of(request), await form_of(request)
    hmac = _code_hmac(request, code)
    row = await users.code(doors.db, hmac)
    person_id = await users.use_code(doors.db, hmac)
    if row is None or person_id is None:
        return redirect(request, f"/entrar/{code}")
    depois = own_path(form.get("depois", "/"))
    if depois == "/" and not row["demo"]:
        depois = _CHOOSE
    cookies = [
        await session.begin(request, person_id, by_code=True, kept=False),
        tries.known_from_now_on(request, row["email"]),
    ]
    return redirect(request, depois, cookies=cookies)


@act("/sair")
async def leave(request: Asked) -> Page:
    return redirect(request, "/entrar", cookies=[await session.end(request)])


@post("/idioma", opt=_PUBLIC, status_code=200)
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


def _code_hmac(request: Asked, code: str) -> bytes:
    return doors_of(request).secrets.panel_hmac("code", code)


handlers = (home, door, enter, code_door, enter_by_code, leave, language)
