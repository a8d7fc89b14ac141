"""Keys for whoever works here all day, and the two languages: in a browser, on several pages."""

import panel_messages as rows
import pytest
from panel_browser import Visit
from panel_server import Panel
from people_rows import reply
from playwright.async_api import Page, expect

pytestmark = pytest.mark.anyio

NUMBER = 5511976401928


async def press(page: Page, *keys: str) -> None:
    await page.wait_for_load_state()  # with the script that listens to them
    for key in keys:
        await page.keyboard.press(key)


async def test_keys_lead_to_the_search_a_new_message_and_pages(visit: Visit, panel: Panel) -> None:
    await rows.life_of_an_account(panel.db, panel.account_id)
    page = await visit("/painel")
    await press(page, "g", "m")
    await expect(page).to_have_url(panel.url + "/mensagens")
    await press(page, "/")
    await expect(page.locator("#q")).to_be_focused()
    await page.locator("#q").blur()
    await press(page, "n")
    await expect(page).to_have_url(panel.url + "/enviar")
    await press(page, "n")
    await expect(page.locator("#msg")).to_be_focused()
    await page.locator("#msg").fill("Olá")
    await press(page, "Control+Enter")
    await expect(page.locator("#sent")).to_contain_text("Escreva para quem vai a mensagem.")
    await page.locator("#msg").blur()
    for key, path in (
        ("p", "/painel"),
        ("e", "/conversas"),
        ("a", "/integracao/aparelho"),
        ("r", "/relatorios"),
    ):
        await press(page, "g", key)
        await expect(page).to_have_url(panel.url + path)


@pytest.mark.parametrize("path", ["/mensagens", "/painel", "/conversas"])
async def test_j_and_k_go_through_a_list_and_stop_at_its_ends(visit: Visit, panel: Panel, path: str) -> None:
    await rows.life_of_an_account(panel.db, panel.account_id)
    for n in range(3):
        await reply(panel, NUMBER + n, f"resposta {n}")
    page = await visit(path)
    links = page.locator("[data-list] a.to, [data-list] .conv")
    assert await links.count() >= 3
    await press(page, "k")
    await expect(links.last).to_be_focused()
    await press(page, "j")
    await expect(links.last).to_be_focused()
    await page.reload()
    await press(page, "j", "j", "j", "k")
    await expect(links.nth(1)).to_be_focused()
    to = await links.nth(1).get_attribute("href")
    await press(page, "Enter")
    await expect(page).to_have_url(f"{panel.url}{to}")


async def test_a_question_mark_shows_the_keys_and_what_is_typed_is_text(visit: Visit, panel: Panel) -> None:
    await rows.life_of_an_account(panel.db, panel.account_id)
    page = await visit("/mensagens")
    await press(page, "?")
    keys = page.get_by_role("dialog", name="Atalhos do teclado")
    await expect(keys).to_contain_text("Ir para Mensagens")
    await press(page, "n", "g", "p", "j")  # nothing happens behind it
    await press(page, "Escape")
    await expect(keys).to_be_hidden()
    await press(page, "/")
    await page.keyboard.type("g m n j k ? /")
    await expect(page.locator("#q")).to_have_value("g m n j k ? /")
    await expect(keys).to_be_hidden()
    await expect(page).to_have_url(panel.url + "/mensagens")
    await page.locator("tbody input[type=checkbox]").first.check()
    await press(page, "j")  # a box that is ticked is no text
    await expect(page.locator("tbody a.to").first).to_be_focused()


async def test_the_language_is_switched_on_any_page_and_kept_after_signing_out(
    visit: Visit, panel: Panel
) -> None:
    page = await visit("/painel")
    await expect(page.locator("h1")).to_have_text("Painel")
    await page.get_by_role("button", name="EN", exact=True).click()
    for path, heading in (
        ("/painel", "Overview"),
        ("/mensagens", "Messages"),
        ("/integracao/aparelho", "Virtual handset"),
        ("/perfil/configuracoes", "Settings"),
    ):
        await page.goto(panel.url + path)
        await expect(page.locator("h1").first).to_have_text(heading)
        await expect(page.locator("html")).to_have_attribute("lang", "en")
    await page.get_by_role("button", name="PT", exact=True).click()
    await expect(page).to_have_url(panel.url + "/perfil/configuracoes")
    await expect(page.locator("h1").first).to_have_text("Configurações")
    await page.get_by_role("button", name="EN", exact=True).click()
    await expect(page.locator("h1").first).to_have_text("Settings")

    await page.locator("summary", has_text="Your account").click()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.locator("h1")).to_have_text("Sign in")
    await page.goto(panel.url + "/mensagens")
    await expect(page.locator("h1")).to_have_text("Sign in")
    again = await visit("/mensagens")  # the same person, in another browser, which asks for Portuguese
    await expect(again.locator("h1")).to_have_text("Messages")
    await page.get_by_role("button", name="Português").click()
    await expect(page.locator("h1")).to_have_text("Entrar")
