"""What the pictures in docs/ are taken of: made-up data that is as the engine leaves it."""

import pytest
from panel_server import Panel
from tools.screenshots import made_up

pytestmark = pytest.mark.anyio


async def test_the_made_up_clinic_stands_on_the_pages(panel: Panel) -> None:
    await made_up.fill(panel.db, panel.account_id)
    client = await panel.client()
    for path, shown in (
        ("/painel?periodo=7d", "vivo-sp-1"),
        ("/mensagens", "consulta-"),
        ("/conversas", "REMARCAR"),
        ("/contatos", "convênio"),
        ("/modelos", "Confirmação de consulta"),
        ("/integracao/callbacks", "consulta-"),
        ("/relatorios", "vivo-sp-1"),
    ):
        assert shown in await client.get(path), path
    assert await panel.db.fetchval("select count(*) from message where number / 10000 % 100000 <> 90000") == 0


def test_the_made_up_file_has_rows_that_are_refused() -> None:
    lines = made_up.campaign_file(20).decode().splitlines()
    assert len(lines) == 1 + 20 + 4
    assert sum(" 90000-" in line for line in lines) == 21
