"""Whatever somebody puts into an address or a form, a page answers it, and the process that carries messages goes on."""

import re

import pytest
from panel_server import Panel
from test_panel_tenants import OWNED, ROUTES
from yarl import URL

from pombo.account.people import Role
from pombo.panel import handlers
from pombo.panel.session import MOST_FORM_OCTETS, MOST_PUBLIC_FORM_OCTETS

pytestmark = pytest.mark.anyio

NAMES = (
    "q", "etiqueta", "depois", "antes", "conversa", "alvo", "para", "texto", "periodo", "de", "ate", "situacao", "conexao",
    "classe", "tipo", "dias", "formato", "id", "caminho", "estado", "longas", "email", "senha", "codigo", "nome", "perfil",
    "idioma", "tema", "nova", "de_novo", "numero", "destino", "msg", "agendar", "codificacao", "nonce", "filtros", "url",
    "enderecos", "fim", "folga", "send", "read", "versao", "quando", "hora", "confirmacao", "observacao", "etiquetas",
    "vistas", "once", "vez", "fila", "pagina",
)  # fmt: skip
VALUES = ("\0", "9" * 30, "-" + "9" * 30, "日本 ç \N{PILE OF POO} % '\"><script>", "a\r\nSet-Cookie: x=1")
_PARAMETER = re.compile(r"\{(\w+):\w+\}")
ENDLESS = ("/eventos", "/sair")


@pytest.mark.parametrize("value", VALUES)
async def test_no_page_fails_of_what_is_sent_to_it(panel: Panel, value: str) -> None:
    client = await panel.client()
    fields = dict.fromkeys(NAMES, value)
    named = {name: str(await make(panel)) for name, make in OWNED.items()}
    await panel.db.execute("update campaign set row_count = 1")  # a file without rows is refused
    named |= {"kind": "dlr", "what": "dias", "code": "x"}
    for method, path in ROUTES:
        if path in ENDLESS or method not in ("GET", "POST"):
            continue
        at = _PARAMETER.sub(lambda found: named[found[1]], path)
        async with client.http.request(
            method, at, params=fields if method == "GET" else None, data=fields if method == "POST" else None,
            headers={"X-CSRF-Token": client.csrf}, allow_redirects=False,
        ) as answer:  # fmt: skip
            assert answer.status < 500, (method, at, answer.status)
            assert "Set-Cookie: x" not in str(answer.headers) and "x" not in answer.cookies


@pytest.mark.parametrize("nul", ["%00", "%%0000", "%2500"])
async def test_what_the_database_does_not_take_is_left_out_of_an_address(panel: Panel, nul: str) -> None:
    client = await panel.client()
    async with client.http.get(URL(f"/contatos?q=ana{nul}&etiqueta={nul}", encoded=True)) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("one", [0, -1, 2**63, 10**30])
async def test_a_number_that_is_nobodys_id_leads_nowhere(panel: Panel, one: int) -> None:
    client = await panel.client()
    for method, path in ROUTES:
        if not any(f"{{{name}:int}}" in path for name in OWNED):
            continue
        at = _PARAMETER.sub(str(one), path)
        async with client.http.request(
            method, at, headers={"X-CSRF-Token": client.csrf}, allow_redirects=False
        ) as answer:
            assert answer.status == 404, (method, at, answer.status)


async def test_a_form_is_no_longer_than_people_fill_one(panel: Panel) -> None:
    """Parsing holds up everything else: ten megabytes would take seconds."""
    stranger, client = await panel.client(None), await panel.client()
    for one, path, most in (
        (stranger, "/entrar", MOST_PUBLIC_FORM_OCTETS),
        (stranger, "/idioma", MOST_PUBLIC_FORM_OCTETS),
        (client, "/enviar/conferir", MOST_FORM_OCTETS),
        (client, "/perfil/usuarios", MOST_FORM_OCTETS),
    ):
        assert "É grande demais." in await one.post(path, {"email": "x" * most}, status=413)
    for path in ("/campanhas/nova", "/contatos/importar", "/bloqueios/importar"):
        await client.post(path, {"arquivo": "x" * (MOST_FORM_OCTETS + 1)}, status=415)


async def test_a_list_of_more_recipients_than_may_be_is_counted_and_not_read(panel: Panel) -> None:
    client = await panel.client()
    numbers = [f"+3519{n:08d}" for n in range(10_000)]
    for between in (",", " "):
        page = await client.post(
            "/enviar/conferir", {"destino": between.join(numbers), "msg": "oi"}, status=200
        )
        assert "São 10000 destinatários" in page


async def test_nobody_does_what_their_role_may_not(panel: Panel) -> None:
    tried = 0
    for role in Role:
        client = await panel.client(role)
        for handler in handlers:
            if role in handler.opt.get("roles", frozenset(Role)):
                continue
            for path in handler.paths:
                for method in handler.http_methods:
                    at = _PARAMETER.sub("1", path)
                    async with client.http.request(
                        method, at, headers={"X-CSRF-Token": client.csrf, "HX-Request": "true"}
                    ) as answer:
                        assert answer.status == 403, (role, method, at)
                        assert "acesso a isto" in answer.headers["HX-Trigger"]
                    tried += 1
    assert tried > 80


@pytest.mark.parametrize(
    "part",
    [
        b'Content-Disposition: form-data; name="csrf"\r\n\r\n\xff',
        b'Content-Disposition: form-data; name="csrf"\r\nContent-Type: text/plain; charset=klingon\r\n\r\nx',
    ],
)
@pytest.mark.parametrize("headers", [{}, {"X-CSRF-Token": ""}])
async def test_a_form_that_cannot_be_read_is_refused(
    panel: Panel, part: bytes, headers: dict[str, str]
) -> None:
    client = await panel.client()
    sent = {"Content-Type": "multipart/form-data; boundary=a", **dict.fromkeys(headers, client.csrf)}
    for path in ("/entrar", "/perfil/idioma", "/contatos/importar", "/campanhas/nova", "/mensagens/cancelar"):
        body = b"--a\r\n" + part + b"\r\n--a--\r\n"
        async with client.http.post(path, data=body, headers=sent) as answer:
            assert answer.status == 400, path
            assert "Não entendemos o pedido." in await answer.text()


async def test_what_a_page_can_do_is_not_told_to_whoever_asks(panel: Panel) -> None:
    for client, status in ((await panel.client(), 403), (await panel.client(None), 303)):
        async with client.http.options("/painel", allow_redirects=False) as answer:
            assert answer.status == status
