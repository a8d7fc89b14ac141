"""Names that people and operators give: of accounts, persons, tokens, connections, senders, views, labels and templates."""

from html import escape

import panel_messages as rows
import pytest
from panel_browser import PHONE, Visit, no_sideways_scroll
from panel_server import ACTOR, Panel
from playwright.async_api import expect

from pombo.account import contacts, templates
from pombo.store.contacts import Contact
from pombo.store.templates import Template

pytestmark = pytest.mark.anyio

NAME = "<script>alert(1)</script> \"'&{{7*7}} \u202eabc\u202c 😀 " + "W" * 60


async def test_a_hostile_name_is_a_name_wherever_it_stands(panel: Panel, visit: Visit) -> None:
    """`visit` complains of dialogues, of errors, and of what the policy stops."""
    db, account_id = panel.db, panel.account_id
    smsc_id = await rows.smsc(db, NAME[:50])
    sent = await rows.message(db, account_id, smsc_id, 1)
    person_id = await panel.person()
    await db.execute("update account set name = $2, source_addr = '<b>\"''&' where id = $1", account_id, NAME)
    await db.execute("update person set name = $2 where id = $1", person_id, NAME[:80])
    await db.execute("update token set name = $2 where account_id = $1", account_id, NAME[:60])
    await db.execute(
        "update message set source_addr = '<b>\"''&',"
        " token_id = (select id from token where account_id = $2) where id = $1",
        sent,
        account_id,
    )
    await contacts.add(db, ACTOR, account_id, Contact(5511987654321, NAME[:100], [NAME[:40]], NAME))
    await templates.add(db, ACTOR, account_id, Template(NAME[:60], NAME))
    client = await panel.client()
    await client.post("/mensagens/visoes", {"nome": "<b>\"'&", "filtros": "situacao=falhas"})
    for path, shown in (
        ("/painel", NAME[:50]),
        ("/enviar", "<b>\"'&"),
        ("/mensagens", NAME[:60]),
        ("/mensagens", "<b>\"'&"),
        (f"/mensagens/{sent}", "<b>\"'&"),
        ("/contatos", NAME[:100]),
        ("/modelos", NAME[:60]),
        ("/relatorios", NAME[:50]),
        ("/integracao/tokens", NAME[:60]),
        ("/perfil/usuarios", NAME[:80]),
        ("/perfil/seguranca", NAME),
    ):
        text = await client.get(path)
        assert "<script>alert(1)" not in text and '<b>"' not in text, path
        assert escape(shown).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in text, path
    for path in ("/painel", f"/mensagens/{sent}", "/integracao/tokens", "/perfil/usuarios", "/relatorios"):
        page = await visit(path, width=PHONE)
        await expect(page.locator("h1").first).to_be_visible()
        await no_sideways_scroll(page)
