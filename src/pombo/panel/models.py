"""Modelos: texts that are used again and again, here and wherever something is written."""

from collections.abc import Mapping

from litestar.exceptions import NotFoundException

from pombo.account import templates as operations
from pombo.account.templates import MOST, MOST_BODY, MOST_NAME, Fault, Refused
from pombo.message import MessageClass
from pombo.panel.meaning import CLASSES
from pombo.panel.page import Asked, Page, act, doors_of, form_of, person_of, redirect, show
from pombo.panel.people import EDITS, drawn, known
from pombo.panel.session import actor_of
from pombo.panel.words import _, phone
from pombo.store import conversations, templates
from pombo.text import variables

_FAULTS = {
    Fault.NO_NAME: lambda: _("Dê um nome ao modelo."),
    Fault.NAME: lambda: _("O nome tem no máximo %(most)s caracteres.", most=MOST_NAME),
    Fault.NO_BODY: lambda: _("Escreva o texto do modelo."),
    Fault.BODY: lambda: _("O texto tem no máximo %(most)s caracteres.", most=MOST_BODY),
    Fault.CLASS: lambda: _("Escolha uma das classes da lista."),
    Fault.TAKEN: lambda: _("Já existe um modelo com este nome. Escolha outro."),
    Fault.MOST: lambda: _("São no máximo %(most)s modelos. Remova um que não usa mais.", most=MOST),
    Fault.GONE: lambda: _("Este modelo já foi removido."),
}


@show("/modelos")
async def listed(request: Asked) -> Page:
    rows = await templates.listed(doors_of(request).db, person_of(request).account.id)
    shown = [(row, variables.names(row["body"])) for row in rows]
    return drawn(request, "models.html", models=shown, classes=CLASSES)


@show("/modelos/novo", *EDITS)
async def new(request: Asked) -> Page:
    return _form(request, {})


@act("/modelos", *EDITS)
async def add(request: Asked) -> Page:
    form = await form_of(request)
    try:
        model = operations.read(form.get("nome", ""), form.get("texto", ""), form.get("classe", ""))
        await operations.add(doors_of(request).db, actor_of(request), person_of(request).account.id, model)
    except Refused as refused:
        return _form(request, form, fault=_FAULTS[refused.fault]())
    return redirect(request, "/modelos", said=_("Modelo salvo."))


@show("/modelos/opcoes")
async def options(request: Asked, alvo: str = "", conversa: int = 0) -> Page:
    """To be put into a field (alvo: its id); with the variables filled in that are known of a conversation's handset."""
    db, account_id = doors_of(request).db, person_of(request).account.id
    values: dict[str, str] = {}
    if conversa:
        row = await conversations.conversation(db, account_id, known(conversa))
        if row is not None and row["name"]:
            values = {"nome": row["name"], "numero": phone(row["handset"])}
    rows = await templates.listed(db, account_id)
    shown = [(row["name"], variables.fill(row["body"], values)) for row in rows]
    return drawn(request, "parts/model_options.html", models=shown, target=alvo)


@show("/modelos/{model_id:int}", *EDITS)
async def edit(request: Asked, model_id: int) -> Page:
    row = await templates.template(doors_of(request).db, person_of(request).account.id, known(model_id))
    if row is None:
        raise NotFoundException
    chosen = "" if row["class"] is None else str(row["class"])
    return _form(request, {"nome": row["name"], "texto": row["body"], "classe": chosen}, model_id=model_id)


@act("/modelos/{model_id:int}", *EDITS)
async def change(request: Asked, model_id: int) -> Page:
    form, db, account_id = await form_of(request), doors_of(request).db, person_of(request).account.id
    try:
        model = operations.read(form.get("nome", ""), form.get("texto", ""), form.get("classe", ""))
        await operations.change(db, actor_of(request), account_id, known(model_id), model)
    except Refused as refused:
        if refused.fault is Fault.GONE:
            raise NotFoundException from None
        return _form(request, form, model_id=model_id, fault=_FAULTS[refused.fault]())
    return redirect(request, "/modelos", said=_("Modelo salvo."))


@act("/modelos/{model_id:int}/remover", *EDITS)
async def remove(request: Asked, model_id: int) -> Page:
    db, account_id = doors_of(request).db, person_of(request).account.id
    if not await operations.remove(db, actor_of(request), account_id, known(model_id)):
        raise NotFoundException
    return redirect(request, "/modelos", said=_("Modelo removido."))


def _form(request: Asked, given: Mapping[str, str], *, model_id: int | None = None, fault: str = "") -> Page:
    account = person_of(request).account
    return drawn(
        request,
        "model.html",
        status=422 if fault else 200,
        model_id=model_id,
        name=given.get("nome", ""),
        text=given.get("texto", ""),
        chosen=given.get("classe", ""),
        classes=CLASSES,
        usual=CLASSES[MessageClass(account.message_class)],
        fault=fault,
        most_name=MOST_NAME,
        most_body=MOST_BODY,
        text_mode=account.text_mode,
    )


handlers = [listed, new, add, options, edit, change, remove]
