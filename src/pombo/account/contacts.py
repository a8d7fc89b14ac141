"""What people do with an account's contacts. The trail says that somebody did, and keeps no name and no note: they must be
erasable."""

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from pombo import country
from pombo.errors import Taken
from pombo.store import contacts
from pombo.store.audit import Actor, changing
from pombo.store.contacts import Contact, Merged
from pombo.store.database import Database
from pombo.text.keyword import folded

PAGE = 1000  # contacts of a file that are kept in one transaction
MOST_NAME = 100
MOST_LABELS, MOST_LABEL = 20, 40
MOST_NOTE = 1000
_LABELS = re.compile(r"[,;|\n]")
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


class Fault(StrEnum):
    """Why something is no contact that can be kept."""

    NUMBER = "number"
    NAME = "name"  # too long, as those below
    LABELS = "labels"  # or too many
    NOTE = "note"
    TAKEN = "taken"  # another contact has the number
    GONE = "gone"  # there is no such contact (any more)


class Refused(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


def read(number: str, name: str = "", labels: str = "", note: str = "") -> Contact:
    """As people write it. labels: with commas, semicolons or line breaks between them. Raises Refused."""
    normalised = country.normalise(number, None)
    if normalised is None:
        raise Refused(Fault.NUMBER)
    name = _line(name)
    if len(name) > MOST_NAME:
        raise Refused(Fault.NAME)
    found: dict[str, str] = {}
    for label in map(_line, _LABELS.split(labels)):
        if label:
            found.setdefault(folded(label), label)
    if len(found) > MOST_LABELS or any(len(label) > MOST_LABEL for label in found.values()):
        raise Refused(Fault.LABELS)
    note = note.replace("\0", "").replace("\r\n", "\n").strip()
    if len(note) > MOST_NOTE:
        raise Refused(Fault.NOTE)
    return Contact(normalised, name, list(found.values()), note)


async def add(db: Database, actor: Actor, account_id: int, new: Contact) -> int:
    """Its id. Raises Refused."""
    try:
        async with changing(db, actor, "contact.add") as change:
            contact_id = await contacts.add(change.db, account_id, new)
            change.record(f"account {account_id}", after={"contact": contact_id})
    except Taken:
        raise Refused(Fault.TAKEN) from None
    return contact_id


async def change(db: Database, actor: Actor, account_id: int, contact_id: int, new: Contact) -> None:
    """Raises Refused."""
    try:
        async with changing(db, actor, "contact.set") as doing:
            before = await contacts.contact(doing.db, account_id, contact_id)
            if before is None or not await contacts.change(doing.db, account_id, contact_id, new):
                raise Refused(Fault.GONE)
            moved = [field for field, value in new._asdict().items() if before[field] != value]
            if moved:
                told = {"contact": contact_id, "changed": " ".join(moved)}
                doing.record(f"account {account_id}", after=told)
            else:
                doing.nothing()
    except Taken:
        raise Refused(Fault.TAKEN) from None


async def remove(db: Database, actor: Actor, account_id: int, contact_ids: Sequence[int]) -> int:
    """How many were there."""
    async with changing(db, actor, "contact.remove") as doing:
        removed = await contacts.remove(doing.db, account_id, contact_ids)
        if removed:
            doing.record(f"account {account_id}", before={"contacts": removed})
        else:
            doing.nothing()
    return removed


async def import_page(db: Database, actor: Actor, account_id: int, new: Sequence[Contact]) -> Merged:
    """Up to PAGE contacts in a transaction of its own. Of those with one number, the last counts."""
    by_number = {contact.number: contact for contact in new}
    async with changing(db, actor, "contact.import") as doing:
        merged = await contacts.merge(doing.db, account_id, list(by_number.values()))
        if any(merged):
            doing.record(f"account {account_id}", after=merged._asdict())
        else:
            doing.nothing()
    return merged


class Columns(NamedTuple):
    """Where in a file's rows they stand; None: nowhere."""

    number: int | None
    name: int | None
    labels: int | None
    note: int | None

    def read(self, cells: Sequence[str]) -> Contact:
        """Raises Refused."""
        return read(*("" if place is None else cells[place] for place in self))


_TITLES = (
    {"numero", "celular", "telefone", "fone", "tel", "whatsapp", "destino", "mobile", "phone", "number"},
    {"nome", "nome completo", "cliente", "contato", "name"},
    {"etiqueta", "etiquetas", "grupo", "grupos", "tag", "tags", "label", "labels", "marcadores"},
    {"observacao", "observacoes", "obs", "nota", "notas", "anotacao", "note", "notes"},
)


def columns(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Columns:
    """By their titles, and where none says which are the numbers: the one that has the most in these first rows."""
    keys = [" ".join(folded(title).split()) for title in titles]
    places = [next((place for place, key in enumerate(keys) if key in wanted), None) for wanted in _TITLES]
    if places[0] is None:
        counts = [
            sum(country.normalise(row[place], None) is not None for row in rows)
            for place in range(len(titles))
        ]
        best = max(range(len(counts)), key=counts.__getitem__, default=None)
        if best is not None and counts[best] and best not in places:
            places[0] = best
    return Columns(*places)


def _line(text: str) -> str:
    return " ".join(_INVISIBLE.sub(" ", text).split())
