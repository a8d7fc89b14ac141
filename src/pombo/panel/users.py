"""Usuários: who of the account uses the panel, and what each may do."""

from typing import Any

from litestar.exceptions import NotFoundException

from pombo.account import people
from pombo.account.people import Fault, Refused
from pombo.panel.page import Asked, Page, Role, act, doors_of, form_of, person_of, redirect, render, show
from pombo.panel.session import actor_of, base_url
from pombo.panel.words import _, noted
from pombo.store import users
from pombo.store.audit import changing

_PATH = "/perfil/usuarios"
_WHY = {
    Fault.EMAIL: noted("Isto não é um endereço de e-mail."),
    Fault.NAME: noted("O nome é longo demais: no máximo 100 caracteres."),
    Fault.TAKEN: noted("Este e-mail já entra no painel, nesta conta ou em outra."),
    Fault.LAST_ADMIN: noted("É o último administrador da conta. Dê o perfil a outra pessoa antes."),
}
_MAY = {
    Role.ADMIN: noted("Tudo, também usuários e configurações."),
    Role.SENDER: noted("Envia, faz campanhas, cuida dos contatos e responde."),
    Role.VIEWER: noted("Só olha; os números aparecem mascarados."),
    Role.DEVELOPER: noted("Tokens, callbacks e documentação; números mascarados."),
}


@show(_PATH, Role.ADMIN)
async def everybody(request: Asked) -> Page:
    return await _page(request)


@act(_PATH, Role.ADMIN)
async def add(request: Asked) -> Page:
    """The link is shown on the answer itself, this once."""
    form, doors = await form_of(request), doors_of(request)
    email, name = form.get("email", ""), form.get("nome", "")
    try:
        async with changing(doors.db, actor_of(request), "user.add") as change:
            added = await people.add(
                change, doors.secrets, person_of(request).account.id, email, _role(form), name
            )
    except Refused as refused:
        return await _page(request, refused=_(_WHY[refused.fault]), email=email, name=name, role=_role(form))  # type: ignore[index]
    return await _page(request, link=_link(request, added.code), link_for=email.strip())


@act(f"{_PATH}/{{person_id:int}}/link", Role.ADMIN)
async def invite(request: Asked, person_id: int) -> Page:
    doors, account_id = doors_of(request), person_of(request).account.id
    try:
        async with changing(doors.db, actor_of(request), "user.password") as change:
            code = await people.invite(change, doors.secrets, account_id, person_id)
    except Refused as refused:
        return await _refused(request, refused)
    row = await users.person(doors.db, account_id, person_id)
    return await _page(request, link=_link(request, code), link_for=row["email"] if row else "")


@act(f"{_PATH}/{{person_id:int}}/perfil", Role.ADMIN)
async def change_role(request: Asked, person_id: int) -> Page:
    form = await form_of(request)
    try:
        async with changing(doors_of(request).db, actor_of(request), "user.role") as change:
            await people.set_role(change, person_of(request).account.id, person_id, _role(form))
    except Refused as refused:
        return await _refused(request, refused)
    return redirect(request, _PATH, said=_("Perfil de acesso mudado. Vale a partir do próximo clique."))


@act(f"{_PATH}/{{person_id:int}}/remover", Role.ADMIN)
async def remove(request: Asked, person_id: int) -> Page:
    try:
        async with changing(doors_of(request).db, actor_of(request), "user.remove") as change:
            await people.remove(change, person_of(request).account.id, person_id)
    except Refused as refused:
        return await _refused(request, refused)
    return redirect(request, _PATH, said=_("Acesso retirado, com todas as sessões."))


def _role(form: dict[str, str]) -> Role:
    try:
        return Role(form.get("perfil", ""))
    except ValueError:
        return Role.VIEWER


def _link(request: Asked, code: str) -> str:
    return f"{doors_of(request).config.panel_url.rstrip('/') or base_url(request)}/entrar/{code}"


async def _refused(request: Asked, refused: Refused) -> Page:
    if refused.fault is Fault.GONE:
        raise NotFoundException from None
    return await _page(request, refused=_(_WHY[refused.fault]))  # type: ignore[index]


async def _page(
    request: Asked,
    *,
    refused: str = "",
    email: str = "",
    name: str = "",
    role: Role = Role.SENDER,
    link: str = "",
    link_for: str = "",
) -> Page:
    rows = await users.people(doors_of(request).db, person_of(request).account.id)
    given: dict[str, Any] = {
        "refused": refused,
        "email": email,
        "name": name,
        "role": role,
        "link": link,
        "link_for": link_for,
    }
    return render(
        request,
        "users.html",
        status=422 if refused else 200,
        people=rows,
        may=_MAY,
        roles=list(Role),
        **given,
    )


handlers = (everybody, add, invite, change_role, remove)
