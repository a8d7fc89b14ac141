"""Enviar SMS: what is counted, offered, priced and sent; and that nothing goes twice."""

import asyncio
import re
from typing import Any

import panel_messages as rows
import pytest
from panel_browser import Visit, axe
from panel_messages import HOSTILE
from panel_server import Panel
from playwright.async_api import Page, expect

from pombo.account.people import Role

pytestmark = pytest.mark.anyio

_FORM = {"nonce": "0123456789ab", "destino": "(11) 98765-4321", "msg": "Olá, João!\r\nAté já"}


@pytest.fixture(autouse=True)
async def _route(panel: Panel) -> None:
    await rows.smsc(panel.db)
    await panel.node._routing.reload()


async def sent(panel: Panel) -> list[Any]:
    return await panel.db.fetch(
        "select number, body, sent_body, ucs2, parts, price_milli, client_ref, scheduled_at from message"
        " where account_id = $1 order by id",
        panel.account_id,
    )


async def test_a_message_is_sent_by_the_rules_of_the_api(panel: Panel) -> None:
    page = await (await panel.client(Role.SENDER)).post("/enviar", _FORM, status=200)
    assert "Mensagem na fila" in page
    [message] = await sent(panel)
    assert (message["number"], message["body"], message["sent_body"]) == (
        5511987654321, "Olá, João!\nAté já", "Ola, Joao!\nAte ja",
    )  # fmt: skip
    assert (
        await panel.db.fetchval("select balance_milli from account where id = $1", panel.account_id)
        == 100_000 - 80
    )
    found = re.search(r'href="/mensagens/(\d+)"', page)
    assert (
        found
        and await panel.db.fetchval("select count(*) from queue where message_id = $1", int(found[1])) == 1
    )


async def test_the_same_form_sends_once_however_often_it_comes(panel: Panel) -> None:
    client = await panel.client()
    pages = await asyncio.gather(*(client.post("/enviar", _FORM, status=200) for _ in range(4)))
    assert all("Mensagem na fila" in page for page in pages)
    assert "Já enviada" in await client.post("/enviar", _FORM, status=200)
    assert len(await sent(panel)) == 1
    # Another text out of the same form, such as one that was gone back to, is another message.
    await client.post("/enviar", {**_FORM, "msg": "Outra"}, status=200)
    assert len(await sent(panel)) == 2


async def test_several_recipients_get_one_each_and_refusals_are_said_in_words(panel: Panel) -> None:
    client = await panel.client()
    typed = "11987654321, (21) 99999-8888\r\n11 98765-4321\r\nJoão\r\n1133334444"
    page = await client.post("/enviar", {**_FORM, "destino": typed}, status=200)
    assert "2 de 4 na fila" in page
    assert page.count("Este não é um celular do Brasil") == 2
    assert '<span class="mono muted">Destino invalido</span>' in page
    assert [row["number"] for row in await sent(panel)] == [5511987654321, 5521999998888]


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"destino": " "}, "Escreva para quem vai a mensagem."),
        ({"msg": " \r\n"}, "A mensagem está vazia"),
        ({"msg": "x" * 1600}, "mais segmentos do que sua conta permite"),
        ({"destino": "\r\n".join(f"119876{n:05}" for n in range(101))}, "São 101 destinatários"),
        ({"agendar": "2020-01-01T10:00"}, "agendar ja passou ha mais de 24 horas"),
        ({"agendar": "amanhã"}, "agendar deve ser AAAA-MM-DD HH:MM:SS"),
    ],
)
async def test_what_cannot_be_sent_says_why_and_costs_nothing(
    panel: Panel, form: dict[str, str], told: str
) -> None:
    assert told in await (await panel.client()).post("/enviar", {**_FORM, **form}, status=200)
    assert await sent(panel) == []
    assert (
        await panel.db.fetchval("select balance_milli from account where id = $1", panel.account_id)
        == 100_000
    )


async def test_credits_and_blocks_refuse_here_too(panel: Panel) -> None:
    client = await panel.client()
    await client.post("/bloqueios", {"numero": "11987654321"})
    assert "pediu para não receber" in await client.post("/enviar", _FORM, status=200)
    await panel.db.execute("update account set balance_milli = 0 where id = $1", panel.account_id)
    page = await client.post("/enviar", {**_FORM, "destino": "21999998888"}, status=200)
    assert "O saldo não basta" in page and "Saldo insuficiente" in page
    assert await sent(panel) == []


async def test_a_time_is_the_accounts_own(panel: Panel) -> None:
    form = {**_FORM, "agendar": "2027-01-15T09:00"}
    await (await panel.client()).post("/enviar", form, status=200)
    [message] = await sent(panel)
    assert message["scheduled_at"].isoformat() == "2027-01-15T12:00:00+00:00"


async def test_accents_stay_where_they_are_asked_for(panel: Panel) -> None:
    await (await panel.client()).post("/enviar", {**_FORM, "codificacao": "auto"}, status=200)
    [message] = await sent(panel)
    assert (message["ucs2"], message["sent_body"]) == (True, None)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.DEVELOPER])
async def test_whoever_only_looks_cannot_send(panel: Panel, role: Role) -> None:
    client = await panel.client(role)
    await client.get("/enviar", status=403)
    for path in ("/enviar", "/enviar/conferir", "/enviar/codigo"):
        await client.post(path, _FORM, status=403)
    assert await sent(panel) == []


async def test_the_price_is_what_will_be_charged(panel: Panel) -> None:
    client = await panel.client()
    await panel.db.execute(
        "insert into price (account_id, prefix, price_milli) values ($1, '5521', 200)", panel.account_id
    )
    await panel.node._money.reload()
    form = {**_FORM, "destino": "11987654321\r\n21999998888\r\nx", "msg": "a" * 161}
    page = await client.post("/enviar/conferir", form, status=200)
    assert "2 destinatários · 4 segmentos" in page and "R$\xa00,56" in page and "Destino invalido" in page
    await client.post("/enviar", form, status=200)
    assert sum(row["price_milli"] for row in await sent(panel)) == 560
    assert "O saldo de" in await client.post(
        "/enviar/conferir",
        {**_FORM, "msg": "a" * 1500, "destino": "\r\n".join(f"2198765{n:04}" for n in range(100))},
        status=200,
    )
    # Who has typed nothing yet is told nothing but the price.
    empty = await client.post("/enviar/conferir", {"destino": "", "msg": ""}, status=200)
    assert "hint bad" not in empty and "R$\xa00,08 por segmento" in empty


async def test_the_code_says_what_the_form_says(panel: Panel) -> None:
    client = await panel.client()
    one = await client.post("/enviar/codigo", {**_FORM, "codificacao": "auto"}, status=200)
    assert f"{panel.url}/api/unitario.php" in one and "codificacao=auto" in one and "POMBO_TOKEN" in one
    several = await client.post("/enviar/codigo", {**_FORM, "destino": "11987654321,21999998888"}, status=200)
    assert f"{panel.url}/api/envio.php" in several and "21999998888" in several
    for name in ("curl", "python", "php", "node", "java", "csharp"):
        assert f'id="sample-{name}"' in one


# In a browser


async def write(page: Page, text: str) -> None:
    await page.locator("#msg").fill(text)


async def test_the_counter_counts_what_will_be_sent_and_offers_accents(visit: Visit, panel: Panel) -> None:
    page = await visit("/enviar?para=11987654321")
    await write(page, "é" + "ã" * 100)
    meter = page.locator("#meter")
    await expect(meter).to_contain_text("GSM-7")
    await expect(meter).to_contain_text("101 / 160")
    await expect(page.locator(".phone .bub")).to_have_text("e" + "a" * 100)
    offer = page.get_by_role("button", name="Enviar com acentos")
    await expect(page.locator(".hint.info").filter(has=offer)).to_contain_text("2 segmentos, R$ 0,16")
    await expect(page.locator(".cost")).to_contain_text("R$ 0,08")
    await axe(page)
    await offer.click()
    await expect(meter).to_contain_text("UCS-2")
    await expect(meter).to_contain_text("2 segmentos")
    await expect(page.locator(".cost")).to_contain_text("R$ 0,16")
    await page.get_by_role("button", name="Enviar sem acentos").click()
    await expect(meter).to_contain_text("101 / 160")


async def test_accents_that_cost_are_marked_taken_away_and_brought_back(visit: Visit, panel: Panel) -> None:
    await panel.db.execute("update account set text_mode = 'auto' where id = $1", panel.account_id)
    page = await visit("/enviar?para=11987654321")
    await write(page, "Ação, João: " + "x" * 70)
    hint = page.locator(".hint.warn")
    await expect(hint.locator("mark")).to_have_text(["ç", "ã"])
    await expect(hint).to_contain_text("1 segmento, economia de R$ 0,08")
    await axe(page)
    await hint.get_by_role("button", name="Remover acentos").click()
    await expect(page.locator("#msg")).to_have_value("Acao, Joao: " + "x" * 70)
    await expect(hint).to_be_hidden()
    await page.get_by_role("button", name="Desfazer").click()
    await expect(page.locator("#msg")).to_have_value("Ação, João: " + "x" * 70)
    await write(page, "Olá 😀")
    await expect(hint.locator("mark")).to_have_text(["😀"])
    await expect(hint).to_contain_text("até 70 caracteres por segmento")


async def test_a_double_click_sends_once_and_the_way_leads_to_the_message(visit: Visit, panel: Panel) -> None:
    page = await visit("/enviar")
    await page.locator("#to").fill("(11) 98765-4321")
    await write(page, "Oi")
    await page.locator("#msg").press("Control+Enter")
    await page.locator(".go").dblclick()
    await expect(page.locator("#sent")).to_contain_text(re.compile("Na fila|Já enviada"))
    await axe(page)
    await page.locator("#sent").get_by_role("link", name="(11) 98765-4321").click()
    await expect(page.locator("h1")).to_have_text("(11) 98765-4321")
    assert len(await sent(panel)) == 1


async def test_code_is_shown_in_the_language_that_is_chosen_and_copied(visit: Visit, panel: Panel) -> None:
    page = await visit("/enviar?para=11987654321&texto=Oi")
    await page.get_by_text("Ver código").click()
    await page.get_by_role("tab", name="Python").click()
    code = page.locator("#sample-python")
    await expect(code).to_contain_text('"msg": "Oi"')
    await expect(page.locator("#sample-curl")).to_be_hidden()
    await axe(page)
    await write(page, "Outra")
    await expect(page.locator("#sample-curl")).to_contain_text("msg=Outra")


async def test_hostile_texts_are_text_in_form_preview_code_and_result(visit: Visit, panel: Panel) -> None:
    page = await visit("/enviar")
    for text in HOSTILE[:4]:
        await page.locator("#to").fill("<script>alert(1)</script>\n11987654321")
        await write(page, text)
        await expect(page.locator(".phone .bub")).to_have_text(
            text if "\u202e" not in text and "👩" not in text else re.compile(".")
        )
    await page.get_by_text("Ver código").click()
    await expect(page.locator("#sample-curl")).to_contain_text("script")
    await expect(page.locator("#check")).to_contain_text("<script>alert(1)</script>")
    await page.locator(".go").click()
    await expect(page.locator("#sent")).to_contain_text("<script>alert(1)</script>")
    await page.goto(
        f"{panel.url}/enviar?para=%3C/textarea%3E%3Cscript%3E&texto=%3C/textarea%3E%3Cb%3E%0A{{{{7*7}}}}"
    )
    await expect(page.locator("#msg")).to_have_value("</textarea><b>\n{{7*7}}")
    await expect(page.locator("#to")).to_have_value("</textarea><script>")


async def test_a_template_is_put_into_the_message(visit: Visit, panel: Panel) -> None:
    await (await panel.client()).post("/modelos", {"nome": "Aviso", "texto": "Sua consulta é amanhã"})
    page = await visit("/enviar")
    await page.get_by_text("Modelo", exact=True).click()
    await page.get_by_role("button", name="Aviso").click()
    await expect(page.locator("#msg")).to_have_value("Sua consulta é amanhã")
    await expect(page.locator(".phone .bub")).to_have_text("Sua consulta e amanha")
