"""Campaigns as people make them: from the file to the last row, with hostile texts on the way."""

import asyncio
import contextlib
import io
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import aiohttp
import pytest
from panel_browser import Visit, inspected
from panel_server import Client, Panel
from playwright.async_api import expect

from pombo.account.people import Role
from pombo.campaign.states import State
from pombo.message import State as MessageState

pytestmark = pytest.mark.anyio

FILE = (
    b"Nome;Celular;CPF\nAna Souza;11987654321;1\nJo\xc3\xa3o Lima;(21) 97340-1188;2\nBia;11 3864-2210;3\n"
    b"Rui;11987654321;4\n"
)
HOSTILE = "<script>alert(1)</script> \"'&{nome} \u202eabc 😀 =1+1"


def form(octets: bytes, name: str = "contatos.csv") -> aiohttp.FormData:
    data = aiohttp.FormData()
    data.add_field("arquivo", io.BytesIO(octets), filename=name, content_type="text/csv")
    return data


async def route(panel: Panel) -> None:
    """An operator that takes nothing: what is sent stays in the queue. Marketing may go at any hour."""
    await panel.db.execute(
        "with new as (insert into smsc (name, host, port, system_id, password_sealed, wanted)"
        "  values ('x', '127.0.0.1', 1, 'x', '', 'stopped') on conflict do nothing returning id)"
        " insert into route (prefix, smsc_id) select '55', id from new"
    )
    await panel.db.execute("update account set marketing_window = 'always' where id = $1", panel.account_id)
    while panel.doors.routes().choose(5511987654321, panel.account_id, 2) is None:
        await asyncio.sleep(0.01)


async def uploaded(client: Client, octets: bytes = FILE, name: str = "contatos.csv") -> str:
    way = await client.post("/campanhas/nova", form(octets, name))
    found = re.fullmatch(r"(/campanhas/\d+)/mensagem", way)
    assert found, way
    return found[1]


async def written(panel: Panel, client: Client, campaign: str, **fields: str) -> None:
    """And checked."""
    given = {"nome": "Lembrete", "msg": "Oi {nome}", "classe": "2", **fields}
    assert await client.post(f"{campaign}/mensagem", given) == f"{campaign}/previa"
    await standing(panel, campaign, State.CHECKED)


async def standing(panel: Panel, campaign: str, state: State) -> None:
    campaign_id = int(campaign.rpartition("/")[2])
    async with asyncio.timeout(10):
        while await panel.db.fetchval("select state from campaign where id = $1", campaign_id) != state:
            await asyncio.sleep(0.01)


async def test_a_file_becomes_messages_by_way_of_its_preview(panel: Panel) -> None:
    await route(panel)
    client = await panel.client(Role.SENDER)
    assert "Nenhuma campanha" in await client.get("/campanhas")
    campaign = await uploaded(client)
    page = await client.get(f"{campaign}/mensagem")
    assert "{nome}" in page and "Ana Souza" in page and "contatos.csv" in page
    assert await client.get(campaign, status=303) == f"{campaign}/mensagem"

    await written(panel, client, campaign)
    page = await client.get(f"{campaign}/previa")
    for said in (
        "(11) 98765-4321",
        '<span class="vari">Joao Lima</span>',
        "Telefone fixo",
        "Repetida, igual à linha 2",
    ):
        assert said in page
    assert "fixos: 1, repetidas: 1" in page or "repetidas: 1, fixos: 1" in page
    page = await client.get(f"{campaign}/confirmar")
    assert "R$\u00a00,16" in page

    version = re.search(r'name="versao" value="(\d+)"', page)
    assert version
    await client.post(f"{campaign}/confirmar", {"versao": version[1], "quando": "agora"})
    await standing(panel, campaign, State.DONE)
    page = await client.get(campaign)
    assert 'Na fila <b class="num-b">2</b>' in page and "Todas na fila" in page
    rows = await panel.db.fetch(
        "select number, body, class from message where account_id = $1 order by id", panel.account_id
    )
    assert [tuple(row) for row in rows] == [
        (5511987654321, "Oi Ana Souza", 2),
        (5521973401188, "Oi João Lima", 2),
    ]
    link = re.search(r'href="(/mensagens\?q=campanha-\d+-)"', page)
    assert link
    theirs = await client.get(link[1])
    assert "(11) 98765-4321" in theirs and "(21) 97340-1188" in theirs
    assert "97340-1188" not in await client.get(link[1].replace("campanha-", "campanha-9"))
    table = await client.get(f"{campaign}/recusadas.csv")
    assert table.splitlines()[1:] == [
        "4;11 3864-2210;Telefone fixo;Use um celular, com 9",
        "5;11987654321;Repetida, igual à linha 2;Recebe só uma vez",
    ]
    assert await client.get(f"{campaign}/previa", status=303) == campaign

    await client.post(f"{campaign}/cancelar", {"fila": "1"})
    await standing(panel, campaign, State.CANCELLED)
    states = await panel.db.fetch(
        "select distinct state from message where account_id = $1", panel.account_id
    )
    assert [row["state"] for row in states] == [MessageState.CANCELLED]


@pytest.mark.parametrize(
    ("octets", "name", "said"),
    [
        (b"", "vazio.csv", "O arquivo está vazio."),
        (b"Nome;Celular\n", "titulos.csv", "faltam os contatos"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(32)) * 50, "foto.csv", "Isto não é um CSV"),
        (b"PK\x03\x04 nothing", "x.xlsx", "danificada"),
        (b"", "", "Escolha um arquivo."),
    ],
)
async def test_what_is_no_file_of_contacts_is_refused_in_words(
    panel: Panel, octets: bytes, name: str, said: str
) -> None:
    client = await panel.client()
    assert said in await client.post("/campanhas/nova", form(octets, name), status=422)
    assert "Nenhuma campanha" in await client.get("/campanhas")


async def test_a_file_over_the_limit_is_refused_before_it_is_read(panel: Panel) -> None:
    client = await panel.client()
    with contextlib.suppress(aiohttp.ClientError):  # the server may hang up on it
        await client.post("/campanhas/nova", form(b"a;b\n" * (13 * 1024 * 1024 + 100_000)), status=413)
    assert "Nenhuma campanha" in await client.get("/campanhas")


async def test_hostile_cells_titles_and_names_show_as_text(panel: Panel) -> None:
    await route(panel)
    client = await panel.client()
    quoted = HOSTILE.replace('"', '""')
    octets = f'Nome;Celular;"{quoted}"\n"{quoted}";11987654321;x\n"{quoted}";"{quoted}";x\n{"y" * 10_000};11987654322;x\n'
    campaign = await uploaded(client, octets.encode(), f"{HOSTILE}.csv")
    await written(panel, client, campaign, nome=HOSTILE, codificacao="auto")
    for path in ("/mensagem", "/previa", "/confirmar"):
        page = await client.get(f"{campaign}{path}")
        assert "<script>alert" not in page and "&lt;script&gt;alert" in page
    assert "Mensagem longa demais" in await client.get(f"{campaign}/previa")
    assert HOSTILE.replace("{nome}", "") not in await client.get("/campanhas")
    table = await client.get(f"{campaign}/recusadas.csv")
    assert "\n=1" not in table and "<script>" in table


async def test_a_form_that_cannot_be_done_is_answered_with_what_was_written(panel: Panel) -> None:
    client = await panel.client()
    campaign = await uploaded(client)
    page = await client.post(
        f"{campaign}/mensagem", {"msg": "Oi {sobrenome}", "uso0": "first_word"}, status=422
    )
    assert "A mensagem usa {sobrenome}" in page and "Oi {sobrenome}</textarea>" in page
    assert re.search(r'value="first_word" selected', page)
    page = await client.post(
        f"{campaign}/exemplo", {"msg": "Oi {nome} {x}", "uso0": "first_word"}, status=200
    )
    assert '<span class="vari">Ana</span>' in page and "{x}" in page


async def test_a_schedule_is_of_the_accounts_zone_and_never_in_the_past(panel: Panel) -> None:
    await route(panel)
    client = await panel.client()
    campaign = await uploaded(client)
    await written(panel, client, campaign)
    for hour, said in (
        ("2020-01-01T10:00", "já passou"),
        ("amanhã", "Escolha o dia"),
        ("2999-01-01T10:00", "um ano"),
    ):
        given = {"versao": "1", "quando": "agendar", "hora": hour}
        assert said in await client.post(f"{campaign}/confirmar", given, status=422)

    at = (datetime.now(UTC) + timedelta(days=2)).replace(second=0, microsecond=0)
    local = at.astimezone(ZoneInfo("America/Sao_Paulo")).strftime("%Y-%m-%dT%H:%M")
    await client.post(f"{campaign}/confirmar", {"versao": "1", "quando": "agendar", "hora": local})
    assert (
        await panel.db.fetchval("select start_at from campaign where account_id = $1", panel.account_id) == at
    )
    assert "Agendada" in await client.get(campaign)
    await client.post(f"{campaign}/pausar")
    assert "Pausada" in await client.get(campaign)
    await client.post(f"{campaign}/continuar")
    assert "Agendada" in await client.get(campaign)


async def test_who_only_looks_sees_masked_numbers_and_no_buttons(panel: Panel) -> None:
    await route(panel)
    sender, viewer = await panel.client(Role.SENDER), await panel.client(Role.VIEWER)
    campaign = await uploaded(sender)
    await written(panel, sender, campaign)
    page = await viewer.get(f"{campaign}/previa")
    assert "(11) 9****-4321" in page and "98765-4321" not in page and "3864-2210" not in page
    for path in ("/mensagem", "/confirmar", "/recusadas.csv"):
        await viewer.get(f"{campaign}{path}", status=403)
    await viewer.post(f"{campaign}/excluir", status=403)
    await (await panel.client(Role.DEVELOPER)).get("/campanhas", status=403)


async def test_a_campaign_of_another_account_is_unknown_on_every_path(panel: Panel) -> None:
    campaign = await uploaded(await panel.client())
    other = await panel.client(account_id=await panel.account("Outra"))
    for path in ("", "/mensagem", "/previa", "/confirmar", "/andamento", "/conferencia", "/recusadas.csv"):
        theirs = await other.get(f"{campaign}{path}", status=404)
        nobodys = await other.get(f"/campanhas/999{path}", status=404)
        assert theirs.replace(campaign, "") == nobodys.replace("/campanhas/999", "")
        await other.get(f"/campanhas/{2**64}{path}", status=404)
    for path in (
        "/mensagem",
        "/exemplo",
        "/sem-acentos",
        "/confirmar",
        "/excluir",
        "/pausar",
        "/continuar",
        "/cancelar",
    ):
        await other.post(f"{campaign}{path}", status=404)
    assert "contatos.csv" not in await other.get("/campanhas")


async def test_fifty_thousand_rows_with_bad_ones_in_a_browser(panel: Panel, visit: Visit) -> None:
    """Only so many of them wait in the queue at a time: nothing drains it here, so there is time to pause and cancel."""
    await route(panel)
    await panel.db.execute("update account set balance_milli = 10000000 where id = $1", panel.account_id)
    rows = "".join(
        f"Pessoa {n};{11_90000_0000 + n if n % 100 else 11_3800_0000 + n};x\n" for n in range(50_000)
    )
    # A fragment that is on its way when the page is left is given up, and htmx says so.
    page = await visit("/campanhas", expected=("htmx:afterRequest", "htmx:sendAbort"))
    page.set_default_timeout(30_000)
    await page.get_by_role("link", name="Nova campanha").click()
    await page.locator("input[type=file]").set_input_files(
        {"name": "lista.csv", "mimeType": "text/csv", "buffer": f"Nome;Celular;CPF\n{rows}".encode()}
    )
    await expect(page.get_by_text("lista.csv")).to_be_visible()
    await page.get_by_role("button", name="Continuar").click()
    await page.get_by_role("textbox", name="Mensagem da campanha").fill("Oi ")
    await page.get_by_role("button", name="{nome}").click()
    await expect(page.locator("#exemplo .vari")).to_have_text("Pessoa 0")
    await page.get_by_label("Transacional").check()
    await page.get_by_role("button", name="Conferir").click()
    await expect(page.get_by_text("Vão receber")).to_be_visible(timeout=30_000)
    await expect(page.get_by_text("5 de 500 · fixos: 500")).to_be_visible()
    await page.get_by_role("link", name="Continuar").click()

    confirm = page.get_by_role("button", name="Confirmar campanha")
    await page.get_by_label("Para confirmar, digite").fill("1")
    await expect(confirm).to_be_disabled()
    await page.get_by_label("Para confirmar, digite").fill("49.500")
    await confirm.click()
    await expect(page.get_by_role("heading", name="lista")).to_be_visible()
    await expect(page.locator("#andamento")).to_contain_text("Na fila 49.500")
    await page.get_by_role("button", name="Pausar").click()
    await expect(page.locator("#campanha-topo .pill")).to_have_text("Pausada")
    await page.get_by_role("button", name="Continuar").click()
    await expect(page.locator("#campanha-topo .pill")).to_have_text("Enviando")
    await page.get_by_role("button", name="Cancelar o resto").click()
    await page.get_by_role("dialog").get_by_role("button", name="Cancelar o resto").click()
    # The page hears of it by itself.
    await expect(page.locator("#campanha-topo .pill")).to_have_text("Cancelada", timeout=30_000)
    await expect(page.locator("#andamento")).to_contain_text("Canceladas 49.500")
    sent = "select count(*), count(distinct number) from message where account_id = $1"
    count, people = await panel.db.fetchrow(sent, panel.account_id) or (0, 0)
    assert count == people <= 2000


async def test_each_step_is_accessible_in_both_themes_and_fits_a_phone(panel: Panel, visit: Visit) -> None:
    await route(panel)
    client = await panel.client()
    quoted = HOSTILE.replace('"', '""')
    octets = FILE + f'"{quoted}";11987654329;1\n'.encode() + b"x" * 2000 + b";11987654328;1\n"
    campaign = await uploaded(client, octets)
    await written(panel, client, campaign, msg="Olá {nome}, tudo bem?", codificacao="auto")
    for path in ("/mensagem", "/previa", "/confirmar"):
        await inspected(visit, f"{campaign}{path}")
    await client.post(f"{campaign}/confirmar", {"versao": "1", "quando": "agora"})
    await standing(panel, campaign, State.DONE)
    await inspected(visit, campaign)
    await inspected(visit, "/campanhas")
