"""Contacts and templates, on the real store."""

import pytest

from pombo.errors import Taken
from pombo.store import contacts, templates
from pombo.store.contacts import Contact, Merged, Which
from pombo.store.database import Database
from pombo.store.templates import Template

pytestmark = pytest.mark.anyio

ANA, BIA, CID = 5511999990001, 5511999990002, 5521999990003


@pytest.fixture
async def db(database: Database) -> Database:
    await database.execute("insert into account (name) values ('a'), ('b')")
    return database


async def found(db: Database, account_id: int = 1, **which: object) -> list[str]:
    rows = await contacts.listed(db, account_id, Which(**which), None, 10)
    assert await contacts.counted(db, account_id, Which(**which)) == len(rows)
    return [row["name"] for row in rows]


async def test_a_number_has_one_contact_in_an_account(db: Database) -> None:
    ana = await contacts.add(db, 1, Contact(ANA, "Ana"))
    bia = await contacts.add(db, 1, Contact(BIA, "Bia"))
    await contacts.add(db, 2, Contact(ANA, "Ana de outra conta"))
    with pytest.raises(Taken):
        await contacts.add(db, 1, Contact(ANA, "Ana 2"))
    with pytest.raises(Taken):
        await contacts.change(db, 1, bia, Contact(ANA, "Bia"))

    assert await contacts.change(db, 1, ana, Contact(CID, "Ána", ["vip"], "nova"))
    assert not await contacts.change(db, 2, ana, Contact(CID, "roubada"))
    row = await contacts.contact(db, 1, ana)
    assert row is not None
    assert (row["number"], row["name"], row["labels"], row["note"]) == (CID, "Ána", ["vip"], "nova")
    assert await contacts.contact(db, 2, ana) is None
    assert await contacts.remove(db, 2, [ana, bia]) == 0
    assert await contacts.remove(db, 1, [ana, bia]) == 2


async def test_contacts_are_found_and_stand_by_name_whatever_its_accents(db: Database) -> None:
    await contacts.add(db, 1, Contact(ANA, "Érica", ["vip"]))
    await contacts.add(db, 1, Contact(BIA, "eduardo"))
    await contacts.add(db, 1, Contact(CID, "Zoé", ["vip", "clientes"]))

    assert await found(db) == ["eduardo", "Érica", "Zoé"]
    assert await found(db, name="erica") == ["Érica"]
    assert await found(db, digits="5521") == ["Zoé"]
    assert await found(db, number=BIA) == ["eduardo"]
    assert await found(db, label="vip") == ["Érica", "Zoé"]
    assert await found(db, label="vip", name="z") == ["Zoé"]
    assert await found(db, name="%") == await found(db, account_id=2) == []
    assert [tuple(row) for row in await contacts.labels(db, 1)] == [("clientes", 1), ("vip", 2)]
    assert await contacts.names(db, 1, [ANA, 1]) == {ANA: "Érica"}


async def test_pages_of_contacts_of_the_same_name_follow_each_other(db: Database) -> None:
    for n in range(5):
        await contacts.add(db, 1, Contact(ANA + n, "Ana"))
    ids: list[int] = []
    after = None
    while page := await contacts.listed(db, 1, Which(), after, 2):
        ids += [row["id"] for row in page]
        after = (page[-1]["folded"], page[-1]["id"])
    assert len(set(ids)) == len(ids) == 5


async def test_what_a_file_says_comes_to_what_is_there(db: Database) -> None:
    await contacts.add(db, 1, Contact(ANA, "Ana", ["vip"], "liga à tarde"))
    await contacts.add(db, 1, Contact(BIA, "Bia", ["vip"]))
    merged = await contacts.merge(
        db,
        1,
        [
            Contact(ANA, "Ana Souza", ["clientes", "vip"], "outra"),
            Contact(BIA, "", ["vip"]),
            Contact(CID, "Cid", ["a", "b"], "n"),
        ],
    )
    assert merged == Merged(added=1, changed=1)
    rows = await contacts.listed(db, 1, Which(), None, 10)
    assert [(r["name"], r["labels"], r["note"]) for r in rows] == [
        ("Ana Souza", ["vip", "clientes"], "liga à tarde"),
        ("Bia", ["vip"], ""),
        ("Cid", ["a", "b"], "n"),
    ]
    assert await contacts.merge(db, 1, []) == Merged(0, 0)


async def test_templates_have_names_of_their_own_in_an_account(db: Database) -> None:
    first = await templates.add(db, 1, Template("Lembrete", "Oi {nome}", 1))
    with pytest.raises(Taken):
        await templates.add(db, 1, Template("LEMBRÊTE", "outro"))
    second = await templates.add(db, 1, Template("Cobrança", "Boleto"))
    await templates.add(db, 2, Template("Lembrete", "de outra conta"))
    with pytest.raises(Taken):
        await templates.change(db, 1, second, Template("lembrete", "x"))

    assert await templates.change(db, 1, second, Template("Aviso", "Boleto {valor}", 2))
    assert not await templates.change(db, 2, first, Template("roubado", "x"))
    assert [(r["name"], r["body"], r["class"]) for r in await templates.listed(db, 1)] == [
        ("Aviso", "Boleto {valor}", 2),
        ("Lembrete", "Oi {nome}", 1),
    ]
    assert await templates.template(db, 2, first) is None
    assert not await templates.remove(db, 2, first)
    assert await templates.remove(db, 1, first)
    assert (await templates.counted(db, 1), await templates.counted(db, 2)) == (1, 1)
