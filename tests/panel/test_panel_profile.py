"""Meu Perfil: password, sessions, people of the account."""

import re

import pytest
from panel_browser import Visit
from panel_server import PASSWORD, Panel, Server
from playwright.async_api import expect

from pombo.account import password
from pombo.account.people import Role
from pombo.panel import tries
from pombo.panel.security import device
from pombo.store import users

pytestmark = pytest.mark.anyio

NEW = "cavalo correto bateria"


async def has_password(panel: Panel, role: Role = Role.ADMIN) -> int:
    person_id = await panel.person(role)
    await users.set_password(panel.db, person_id, await password.hashed(PASSWORD))
    return person_id


def change(atual: str = PASSWORD, nova: str = NEW, de_novo: str | None = None) -> dict[str, str]:
    return {"atual": atual, "nova": nova, "de_novo": nova if de_novo is None else de_novo}


async def test_a_new_password_needs_the_old_one_and_ends_the_other_sessions(panel: Panel) -> None:
    person_id = await has_password(panel)
    client, other = await panel.client(), await panel.client()
    for fields, said in (
        (change(atual="errada demais"), "A senha atual não confere."),
        (change(de_novo="diferente dela"), "As duas senhas novas não são iguais."),
        (change(nova="curta"), "A senha nova é curta"),
        (change(nova=f"admin{panel.account_id}@aurora.example"), "fácil de adivinhar"),
    ):
        assert said in await client.post("/perfil/seguranca/senha", fields, status=422)
    assert await client.post("/perfil/seguranca/senha", change()) == "/perfil/seguranca"
    assert "Senha trocada. 1 outra sessão foi encerrada." in await client.get("/perfil/seguranca")
    assert await other.get("/perfil/seguranca", status=303) == "/entrar?depois=/perfil/seguranca"
    assert await password.fits(await users.password_hash(panel.db, person_id), NEW)


async def test_whoever_has_a_session_of_somebody_cannot_guess_the_old_password(panel: Panel) -> None:
    await has_password(panel)
    client = await panel.client()
    for _ in range(tries.MOST_OF_EMAIL):
        await client.post("/perfil/seguranca/senha", change(atual="chute qualquer"), status=422)
    assert "Muitas tentativas." in await client.post("/perfil/seguranca/senha", change(), status=422)


async def test_a_new_person_chooses_a_password_without_an_old_one(panel: Panel) -> None:
    client = await panel.client()
    assert 'name="atual"' not in await client.get("/perfil/seguranca")
    await client.post("/perfil/seguranca/senha", change(atual=""))
    assert 'name="atual"' in await client.get("/perfil/seguranca")


async def test_sessions_are_listed_and_end_when_their_person_says_so(panel: Panel) -> None:
    client, other, stranger = await panel.client(), await panel.client(), await panel.client(Role.VIEWER)
    page = await client.get("/perfil/seguranca")
    [other_id] = re.findall(r'action="/perfil/seguranca/sessoes/(\d+)"', page)
    await stranger.post(f"/perfil/seguranca/sessoes/{other_id}")  # of somebody else: nothing happens
    await other.get("/perfil/seguranca")
    await client.post(f"/perfil/seguranca/sessoes/{other_id}")
    await other.get("/perfil/seguranca", status=303)
    another = await panel.client()
    await client.post("/perfil/seguranca/sessoes")
    await another.get("/perfil/seguranca", status=303)
    await client.get("/perfil/seguranca")


def test_a_browser_is_told_by_the_name_people_know_it_by() -> None:
    chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36"
    assert device(chrome) == "Chrome, Windows"
    assert (
        device("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1")
        == "Safari, iPhone"
    )
    assert device("curl/8.1") == "curl/8.1" and device("") == "navegador desconhecido"


async def test_an_admin_adds_people_and_the_link_lets_them_in(panel: Panel) -> None:
    client, guest = await panel.client(), await panel.client(None)
    form = {"email": f"bia{panel.account_id}@aurora.example", "nome": "Bia", "perfil": "sender"}
    page = await client.post("/perfil/usuarios", form, status=200)
    found = re.search(rf"{panel.url}(/entrar/[\w-]+)", page)
    assert found and found[1] not in await client.get("/perfil/usuarios")
    assert await guest.post(found[1]) == "/perfil/seguranca"
    assert "Bia" in await guest.get("/perfil/seguranca")
    assert "já entra no painel" in await client.post("/perfil/usuarios", form, status=422)
    assert "não é um endereço" in await client.post("/perfil/usuarios", {"email": "bia"}, status=422)
    record = await panel.db.fetchrow("select actor, source, after::text from audit order by id desc limit 1")
    assert record and record["actor"] == f"panel:admin{panel.account_id}@aurora.example"
    assert record["source"] == "127.0.0.1" and '"role": "sender"' in record["after"]


async def test_a_role_counts_from_the_next_click_on(panel: Panel) -> None:
    client, viewer = await panel.client(), await panel.client(Role.VIEWER)
    assert "Você não tem acesso a isto." in await viewer.get("/perfil/usuarios", status=403)
    await viewer.post("/perfil/usuarios", {"email": "x@aurora.example"}, status=403)
    person_id = await panel.person(Role.VIEWER)
    await client.post(f"/perfil/usuarios/{person_id}/perfil", {"perfil": "admin"})
    await viewer.get("/perfil/usuarios")
    await client.post(f"/perfil/usuarios/{person_id}/remover")
    assert await viewer.get("/perfil/usuarios", status=303)


async def test_the_last_admin_stays(panel: Panel) -> None:
    client = await panel.client()
    me = await panel.person()
    for action, fields in (("remover", {}), ("perfil", {"perfil": "viewer"})):
        page = await client.post(f"/perfil/usuarios/{me}/{action}", fields, status=422)
        assert "É o último administrador da conta." in page


async def test_people_of_another_account_are_not_there(panel: Panel, server: Server) -> None:
    other = await server.panel()
    theirs = await other.person(Role.VIEWER)
    client = await panel.client()
    for action in ("remover", "perfil", "link"):
        await client.post(f"/perfil/usuarios/{theirs}/{action}", {"perfil": "admin"}, status=404)
    row = await users.person(panel.db, None, theirs)
    assert row and row["role"] == "viewer"
    assert f"viewer{other.account_id}@" not in await client.get("/perfil/usuarios")


async def test_removing_asks_first_and_the_language_and_keys_work(visit: Visit, panel: Panel) -> None:
    await panel.person(Role.VIEWER)
    page = await visit("/perfil/usuarios")
    await page.get_by_role("button", name=f"Remover viewer{panel.account_id}@aurora.example").click()
    await page.get_by_role("button", name="Cancelar").click()
    await expect(page.locator("tbody tr")).to_have_count(2)
    await page.get_by_role("button", name=f"Remover viewer{panel.account_id}@aurora.example").click()
    await page.get_by_role("button", name="Remover", exact=True).click()
    await expect(page.locator("tbody tr")).to_have_count(1)
    await expect(page.get_by_role("status")).to_contain_text("Acesso retirado")
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Atalhos do teclado")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.get_by_label("Nome").fill("g m ?")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await page.get_by_role("button", name="EN", exact=True).click()
    await expect(page.locator("h1")).to_have_text("Users")
    await page.keyboard.press("g")
    await page.keyboard.press("u")
    await expect(page.locator("h1")).not_to_have_text("Users")


async def test_the_theme_is_switched_at_once_and_kept_with_the_person(visit: Visit, panel: Panel) -> None:
    page = await visit("/perfil/seguranca")
    async with page.expect_response("**/perfil/tema"):
        await page.get_by_role("button", name="Alternar tema claro e escuro").click()
    await expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    other = await visit("/perfil/seguranca")  # of the same person, in another browser
    await expect(other.locator("html")).to_have_attribute("data-bs-theme", "dark")
