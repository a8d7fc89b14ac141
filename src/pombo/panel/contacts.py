"""Contatos: whom the account writes to, by name."""

from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlencode

from litestar.exceptions import NotFoundException
from litestar.response import Stream

from pombo.account import contacts as operations
from pombo.account.contacts import MOST_LABEL, MOST_LABELS, MOST_NAME, MOST_NOTE, Fault, Refused
from pombo.country import shown as number_shown
from pombo.panel import sheet
from pombo.panel.page import HEADERS, Asked, Page, act, doors_of, form_of, person_of, redirect, show
from pombo.panel.people import EDITS, drawn, known, searched
from pombo.panel.session import actor_of
from pombo.panel.words import _
from pombo.store import contacts, conversations
from pombo.store.contacts import Which
from pombo.text.keyword import folded

_PAGE, _EXPORT_PAGE = 50, 1000
FAULTS = {
    Fault.NUMBER: lambda: _(
        "Escreva um celular do Brasil com DDD, como (11) 98765-4321, ou de outro país com + e o código, como +351 912"
        " 345 678."
    ),
    Fault.NAME: lambda: _("O nome tem no máximo %(most)s caracteres.", most=MOST_NAME),
    Fault.LABELS: lambda: _(
        "São no máximo %(labels)s etiquetas de até %(most)s caracteres.", labels=MOST_LABELS, most=MOST_LABEL
    ),
    Fault.NOTE: lambda: _("A observação tem no máximo %(most)s caracteres.", most=MOST_NOTE),
    Fault.TAKEN: lambda: _("Este número já está nos contatos. Busque por ele para mudar o que está lá."),
    Fault.GONE: lambda: _("Este contato já foi removido."),
}


@show("/contatos")
async def listed(request: Asked, q: str = "", etiqueta: str = "", depois: int = 0) -> Page:
    db, account_id = doors_of(request).db, person_of(request).account.id
    q, etiqueta = q.strip()[:100], etiqueta[:MOST_LABEL]
    which = Which(*searched(request, q), etiqueta)
    last = await contacts.contact(db, account_id, known(depois)) if depois else None
    after = None if last is None else (folded(last["name"]), last["id"])
    rows = await contacts.listed(db, account_id, which, after, _PAGE + 1)
    asked = {key: value for key, value in (("q", q), ("etiqueta", etiqueta)) if value}
    shown, labels = rows[:_PAGE], await contacts.labels(db, account_id)
    more = _address("/contatos", {**asked, "depois": str(shown[-1]["id"])}) if len(rows) > _PAGE else ""
    return drawn(
        request, "contacts.html",
        contacts=shown, found=await contacts.counted(db, account_id, which), q=q, chosen=etiqueta,
        labels=[(row["label"], row["contacts"], f"/contatos?{urlencode({'etiqueta': row['label']})}") for row in labels],
        more=more, first=after is None, start=_address("/contatos", asked), export=_address("/contatos/exportar", asked),
    )  # fmt: skip


@show("/contatos/novo", *EDITS)
async def new(request: Asked, conversa: int = 0) -> Page:
    """conversa: whose number it is."""
    given: dict[str, str] = {}
    if conversa:
        db, account_id = doors_of(request).db, person_of(request).account.id
        row = await conversations.conversation(db, account_id, known(conversa))
        if row is None or row["number"] is None:
            raise NotFoundException
        if row["contact_id"] is not None:
            return redirect(request, f"/contatos/{row['contact_id']}")
        given["numero"] = number_shown(str(row["number"]))
    return await _form(request, given)


@act("/contatos", *EDITS)
async def add(request: Asked) -> Page:
    form = await form_of(request)
    try:
        contact = _read(form)
        await operations.add(doors_of(request).db, actor_of(request), person_of(request).account.id, contact)
    except Refused as refused:
        return await _form(request, form, fault=FAULTS[refused.fault]())
    return redirect(request, "/contatos", said=_("Contato salvo."))


@show("/contatos/{contact_id:int}", *EDITS)
async def edit(request: Asked, contact_id: int) -> Page:
    row = await contacts.contact(doors_of(request).db, person_of(request).account.id, known(contact_id))
    if row is None:
        raise NotFoundException
    given = {
        "numero": number_shown(str(row["number"])),
        "nome": row["name"],
        "etiquetas": ", ".join(row["labels"]),
        "observacao": row["note"],
    }
    return await _form(request, given, contact_id=contact_id)


@act("/contatos/{contact_id:int}", *EDITS)
async def change(request: Asked, contact_id: int) -> Page:
    form, db, account_id = await form_of(request), doors_of(request).db, person_of(request).account.id
    try:
        await operations.change(db, actor_of(request), account_id, known(contact_id), _read(form))
    except Refused as refused:
        if refused.fault is Fault.GONE:
            raise NotFoundException from None
        return await _form(request, form, contact_id=contact_id, fault=FAULTS[refused.fault]())
    return redirect(request, "/contatos", said=_("Contato salvo."))


@act("/contatos/{contact_id:int}/remover", *EDITS)
async def remove(request: Asked, contact_id: int) -> Page:
    db, account_id = doors_of(request).db, person_of(request).account.id
    if not await operations.remove(db, actor_of(request), account_id, [known(contact_id)]):
        raise NotFoundException
    return redirect(request, "/contatos", said=_("Contato removido."))


@show("/contatos/exportar", *EDITS)
async def export(request: Asked, q: str = "", etiqueta: str = "") -> Stream:
    """All that fit, as CSV."""
    db, account_id = doors_of(request).db, person_of(request).account.id
    which = Which(*searched(request, q), etiqueta[:MOST_LABEL])
    head = (_("Nome"), _("Número"), _("Etiquetas"), _("Observação"), _("Desde"))
    zone = person_of(request).account.zone

    async def rows() -> AsyncIterator[list[list[sheet.Cell]]]:
        after: tuple[str, int] | None = None
        while page := await contacts.listed(db, account_id, which, after, _EXPORT_PAGE):
            after = (page[-1]["folded"], page[-1]["id"])
            yield [
                [
                    row["name"], number_shown(str(row["number"])), ", ".join(row["labels"]), row["note"],
                    row["created_at"].astimezone(zone),
                ]
                for row in page
            ]  # fmt: skip

    headers = {
        **HEADERS,
        "Content-Disposition": 'attachment; filename="contatos.csv"',
    }
    return Stream(
        sheet.write(sheet.CSV, head, rows()), media_type=sheet.CONTENT_TYPES[sheet.CSV], headers=headers
    )


def _address(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _read(form: Mapping[str, str]) -> contacts.Contact:
    return operations.read(*(form.get(name, "") for name in ("numero", "nome", "etiquetas", "observacao")))


async def _form(
    request: Asked, given: Mapping[str, str], *, contact_id: int | None = None, fault: str = ""
) -> Page:
    db, account_id = doors_of(request).db, person_of(request).account.id
    used = [row["label"] for row in await contacts.labels(db, account_id)]
    return drawn(
        request, "contact.html", status=422 if fault else 200,
        contact_id=contact_id, number=given.get("numero", ""), name=given.get("nome", ""),
        labels=given.get("etiquetas", ""), note=given.get("observacao", ""), used=used, fault=fault,
        most_name=MOST_NAME, most_note=MOST_NOTE,
    )  # fmt: skip


handlers = [listed, new, add, export, edit, change, remove]
