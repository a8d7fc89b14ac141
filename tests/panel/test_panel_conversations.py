"""Caixa de entrada, as the server answers it."""

import re
from collections.abc import AsyncIterator
from html import escape

import pytest
from panel_server import Client, Panel
from people_rows import ANA, BIA, HOSTILE, conversation_of, message, reply, routed

from pombo.account import contacts, templates
from pombo.account.people import Role
from pombo.message import State
from pombo.store import blocks
from pombo.store.audit import Actor
from pombo.store.contacts import Contact
from pombo.store.templates import Template

pytestmark = pytest.mark.anyio

ACTOR = Actor("test", "")


@pytest.fixture
async def maria(panel: Panel) -> AsyncIterator[Client]:
    yield await panel.client()


def once(page: str) -> str:
    found = re.search(r'name="unica" value="([^"]+)"', page)
    assert found, page
    return found[1]


async def test_the_list_has_names_last_words_and_what_is_unread(panel: Panel, maria: Client) -> None:
    await contacts.add(panel.db, ACTOR, panel.account_id, Contact(ANA, "Ana Souza"))
    await reply(panel, BIA, "quem é?", minutes_ago=9)
    await reply(panel, ANA, "SIM")
    page = await maria.get("/conversas")
    assert page.index("Ana Souza") < page.index("(11) 99999-0002")
    assert "SIM" in page
    assert "quem é?" in page
    assert page.count('class="badge-n num"') == 2

    found = await maria.get("/conversas?q=ana")
    assert "SIM" in found
    assert "quem é?" not in found
    assert "Ninguém com esse nome ou número" in await maria.get("/conversas?q=zeca")
    assert "Ninguém pediu para sair" in await maria.get("/conversas?mostrar=sair")


async def test_a_conversation_shows_both_sides_and_how_ours_fare(panel: Panel, maria: Client) -> None:
    await message(panel, ANA, "Confirma amanhã?", minutes_ago=9, parts=2)
    await reply(panel, ANA, "SIM", client_ref="pedido-7", minutes_ago=8)
    await message(panel, ANA, "Obrigada", state=State.WAITING)
    page = await maria.get(f"/conversas/{await conversation_of(panel, ANA)}")
    chat = page[page.index('id="chat"') :]
    assert chat.index("Confirma amanhã?") < chat.index("SIM") < chat.index("Obrigada")
    for said in ("entregue em 2 s", "2 segmentos", "responde à mensagem pedido-7", "na fila"):
        assert said in page


async def test_somebody_of_another_country_is_found_named_and_answered_where_the_account_may_write(
    panel: Panel, maria: Client
) -> None:
    await routed(panel)
    await contacts.add(panel.db, ACTOR, panel.account_id, Contact(351912345678, "Inês"))
    await message(panel, 351912345678, "Confirma?", minutes_ago=2)
    await reply(panel, 351912345678, "sim")
    path = f"/conversas/{await conversation_of(panel, 351912345678)}"
    assert "Inês" in await maria.get("/conversas?q=%2B351%20912%20345%20678")
    page = await maria.get(path)
    assert "+351912345678" in page and "Confirma?" in page
    form = {"texto": "Obrigada", "unica": once(page)}
    assert "nem de outro país combinado" in await maria.post(f"{path}/responder", form, status=422)

    await panel.db.execute("update account set countries = '{BR,PT}' where id = $1", panel.account_id)
    await panel.db.execute("update route set prefix = '' where account_id = $1", panel.account_id)
    await panel.node._routing.reload()
    await maria.post(f"{path}/responder", form)
    assert "Obrigada" in await maria.get(path)


async def test_somebody_elses_conversation_is_answered_as_one_that_is_not_there(
    panel: Panel, maria: Client
) -> None:
    other = await panel.account(f"outra {panel.account_id}")
    await reply(panel, ANA, account_id=other)
    theirs = await conversation_of(panel, ANA, other)
    for conversation_id in (theirs, theirs + 99, 10**30):
        for path in ("", "/mensagens"):
            await maria.get(f"/conversas/{conversation_id}{path}", status=404)
        for path in ("responder", "lida", "nao-lida", "bloquear"):
            await maria.post(f"/conversas/{conversation_id}/{path}", status=404)
    assert await panel.db.fetchval("select seen from conversation where account_id = $1", other) == 0


async def test_only_what_was_shown_is_read_and_a_viewer_leaves_no_trace(panel: Panel, maria: Client) -> None:
    await reply(panel, ANA)
    conversation_id = await conversation_of(panel, ANA)
    page = await maria.get(f"/conversas/{conversation_id}")
    assert 'name="vistas" value="1"' in page
    await reply(panel, ANA)
    await maria.post(f"/conversas/{conversation_id}/lida", {"vistas": "1"}, status=200)
    assert (
        await panel.db.fetchval(
            "select replies - seen from conversation where account_id = $1", panel.account_id
        )
        == 1
    )
    assert (
        await panel.db.fetchval(
            "select count(*) from inbox where read_at is null and account_id = $1", panel.account_id
        )
        == 2
    )
    await maria.post(f"/conversas/{conversation_id}/nao-lida")

    viewer = await panel.client(Role.VIEWER)
    assert "vistas" not in await viewer.get(f"/conversas/{conversation_id}")
    await viewer.post(f"/conversas/{conversation_id}/lida", {"vistas": "2"}, status=403)


async def test_an_answer_goes_out_once_however_often_its_form_is_sent(panel: Panel, maria: Client) -> None:
    await routed(panel)
    await panel.db.execute(
        "update account set class = 2 where id = $1", panel.account_id
    )  # at any hour all the same
    await reply(panel, ANA, "quero")
    conversation_id = await conversation_of(panel, ANA)
    form = {"texto": "Pronto!\r\nAté logo", "unica": once(await maria.get(f"/conversas/{conversation_id}"))}
    for _ in range(2):
        assert (
            await maria.post(f"/conversas/{conversation_id}/responder", form)
            == f"/conversas/{conversation_id}"
        )
    [row] = await panel.db.fetch(
        "select number, body, class from message where account_id = $1", panel.account_id
    )
    assert tuple(row) == (ANA, "Pronto!\nAté logo", 1)
    page = await maria.get(f"/conversas/{conversation_id}")
    assert "Você: <bdi>Pronto! Até logo" in page
    assert once(page) != form["unica"]
    assert (
        await panel.db.fetchval(
            "select replies - seen from conversation where account_id = $1", panel.account_id
        )
        == 0
    )


async def test_an_answer_that_is_refused_says_why_and_keeps_what_was_written(
    panel: Panel, maria: Client
) -> None:
    await reply(panel, ANA)
    conversation_id = await conversation_of(panel, ANA)
    form = {"texto": "Olá <b>", "unica": once(await maria.get(f"/conversas/{conversation_id}"))}
    page = await maria.post(f"/conversas/{conversation_id}/responder", form, status=422)
    assert "Nenhuma operadora" in page
    assert "Olá &lt;b&gt;" in page
    assert once(page) == form["unica"]
    fragment = await maria.post(
        f"/conversas/{conversation_id}/responder", form, status=200, headers={"HX-Request": "true"}
    )
    assert fragment.lstrip().startswith('<div class="replybox"')
    assert "Nenhuma operadora" in fragment


async def test_whoever_opted_out_cannot_be_answered_and_the_page_says_why(
    panel: Panel, maria: Client
) -> None:
    await routed(panel)
    reply_id = await reply(panel, ANA, "SAIR")
    await blocks.opt_out(
        panel.db, [blocks.OptOut(panel.account_id, panel.doors.secrets.number_hmac(ANA), reply_id)]
    )
    conversation_id = await conversation_of(panel, ANA)
    page = await maria.get(f"/conversas/{conversation_id}")
    assert "Este número pediu <b>SAIR</b>" in page
    assert "<textarea" not in page
    assert '<span class="tag bad">SAIR</span>' in page
    refused = await maria.post(
        f"/conversas/{conversation_id}/responder", {"texto": "oi", "unica": "a" * 16}, status=422
    )
    assert "Este número pediu <b>SAIR</b>" in refused
    answers = "select count(*) from message where account_id = $1 and client_ref like 'resposta-%'"
    assert await panel.db.fetchval(answers, panel.account_id) == 0  # the confirmation is the platform's


async def test_a_number_is_blocked_out_of_its_conversation(panel: Panel, maria: Client) -> None:
    await reply(panel, ANA)
    conversation_id = await conversation_of(panel, ANA)
    await maria.post(f"/conversas/{conversation_id}/bloquear")
    assert "está na sua lista de bloqueios" in await maria.get(f"/conversas/{conversation_id}")
    [row] = await panel.db.fetch(
        "select actor, after from audit where action = 'block.add' and subject = $1",
        f"account {panel.account_id}",
    )
    assert row["actor"].startswith("panel:admin")
    assert str(ANA) not in row["after"]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.DEVELOPER])
async def test_who_need_not_see_numbers_sees_them_nowhere_and_cannot_find_them_out(
    panel: Panel, role: Role
) -> None:
    await reply(panel, ANA)
    await message(panel, ANA)
    client = await panel.client(role)
    conversation_id = await conversation_of(panel, ANA)
    for path in ("/conversas", f"/conversas/{conversation_id}"):
        page = await client.get(path)
        assert "(11) 9****-4321" in page
        assert "87654321" not in re.sub(r"\D", "", page.replace("4321", "")) and str(ANA) not in page
        assert "98765" not in page
    for piece in ("8765", "98765432"):
        assert "Ninguém com esse nome" in await client.get(f"/conversas?q={piece}")
    assert "(11) 9****-4321" in await client.get("/conversas?q=11987654321")
    await client.post(f"/conversas/{conversation_id}/responder", {"texto": "oi"}, status=403)
    await client.post(f"/conversas/{conversation_id}/bloquear", status=403)


async def test_older_messages_come_page_by_page_and_newer_ones_without_losing_their_place(
    panel: Panel, maria: Client
) -> None:
    for n in range(120):
        await reply(panel, ANA, f"[{n}]", minutes_ago=120 - n)
    conversation_id = await conversation_of(panel, ANA)
    page = await maria.get(f"/conversas/{conversation_id}")
    assert "[70]" in page
    assert "[69]" not in page
    older = re.search(r'hx-get="(/conversas/\d+/mensagens\?antes=\d+)"', page)
    newest = re.search(r'hx-get="(/conversas/\d+/mensagens\?desde=\d+)"', page)
    assert older and newest
    before = await maria.get(older[1])
    assert "[20]" in before
    assert "[69]" in before
    assert "[19]" not in before
    await reply(panel, ANA, "[120]")
    now = await maria.get(newest[1])
    assert "[70]" in now
    assert "[120]" in now
    assert "[69]" not in now
    await maria.get(f"/conversas/{conversation_id}/mensagens?antes=x", status=404)


async def test_the_list_is_paged_by_a_place_in_it(panel: Panel, maria: Client) -> None:
    for n in range(35):
        await reply(panel, ANA + n, f"[{n}]", minutes_ago=n)
    first = await maria.get("/conversas")
    assert "[29]" in first
    assert "[30]" not in first
    older = re.search(r'href="(/conversas\?antes=[\d-]+)"', first)
    assert older
    second = await maria.get(older[1])
    assert "[30]" in second
    assert "[29]" not in second
    assert "Mais novas" in second
    assert "[0]" in await maria.get("/conversas?antes=99999999999999999999-1")


async def test_hostile_texts_stand_there_as_text(panel: Panel, maria: Client) -> None:
    for n, text in enumerate(HOSTILE):
        await contacts.add(
            panel.db, ACTOR, panel.account_id, Contact(ANA + n, text[:100], [text[:40]], text[:1000])
        )
        await templates.add(panel.db, ACTOR, panel.account_id, Template(text[:60], text[:5000]))
        await reply(panel, ANA + n, text)
        await message(panel, ANA + n, text)
    for n, text in enumerate(HOSTILE):
        page = await maria.get(f"/conversas/{await conversation_of(panel, ANA + n)}")
        assert page.count(f'dir="auto">{escape_as_jinja(text)}</div>') == 2
        assert "<img" not in page
        assert "<script>alert" not in page


def escape_as_jinja(text: str) -> str:
    return escape(text, quote=False).replace('"', "&#34;").replace("'", "&#39;")
