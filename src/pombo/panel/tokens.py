"""Tokens de API: what each program signs in with. A token is shown once, when it is made."""

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
from litestar.exceptions import NotFoundException

from pombo.account import tokens as operations
from pombo.account.token import Scope, parse_networks
from pombo.errors import PomboError
from pombo.message import MessageClass
from pombo.panel.meaning import CLASSES
from pombo.panel.page import Asked, Page, Role, act, doors_of, form_of, person_of, redirect, render, show
from pombo.panel.session import actor_of
from pombo.panel.words import _, noted
from pombo.store import tokens
from pombo.store.audit import changing
from pombo.store.database import Database
from pombo.store.tokens import Terms

_WHO = (Role.ADMIN, Role.DEVELOPER)
_MOST = 100  # valid ones of an account
_MOST_NAME = 60
SCOPES = {Scope.SEND: noted("enviar"), Scope.READ: noted("consultar")}
ENDS = {"": noted("nunca"), "30": noted("em 30 dias"), "90": noted("em 90 dias"), "365": noted("em um ano")}
OVERLAPS = {"86400": noted("24 horas"), "604800": noted("7 dias"), "0": noted("nenhum: o antigo para já")}


class _Fault(Exception):
    """What somebody wrote cannot be. Its text is for them."""


@show("/integracao/tokens", *_WHO)
async def listed(request: Asked) -> Page:
    return await _drawn(request)


@act("/integracao/tokens", *_WHO)
async def add(request: Asked) -> Page:
    form, doors, account_id = await form_of(request), doors_of(request), person_of(request).account.id
    try:
        terms = _terms(form)
        if len(await tokens.tokens(doors.db, account_id, over=False)) >= _MOST:
            raise _Fault(_("São no máximo %(most)s tokens válidos. Revogue um que não usa mais.", most=_MOST))
    except _Fault as fault:
        return await _drawn(request, form=form, fault=str(fault))
    async with changing(doors.db, actor_of(request), "token.add") as change:
        token_id, token = await operations.add(change, doors.secrets, account_id, terms)
    return await _drawn(request, new=token, new_id=token_id)


@act("/integracao/tokens/{token_id:int}", *_WHO)
async def alter(request: Asked, token_id: int) -> Page:
    form, doors = await form_of(request), doors_of(request)
    try:
        given = _terms(form)
    except _Fault as fault:
        return await _drawn(request, fault=str(fault))
    async with changing(doors.db, actor_of(request), "token.set") as change:
        row = await _own(change.db, request, token_id)
        terms = given._replace(expires_at=row["expires_at"])
        if terms == Terms(
            row["name"], row["class"], sorted(row["scopes"]), row["networks"], row["expires_at"]
        ):
            change.nothing()
        else:
            await operations.alter(change, row, terms)
    return redirect(request, "/integracao/tokens", said=_("Token alterado."))


@act("/integracao/tokens/{token_id:int}/trocar", *_WHO)
async def rotate(request: Asked, token_id: int) -> Page:
    form, doors = await form_of(request), doors_of(request)
    overlap = form.get("folga", "")
    if overlap not in OVERLAPS:
        return await _drawn(request, fault=_("Escolha quanto tempo o token antigo ainda vale."))
    async with changing(doors.db, actor_of(request), "token.rotate") as change:
        row = await _own(change.db, request, token_id)
        rotated = await operations.rotate(change, doors.secrets, row, int(overlap))
    if rotated is None:
        return await _drawn(request, fault=_("Este token já não vale. Crie um novo."))
    new, token = rotated
    return await _drawn(request, new=token, new_id=new["id"], old_ends_at=new["ends_at"])


@act("/integracao/tokens/{token_id:int}/revogar", *_WHO)
async def revoke(request: Asked, token_id: int) -> Page:
    async with changing(doors_of(request).db, actor_of(request), "token.revoke") as change:
        await operations.revoke(change, await _own(change.db, request, token_id))
    return redirect(request, "/integracao/tokens", said=_("Token revogado. Ele parou de valer agora."))


async def _own(db: Database, request: Asked, token_id: int) -> asyncpg.Record:
    """Of the account of whoever asks; another one's is as good as none."""
    try:
        return await tokens.token(db, token_id, person_of(request).account.id)
    except PomboError:
        raise NotFoundException from None


def _terms(form: dict[str, str]) -> Terms:
    """Raises _Fault."""
    name = " ".join(form.get("nome", "").split())
    if not name or len(name) > _MOST_NAME or not name.isprintable():
        raise _Fault(
            _(
                "Dê um nome ao token, com no máximo %(most)s letras: assim se sabe quem o usa.",
                most=_MOST_NAME,
            )
        )
    scopes = sorted(scope.value for scope in Scope if form.get(scope.value))
    if not scopes:
        raise _Fault(_("Marque ao menos uma coisa que o token pode fazer."))
    chosen = form.get("classe", "")
    if chosen and chosen not in {str(int(one)) for one in MessageClass}:
        raise _Fault(_("Escolha uma das classes da lista."))
    written = form.get("enderecos", "").replace("\n", ",").replace(";", ",").strip(" ,\r")
    try:
        networks = parse_networks(written) if written else []
    except PomboError:
        raise _Fault(
            _(
                "Escreva os endereços como 192.0.2.7, 198.51.100.0/24; ou deixe vazio para valer de qualquer um."
            )
        ) from None
    days = form.get("fim", "")
    if days not in ENDS:
        raise _Fault(_("Escolha até quando o token vale."))
    ends_at = datetime.now(UTC) + timedelta(days=int(days)) if days else None
    return Terms(name, int(chosen) if chosen else None, scopes, networks, ends_at)


async def _drawn(
    request: Asked, *, form: dict[str, str] | None = None, fault: str = "", **context: Any
) -> Page:
    account = person_of(request).account
    rows = await tokens.tokens(doors_of(request).db, account.id, over=True)
    return render(
        request,
        "tokens.html",
        status=422 if fault else 200,
        valid=[row for row in rows if row["state"] == "valid"],
        over=[row for row in rows if row["state"] != "valid"][-20:],
        form={"nome": "", "classe": "", "enderecos": "", "fim": "", **(form or {"send": "1", "read": "1"})},
        fault=fault,
        classes=CLASSES,
        usual=CLASSES[MessageClass(account.message_class)],
        scopes=SCOPES,
        ends=ENDS,
        overlaps=OVERLAPS,
        most_name=_MOST_NAME,
        **{"new": "", "new_id": 0, "old_ends_at": None, **context},
    )


handlers = [listed, add, alter, rotate, revoke]
