"""Conversations, contacts and templates in a real browser: what only a browser shows."""

import pytest
from panel_browser import PHONE, Visit, inspected, no_sideways_scroll
from panel_server import Panel
from people_rows import ANA, BIA, HOSTILE, conversation_of, message, reply, routed
from playwright.async_api import expect

from pombo.account import contacts, templates
from pombo.store import blocks
from pombo.store.audit import Actor
from pombo.store.contacts import Contact
from pombo.store.templates import Template

pytestmark = pytest.mark.anyio

ACTOR = Actor("test", "")


async def test_a_reply_appears_in_an_open_conversation_and_is_read_by_that(
    panel: Panel, visit: Visit
) -> None:
    await reply(panel, ANA, "primeira")
    await reply(panel, BIA, "outra")
    page = await visit(f"/conversas/{await conversation_of(panel, ANA)}")
    badge = page.locator(".side .count")
    await expect(badge).to_have_text("1")  # Bia's
    await reply(panel, ANA, "segunda")
    await expect(page.locator("#newest .bub").last).to_have_text("segunda")
    await reply(panel, BIA, "mais uma")
    line = page.locator(".conv", has_text="mais uma")
    await expect(line.locator(".badge-n")).to_contain_text("2")
    await expect(page.locator(".conv").first).to_contain_text("mais uma")
    await expect(badge).to_have_text("1")
    await line.click()
    await expect(badge).to_be_hidden()
    assert (
        await panel.db.fetchval(
            "select count(*) from inbox where account_id = $1 and read_at is null", panel.account_id
        )
        == 4
    )


async def test_an_answer_is_counted_while_it_is_written_and_stands_in_the_talk_when_it_is_sent(
    panel: Panel, visit: Visit
) -> None:
    await routed(panel)
    await contacts.add(panel.db, ACTOR, panel.account_id, Contact(ANA, "Ana"))
    for n in range(4):
        await templates.add(panel.db, ACTOR, panel.account_id, Template(f"Modelo {n}", f"Oi {{nome}}, {n}"))
    await reply(panel, ANA, "quero")
    page = await visit(f"/conversas/{await conversation_of(panel, ANA)}")
    send, field = page.get_by_role("button", name="Enviar"), page.get_by_role("textbox", name="Responder")
    await expect(send).to_be_disabled()
    await page.locator(".picker summary").click()
    await page.locator(".picker button", has_text="Modelo 3").click()
    await expect(field).to_have_value("Oi Ana, 3")
    await expect(page.locator(".picker .menu-list")).to_be_hidden()
    await field.fill("a" * 161)
    await expect(page.locator("#meter")).to_contain_text("161 / 306")
    await expect(page.locator("#meter")).to_contain_text("2 segmentos · R$ 0,16")
    await field.fill("Pronto, Ana")
    await field.press("Control+Enter")
    await expect(page.locator("#newest .bub.me")).to_have_text("Pronto, Ana")
    await expect(field).to_have_value("")
    await expect(send).to_be_disabled()
    await expect(page.locator(".conv").first).to_contain_text("Você: Pronto, Ana")


async def test_a_template_is_put_into_a_new_message_which_says_what_it_still_lacks(
    panel: Panel, visit: Visit
) -> None:
    await templates.add(panel.db, ACTOR, panel.account_id, Template("Aviso", "Oi {nome}, {valor}"))
    page = await visit("/enviar")
    await page.locator(".picker summary").click()
    await page.locator(".picker button", has_text="Aviso").click()
    lacks = page.get_by_text("Falta preencher: {nome}, {valor}")
    await expect(lacks).to_be_visible()
    await page.locator("#msg").fill("Oi Ana, 10")
    await expect(lacks).to_have_count(0)


async def test_the_box_to_write_in_goes_when_somebody_opts_out(panel: Panel, visit: Visit) -> None:
    await reply(panel, ANA, "oi")
    page = await visit(f"/conversas/{await conversation_of(panel, ANA)}")
    await expect(page.get_by_role("textbox", name="Responder")).to_be_visible()
    async with panel.db.transaction() as tx:
        reply_id = await reply(panel, ANA, "SAIR", on=tx)
        await blocks.opt_out(
            tx, [blocks.OptOut(panel.account_id, panel.doors.secrets.number_hmac(ANA), reply_id)]
        )
    await expect(page.locator("#reply")).to_contain_text("Este número pediu SAIR")
    await expect(page.get_by_role("textbox", name="Responder")).to_have_count(0)


async def test_older_messages_come_without_the_talk_jumping(panel: Panel, visit: Visit) -> None:
    for n in range(60):
        await reply(panel, ANA, f"[{n}] " + "palavra " * 12)
    page = await visit(f"/conversas/{await conversation_of(panel, ANA)}")
    chat = page.locator("#chat")
    await expect(chat.get_by_text("[59]")).to_be_in_viewport()
    await chat.evaluate("chat => { chat.scrollTop = 0; }")
    below = "chat => chat.scrollHeight - chat.scrollTop"  # bubbles are renewed meanwhile
    before = await chat.evaluate(below)
    await page.get_by_role("button", name="Mostrar mais antigas").click()
    await expect(chat.get_by_text("[0]")).to_be_attached()
    assert abs(await chat.evaluate(below) - before) < 60  # the button has gone
    await expect(page.get_by_role("button", name="Mostrar mais antigas")).to_have_count(0)


async def test_whoever_reads_old_messages_is_left_there_when_a_new_one_comes(
    panel: Panel, visit: Visit
) -> None:
    for n in range(30):
        await reply(panel, ANA, f"[{n}] " + "palavra " * 12)
    page = await visit(f"/conversas/{await conversation_of(panel, ANA)}")
    chat = page.locator("#chat")
    await expect(chat.get_by_text("[29]")).to_be_in_viewport()
    # A browser tells of a scroll with its next frame: a new message may come before.
    await page.evaluate("addEventListener('scroll', event => event.stopImmediatePropagation(), true)")
    await chat.evaluate("chat => { chat.scrollTop = 0; }")
    await reply(panel, ANA, "uma nova")
    await expect(chat.get_by_text("uma nova")).to_be_attached()
    await expect(page.locator(".conv").first).to_contain_text("uma nova")
    assert await chat.evaluate("chat => chat.scrollTop") < 60


async def test_a_phone_shows_the_list_or_the_talk_and_never_both(panel: Panel, visit: Visit) -> None:
    await reply(panel, ANA, "oi")
    page = await visit("/conversas", width=PHONE)
    talk, conversations = page.locator(".inbox > section"), page.locator("#convs")
    await expect(conversations).to_be_visible()
    await expect(talk).to_be_hidden()
    await page.locator(".conv").click()
    await expect(talk).to_be_visible()
    await expect(conversations).to_be_hidden()
    await page.get_by_role("link", name="Voltar às conversas").click()
    await expect(conversations).to_be_visible()


async def test_a_number_is_blocked_only_after_a_question(panel: Panel, visit: Visit) -> None:
    await reply(panel, ANA, "oi")
    page = await visit(f"/conversas/{await conversation_of(panel, ANA)}")
    await page.get_by_role("button", name="Bloquear número").click()
    await page.get_by_role("dialog").get_by_role("button", name="Cancelar").click()
    await expect(page.get_by_role("textbox", name="Responder")).to_be_visible()
    await page.get_by_role("button", name="Bloquear número").click()
    await page.get_by_role("dialog").get_by_role("button", name="Bloquear").click()
    await expect(page.locator("#reply")).to_contain_text("lista de bloqueios")


async def test_hostile_texts_are_shown_and_do_nothing(panel: Panel, visit: Visit) -> None:
    for text in HOSTILE:
        await reply(panel, ANA, text)
        await message(panel, ANA, text)
        await templates.add(panel.db, ACTOR, panel.account_id, Template(text[:60], text[:5000]))
    await contacts.add(
        panel.db, ACTOR, panel.account_id, Contact(ANA, HOSTILE[0], [HOSTILE[1][:40]], HOSTILE[3])
    )
    path = f"/conversas/{await conversation_of(panel, ANA)}"
    page = await visit(path)
    await expect(page.locator("#newest .bub")).to_have_text([text for text in HOSTILE for _ in range(2)])
    await expect(page.locator(".inbox h2").first).to_have_text(HOSTILE[0])
    await inspected(visit, path)
    for known in ("/contatos", "/modelos"):
        await no_sideways_scroll(await visit(known, width=PHONE))


async def test_pages_with_something_on_them_are_as_sound_as_empty_ones(panel: Panel, visit: Visit) -> None:
    contact_id = await contacts.add(
        panel.db, ACTOR, panel.account_id, Contact(ANA, "Ana", ["vip"], "à tarde")
    )
    model_id = await templates.add(panel.db, ACTOR, panel.account_id, Template("Aviso", "Oi {nome}", 2))
    reply_id = await reply(panel, ANA, "SAIR")
    await blocks.opt_out(
        panel.db, [blocks.OptOut(panel.account_id, panel.doors.secrets.number_hmac(ANA), reply_id)]
    )
    talk = f"/conversas/{await conversation_of(panel, ANA)}"
    for path in ("/bloqueios", talk, f"/contatos/{contact_id}", f"/modelos/{model_id}"):
        await inspected(visit, path)
