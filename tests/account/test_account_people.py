"""Contacts and templates as people write and change them, on the real store."""

import pytest

from pombo.account import contacts, templates
from pombo.account.contacts import Columns, columns
from pombo.store.audit import Actor
from pombo.store.audit import verify as verify_trail
from pombo.store.contacts import Contact, Merged
from pombo.store.database import Database
from pombo.store.templates import Template

ANA, BIA = 5511999990001, 5511999990002
MARIA = Actor("panel:maria@loja", "192.0.2.7")


@pytest.fixture
async def db(database: Database) -> Database:
    await database.execute("insert into account (name) values ('a'), ('b')")
    return database


def test_a_contact_is_read_as_people_write_it():
    read = contacts.read(
        "(11) 99999-0001", "  Ana \n Souza ", "vip; Clientes,\nVIP ,", " liga à tarde\r\nou à noite "
    )
    assert read == Contact(ANA, "Ana Souza", ["vip", "Clientes"], "liga à tarde\nou à noite")
    assert contacts.read("11999990001") == Contact(ANA, "", [], "")


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (("1133334444",), "number"),
        (("",), "number"),
        (("11999990001", "a" * 101), "name"),
        (("11999990001", "", "x" * 41), "labels"),
        (("11999990001", "", ",".join(map(str, range(21)))), "labels"),
        (("11999990001", "", "", "a" * 1001), "note"),
    ],
)
def test_what_cannot_be_kept_of_a_contact_is_refused(given, fault):
    with pytest.raises(contacts.Refused) as refused:
        contacts.read(*given)
    assert refused.value.fault == fault


def test_columns_are_known_by_their_titles_and_numbers_also_by_themselves():
    assert columns(["Nome", "E-mail", "Celular", "Grupo", "Obs"], []) == Columns(2, 0, 3, 4)
    assert columns(["Cliente", "CPF", "Contato 1"], [["Ana", "123", "11999990001"]]) == Columns(
        2, 0, None, None
    )
    assert columns(["Coluna A"], [["11999990001"]]) == Columns(0, None, None, None)
    assert columns(["Nome", "Cidade"], [["Ana", "Itu"]]).number is None
    assert Columns(2, 0, None, 1).read(["Ana", "oi", "11999990001"]) == Contact(ANA, "Ana", [], "oi")


@pytest.mark.anyio
async def test_each_change_of_contacts_is_in_the_trail_without_what_must_be_erasable(db):
    ana = await contacts.add(db, MARIA, 1, Contact(ANA, "Canario", ["vip"], "Segredo"))
    with pytest.raises(contacts.Refused) as refused:
        await contacts.add(db, MARIA, 1, Contact(ANA, "Outra"))
    assert refused.value.fault == "taken"
    await contacts.change(db, MARIA, 1, ana, Contact(ANA, "Canario", ["vip"], "Segredo"))
    await contacts.change(db, MARIA, 1, ana, Contact(BIA, "Canario", ["vip"], "Segredo 2"))
    for account_id, contact_id in ((2, ana), (1, ana + 99)):
        with pytest.raises(contacts.Refused) as refused:
            await contacts.change(db, MARIA, account_id, contact_id, Contact(ANA, "x"))
        assert refused.value.fault == "gone"
    file = [Contact(ANA, "Um"), Contact(ANA, "Dois"), Contact(BIA, "Canario")]
    assert await contacts.import_page(db, MARIA, 1, file) == Merged(added=1, changed=0)
    assert await contacts.import_page(db, MARIA, 1, []) == Merged(0, 0)
    assert await contacts.remove(db, MARIA, 2, [ana]) == 0
    assert await contacts.remove(db, MARIA, 1, [ana]) == 1

    rows = await db.fetch("select action, actor, subject, before, after from audit order by id")
    assert [row["action"] for row in rows] == [
        "contact.add",
        "contact.set",
        "contact.import",
        "contact.remove",
    ]
    assert {(row["actor"], row["subject"]) for row in rows} == {("panel:maria@loja", "account 1")}
    assert '"changed": "number note"' in rows[1]["after"]
    assert not any(word in str(rows) for word in ("Canario", "Segredo", "vip", str(ANA), str(BIA)))
    assert (await verify_trail(db)).fault is None


def test_a_template_is_read_as_people_write_it():
    assert templates.read(" Aviso  de\ncobrança ", " Oi {nome}\r\nTchau ", "2") == Template(
        "Aviso de cobrança", "Oi {nome}\nTchau", 2
    )


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ((" ", "x"), "no_name"),
        (("a" * 61, "x"), "name"),
        (("a", " \n"), "no_body"),
        (("a", "x" * 5001), "body"),
        (("a", "x", "3"), "class"),
        (("a", "x", "otp"), "class"),
    ],
)
def test_what_cannot_be_kept_of_a_template_is_refused(given, fault):
    with pytest.raises(templates.Refused) as refused:
        templates.read(*given)
    assert refused.value.fault == fault


@pytest.mark.anyio
async def test_each_change_of_templates_is_in_the_trail_without_the_text(db, monkeypatch):
    first = await templates.add(db, MARIA, 1, Template("Aviso", "Canario {nome}"))
    with pytest.raises(templates.Refused) as refused:
        await templates.add(db, MARIA, 1, Template("AVISO", "x"))
    assert refused.value.fault == "taken"
    monkeypatch.setattr(templates, "MOST", 1)
    with pytest.raises(templates.Refused) as refused:
        await templates.add(db, MARIA, 1, Template("Outro", "x"))
    assert refused.value.fault == "most"
    await templates.change(db, MARIA, 1, first, Template("Aviso", "Canario {nome}"))
    await templates.change(db, MARIA, 1, first, Template("Aviso", "Canario {nomi}", 2))
    with pytest.raises(templates.Refused) as refused:
        await templates.change(db, MARIA, 2, first, Template("Roubado", "x"))
    assert refused.value.fault == "gone"
    assert not await templates.remove(db, MARIA, 2, first)
    assert await templates.remove(db, MARIA, 1, first)

    rows = await db.fetch("select action, before, after from audit order by id")
    assert [row["action"] for row in rows] == ["template.add", "template.set", "template.remove"]
    assert '"changed": "body message_class"' in rows[1]["after"]
    assert "Canario" not in str(rows)
