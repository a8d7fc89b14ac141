"""The bell: what people of an account should look at, until they have."""

import re
from datetime import timedelta

import pytest
from panel_browser import Visit, axe, no_sideways_scroll
from panel_server import Client, Panel, Server
from playwright.async_api import expect

from pombo.account.people import Role
from pombo.store import live

pytestmark = pytest.mark.anyio

CAMPAIGN = (
    "insert into campaign (account_id, name, file_name, titles, uses, body, state, waits_for, accepted, ended_at)"
    " values ($1, $2, 'f.csv', '{numero}', '{number}', 'oi', $3, $4, 12, $5) returning id"
)


async def campaign(
    panel: Panel, name: str, state: int, waits_for: str = "", ago: timedelta | None = None
) -> int:
    ended_at = None if ago is None else await panel.db.fetchval("select now() - $1::interval", ago)
    return int(await panel.db.fetchval(CAMPAIGN, panel.account_id, name, state, waits_for, ended_at))


async def parked(panel: Panel, error: str = "timeout") -> None:
    await panel.db.execute(
        "insert into callback (account_id, kind, subject_id, state, last_error, due_at) values ($1, 1, $2, 2, $3, now())",
        panel.account_id, 2**40 + panel.account_id, error,
    )  # fmt: skip


async def told(client: Client) -> list[str]:
    """The sentences, the newest first."""
    page = await client.get("/avisos")
    return [re.sub("<[^>]+>", "", text) for text in re.findall(r'<span dir="auto">(.*?)</span>', page)]


async def unseen(client: Client) -> int:
    found = re.search(r'aria-hidden="true">(\d+)</span>', await client.get("/avisos"))
    return int(found[1]) if found else 0


async def test_nothing_asks_for_attention_where_nothing_is_the_matter(panel: Panel) -> None:
    await campaign(panel, "rascunho", 0)
    await campaign(panel, "antiga", 6, ago=timedelta(days=15))
    await campaign(panel, "pausada por alguém", 4)
    await parked(panel, "erased")
    await parked(panel)
    await panel.db.execute(
        "update callback set due_at = now() - interval '15 days' where last_error <> 'erased' and account_id = $1",
        panel.account_id,
    )
    client = await panel.client()
    assert await told(client) == [] and "Nada pede a sua atenção." in await client.get("/avisos")


async def test_what_happened_is_told_with_the_way_to_it(panel: Panel) -> None:
    done = await campaign(panel, "Feita <b>", 6, ago=timedelta(hours=3))
    stopped = await campaign(panel, "Parada", 4, "credit")
    await parked(panel)
    await panel.db.execute(
        "update token set name = 'ERP', created_at = now() - interval '90 days',"
        " expires_at = now() + interval '2 days' where account_id = $1",
        panel.account_id,
    )
    client = await panel.client()
    page = await client.get("/avisos")
    for way in (
        f"/campanhas/{done}", f"/campanhas/{stopped}", "/integracao/callbacks?situacao=parked&amp;dias=30",
        "/integracao/tokens",
    ):  # fmt: skip
        assert f'href="{way}"' in page
    texts = await told(client)
    assert any(text.startswith("A campanha “Feita &lt;b&gt;” terminou: 12 aceitas.") for text in texts)
    assert any("parou sozinha. O saldo acabou." in text for text in texts)
    assert "1 callback não foi confirmado, e não é mais tentado." in texts
    assert any(text.startswith("O token “ERP” para de valer") for text in texts)
    await panel.db.execute("update token set expires_at = now() where account_id = $1", panel.account_id)
    assert any(text.startswith("O token “ERP” parou de valer") for text in await told(client))


async def test_a_balance_is_low_until_it_is_used_up_or_recharged(panel: Panel) -> None:
    client = await panel.client()
    change = "update account set low_balance_milli = 50000, balance_milli = $2 where id = $1"
    await panel.db.execute(change, panel.account_id, 60_000)
    assert await told(client) == []
    await panel.db.execute(change, panel.account_id, 40_000)
    assert await told(client) == ["Saldo baixo: restam R$\N{NO-BREAK SPACE}40,00."]
    await panel.db.execute(change, panel.account_id, 79)
    assert await told(client) == ["O saldo acabou: mensagens são recusadas até a próxima recarga."]


async def test_each_person_sees_it_until_they_have_looked(panel: Panel) -> None:
    admin, viewer = await panel.client(), await panel.client(Role.VIEWER)
    await campaign(panel, "Parada", 4, "credit")
    assert (await unseen(admin), await unseen(viewer)) == (1, 1)
    assert "hidden" in await admin.post("/avisos/vistos", status=200)
    assert (await unseen(admin), await unseen(viewer)) == (0, 1)
    assert len(await told(admin)) == 1, "it stays until it is over"
    await campaign(panel, "Outra", 4, "suspended")
    assert await unseen(admin) == 1


async def test_nobody_is_told_of_what_they_may_not_see(panel: Panel, server: Server) -> None:
    other = await server.panel()
    await campaign(other, "De outra conta", 4, "credit")
    await campaign(panel, "Parada", 4, "credit")
    await panel.db.execute("update token set expires_at = now() where account_id = $1", panel.account_id)
    by_role = {role: await told(await panel.client(role)) for role in Role}
    assert len(by_role[Role.ADMIN]) == 2
    assert [len(by_role[role]) for role in (Role.SENDER, Role.VIEWER)] == [1, 1]
    assert "token" in by_role[Role.DEVELOPER][0] and len(by_role[Role.DEVELOPER]) == 1
    assert not any("De outra conta" in text for texts in by_role.values() for text in texts)


async def test_whatever_the_bell_tells_of_rings_it(panel: Panel) -> None:
    async def version() -> str:
        return str((await live.glance(panel.db, panel.account_id))["notices"])

    versions = [await version()]
    await campaign(panel, "Feita", 6, ago=timedelta(0))
    versions.append(await version())
    await campaign(panel, "Parada", 4, "credit")
    versions.append(await version())
    await parked(panel)
    versions.append(await version())
    await panel.db.execute("update account set low_balance_milli = 200000 where id = $1", panel.account_id)
    await panel.db.execute("update account set balance_milli = 300000 where id = $1", panel.account_id)
    await panel.db.execute("update account set balance_milli = 100000 where id = $1", panel.account_id)
    versions.append(await version())
    await panel.db.execute("update account set balance_milli = 0 where id = $1", panel.account_id)
    versions.append(await version())
    await panel.db.execute("update token set expires_at = now() where account_id = $1", panel.account_id)
    versions.append(await version())
    assert len(set(versions)) == len(versions), versions


async def test_the_bell_rings_by_itself_and_is_quiet_once_it_was_opened(visit: Visit, panel: Panel) -> None:
    page = await visit("/perfil/idioma", width=390, theme="dark")
    bell = page.locator(".bell > summary")
    await campaign(panel, "Parada " + "x" * 60, 4, "credit")
    await expect(page.locator("#avisos-n")).to_have_text("1 novo1")
    await bell.click()
    await expect(page.locator("#avisos a")).to_contain_text("parou sozinha")
    await expect(page.locator("#avisos-n")).to_be_hidden()
    await axe(page)
    await no_sideways_scroll(page)
    await bell.click()
    await page.reload()
    await expect(page.locator("#avisos a")).to_have_count(1)
    await expect(page.locator("#avisos-n")).to_be_hidden()
