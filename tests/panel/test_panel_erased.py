"""Texts whose time is over and people who were erased: pages and tables say so, and show nothing of them."""

import panel_messages as rows
import pytest
from panel_server import ACTOR, Panel
from people_rows import conversation_of, reply

from pombo.account import erasure
from pombo.account.erasure import Whose
from pombo.message import State
from pombo.store import blocks, privacy
from pombo.store.privacy import Of

pytestmark = pytest.mark.anyio

NUMBER = 5511912340001
WRITTEN, ANSWERED = "Segredo amarelo", "Resposta verde"


async def exchanged(panel: Panel) -> tuple[int, int, int]:
    """A message that was delivered and told of, and its answer, which asks to be left alone; the ids of both and of the
    callback."""
    vivo = await rows.smsc(panel.db)
    sent = await rows.message(
        panel.db, panel.account_id, vivo, 1, number=NUMBER, body=WRITTEN, client_ref=f"ped-{panel.account_id}"
    )
    called = await rows.callback(panel.db, panel.account_id, sent, [503, 200])
    answered = await reply(panel, NUMBER, ANSWERED)
    await panel.db.execute("update inbox set message_id = $1 where id = $2", sent, answered)
    await blocks.opt_out(
        panel.db, [blocks.OptOut(panel.account_id, panel.doors.secrets.number_hmac(NUMBER), answered)]
    )
    return sent, answered, called


async def test_whoever_was_erased_is_shown_as_erased_everywhere(panel: Panel) -> None:
    sent, _answered, called = await exchanged(panel)
    talk = f"/conversas/{await conversation_of(panel, NUMBER)}"
    client = await panel.client()
    quoting = [
        "/mensagens", f"/mensagens/{sent}", "/painel", "/mensagens/exportar", "/conversas", "/integracao/callbacks",
        f"/integracao/callbacks/{called}", "/bloqueios",
    ]  # fmt: skip
    pages = [*quoting, "/relatorios", "/contatos"]
    for path in quoting:  # the test sees what it looks for
        assert "91234-0001" in await client.get(path), path

    await erasure.erase(panel.db, ACTOR, Whose(NUMBER), progress=lambda _rows: None)

    for path in pages:
        page = await client.get(path)
        for piece in ("91234-0001", "11912340001", WRITTEN, ANSWERED):
            assert piece not in page, (path, piece)
    for path in ("/mensagens", f"/mensagens/{sent}", "/painel", "/mensagens/exportar"):
        page = await client.get(path)
        assert "(número apagado)" in page and "(texto apagado)" in page, path
    for path in (f"/integracao/callbacks/{called}", "/bloqueios"):
        assert "(número apagado)" in await client.get(path), path
    await client.get(talk, status=404)
    assert "Nada com esses filtros" in await client.get(f"/mensagens?q={NUMBER}")

    page = await client.get(f"/mensagens/{sent}")
    assert "terminou o prazo em que sua conta guarda textos, ou a pessoa pediu" in page
    assert "Entregue ao aparelho" in page
    assert "Bloquear número" not in page and "/conversas?q=" not in page
    await client.post(f"/mensagens/{sent}/bloquear", status=404)
    assert await blocks.lists_of(panel.db, panel.doors.secrets.number_hmac(0)) == []


async def test_a_text_whose_time_is_over_is_shown_as_erased_and_its_number_stays(panel: Panel) -> None:
    sent, answered, called = await exchanged(panel)
    async with panel.db.transaction() as tx:
        await privacy.erase_texts(tx, Of.MESSAGE, [sent])
        await privacy.erase_texts(tx, Of.REPLY, [answered])
    client = await panel.client()
    talk = f"/conversas/{await conversation_of(panel, NUMBER)}"
    for path in ("/mensagens", f"/mensagens/{sent}", "/painel", "/mensagens/exportar", "/conversas", talk):
        page = await client.get(path)
        assert "(texto apagado)" in page and "91234-0001" in page, path
        assert WRITTEN not in page and ANSWERED not in page and "“”" not in page, path
    assert "Apagada junto com o texto" in await client.get(f"/integracao/callbacks/{called}")


async def test_an_erased_message_in_english_says_so(panel: Panel) -> None:
    vivo = await rows.smsc(panel.db)
    sent = await rows.message(panel.db, panel.account_id, vivo, 1, state=State.UNDELIVERED, number=NUMBER)
    await erasure.erase(panel.db, ACTOR, Whose(NUMBER), progress=lambda _rows: None)
    page = await (await panel.client()).get(f"/mensagens/{sent}", headers={"Accept-Language": "en"})
    assert "(number erased)" in page and "(text erased)" in page
