"""Painel and Relatórios: figures that agree with the messages and the money."""

import csv
import io
import json
import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import panel_messages as rows
import pytest
from panel_browser import Visit
from panel_server import Client, Panel
from playwright.async_api import expect

from pombo.account.people import Role
from pombo.message import State
from pombo.store import ledger

pytestmark = pytest.mark.anyio


def chart(page: str, name: str) -> dict[str, list[int]]:
    found = re.search(rf'<script type="application/json" id="{name}-data">(.*?)</script>', page)
    assert found
    return {series["n"]: series["v"] for series in json.loads(found[1])["series"]}


async def table(client: Client, path: str) -> list[list[str]]:
    async with client.http.get(path) as answer:
        assert (answer.status, answer.content_type) == (200, "text/csv")
        return list(
            csv.reader(io.StringIO((await answer.read()).decode("utf-8-sig"), newline=""), delimiter=";")
        )


async def test_a_new_account_begins_with_its_first_message(panel: Panel) -> None:
    assert "Envie a primeira mensagem" in await (await panel.client()).get("/painel")
    viewer = await (await panel.client(Role.VIEWER)).get("/painel")
    assert "Nenhuma mensagem ainda" in viewer and 'id="composer"' not in viewer


async def test_the_overview_counts_the_period_and_compares_it(panel: Panel) -> None:
    vivo, claro = await rows.smsc(panel.db), await rows.smsc(panel.db, "claro-1")
    for n in range(6):
        await rows.message(panel.db, panel.account_id, vivo, n, ago_s=86_400 * 2 + n)
    await rows.message(
        panel.db, panel.account_id, claro, 10, ago_s=86_400 * 2, state=State.UNDELIVERED, error="027"
    )
    await rows.message(panel.db, panel.account_id, claro, 11, ago_s=86_400 * 2, state=State.SUBMITTED)
    for n in range(4):
        await rows.message(panel.db, panel.account_id, vivo, 20 + n, ago_s=86_400 * 9 + n)
    page = await (await panel.client()).get("/painel?periodo=7d")
    figures = re.findall(r'<div class="v num">([^<]*)</div>', page)
    assert figures == ["8", "85,7%", "1,9 s", "0"]
    assert "▲ 100%" in page and "▼ 14,3 p.p." in page
    drawn = chart(page, "traffic")
    assert {name: sum(values) for name, values in drawn.items()} == {
        "Entregues": 6,
        "Aguardando": 1,
        "Falhas": 1,
    }
    assert len(drawn["Entregues"]) == 7
    shares = re.findall(r'<b class="text-truncate">([^<]*)</b>.*?<b>([^<]*)</b>', page, re.DOTALL)
    assert shares == [("vivo-sp-1", "100%"), ("claro-1", "0%")]


async def test_the_overview_says_how_callbacks_go(panel: Panel) -> None:
    client = await panel.client()
    ids = await rows.life_of_an_account(panel.db, panel.account_id)
    assert "Nenhuma URL registrada" in await client.get("/painel")
    await panel.db.execute(
        "insert into endpoint (account_id, kind, url, secret_sealed) values ($1, 1, 'https://a.example/<b>', '')",
        panel.account_id,
    )
    assert ids
    page = await client.get("/painel")
    assert "https://a.example/&lt;b&gt;" in page and "1 sem confirmação" in page


async def test_reports_agree_with_the_messages_and_the_ledger(panel: Panel) -> None:
    vivo = await rows.smsc(panel.db)
    for n in range(3):
        await rows.message(panel.db, panel.account_id, vivo, n, ago_s=3 * 86_400 + n)
    token_id = await panel.db.fetchval(
        "insert into token (account_id, name, hmac, prefix) values ($1, 'cobrança', 'h', 'pombo_x') returning id",
        panel.account_id,
    )
    await panel.db.execute("update message set token_id = $1", token_id)
    refunded = await rows.message(
        panel.db, panel.account_id, vivo, 9, ago_s=86_400, state=State.REJECTED, error="X"
    )
    await panel.db.execute("update message set refunded_milli = 80 where id = $1", refunded)
    await ledger.book(panel.db, panel.account_id, "recharge", 50_000, note="=nota", reference="nf 1")
    client, today = await panel.client(Role.VIEWER), datetime.now(ZoneInfo("America/Sao_Paulo")).date()
    query = f"de={today - timedelta(days=10)}&ate={today}"
    page = await client.get(f"/relatorios?{query}")
    assert "4 mensagens · 4 segmentos · R$\xa00,24" in page
    assert sum(chart(page, "days")["Entregues"]) == 3
    days = await table(client, f"/relatorios/exportar/dias?{query}")
    assert [row[1:] for row in days[1:] if row[1] != "0"] == [
        ["1", "1", "0", "1", "0", "0,0"],
        ["3", "3", "3", "0", "0", "0,24"],
    ]
    assert [days[1][0], len(days)] == [str(today), 1 + 11]
    [connection] = (await table(client, f"/relatorios/exportar/conexoes?{query}"))[1:]
    assert connection == ["vivo-sp-1", "4", "4", "3", "1", "0", "0,24"]
    assert (await table(client, f"/relatorios/exportar/tokens?{query}"))[1:] == [
        ["cobrança", "3", "3", "3", "0", "0", "0,24"],
        ["sem token: pelo painel", "1", "1", "0", "1", "0", "0,0"],
    ]
    assert f"token={token_id}" in page and "token=painel" in page
    entries = await table(client, f"/relatorios/exportar/extrato?{query}")
    assert [(row[2], row[4], row[5], row[6], row[7]) for row in entries[1:]] == [
        ("Recarga", "100,0", "100,0", "", "first balance"),
        ("Recarga", "50,0", "150,0", "nf 1", "'=nota"),
    ]
    async with client.http.get(f"/relatorios/exportar/extrato?formato=xlsx&{query}") as answer:
        assert (await answer.read()).startswith(b"PK")
    await client.get("/relatorios/exportar/outra", status=404)
    await client.get("/relatorios/exportar/dias?formato=exe", status=404)


@pytest.mark.parametrize(
    "query", ["de=x", "de=2026-02-31", "de=9999-12-31", "de=2026-11-30&ate=2026-11-01", "ate=0001-01-01"]
)
async def test_a_period_that_makes_no_sense_is_put_right(panel: Panel, query: str) -> None:
    assert "<h1" in await (await panel.client()).get(f"/relatorios?{query}")


async def test_a_long_period_shows_its_last_days_and_says_so(panel: Panel) -> None:
    page = await (await panel.client()).get("/relatorios?de=2025-01-01&ate=2026-01-01")
    assert "Mostramos até 93 dias" in page and 'value="2025-10-01"' in page


async def test_the_chart_is_drawn_and_drawn_anew_in_the_other_theme(visit: Visit, panel: Panel) -> None:
    await rows.life_of_an_account(panel.db, panel.account_id)
    page = await visit("/painel?periodo=7d")
    canvas = page.locator("#traffic canvas")
    await expect(canvas).to_be_visible()
    await expect(page.locator("#traffic .u-legend")).to_be_hidden()
    await page.locator("#traffic .u-over").hover()
    await expect(page.locator("#traffic .tip")).to_contain_text("Entregues:")
    await page.evaluate("document.body.dispatchEvent(new Event('htmx:afterSettle'))")  # as after live figures
    await expect(page.locator("#traffic .tip")).to_contain_text("Entregues:")
    await page.locator("[data-theme-toggle]").click()
    await expect(canvas).to_be_visible()
