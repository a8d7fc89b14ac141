"""MEU PERFIL > CONFIGURAÇÕES > call-back DLR / callback MO."""

import asyncio
import base64
import hashlib
import hmac
import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from panel_browser import Visit, axe
from panel_server import Client, Panel, Server
from playwright.async_api import expect

from pombo.account.people import Role
from pombo.callback import endpoints
from pombo.callback.address import Wrong
from pombo.message import CallbackKind
from pombo.panel import settings

pytestmark = pytest.mark.anyio

PATH = "/perfil/configuracoes"
HOSTILE = b"HTTP/1.1 503 Down\r\nContent-Length: 33\r\n\r\n<script>alert(1)</script>\x00\xff\xe2\x80\xae..."


class Receiver:
    """A customer's own server: what it was asked, and what it answers."""

    def __init__(self, answer: bytes) -> None:
        self.heads: list[str] = []
        self.answer = answer
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(self.answer)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def receiving(
    answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK",
) -> AsyncIterator[Receiver]:
    receiver = Receiver(answer)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/sms/dlr"
    async with server:
        yield receiver


def form(url: str, formato: str = "query", aceita: str = "200") -> dict[str, str]:
    return {"url": url, "formato": formato, "aceita": aceita}


async def test_the_sections_are_called_as_the_contract_calls_them(panel: Panel) -> None:
    page = await (await panel.client()).get(PATH)
    assert re.findall(r"<h2[^>]*>([^<]+)</h2>", page)[:2] == ["call-back DLR", "callback MO"]
    assert '<h1 class="h1 mb-2">Configurações</h1>' in page
    assert "5 s, 30 s, 2 min, 10 min, 30 min, 1 h, 2 h, 4 h, 8 h, 8 h" in page
    assert page.count("sem URL") == 2


async def test_what_is_saved_is_what_the_commands_see_and_its_secret_stays(panel: Panel) -> None:
    client = await panel.client()
    assert await client.post(f"{PATH}/dlr", form("https://api.aurora.example/sms")) == f"{PATH}#dlr"
    first = await endpoints.registered(panel.db, panel.account_id, CallbackKind.DLR)
    await client.post(f"{PATH}/dlr", form("https://api.aurora.example/novo", "literal", "2xx"))
    row = await endpoints.registered(panel.db, panel.account_id, CallbackKind.DLR)
    assert (
        first
        and row
        and (row.url, row.literal, row.any_2xx) == ("https://api.aurora.example/novo", True, True)
    )
    assert first.secret_sealed == row.secret_sealed
    assert await endpoints.registered(panel.db, panel.account_id, CallbackKind.MO) is None
    record = await panel.db.fetchrow("select action, actor, after::text from audit order by id desc limit 1")
    assert record and record["action"] == "callback.set" and "novo" not in record["after"]
    assert record["actor"] == f"panel:admin{panel.account_id}@aurora.example"
    page = await client.get(PATH)
    assert (
        "https://api.aurora.example/novo/status=2&amp;id=5b678259ef213&amp;destino=11987654321&amp;entrega="
        in page
    )
    await client.post(f"{PATH}/dlr/remover")
    assert await endpoints.registered(panel.db, panel.account_id, CallbackKind.DLR) is None
    await client.post(f"{PATH}/dlr/remover", status=404)


def test_the_page_has_words_for_whatever_is_wrong_with_a_url() -> None:
    assert set(settings._WRONG) == set(Wrong)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "Informe a URL."),
        ("api.aurora.example", "deve começar com http"),
        ("http://10.0.0.1/x", "rede interna"),
        ("http://169.254.169.254/latest", "rede interna"),
        ("https://ana:senha@x.example/", "usuário e senha"),
        ("https://x.example/a b", "Use %20"),
    ],
)
async def test_a_url_that_cannot_be_called_is_refused_everywhere_with_the_reason(
    panel: Panel, url: str, said: str
) -> None:
    client = await panel.client()
    for path, status in ((f"{PATH}/mo", 422), (f"{PATH}/mo/previa", 200), (f"{PATH}/mo/teste", 200)):
        page = await client.post(path, form(url), status=status)
        assert said in page, path
    assert html.escape(url) in await client.post(
        f"{PATH}/mo", form(url), status=422
    )  # to mend, not to type again
    english = {"Accept-Language": "en"}
    assert said not in await client.post(f"{PATH}/mo/previa", form(url), status=200, headers=english)
    assert await endpoints.registered(panel.db, panel.account_id, CallbackKind.MO) is None


async def test_the_preview_is_what_a_test_then_calls(panel: Panel) -> None:
    client = await panel.client()
    async with receiving() as receiver:
        for formato in ("query", "literal"):
            fields = form(receiver.url, formato)
            shown = html.unescape(
                re.sub("<[^>]+>", "", await client.post(f"{PATH}/mo/previa", fields, status=200))
            )
            await client.post(f"{PATH}/mo/teste", fields, status=200)
            target = receiver.heads[-1].split(" ")[1]
            assert without_time(shown.split()[-1]).endswith(without_time(target))
        assert "/sms/dlr?data=" in receiver.heads[0] and "/sms/dlr/data=" in receiver.heads[1]
        assert "&numero=11987654321&mensagem=SIM&id=5b678259ef213 HTTP/1.1" in receiver.heads[1]


def without_time(url: str) -> str:
    return re.sub(r"\d\d:\d\d:\d\d", "", url)


async def secret_of(client: Client, **fields: str) -> str:
    page = await client.post(f"{PATH}/dlr/segredo", fields, status=200)
    found = re.search(r'value="(whsec_[^"]+)"', page)
    assert found
    return found[1]


async def test_a_test_is_signed_with_the_secret_that_the_page_shows(panel: Panel) -> None:
    client = await panel.client()
    async with receiving() as receiver:
        await client.post(f"{PATH}/dlr", form(receiver.url))
        assert "whsec_•" in await client.get(PATH)
        secret = await secret_of(client)
        assert secret == await secret_of(client)
        answer = await client.post(f"{PATH}/dlr/teste", form(receiver.url), status=200)
        assert "Confirmado" in answer and "HTTP 200" in answer and "OK" in answer
        assert signature(receiver.heads[-1], secret) == header(receiver.heads[-1], "webhook-signature")
        new = await secret_of(client, novo="1")
        assert new != secret
        await client.post(f"{PATH}/dlr/teste", form(receiver.url), status=200)
        assert signature(receiver.heads[-1], new) == header(receiver.heads[-1], "webhook-signature")
    records = await panel.db.fetch(
        "select after::text from audit where action = 'callback.secret' order by id desc limit 3"
    )
    assert ['"rotated": true' in row["after"] for row in records] == [True, False, False]
    assert not any(secret[8:] in row["after"] for row in records)


def header(head: str, name: str) -> str:
    found = re.search(rf"^{name}: (.*)\r$", head, re.MULTILINE)
    assert found
    return found[1]


def signature(head: str, secret: str) -> str:
    """Standard Webhooks v1, as docs/callbacks.md has receivers check it."""
    signed = f"{header(head, 'webhook-id')}.{header(head, 'webhook-timestamp')}.{head.split(' ')[1]}"
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.digest(key, signed.encode(), hashlib.sha256)).decode()


@pytest.mark.parametrize(
    ("answer", "aceita", "said"),
    [
        (b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", "200", "mas não com 200"),
        (b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", "2xx", "Seu sistema confirmou."),
        (b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", "200", "nós não seguimos"),
        (b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", "200", "Seu servidor recusou o pedido."),
        (HOSTILE, "200", "Seu servidor falhou ao atender"),
        (b"", "200", "A conexão caiu antes"),
        (b"SSH-2.0-x\r\n", "200", "A conexão caiu antes"),
    ],
)
async def test_an_answer_is_told_in_words_and_shown_as_text(
    panel: Panel, answer: bytes, aceita: str, said: str
) -> None:
    client = await panel.client()
    async with receiving(answer) as receiver:
        page = await client.post(f"{PATH}/dlr/teste", form(receiver.url, aceita=aceita), status=200)
    assert said in page
    assert "<script" not in page and "\0" not in page and "\u202e" not in page
    refused = await client.post(
        f"{PATH}/dlr/teste", form(receiver.url), status=200
    )  # nobody listens any more
    assert "Não deu para conectar." in refused


async def test_who_may_not_see_secrets_does_not(panel: Panel, server: Server) -> None:
    viewer, developer = await panel.client(Role.VIEWER), await panel.client(Role.DEVELOPER)
    await viewer.get(PATH, status=403)
    await viewer.post(f"{PATH}/dlr/segredo", status=403)
    await developer.post(f"{PATH}/dlr", form("https://api.aurora.example/sms"))
    await developer.post(f"{PATH}/dlr/segredo", status=200)
    other = await (await server.panel()).client()
    await other.post(f"{PATH}/dlr/segredo", status=404)
    assert "api.aurora.example" not in await other.get(PATH)
    await other.get(f"{PATH}/xyz", status=405)
    await other.post(f"{PATH}/xyz", form("https://x.example"), status=404)


async def test_the_last_day_is_counted_by_what_became_of_each_call(panel: Panel) -> None:
    await panel.db.execute(
        """
        with reply as (
            insert into inbox (id, account_id, smsc_id, source, destination, body, data_coding, body_hash, session_id,
                sequence_number)
            select $1::bigint * 1000 + n, $1, 1, '5511987654321', '27300', 'x', 0, '', 1, n from generate_series(1, 6) n
            returning id
        ), called as (
            insert into callback (account_id, kind, subject_id, state, attempts, created_at)
            select $1, 2, id, (array[1, 1, 1, 0, 0, 2])[id % 1000], (array[1, 1, 3, 2, 0, 11])[id % 1000],
                now() - interval '90 minutes' from reply returning id
        )
        insert into callback_attempt (callback_id, at, url, signature, address, status, error, duration_ms, answer)
        select id, now(), '', '', '', 200, '', 84, '' from called
        """,
        panel.account_id,
    )
    client = await panel.client()
    await client.post(f"{PATH}/mo", form("https://api.aurora.example/sms"))
    page = await client.get(PATH)
    mo = page[page.index('id="mo"') :]
    facts = re.findall(r'<b class="num">([^<]+)</b>', mo)
    assert facts == ["3", "1", "1", "1", "84 ms"]
    assert "2 falhas desde" in mo
    assert '"v": [' + ", ".join(["0"] * 22 + ["3", "0"]) + "]" in mo
    assert "nada nas últimas 24 h" not in mo


async def test_the_page_previews_while_one_types_and_shows_the_answer_of_a_test(
    visit: Visit, panel: Panel
) -> None:
    async with receiving(HOSTILE) as receiver:
        page = await visit(PATH)
        await expect(page.locator("h1")).to_have_text("Configurações")
        dlr = page.locator("#dlr")
        await dlr.get_by_label("URL que chamamos").fill("ftp://x")
        await expect(dlr.get_by_role("alert")).to_contain_text("A URL deve começar com http")
        await dlr.get_by_label("URL que chamamos").fill(receiver.url)
        await expect(dlr.locator("#dlr-previa pre")).to_contain_text(
            f"{receiver.url}?status=2&id=5b678259ef213"
        )
        await dlr.get_by_text("Literal, com /").click()
        await expect(dlr.locator("#dlr-previa pre")).to_contain_text(f"{receiver.url}/status=2")
        await dlr.get_by_role("button", name="Enviar teste").click()
        await expect(dlr.locator("#dlr-teste")).to_contain_text("Não confirmado")
        await expect(dlr.get_by_label("Resposta do seu servidor")).to_contain_text(
            "<script>alert(1)</script>"
        )
        await dlr.get_by_role("button", name="Salvar").click()
        await expect(page.locator("#toasts")).to_contain_text("Salvo.")
        await page.locator("#dlr").get_by_role("button", name="Mostrar").click()
        await expect(page.get_by_label("Segredo da assinatura")).to_have_value(
            re.compile("^whsec_[A-Za-z0-9+/=]{44}$")
        )
        await page.get_by_role("button", name="Copiar segredo").click()
        await expect(page.get_by_role("button", name="Copiado")).to_be_visible()
        await axe(page)
