"""The first minute, as a newcomer has it: `demo`, its login link, a message, an answer, the callbacks, one's own program;
and the next day."""

import asyncio
import re
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from html import unescape
from types import SimpleNamespace

import pytest
from panel_browser import PHONE, Visits, axe, no_sideways_scroll
from panel_server import Client
from playwright.async_api import Browser, Page, expect
from story_program import Customer, Program, running

pytestmark = pytest.mark.anyio

PATH = "/integracao/aparelho"
FIRST_MINUTE_S = 60.0


@pytest.fixture(scope="module")
def demo() -> Iterator[Program]:
    """One for all of them, in the order in which they stand. `began`: when somebody typed the command."""
    began = time.monotonic()
    with running("demo") as program:
        program.ready["began"] = began
        yield program


@pytest.fixture
async def visits(demo: Program, browser: Browser) -> AsyncIterator[Visits]:
    async with Visits(browser, SimpleNamespace(url=demo.ready["url"])) as visits:  # type: ignore[arg-type]
        yield visits


async def came_in(program: Program, link: str) -> Client:
    """Whoever opens a link that lets in once."""
    client = Client(program.ready["url"], "", "")
    code = "/entrar/" + link.rpartition("/")[2]
    found = re.search(r'name="csrf" value="(\w+)"', await client.get(code))
    assert found
    client.csrf = found[1]
    assert await client.post(code) == PATH
    found = re.search(r'data-csrf="(\w+)"', await client.get(PATH))
    assert found
    client.csrf = found[1]
    return client


async def done(page: Page, *steps: int) -> None:
    for n in range(1, 6):
        await expect(page.locator(f"#tick-{n}")).to_contain_text("feito" if n in steps else "a fazer")
    await expect(page.locator("#count")).to_contain_text(f"{len(steps)} de 5")


async def test_the_first_minute(demo: Program, visits: Visits) -> None:
    page = await visits.visit(demo.ready["login_url"].removeprefix(demo.ready["url"]), role=None)
    await expect(page).to_have_url(demo.ready["url"] + PATH)
    await expect(page.get_by_role("heading", name="Primeiros passos")).to_be_visible()
    await expect(page.get_by_label("Para (11) 90000-0001")).to_have_value(re.compile("^Olá, João! .* 14h30"))
    await done(page)
    thread, calls = page.locator("#thread .bub"), page.locator("#calls .hit-in")

    await page.get_by_role("button", name="Enviar", exact=True).click()
    await expect(thread).to_have_text([re.compile("^Ola, Joao! Sua consulta esta confirmada")])
    await expect(page.locator("#life .pill.ok")).to_have_text(["aceita", "enviada", "entregue"])
    await expect(page.locator("#thread .said")).to_contain_text("entregue")
    await expect(calls).to_have_count(1)
    await expect(calls.locator("dt, dd")).to_contain_text(
        ["status", "2", "id", "painel-", "destino", "11900000001"]
    )
    await done(page, 1, 2)

    badge = page.locator('#side [data-count="unread"]')
    await expect(badge).to_be_hidden()
    await page.get_by_role("button", name="SIM", exact=True).click()
    await expect(thread).to_have_text([re.compile("^Ola"), "SIM"])
    await expect(badge).to_have_text("1")
    await expect(calls).to_have_count(2)
    await expect(calls.first).to_contain_text(
        re.compile(r"GET /receptor/\w+/mo\?data=.*&numero=11900000001&mensagem=SIM")
    )
    await calls.first.get_by_text("Cabeçalhos e resposta").click()
    await expect(calls.first.locator("details pre")).to_contain_text(
        re.compile(r"webhook-signature: v1,[\s\S]*200 OK")
    )
    await done(page, 1, 2, 3)
    await page.locator("#talk").get_by_role("link", name="Caixa de entrada").click()
    await expect(page.locator("#chat .bub")).to_have_text([re.compile("^Olá, João!"), "SIM"])
    await page.wait_for_load_state()
    await page.keyboard.press("g")
    await page.keyboard.press("a")

    await page.get_by_role("button", name="Copiar cURL").click()
    await expect(page.locator("#copied")).to_contain_text("Cole num terminal")
    line = await page.evaluate("navigator.clipboard.readText()")
    answer = subprocess.run(line, shell=True, capture_output=True, text=True, check=True).stdout
    assert '"status":200' in answer
    await expect(thread.nth(2)).to_have_text("Ola do terminal!")
    await done(page, 1, 2, 3, 4)
    await expect(page.get_by_text("Conecte sua operadora")).to_be_visible()
    await expect(page.locator("#real")).to_contain_text("pombo smsc add operadora")
    took_s = time.monotonic() - demo.ready["began"]
    assert took_s < FIRST_MINUTE_S, f"from the command to the last step: {took_s:.1f} s"

    await expect(calls).to_have_count(3)
    await axe(page)
    await page.emulate_media(color_scheme="dark")
    await expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    await axe(page, rules=["color-contrast"])
    await page.set_viewport_size({"width": PHONE, "height": 844})
    await no_sideways_scroll(page)


async def test_who_says_sair_is_not_written_to_again_and_the_page_says_where_to_look(
    demo: Program, visits: Visits
) -> None:
    page = await visits.visit(link(demo), role=None)
    await page.goto(f"{demo.ready['url']}{PATH}?numero=21900000001")
    await page.get_by_role("button", name="SAIR", exact=True).click()
    await expect(page.locator("#toasts")).to_contain_text("Nenhuma mensagem chegou a este aparelho ainda")
    await page.locator("#msg").fill("<script>alert(1)</script> \u202eoi")
    await page.locator("#msg").press("Control+Enter")
    await expect(page.locator("#thread .bub").first).to_contain_text("<script>alert(1)</script>")
    await page.get_by_role("button", name="SAIR", exact=True).click()
    # What confirms it comes after the answer of whoever wanted out.
    await expect(page.locator("#thread .bub")).to_have_count(3)
    await page.get_by_role("button", name="Enviar", exact=True).click()
    await expect(page.locator("#fault")).to_contain_text("pediu para não receber mensagens")
    await page.locator("#fault").get_by_role("link", name="Abrir Bloqueios").click()
    await expect(page).to_have_url(re.compile("/bloqueios$"))


async def test_a_message_that_fails_says_so_and_each_handset_has_its_own_talk(
    demo: Program, visits: Visits
) -> None:
    page = await visits.visit(link(demo), role=None)
    await page.get_by_role("link", name="90000-0002").click()
    await expect(page.locator("#thread .bub")).to_have_count(0)
    await page.get_by_role("button", name="Enviar", exact=True).click()
    await expect(page.locator("#life .pill.bad")).to_have_text("não entregue")
    await expect(page.locator("#thread .said")).to_contain_text("falhou · UNDELIV")
    await page.get_by_label("Responder pelo aparelho").fill("Livre")
    await page.get_by_label("Responder pelo aparelho").press("Enter")
    await expect(page.locator("#thread .bub.me")).to_have_text("Livre")
    await expect(page.get_by_label("Responder pelo aparelho")).to_have_value("")


async def test_another_account_sees_nothing_of_it(demo: Program) -> None:
    """Neither its page, nor what it sends to the same number on the page of the account that has the handset."""
    added = demo.run("user", "add", "demo2", "outra@pombo.example")
    other = await came_in(demo, added["login_url"])
    own = await came_in(demo, demo.run("user", "password", "demo@pombo.example")["login_url"])
    try:
        page = await other.get(PATH)
        assert "é da conta demo" in page
        for secret in (demo.ready["token"], "João", "/receptor/", 'id="thread"'):
            assert secret not in page
        assert "data-bs-theme" in await other.get(f"{PATH}/agora", status=404)
        await other.post(f"{PATH}/responder", {"numero": "11900000001", "texto": "X"}, status=404)
        await other.post(f"{PATH}/enviar", {"numero": "11900000001", "msg": "X"}, status=404)
        sent = Customer(demo, demo.ready["second_token"])
        sent.wait_status(sent.send("11900000001", "Da outra conta"), "2")
        assert "Da outra conta" not in await own.get(PATH)
        assert "Ola, Joao" in await own.get(PATH)
    finally:
        await other.close()
        await own.close()


async def test_whoever_may_only_look_is_given_no_token_and_no_form(demo: Program) -> None:
    viewer = await came_in(
        demo, demo.run("user", "add", "demo", "olha@pombo.example", "--role", "viewer")["login_url"]
    )
    try:
        page = await viewer.get(PATH)
        assert demo.ready["token"] not in page and 'id="first"' not in page
        await viewer.post(f"{PATH}/enviar", {"numero": "11900000001", "msg": "X"}, status=403)
    finally:
        await viewer.close()


async def test_the_next_start_finds_everything_and_callbacks_follow_the_port(demo: Program) -> None:
    before = demo.ready
    kept = await asyncio.to_thread(urls, demo)
    demo.stop()
    demo.start()
    assert [demo.ready[key] for key in ("token", "second_token")] == [before["token"], before["second_token"]]
    moved = {kind: url.replace(before["url"], demo.ready["url"]) for kind, url in kept.items()}
    assert await asyncio.to_thread(urls, demo) == moved != kept
    customer = Customer(demo, demo.ready["token"])
    assert any(reply["mensagem"] == "SIM" for reply in customer.replies(todas="1"))
    client = await came_in(demo, link(demo))
    try:
        page = await client.get(PATH)
        assert "4 de 5" in page and 'class="hit-in"' not in page
        customer.send("11900000001", id="depois-de-mudar")
        async with asyncio.timeout(10):
            while "id=depois-de-mudar" not in unescape(await client.get(f"{PATH}/agora?tela=0&chamada=0")):
                pass
    finally:
        await client.close()


def test_what_a_person_has_registered_is_left_alone(demo: Program) -> None:
    own = "http://127.0.0.1:9/meu/dlr"
    demo.run("callback", "set", "demo", "--kind", "dlr", "--url", own)
    demo.stop()
    demo.start()
    assert urls(demo)[1] == own
    assert urls(demo)[2].startswith(demo.ready["url"] + "/receptor/")


async def test_a_token_that_was_revoked_is_not_offered(demo: Program) -> None:
    client = await came_in(demo, link(demo))
    try:
        tokens = demo.run("token", "list", "--account", "demo")["tokens"]
        assert demo.ready["token"] in await client.get(PATH)
        demo.run("token", "add", "demo", "--name", "outro")
        demo.run("token", "revoke", str(tokens[0]["token_id"]))
        page = await client.get(PATH)
        assert demo.ready["token"] not in page and "POMBO_TOKEN" in page
    finally:
        await client.close()


def link(program: Program) -> str:
    """A new one that lets in, as the account's administrator."""
    url: str = program.run("user", "password", "demo@pombo.example")["login_url"]
    return "/entrar/" + url.rpartition("/")[2]


def urls(program: Program) -> dict[int, str]:
    """Of the first account's endpoints, by kind."""
    return {row["kind"]: row["url"] for row in program.sql("select kind, url from endpoint order by kind")}
