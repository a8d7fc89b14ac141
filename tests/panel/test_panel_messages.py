"""Mensagens: the list, what leaves it, and one message with its life."""

import asyncio
import csv
import io
import re
from urllib.parse import unquote

import panel_messages as rows
import pytest
from panel_browser import Visit, axe, inspected
from panel_messages import HOSTILE
from panel_server import Client, Panel
from playwright.async_api import expect

from pombo.account.people import Role
from pombo.message import State
from pombo.store import ledger

pytestmark = pytest.mark.anyio


def numbers(page: str) -> list[str]:
    return re.findall(r'<a class="to" href="/mensagens/\d+"><b>([^<]+)</b>', page)


def refs(page: str) -> list[str]:
    return re.findall(r'<div class="sub mono hide-s ref"[^>]*>([^<]*)</div>', page)


async def another(panel: Panel) -> int:
    """An account."""
    return await panel.account(f"Outra que não {panel.account_id}")


async def table(client: Client, path: str) -> list[list[str]]:
    async with client.http.get(path) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/csv"
        assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
        text = (await answer.read()).decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=";"))


async def test_a_new_account_is_led_to_its_first_message(panel: Panel) -> None:
    page = await (await panel.client()).get("/mensagens")
    assert "Nenhuma mensagem ainda" in page and 'href="/enviar"' in page
    # Whoever may not send is not sent there.
    assert "Enviar a primeira" not in await (await panel.client(Role.VIEWER)).get("/mensagens")


async def test_the_list_says_what_became_of_each_message_and_why(panel: Panel) -> None:
    await rows.life_of_an_account(panel.db, panel.account_id)
    page = await (await panel.client()).get("/mensagens?periodo=hora")
    for word in (
        "aguarda DLR", "código da operadora", "número inválido", "ESME_RINVDSTADR", "cancelada antes do envio",
        "a operadora não respondeu", "a validade terminou antes do envio", "aguarda a vez", "1,9 s",
    ):  # fmt: skip
        assert word in page
    assert '<span class="pill ok">200</span>' in page and '<span class="pill bad">500</span>' in page


async def test_filters_stand_in_the_address_and_on_the_page(panel: Panel) -> None:
    await rows.life_of_an_account(panel.db, panel.account_id)
    client = await panel.client()
    page = await client.get("/mensagens?periodo=7d&situacao=falhas&conexao=vivo-sp-1&classe=transacional")
    assert refs(page) == ["pedido-3", "pedido-5", "pedido-8"]
    for chosen in (
        'value="7d" selected',
        'value="falhas" selected',
        "selected>vivo-sp-1",
        'value="transacional" selected',
    ):
        assert chosen in page
    assert "3 mensagens · 3 segmentos · R$\xa00,24" in page
    export = re.search(r'href="(/mensagens/exportar\?formato=csv[^"]+)"', page)
    assert export
    assert [row[1] for row in (await table(client, export[1].replace("&amp;", "&")))[1:]] == refs(page)


@pytest.mark.parametrize(
    ("sought", "found"),
    [
        ("(51) 99631-2245", ["pedido-3"]),
        ("pedido-4", ["pedido-4"]),
        ("Check-up", ["pedido-4"]),
        ("CHECK-UP DE FIM", ["pedido-4"]),
        ("não há isso", []),
        ("%", ["pedido-21"]),  # in a text, and no wild card
    ],
)
async def test_people_search_by_number_id_and_text(panel: Panel, sought: str, found: list[str]) -> None:
    await rows.life_of_an_account(panel.db, panel.account_id)
    client = await panel.client()
    async with client.http.get("/mensagens", params={"q": sought}) as answer:
        assert refs(await answer.text()) == found


async def test_our_own_id_finds_its_message_too(panel: Panel) -> None:
    ids = await rows.life_of_an_account(panel.db, panel.account_id)
    assert refs(await (await panel.client()).get(f"/mensagens?q={ids[3]}&periodo=ontem")) == ["pedido-4"]


async def test_pages_go_on_below_the_last_row_and_miss_none(panel: Panel) -> None:
    vivo = await rows.smsc(panel.db)
    for n in range(120):
        await rows.message(panel.db, panel.account_id, vivo, n, ago_s=1000 - n)
    client, path, seen = await panel.client(), "/mensagens?periodo=7d", []
    for _ in range(3):
        page = await client.get(path)
        seen += refs(page)
        older = re.search(r'href="(/mensagens\?[^"]*antes=\d+)"', page)
        if older:
            path = older[1].replace("&amp;", "&")
    assert seen == [f"pedido-{n}" for n in reversed(range(120))]
    assert older is None


async def test_nobody_sees_another_accounts_messages(panel: Panel) -> None:
    ids = await rows.life_of_an_account(panel.db, panel.account_id)
    other = await panel.client(account_id=await another(panel))
    unknown = await other.get("/mensagens/1", status=404)
    assert re.sub(r"csrf.{0,100}", "", await other.get(f"/mensagens/{ids[3]}", status=404)).replace(
        str(ids[3]), "1"
    ) == re.sub(r"csrf.{0,100}", "", unknown)
    assert refs(await other.get("/mensagens?periodo=30d&q=pedido-4")) == []
    assert refs(await other.get(f"/mensagens?q={ids[3]}")) == []
    assert (
        await table(other, f"/mensagens/exportar?id={ids[3]}")
        == (await table(other, "/mensagens/exportar"))[:1]
    )
    await other.post("/mensagens/cancelar", {"id": str(ids[3])})
    assert await panel.db.fetchval("select state from message where id = $1", ids[3]) == State.WAITING
    await other.post(f"/mensagens/{ids[3]}/bloquear", status=404)


@pytest.mark.parametrize(
    "path", ["/mensagens/9223372036854775808", "/mensagens/99999999999999999999999", "/mensagens/x"]
)
async def test_an_id_that_is_none_is_answered_as_an_unknown_one(panel: Panel, path: str) -> None:
    assert "Não há nada aqui" in await (await panel.client()).get(path, status=404)


@pytest.mark.parametrize(
    "query",
    ["antes=x", "antes=99999999999999999999", "q=%00", "de=9999-99-99&periodo=datas", "q=" + "x" * 5000],
)
async def test_an_address_that_makes_no_sense_shows_the_list(panel: Panel, query: str) -> None:
    assert "<h1" in await (await panel.client()).get(f"/mensagens?{query}")


@pytest.mark.parametrize("role", [Role.VIEWER, Role.DEVELOPER])
async def test_whoever_need_not_see_numbers_sees_none_anywhere(panel: Panel, role: Role) -> None:
    ids = await rows.life_of_an_account(panel.db, panel.account_id)
    client = await panel.client(role)
    pages = [
        await client.get("/mensagens"),
        await client.get(f"/mensagens/{ids[1]}"),
        await client.get("/painel"),
        await client.get("/painel/ultimas"),
        str(await table(client, "/mensagens/exportar?periodo=7d")),
    ]
    for page in pages:
        assert "(11) 9****-4321" in page
        assert "98765" not in page
    await client.post("/mensagens/cancelar", {"id": str(ids[3])}, status=403)
    await client.post(f"/mensagens/{ids[1]}/bloquear", status=403)


async def test_a_table_holds_what_is_filtered_and_no_formula(panel: Panel) -> None:
    vivo = await rows.smsc(panel.db)
    await rows.message(panel.db, panel.account_id, vivo, 1, body='=HYPERLINK("http://x")', client_ref="=1+1")
    await rows.message(panel.db, panel.account_id, vivo, 2, body='linha 1\nlinha 2; com "aspas"')
    head, second, first = (await table(await panel.client(), "/mensagens/exportar"))[:3][0:1] + (
        await table(await panel.client(), "/mensagens/exportar")
    )[1:][::-1]
    assert head[:5] == ["Mensagem", "Identificador", "Destino", "Texto", "Situação"]
    assert (first[1], first[3]) == ("'=1+1", '\'=HYPERLINK("http://x")')
    assert second[2:5] == ["(11) 98765-4321", 'linha 1\nlinha 2; com "aspas"', "Entregue"]
    assert second[9:12] == ["1", "0,08", "0,0"]


async def test_a_table_in_english_says_so(panel: Panel) -> None:
    await rows.life_of_an_account(panel.db, panel.account_id)
    client = await panel.client()
    client.http.headers["Accept-Language"] = "en"
    client.http.cookie_jar.update_cookies({"pombo_idioma": "en"})
    found = await table(client, "/mensagens/exportar?periodo=hora")
    assert found[0][4] == "Status"
    assert {"Queued", "Delivered", "Not delivered"} <= {row[4] for row in found[1:]}


async def test_excel_gets_a_workbook_unless_it_would_be_too_long(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rows.life_of_an_account(panel.db, panel.account_id)
    client = await panel.client()
    async with client.http.get("/mensagens/exportar?formato=xlsx") as answer:
        assert answer.content_type.endswith("spreadsheetml.sheet")
        assert (await answer.read()).startswith(b"PK")
    monkeypatch.setattr("pombo.panel.sheet.XLSX_ROWS", 3)
    async with client.http.get("/mensagens/exportar?formato=xlsx&situacao=falhas&periodo=hora") as answer:
        assert (await answer.read()).startswith(b"PK")
    where = await client.get("/mensagens/exportar?formato=xlsx&periodo=7d", status=303)
    assert where == "/mensagens?periodo=7d"
    assert "exporte como CSV" in await client.get(where)
    await client.get("/mensagens/exportar?formato=exe", status=404)


async def test_picked_messages_that_wait_are_cancelled_and_refunded(panel: Panel) -> None:
    ids = await rows.life_of_an_account(panel.db, panel.account_id)
    client = await panel.client(Role.SENDER)
    fields = [("id", str(ids[3])), ("id", str(ids[1])), ("filtros", "periodo=7d")]
    where = await client.post("/mensagens/cancelar", fields)
    assert where == "/mensagens?periodo=7d"
    told = await client.get(where)
    assert "1 mensagem cancelada. 1 ficou: a operadora já a tem, ou ela terminou." in told
    assert await panel.db.fetchval("select state from message where id = $1", ids[3]) == State.CANCELLED
    assert await panel.db.fetchval("select state from message where id = $1", ids[1]) == State.DELIVERED
    entries = (await ledger.statement(panel.db, panel.account_id, None, None, 10))[1]
    assert entries[-1].kind == "refund" and entries[-1].amount_milli == 80
    [record] = await panel.db.fetch(
        "select actor, after from audit where action = 'message.cancel' and after->>'account' = $1::text",
        str(panel.account_id),
    )
    assert record["actor"] == f"panel:sender{panel.account_id}@aurora.example"


async def test_a_message_is_cancelled_from_its_own_page(panel: Panel) -> None:
    ids = await rows.life_of_an_account(panel.db, panel.account_id)
    client = await panel.client()
    assert "Cancelar envio" in await client.get(f"/mensagens/{ids[3]}")
    where = await client.post("/mensagens/cancelar", {"id": str(ids[3]), "pagina": "mensagem"})
    page = await client.get(where)
    assert "Cancelada" in page and "voltou ao saldo" in page and "Cancelar envio" not in page


async def test_a_number_is_blocked_from_a_message_of_it(panel: Panel) -> None:
    ids = await rows.life_of_an_account(panel.db, panel.account_id)
    client = await panel.client()
    where = await client.post(f"/mensagens/{ids[2]}/bloquear")
    assert "Número bloqueado" in await client.get(where)
    assert await panel.db.fetchval("select count(*) from block where account_id = $1", panel.account_id) == 1


async def test_views_are_saved_for_the_account_and_removed(panel: Panel) -> None:
    client = await panel.client(Role.VIEWER)
    query = "periodo=7d&situacao=falhas"
    assert (
        await client.post("/mensagens/visoes", {"nome": " Falhas  da semana ", "filtros": query})
        == f"/mensagens?{query}"
    )
    page = await (await panel.client()).get(f"/mensagens?{query}")
    view = re.search(r'action="/mensagens/visoes/(\d+)/apagar"', page)
    assert view and ">Falhas da semana</a>" in page
    other = await panel.client(account_id=await another(panel))
    await other.post(f"/mensagens/visoes/{view[1]}/apagar", status=404)
    await client.post(f"/mensagens/visoes/{view[1]}/apagar")
    assert "Falhas da semana" not in await client.get("/mensagens")
    assert "Dê um nome" in await client.get(
        await client.post("/mensagens/visoes", {"nome": "\u202e", "filtros": query})
    )


async def test_no_view_shows_a_number_to_those_who_see_none_whole(panel: Panel) -> None:
    admin, viewer = await panel.client(), await panel.client(Role.VIEWER)
    await admin.post("/mensagens/visoes", {"nome": "Da Maria", "filtros": "q=%2B55+(11)+98765-0123"})
    await admin.post("/mensagens/visoes", {"nome": "11 98765.0123", "filtros": "situacao=falhas&classe=otp"})
    plain = "periodo=datas&de=2026-11-01&ate=2026-11-20"
    await admin.post("/mensagens/visoes", {"nome": "Novembro", "filtros": plain})
    assert "Da Maria" in await admin.get("/mensagens")
    page = await viewer.get(f"/mensagens?{plain}")
    assert "Novembro" in page
    assert "Da Maria" not in page and "98765" not in page
    way = await viewer.post("/mensagens/visoes", {"nome": "Meu", "filtros": "q=11987650123"})
    assert "Visões com um número são de quem vê" in await viewer.get(way)
    assert "Meu</a>" not in await admin.get("/mensagens")


async def test_what_is_new_is_counted_above_the_list(panel: Panel) -> None:
    vivo = await rows.smsc(panel.db)
    shown = await rows.message(panel.db, panel.account_id, vivo, 9, ago_s=60)
    client = await panel.client()
    path = f"/mensagens/novas?depois={shown}"
    assert (await client.get(path)).strip() == ""
    await rows.message(panel.db, panel.account_id, vivo, 1)
    assert "1 mensagem nova · mostrar" in await client.get(path)
    assert (await client.get(f"{path}&situacao=falhas")).strip() == ""


async def test_a_message_shows_its_life_to_the_letter(panel: Panel) -> None:
    ids = await rows.life_of_an_account(panel.db, panel.account_id)
    page = await (await panel.client()).get(f"/mensagens/{ids[1]}")
    told = [
        "Aceita",
        "Enviada",
        "Entregue ao aparelho",
        "Callback DLR, 1ª tentativa",
        "Callback DLR confirmado",
    ]
    assert sorted(told, key=page.index) == told
    for raw in (
        "submit_sm_resp ESME_ROK (0x00000000)",
        "7C3A0002",
        "webhook-signature: v1,abc",
        "destino=11987654321",
    ):
        assert raw in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page and "<script>alert(1)" not in page


async def test_people_ask_what_one_program_sends(panel: Panel) -> None:
    vivo = await rows.smsc(panel.db)
    await panel.node._routing.reload()
    while panel.doors.routes().choose(5511987654321, panel.account_id, 1) is None:
        await asyncio.sleep(0.01)
    client = await panel.client()
    fields = {"token": panel.token, "destino": "11987654321", "msg": "do programa", "id": "pelo-erp"}
    assert '"status":200' in await client.post("/api/unitario.php", fields, status=200)
    await rows.message(panel.db, panel.account_id, vivo, 1, body="de uma pessoa", client_ref="a-mao")
    token_id = await panel.db.fetchval("select id from token where account_id = $1", panel.account_id)
    page = await client.get(f"/mensagens?token={token_id}")
    assert "pelo-erp" in page and "a-mao" not in page
    assert f'<option value="{token_id}" selected>{panel.token[:10]}…</option>' in page
    page = await client.get("/mensagens?token=painel")
    assert "a-mao" in page and "pelo-erp" not in page
    assert "pelo-erp" in await client.get("/mensagens?token=nada")
    table = await client.get(f"/mensagens/exportar?token={token_id}")
    assert "pelo-erp" in table and "a-mao" not in table
    message_id = await panel.db.fetchval(
        "select id from message where account_id = $1 and client_ref = 'pelo-erp'", panel.account_id
    )
    assert f"<bdi>{panel.token[:10]}…</bdi>" in await client.get(f"/mensagens/{message_id}")


async def test_a_message_is_drawn_again_only_when_something_has_changed(panel: Panel) -> None:
    vivo = await rows.smsc(panel.db)
    sent = await rows.message(panel.db, panel.account_id, vivo, 1)
    client = await panel.client()
    path = re.search(rf"/mensagens/{sent}\?visto=\w+", await client.get(f"/mensagens/{sent}"))
    assert path
    assert await client.get(path[0], status=204) == ""
    await rows.callback(panel.db, panel.account_id, sent, [503])
    assert path[0] not in await client.get(path[0])


async def test_pages_of_messages_are_for_everybody(visit: Visit, panel: Panel) -> None:
    ids = await rows.life_of_an_account(panel.db, panel.account_id)
    await inspected(visit, "/mensagens?periodo=7d")
    await inspected(visit, f"/mensagens/{ids[1]}")
    await inspected(visit, "/painel")
    await inspected(visit, "/relatorios")


async def test_hostile_texts_are_shown_as_text(visit: Visit, panel: Panel) -> None:
    """`visit` complains of dialogues and of what the policy stops."""
    vivo = await rows.smsc(panel.db)
    for n, text in enumerate(HOSTILE):
        await rows.message(panel.db, panel.account_id, vivo, n, body=text, client_ref=f"<b>{n}</b>'\"")
    page = await visit("/mensagens")
    shown = page.locator("tbody td.msg")
    for n, text in enumerate(HOSTILE):
        await expect(shown.nth(n)).to_have_text(text[:300], use_inner_text=False)
    await expect(page.locator("tbody .ref").first).to_have_text("<b>0</b>'\"")
    for n in (0, 2, 4):
        await page.goto(f"{panel.url}/mensagens?q=%3Cb%3E{n}%3C/b%3E'%22")
        await page.locator("tbody a.to").click()
        await expect(page).to_have_url(re.compile(r"/mensagens/\d+$"))
        await expect(page.locator(".piece p").last).to_be_visible()
        pieces = await page.locator(".piece p").all_text_contents()
        assert "".join(pieces) == HOSTILE[n]
        await page.set_viewport_size({"width": 390, "height": 844})
        assert await page.evaluate("document.documentElement.scrollWidth") == 390


async def test_filtering_keeps_the_address_and_picking_opens_the_bar(visit: Visit, panel: Panel) -> None:
    await rows.life_of_an_account(panel.db, panel.account_id)
    page = await visit("/mensagens?periodo=7d")
    await page.get_by_label("Situação").select_option("falhas")
    await expect(page.locator("tbody tr")).to_have_count(3)
    assert "situacao=falhas" in unquote(page.url) and "periodo=7d" in page.url
    await page.locator("#messages-q").press_sequentially("pedido-3")
    await expect(page.locator("tbody tr")).to_have_count(1)
    await expect(page.locator("#messages-q")).to_be_focused()
    old = await page.locator("#messages-list").element_handle()
    await page.get_by_label("Situação").select_option("")
    await old.wait_for_element_state("hidden")
    await expect(page).to_have_url(f"{panel.url}/mensagens?q=pedido-3&periodo=7d")
    await expect(page.locator(".picked")).to_be_hidden()
    await page.locator("thead input[type=checkbox]").check()
    await expect(page.locator(".picked b")).to_have_text("1")
    await axe(page)
    await expect(page.locator(".picked b")).to_have_text(
        "1"
    )  # the field that was left asks for no other list
    await page.go_back()
    await expect(page.locator("#messages-q")).to_have_value("pedido-3")


async def test_what_happens_is_seen_without_asking(visit: Visit, panel: Panel) -> None:
    vivo = await rows.smsc(panel.db)
    sent = await rows.message(panel.db, panel.account_id, vivo, 60, state=State.SUBMITTED)
    page, one = await visit("/mensagens"), await visit(f"/mensagens/{sent}")
    overview = await visit("/painel")
    await expect(overview.locator("#latest tbody tr")).to_have_count(1)
    await expect(one.get_by_text("Aguarda o recibo (DLR)")).to_be_visible()
    await rows.message(panel.db, panel.account_id, vivo, 1)
    await panel.db.execute("update message set state = 3, final_at = now() where id = $1", sent)
    await expect(page.get_by_text("1 mensagem nova · mostrar")).to_be_visible()
    await expect(page.locator("tbody tr")).to_have_count(1)  # no row jumped
    await expect(one.locator("h1 + .pill")).to_have_text("Entregue")
    await one.locator("details.raw summary").first.click()
    async with (
        panel.db.transaction() as tx
    ):  # its callback goes on after its end, and changes nothing under a reader's hand
        await rows.callback(tx, panel.account_id, sent, [200])
    await expect(one.get_by_text("Callback DLR confirmado")).to_be_visible()
    await expect(one.locator("details.raw pre").first).to_be_visible()
    await expect(overview.locator("#latest tbody tr")).to_have_count(2)
    await page.get_by_text("1 mensagem nova · mostrar").click()
    await expect(page.locator("tbody tr")).to_have_count(2)
