"""Contatos, Bloqueios and Modelos, as the server answers them."""

import csv
import io
import re
from collections.abc import AsyncIterator

import aiohttp
import pytest
from panel_server import Client, Panel
from people_rows import ANA, BIA, HOSTILE, conversation_of, reply

from pombo.account.people import Role
from pombo.store import blocks, contacts, templates
from pombo.store.contacts import Which
from pombo.store.intake import accept
from rows import one_message

pytestmark = pytest.mark.anyio


@pytest.fixture
async def maria(panel: Panel) -> AsyncIterator[Client]:
    yield await panel.client()


async def kept(panel: Panel) -> list[tuple[int, str, list[str], str]]:
    rows = await contacts.listed(panel.db, panel.account_id, Which(), None, 100)
    return [(row["number"], row["name"], row["labels"], row["note"]) for row in rows]


def uploaded(name: str, octets: bytes) -> aiohttp.FormData:
    form = aiohttp.FormData()
    form.add_field("arquivo", octets, filename=name, content_type="application/octet-stream")
    return form


async def audited(panel: Panel) -> list[str]:
    rows = await panel.db.fetch(
        "select action from audit where subject = $1 and actor like 'panel:%' order by id",
        f"account {panel.account_id}",
    )
    return [row["action"] for row in rows]


async def test_a_contact_is_added_changed_found_and_removed(panel: Panel, maria: Client) -> None:
    form = {"numero": "(11) 98765-4321", "nome": "Ana", "etiquetas": "vip, Clientes", "observacao": "à tarde"}
    await maria.post("/contatos", form)
    assert await kept(panel) == [(ANA, "Ana", ["vip", "Clientes"], "à tarde")]
    page = await maria.get("/contatos?etiqueta=vip&q=an")
    edit = re.search(r'href="(/contatos/\d+)"', page)
    assert edit
    assert 'value="11987654321"' in await maria.get(edit[1])
    await maria.post(edit[1], {**form, "nome": "Ana Souza"})
    assert "Ana Souza" in await maria.get("/contatos")
    assert "Ninguém com esses filtros" in await maria.get("/contatos?etiqueta=outra")
    await maria.post(f"{edit[1]}/remover")
    assert await kept(panel) == []
    await maria.post(f"{edit[1]}/remover", status=404)
    await maria.post(edit[1], form, status=404)
    assert await audited(panel) == ["contact.add", "contact.set", "contact.remove"]


async def test_a_contact_that_cannot_be_kept_is_said_why_beside_what_was_written(
    panel: Panel, maria: Client
) -> None:
    await maria.post("/contatos", {"numero": "11987654321"})
    for given, why in (
        ({"numero": "1133334444"}, "celular do Brasil"),
        ({"numero": "11987654321"}, "já está nos contatos"),
        ({"numero": "11999990002", "nome": "a" * 101}, "no máximo 100"),
        ({"numero": "11999990002", "etiquetas": "x" * 41}, "etiquetas de até 40"),
        ({"numero": "11999990002", "observacao": "x" * 1001}, "no máximo 1000"),
    ):
        page = await maria.post("/contatos", given, status=422)
        assert why in page
        assert f'value="{given["numero"]}"' in page
    assert len(await kept(panel)) == 1


async def test_another_accounts_contacts_and_templates_are_as_if_they_were_not_there(
    panel: Panel, maria: Client
) -> None:
    other = await panel.account(f"outra {panel.account_id}")
    contact_id = await contacts.add(panel.db, other, contacts.Contact(ANA, "Segredo"))
    model_id = await templates.add(panel.db, other, templates.Template("Segredo", "Segredo"))
    conversation_id = (
        await conversation_of(panel, ANA, other) if await reply(panel, ANA, account_id=other) else 0
    )
    for path in (
        "/contatos",
        "/contatos/exportar",
        "/modelos",
        "/modelos/opcoes",
        f"/modelos/opcoes?conversa={conversation_id}",
    ):
        assert "Segredo" not in await maria.get(path)
    for path in (
        f"/contatos/{contact_id}", f"/modelos/{model_id}", f"/contatos/novo?conversa={conversation_id}",
        f"/contatos/{10**25}",
    ):  # fmt: skip
        await maria.get(path, status=404)
    for path in (f"/contatos/{contact_id}", f"/modelos/{model_id}"):
        await maria.post(path, {"numero": "11999990002", "nome": "x", "texto": "x"}, status=404)
        await maria.post(f"{path}/remover", status=404)
    assert await contacts.contact(panel.db, other, contact_id)
    assert await templates.template(panel.db, other, model_id)


async def test_somebody_who_wrote_becomes_a_contact(panel: Panel, maria: Client) -> None:
    await reply(panel, ANA)
    conversation_id = await conversation_of(panel, ANA)
    assert 'value="11987654321"' in await maria.get(f"/contatos/novo?conversa={conversation_id}")
    await maria.post("/contatos", {"numero": "11987654321", "nome": "Ana"})
    assert re.fullmatch(
        r"/contatos/\d+", await maria.get(f"/contatos/novo?conversa={conversation_id}", status=303)
    )


async def test_a_file_adds_contacts_and_names_the_lines_that_it_leaves_out(
    panel: Panel, maria: Client
) -> None:
    await maria.post("/contatos", {"numero": "11987654321", "etiquetas": "vip"})
    file = "Nome;E-mail;Celular;Grupo\r\nAna;a@x;11987654321;clientes\r\nBia;;(11) 99999-0002;\r\nCid;;1133334444;\r\n"
    page = await maria.post("/contatos/importar", uploaded("agenda.csv", file.encode("cp1252")), status=200)
    assert "1 contato novo, 1 atualizado." in page
    assert "1 linha ficou de fora" in page
    assert '<td class="num">4</td>' in page
    assert await kept(panel) == [(ANA, "Ana", ["vip", "clientes"], ""), (BIA, "Bia", [], "")]
    assert await maria.post("/contatos/importar", uploaded("x.csv", b"11999990002\n")) == "/contatos"


async def test_a_file_of_numbers_of_other_countries_is_read_as_the_form_is(
    panel: Panel, maria: Client
) -> None:
    file = (
        b"Nome,Linha\nAna,+351 912 345 678\nBia,00351 912 345 679\nCid,351912345677\nDora,+351 212 345 678\n"
    )
    page = await maria.post("/contatos/importar", uploaded("x.csv", file), status=200)
    assert "2 contatos novos" in page
    assert "2 linhas ficaram de fora" in page
    assert "ou de outro país com + e o código" in page
    assert [(number, name) for number, name, _labels, _note in await kept(panel)] == [
        (351912345678, "Ana"),
        (351912345679, "Bia"),
    ]
    for sought in ("+351 912 345 678", "912 345 678", "00351 912 345 678"):
        found = await maria.get(f"/contatos?q={sought.replace('+', '%2B')}")
        assert "Ana" in found and "Bia" not in found, sought


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"", "Escolha um arquivo"),
        (b"Nome,Cidade\nAna,Itu\n", "Nenhuma coluna tem celulares"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "CSV nem um XLSX"),
        (b"PK\x03\x04 nothing", "danificada"),
        (b'Nome,Celular\n"Ana,11987654321\n' + b"Bia,11999990002\n" * 400, "aspas"),
    ],
)
async def test_a_file_that_cannot_be_read_changes_nothing_and_is_said_why(
    panel: Panel, maria: Client, octets: bytes, why: str
) -> None:
    for path in ("/contatos/importar", "/bloqueios/importar"):
        assert why in await maria.post(path, uploaded("x", octets), status=422)
    assert await kept(panel) == []


async def test_an_export_has_what_is_filtered_and_no_formulas(panel: Panel, maria: Client) -> None:
    await maria.post(
        "/contatos", {"numero": "11987654321", "nome": "=cmd|calc", "etiquetas": "vip", "observacao": "@x"}
    )
    await maria.post("/contatos", {"numero": "11999990002", "nome": "Bia"})
    text = await maria.get("/contatos/exportar?etiqueta=vip")
    rows = list(csv.reader(io.StringIO(text.lstrip("\ufeff")), delimiter=";"))
    assert rows[0][:4] == ["Nome", "Número", "Etiquetas", "Observação"]
    assert [row[:4] for row in rows[1:]] == [["'=cmd|calc", "11987654321", "vip", "'@x"]]


async def test_contacts_are_paged_by_name(panel: Panel, maria: Client) -> None:
    rows = [contacts.Contact(ANA + n, f"Nome {n:03d}") for n in range(60)]
    await contacts.merge(panel.db, panel.account_id, rows)
    first = await maria.get("/contatos?q=nome")
    assert "60 contatos" in first
    assert "Nome 049" in first
    assert "Nome 050" not in first
    more = re.search(r'href="(/contatos\?q=nome&amp;depois=\d+)"', first)
    assert more
    second = await maria.get(more[1].replace("&amp;", "&"))
    assert "Nome 050" in second
    assert "Nome 049" not in second


async def test_a_number_is_blocked_looked_up_and_unblocked(panel: Panel, maria: Client) -> None:
    await accept(
        panel.node.db, one_message(panel.account_id, 1000 + panel.account_id, ANA, 1, message_class=2)
    )
    await maria.post("/bloqueios", {"numero": "11 98765 4321"})
    assert await panel.db.fetchval("select state from message where account_id = $1", panel.account_id) == 6
    page = await maria.post("/bloqueios/consultar", {"numero": "11987654321"}, status=200)
    assert "está bloqueado:" in page
    await maria.post("/bloqueios/remover", {"numero": "11987654321"})
    assert "não está bloqueado" in await maria.post(
        "/bloqueios/consultar", {"numero": "11987654321"}, status=200
    )
    assert "celular do Brasil" in await maria.post("/bloqueios", {"numero": "123"}, status=422)
    assert await audited(panel) == ["block.add", "block.remove"]


async def test_who_opted_out_comes_off_only_when_somebody_says_that_they_asked(
    panel: Panel, maria: Client
) -> None:
    reply_id = await reply(panel, ANA, "SAIR")
    hmac = panel.doors.secrets.number_hmac(ANA)
    await blocks.opt_out(panel.db, [blocks.OptOut(panel.account_id, hmac, reply_id)])
    page = await maria.get("/bloqueios")
    assert f"/conversas/{await conversation_of(panel, ANA)}" in page
    assert "Confirme que a pessoa pediu" in await maria.post(
        "/bloqueios/remover", {"numero": "11987654321"}, status=422
    )
    assert await blocks.reasons(panel.db, panel.account_id, [hmac]) == {hmac: "reply"}
    await maria.post("/bloqueios/remover", {"numero": "11987654321", "pediu": "on"})
    assert await blocks.reasons(panel.db, panel.account_id, [hmac]) == {}
    told = await panel.db.fetchval(
        "select after from audit where action = 'block.remove' order by id desc limit 1"
    )
    assert told == '{"asked_back": true}'


async def test_what_the_operator_blocks_is_not_the_accounts_to_unblock(panel: Panel, maria: Client) -> None:
    await blocks.add(panel.db, blocks.EVERYBODY, [panel.doors.secrets.number_hmac(BIA)], "manual")
    page = await maria.post("/bloqueios/consultar", {"numero": "11999990002"}, status=200)
    assert "bloqueado em toda a plataforma" in page
    assert "Desbloquear" not in page
    await maria.post("/bloqueios/remover", {"numero": "11999990002"}, status=200)
    assert await blocks.lists_of(panel.db, panel.doors.secrets.number_hmac(BIA))


async def test_the_menu_says_that_blocks_are_with_contacts(panel: Panel, maria: Client) -> None:
    for path in ("/bloqueios", "/bloqueios/importar", "/contatos"):
        lit = re.search(r'<a href="([^"]+)" aria-current="page" data-go', await maria.get(path))
        assert lit and lit[1] == "/contatos", path


async def test_a_file_of_numbers_is_blocked(panel: Panel, maria: Client) -> None:
    page = await maria.post(
        "/bloqueios/importar", uploaded("x.csv", b"11987654321\n11999990002\nfoo\n"), status=200
    )
    assert "2 números novos na lista." in page
    assert '<td class="num">3</td>' in page
    counts = await blocks.counted(panel.db, panel.account_id)
    assert [(row["reason"], row["numbers"]) for row in counts] == [("import", 2)]


async def test_a_template_is_written_changed_offered_filled_and_removed(panel: Panel, maria: Client) -> None:
    await maria.post("/modelos", {"nome": "Lembrete", "texto": "Oi {nome}, {valor}", "classe": "2"})
    page = await maria.get("/modelos")
    edit = re.search(r'href="(/modelos/\d+)"', page)
    assert edit
    assert "{valor}" in page
    assert '<option value="2" selected>' in await maria.get(edit[1])
    await maria.post(edit[1], {"nome": "Lembrete 2", "texto": "Oi {nome}, {valor}!"})
    await reply(panel, ANA)
    await contacts.add(panel.db, panel.account_id, contacts.Contact(ANA, 'Ana "A"'))
    conversation_id = await conversation_of(panel, ANA)
    offered = await maria.get(f"/modelos/opcoes?alvo=texto&conversa={conversation_id}")
    assert 'data-template="Oi Ana &#34;A&#34;, {valor}!" data-into="texto"' in offered
    assert "Já existe um modelo" in await maria.post(
        "/modelos", {"nome": "LEMBRETE 2", "texto": "x"}, status=422
    )
    assert "Escreva o texto" in await maria.post("/modelos", {"nome": "Outro"}, status=422)
    await maria.post(f"{edit[1]}/remover")
    assert "Nenhum modelo ainda" in await maria.get("/modelos")
    assert await audited(panel) == ["template.add", "template.set", "template.remove"]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.DEVELOPER])
async def test_who_only_looks_sees_masked_numbers_and_changes_nothing(panel: Panel, role: Role) -> None:
    await contacts.add(panel.db, panel.account_id, contacts.Contact(ANA, "Ana", ["vip"]))
    client = await panel.client(role)
    page = await client.get("/contatos")
    assert "(11) 9****-4321" in page
    assert "98765" not in page
    assert "Novo contato" not in page
    assert "Ninguém com esses filtros" in await client.get("/contatos?q=98765")
    for path in (
        "/contatos/novo",
        "/contatos/exportar",
        "/contatos/importar",
        "/bloqueios/importar",
        "/modelos/novo",
    ):
        await client.get(path, status=403)
    for path in (
        "/contatos",
        "/bloqueios",
        "/bloqueios/remover",
        "/modelos",
        "/contatos/1",
        "/modelos/1/remover",
    ):
        await client.post(path, {"numero": "11987654321"}, status=403)
    assert len(await kept(panel)) == 1


async def test_hostile_texts_stand_in_contacts_and_templates_as_text(panel: Panel, maria: Client) -> None:
    for n, text in enumerate(HOSTILE):
        await maria.post(
            "/contatos",
            {
                "numero": f"1198765000{n}",
                "nome": text[:100],
                "etiquetas": text[:40],
                "observacao": text[:1000],
            },
        )
        await maria.post("/modelos", {"nome": text[:60], "texto": text[:5000]})
        too_long = await maria.post("/modelos", {"nome": text, "texto": (text * 300)[:9000]}, status=422)
        assert "<script>alert" not in too_long
    for path in (
        "/contatos",
        "/modelos",
        "/modelos/opcoes",
        f"/contatos?q={HOSTILE[0]}",
        f"/contatos?etiqueta={HOSTILE[1]}",
    ):
        page = await maria.get(path)
        assert "<script>alert" not in page
        assert "<img" not in page
        assert "onerror=alert(1)>" not in page.replace("&gt;", "")
