"""Contacts and blocks out of a file. It is read to its end before anything of it is kept."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, NamedTuple

from litestar.datastructures import UploadFile

from pombo import country
from pombo.account import blocking, contacts
from pombo.account.blocking import BlockList
from pombo.account.contacts import Fault, Refused
from pombo.campaign import upload
from pombo.campaign.reading import Fault as Unread
from pombo.campaign.reading import Unreadable
from pombo.panel.blocks import ended
from pombo.panel.contacts import FAULTS
from pombo.panel.page import Asked, Page, act, doors_of, person_of, redirect, show
from pombo.panel.people import EDITS, drawn
from pombo.panel.session import actor_of, posted
from pombo.panel.words import _, ngettext, noted
from pombo.store.contacts import Contact

_MOST_OCTETS = 10 * 1024 * 1024
_CHUNK_OCTETS = 64 * 1024
_EXAMPLES = 50  # rows by which the columns are guessed
_BAD_SHOWN = 50

_UNREAD = {
    Unread.EMPTY: noted("Escolha um arquivo que não esteja vazio."),
    Unread.NO_ROWS: noted("O arquivo só tem a linha de títulos."),
    Unread.TOO_MANY_ROWS: noted("O arquivo tem mais de 200.000 linhas: divida-o em partes."),
    Unread.TOO_MANY_COLUMNS: noted("O arquivo tem mais de 100 colunas: deixe só as que importam."),
    Unread.NO_TEXT: noted("Isto não é um CSV nem um XLSX. Abra-o na planilha e salve como CSV ou XLSX."),
    Unread.OLD_EXCEL: noted("Esta planilha é do formato antigo (.xls) ou tem senha. Salve como XLSX, sem senha, ou CSV."),
    Unread.NO_SHEET: noted("A planilha não tem nenhuma aba à mostra."),
    Unread.OPEN_QUOTE: noted("Na linha %(detail)s começam aspas que não terminam. Corrija-as e envie de novo."),
    Unread.BROKEN: noted("A planilha está danificada: abra-a, salve de novo e envie."),
    Unread.TOO_LARGE: noted("O arquivo é grande demais: até 10 MB, e sem planilhas que crescem ao abrir."),
}  # fmt: skip


class _NoNumbers(Exception):
    """No column has numbers in it."""


class _Bad(NamedTuple):
    line: int
    why: str


class _Found(NamedTuple):
    good: list[Any]
    bad: list[_Bad]


@show("/contatos/importar", *EDITS)
async def contacts_form(request: Asked) -> Page:
    return _page(request, "contacts")


@act("/contatos/importar", *EDITS, file_octets=_MOST_OCTETS)
async def import_contacts(request: Asked) -> Page:
    db, actor, account_id = doors_of(request).db, actor_of(request), person_of(request).account.id

    def read(columns: contacts.Columns, cells: Sequence[str]) -> Contact:
        return columns.read(cells)

    try:
        found = await _read(request, read)
    except (Unreadable, _NoNumbers) as error:
        return _page(request, "contacts", fault=_fault(error))
    added = changed = 0
    for at in range(0, len(found.good), contacts.PAGE):
        merged = await contacts.import_page(db, actor, account_id, found.good[at : at + contacts.PAGE])
        added, changed = added + merged.added, changed + merged.changed
    said = ngettext("%(num)s contato novo", "%(num)s contatos novos", added) + ", "
    said += ngettext("%(num)s atualizado.", "%(num)s atualizados.", changed)
    return _done(request, "contacts", found, said)


@show("/bloqueios/importar", *EDITS)
async def blocks_form(request: Asked) -> Page:
    return _page(request, "blocks")


@act("/bloqueios/importar", *EDITS, file_octets=_MOST_OCTETS)
async def import_blocks(request: Asked) -> Page:
    doors, of = doors_of(request), BlockList(person_of(request).account.id)

    def read(columns: contacts.Columns, cells: Sequence[str]) -> int:
        assert columns.number is not None
        number = country.normalise(cells[columns.number], None)
        if number is None:
            raise Refused(Fault.NUMBER)
        return number

    try:
        found = await _read(request, read)
    except (Unreadable, _NoNumbers) as error:
        return _page(request, "blocks", fault=_fault(error))
    added = messages = 0
    for at in range(0, len(found.good), blocking.PAGE):
        page = found.good[at : at + blocking.PAGE]
        blocked = await blocking.import_page(doors.db, actor_of(request), doors.secrets, of, page)
        added, messages = added + blocked.added, messages + blocked.ended
    said = ngettext("%(num)s número novo na lista.", "%(num)s números novos na lista.", added)
    return _done(request, "blocks", found, f"{said} {ended(messages)}".strip())


async def _read(request: Asked, read: Callable[[contacts.Columns, Sequence[str]], Any]) -> _Found:
    """read: a row's cells; raises Refused for those that cannot be kept. Raises Unreadable and _NoNumbers."""
    file = (await posted(request)).get("arquivo")
    if not isinstance(file, UploadFile):
        raise Unreadable(Unread.EMPTY)
    found = _Found([], [])
    async with upload.reader(_octets(file)) as frames:
        titles = await frames.titles()
        rows = [row async for row in frames.rows(_EXAMPLES)]
        columns = contacts.columns(titles, [row.cells for row in rows])
        if columns.number is None:
            frames.demand_end()
            raise _NoNumbers
        for row in rows:
            _keep(found, row.n, row.cells, columns, read)
        async for row in frames.rows():
            _keep(found, row.n, row.cells, columns, read)
        frames.demand_end()
    return found


def _keep(found: _Found, line: int, cells: Sequence[str], columns: contacts.Columns, read: Any) -> None:
    try:
        found.good.append(read(columns, cells))
    except Refused as refused:
        found.bad.append(_Bad(line, FAULTS[refused.fault]()))


def _fault(error: Unreadable | _NoNumbers) -> str:
    if isinstance(error, _NoNumbers):
        return _("Nenhuma coluna tem celulares. Ponha o título Celular na coluna deles.")
    return _(_UNREAD[error.fault], detail=error.detail)


async def _octets(file: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await file.read(_CHUNK_OCTETS):
        yield chunk


def _page(request: Asked, kind: str, *, fault: str = "", **context: Any) -> Page:
    given = {"said_of": "", "left_out": [], "left_out_count": 0, **context}
    return drawn(request, "import.html", status=422 if fault else 200, kind=kind, fault=fault, **given)


def _done(request: Asked, kind: str, found: _Found, said: str) -> Page:
    if not found.bad:
        return redirect(request, "/contatos" if kind == "contacts" else "/bloqueios", said=said)
    return _page(request, kind, said_of=said, left_out=found.bad[:_BAD_SHOWN], left_out_count=len(found.bad))


handlers = [contacts_form, import_contacts, blocks_form, import_blocks]
