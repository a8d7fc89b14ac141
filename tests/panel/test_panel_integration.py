"""Tokens and callbacks in the panel."""

import re
from datetime import UTC, datetime

import aiohttp
import pytest
from panel_browser import Visit, inspected
from panel_server import Client, Panel

from pombo.account.people import Role

pytestmark = pytest.mark.anyio

FORM = {"nome": "ERP", "send": "1", "read": "1", "classe": "", "fim": "", "enderecos": ""}


async def answer_of(panel: Panel, token: str, path: str = "saldo.php") -> str:
    async with aiohttp.ClientSession() as http, http.get(f"{panel.url}/api/{path}?token={token}") as answer:
        return await answer.text()


def new_token(page: str) -> str:
    found = re.search(r'data-copy="(pombo_[\w-]+)"', page)
    assert found, page
    return found[1]


async def rows(panel: Panel, account_id: int | None = None) -> list[tuple[object, ...]]:
    found = await panel.db.fetch(
        "select id, name, scopes, networks, class, expires_at, revoked_at from token where account_id = $1 order by id",
        account_id or panel.account_id,
    )
    return [tuple(row) for row in found]


async def test_a_new_token_is_shown_once_and_works(panel: Panel) -> None:
    client = await panel.client(Role.DEVELOPER)
    page = await client.post("/integracao/tokens", FORM, status=200)
    token = new_token(page)
    assert '"saldo"' in await answer_of(panel, token)
    assert token not in await client.get("/integracao/tokens")
    told = await panel.db.fetchrow("select actor, action, after::text from audit order by id desc limit 1")
    assert told["actor"].startswith("panel:") and told["action"] == "token.add" and token not in told["after"]


async def test_a_token_may_do_what_its_form_says(panel: Panel) -> None:
    client = await panel.client()
    form = {**FORM, "send": "", "enderecos": "127.0.0.1; 198.51.100.0/24", "fim": "30", "classe": "2"}
    token = new_token(await client.post("/integracao/tokens", form, status=200))
    assert '"saldo"' in await answer_of(panel, token)
    assert "Token invalido" in await answer_of(panel, token, "unitario.php")
    _, _, scopes, networks, message_class, expires_at, _ = (await rows(panel))[-1]
    assert scopes == ["read"] and [str(n) for n in networks] == ["127.0.0.1/32", "198.51.100.0/24"]
    assert message_class == 2 and 29 < (expires_at - datetime.now(UTC)).days + 1 < 31


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"nome": "  "}, "Dê um nome ao token"),
        ({"nome": "x" * 61}, "Dê um nome ao token"),
        ({"send": "", "read": ""}, "Marque ao menos uma coisa"),
        ({"enderecos": "casa"}, "Escreva os endereços como"),
        ({"fim": "1000000"}, "Escolha até quando"),
        ({"classe": "7"}, "Escolha uma das classes"),
    ],
)
async def test_what_cannot_be_a_token_is_refused_in_words_and_kept_in_the_form(
    panel: Panel, wrong: dict[str, str], said: str
) -> None:
    client = await panel.client()
    page = await client.post("/integracao/tokens", {**FORM, **wrong}, status=422)
    assert said in page
    assert len(await rows(panel)) == 1  # the one that the account came with


async def test_a_rotated_token_has_a_successor_and_ends_later(panel: Panel) -> None:
    client, ((first, *_),) = await panel.client(), await rows(panel)
    page = await client.post(f"/integracao/tokens/{first}/trocar", {"folga": "86400"}, status=200)
    assert '"saldo"' in await answer_of(panel, new_token(page))
    assert '"saldo"' in await answer_of(panel, panel.token)
    old, new = await rows(panel)
    assert 0.9 < (old[5] - datetime.now(UTC)).total_seconds() / 86400 <= 1 and new[5] is None
    assert "Escolha quanto tempo" in await client.post(
        f"/integracao/tokens/{first}/trocar", {"folga": "5"}, status=422
    )


async def test_a_revoked_token_stops_at_once(panel: Panel) -> None:
    client, ((first, *_),) = await panel.client(), await rows(panel)
    assert await client.post(f"/integracao/tokens/{first}/revogar") == "/integracao/tokens"
    assert (await rows(panel))[0][6] is not None
    page = await client.post(f"/integracao/tokens/{first}/trocar", {"folga": "0"}, status=422)
    assert "já não vale" in page


async def test_a_token_is_altered_and_keeps_its_end(panel: Panel) -> None:
    client, ((first, *_),) = await panel.client(), await rows(panel)
    await client.post(f"/integracao/tokens/{first}", {**FORM, "nome": "CRM", "send": ""})
    assert (await rows(panel))[0][1:3] == ("CRM", ["read"])


async def test_tokens_of_another_account_are_as_unknown_ones(panel: Panel) -> None:
    client, other = await panel.client(), await panel.account("Outra")
    ((theirs, *_),) = await rows(panel, other)
    for way, form in (("", FORM), ("/trocar", {"folga": "0"}), ("/revogar", {})):
        known = await client.post(f"/integracao/tokens/{theirs}{way}", form, status=404)
        unknown = await client.post(f"/integracao/tokens/999999{way}", form, status=404)
        assert known.replace(f"tokens/{theirs}", "") == unknown.replace("tokens/999999", "")
    assert (await rows(panel, other))[0][6] is None


async def test_who_only_looks_or_sends_has_no_tokens(panel: Panel) -> None:
    for role in (Role.SENDER, Role.VIEWER):
        client = await panel.client(role)
        await client.get("/integracao/tokens", status=403)
        await client.post("/integracao/tokens", FORM, status=403)


# Callbacks


async def callback(panel: Panel, ref: str, *, state: int = 2, account_id: int | None = None) -> int:
    """A callback about a message of the account that was called once, and refused with 500. Its id."""
    account_id = account_id or panel.account_id
    message_id = panel.node._ids.take(1, datetime.now(UTC).timestamp())[0]
    await panel.db.execute(
        "insert into message (id, account_id, client_ref, destination, number, body, ucs2, parts, price_milli, state,"
        " smsc_id, accepted_at, final_at) values ($1, $2, $3, '11987654321', 5511987654321, 'oi', false, 1, 80, 3, 1,"
        " now(), now())",
        message_id, account_id, ref,
    )  # fmt: skip
    callback_id = await panel.db.fetchval(
        "insert into callback (account_id, kind, subject_id, state, attempts, last_status, due_at) values ($1, 1, $2, $3, 1,"
        " 500, now() + interval '1 hour') returning id",
        account_id, message_id, state,
    )  # fmt: skip
    await panel.db.execute(
        "insert into callback_attempt (callback_id, at, url, signature, address, status, error, duration_ms, answer)"
        " values ($1, now(), 'https://loja.example/dlr?status=2&id=x&destino=11987654321', 'v1,abc', '192.0.2.1', 500, '',"
        " 12, convert_to('<script>alert(1)</script>', 'utf8'))",
        callback_id,
    )
    return int(callback_id)


async def endpoint(panel: Panel) -> None:
    """Nobody is called: what is due is due in an hour, and whoever calls at once finds nobody."""
    await panel.db.execute(
        "insert into endpoint (account_id, kind, url, secret_sealed) values ($1, 1, 'http://127.0.0.1:1/', $2)",
        panel.account_id,
        panel.doors.secrets.seal(b"k" * 32),
    )


async def standing(panel: Panel, callback_id: int) -> int:
    return int(
        await panel.db.fetchval(
            "select count(*) from callback where id = $1 and replayed_at is not null", callback_id
        )
    )


async def test_deliveries_are_listed_by_what_is_asked_for(panel: Panel) -> None:
    client = await panel.client()
    assert "Nenhuma URL registrada" in await client.get("/integracao/callbacks")
    parked, confirmed = await callback(panel, "parada-1"), await callback(panel, "boa-1", state=1)
    page = await client.get("/integracao/callbacks")
    assert "parada-1" in page and "boa-1" in page and page.index("boa-1") < page.index("parada-1")
    only = await client.get("/integracao/callbacks?situacao=parked&tipo=dlr&dias=7")
    assert f"/integracao/callbacks/{parked}" in only and f"/integracao/callbacks/{confirmed}" not in only
    assert "parada-1" not in await client.get("/integracao/callbacks?tipo=mo")
    await client.get("/integracao/callbacks?antes=99999999999999999999&dias=x&tipo=y", status=404)


async def test_a_delivery_shows_what_was_asked_and_answered_as_text(panel: Panel) -> None:
    callback_id = await callback(panel, "pedido-1")
    page = await (await panel.client()).get(f"/integracao/callbacks/{callback_id}")
    assert "destino=11987654321" in page and "&lt;script&gt;alert(1)" in page and "<script>alert" not in page
    assert "só 200 confirma" in page
    masked = await (await panel.client(Role.DEVELOPER)).get(f"/integracao/callbacks/{callback_id}")
    assert "11987654321" not in masked and "alert(1)" not in masked


async def test_a_delivery_is_made_again(panel: Panel) -> None:
    client, callback_id = await panel.client(), await callback(panel, "pedido-2")
    await client.post(f"/integracao/callbacks/{callback_id}/repetir")
    assert not await standing(panel, callback_id)  # nobody to call
    await endpoint(panel)
    await client.post(f"/integracao/callbacks/{callback_id}/repetir")
    assert await standing(panel, callback_id)


async def test_all_that_failed_is_made_again_and_nothing_else(panel: Panel) -> None:
    await endpoint(panel)
    failed, confirmed = await callback(panel, "a"), await callback(panel, "b", state=1)
    other = await panel.account("Mais outra")
    theirs = await callback(panel, "c", account_id=other)
    client = await panel.client()
    assert "Repetir a que falhou" in await client.get("/integracao/callbacks")
    await client.post("/integracao/callbacks/repetir", {"dias": "1"})
    assert await standing(panel, failed)
    assert not await standing(panel, confirmed) and not await standing(panel, theirs)


async def test_deliveries_of_another_account_are_as_unknown_ones(panel: Panel) -> None:
    other = await panel.account("A outra")
    theirs, client = await callback(panel, "d", account_id=other), await panel.client()
    known = await client.get(f"/integracao/callbacks/{theirs}", status=404)
    unknown = await client.get("/integracao/callbacks/888888888", status=404)
    assert known.replace(f"callbacks/{theirs}", "") == unknown.replace("callbacks/888888888", "")
    await client.post(f"/integracao/callbacks/{theirs}/repetir", status=404)
    assert not await standing(panel, theirs)


async def test_who_may_not_make_them_again_is_told_so(panel: Panel) -> None:
    callback_id = await callback(panel, "e")
    client: Client = await panel.client(Role.SENDER)
    assert "Chamar de novo" not in await client.get(f"/integracao/callbacks/{callback_id}")
    await client.post(f"/integracao/callbacks/{callback_id}/repetir", status=403)


async def test_the_pages_with_something_on_them(visit: Visit, panel: Panel) -> None:
    await endpoint(panel)
    callback_id = await callback(panel, "pedido-88120")
    await inspected(visit, f"/integracao/callbacks/{callback_id}")
    await inspected(visit, "/integracao/callbacks")
