"""The documentation in the panel: what it says is so, and what it tries is done."""

import json
import re

import pytest
from panel_browser import Visit
from panel_server import Panel
from playwright.async_api import expect

from pombo.errors import Refusal
from pombo.panel.docs import PATHS, WHEN

pytestmark = pytest.mark.anyio


def test_every_refusal_says_when_it_is_said() -> None:
    assert set(WHEN) == set(Refusal)


def test_every_path_of_the_api_is_there(server: object) -> None:
    assert {f"/api/{path.file}" for path in PATHS.values()} == set(server.node.legacy.paths)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", PATHS)
async def test_a_path_shows_its_fields_and_its_code(panel: Panel, name: str) -> None:
    page = await (await panel.client()).get(f"/integracao/documentacao?caminho={name}")
    assert f"/api/{PATHS[name].file}" in page
    assert page.count('role="tabpanel"') == 6
    for field in PATHS[name].fields:
        assert f'name="{field.name}"' in page


async def test_what_an_answer_looks_like_has_the_members_of_a_real_one(panel: Panel) -> None:
    """Of sending one and of the balance; the others are held by the tests of the contract."""
    client = await panel.client()
    for name, form in (("unitario", {"destino": "11987654321", "msg": "oi"}), ("saldo", {})):
        path = PATHS[name]
        async with client.http.post(f"/api/{path.file}", data={"token": panel.token, **form}) as answer:
            real = json.loads(await answer.text())
        ((key, (item,)),) = real.items()
        assert list(json.loads(path.answer)[key][0]) == list(item)


async def test_code_holds_what_the_fields_do_and_never_the_token(panel: Panel) -> None:
    client = await panel.client()
    form = {"caminho": "envio", "destino": "11987654321\n21987654321", "msg": "Olá <b>", "token": "segredo"}
    page = await client.post("/integracao/documentacao/codigo", form, status=200)
    assert "21987654321" in page and "&lt;b&gt;" in page and "segredo" not in page
    await client.post("/integracao/documentacao/codigo", {"caminho": "../x"}, status=404)
    await client.get("/integracao/documentacao?caminho=nada", status=404)


async def test_a_call_is_tried_from_the_page(visit: Visit, panel: Panel) -> None:
    await panel.db.execute(
        "insert into smsc (name, host, port, system_id, password_sealed, wanted) values ('op', '127.0.0.1', 1, 'x', 'x',"
        " 'stopped') on conflict do nothing"
    )
    page = await visit("/integracao/documentacao?caminho=saldo")
    await page.fill("#token", panel.token)
    await page.click("text=Chamar agora")
    await expect(page.locator("#answer")).to_contain_text('"saldo":"100.000"')
    await expect(page.locator(".answer .pill")).to_have_class(re.compile("ok"))
    await page.goto(f"{panel.url}/integracao/documentacao?caminho=envio")
    await page.fill("#token", "errado")
    await page.fill("#f-destino", "11987654321\n11987654322")
    await page.fill("#f-msg", "Código 4821")
    await expect(page.locator("#sample-curl")).to_contain_text("Código 4821")
    await page.click("text=Chamar agora")
    await expect(page.locator("#answer")).to_contain_text("Token invalido")
    assert (await page.locator("#answer").inner_text()).count('"status":0') == 2
    await expect(page.locator(".answer .pill")).to_have_class(re.compile("bad"))
