"""What comes live: what is told, to whom, and when it ends."""

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from panel_browser import Visit
from panel_server import Client, Panel, Server
from playwright.async_api import expect

from pombo.account.people import Role
from pombo.panel import events
from pombo.panel.events import Live
from pombo.panel.session import Person
from pombo.store import users

pytestmark = pytest.mark.anyio


class Stream:
    def __init__(self, lines: Any) -> None:
        self._lines = lines

    async def until(self, kind: str) -> dict[str, Any]:
        """What the next event of this kind says."""
        async with asyncio.timeout(10):
            async for line in self._lines:
                if line == f"event: {kind}\n".encode():
                    return dict(json.loads((await self._lines.readline()).removeprefix(b"data: ")))
        raise AssertionError("the stream ended")


@asynccontextmanager
async def listening(client: Client) -> AsyncIterator[Stream]:
    async with client.http.get("/eventos") as answer:
        assert answer.status == 200 and answer.content_type == "text/event-stream"
        yield Stream(answer.content)


def live_of(panel: Panel) -> Live:
    return panel.server.live


async def test_a_stream_tells_first_how_things_are_and_then_what_changes(panel: Panel) -> None:
    async with listening(await panel.client()) as stream:
        assert (await stream.until("balance"))["value"] == 100_000
        await panel.db.execute(
            "insert into conversation (account_id, handset, replies, last_at) values ($1, '5511987654321', 2, now())",
            panel.account_id,
        )
        assert (await stream.until("unread"))["value"] == 1
        await panel.db.execute("update account set balance_milli = 99000 where id = $1", panel.account_id)
        assert await stream.until("balance") == {"version": "99000", "value": 99_000}


async def test_nobody_hears_of_another_account(panel: Panel, server: Server) -> None:
    other = await server.panel()
    async with listening(await panel.client()) as stream:
        await stream.until("balance")
        await panel.db.execute("update account set balance_milli = 1 where id = $1", other.account_id)
        await panel.db.execute("update account set balance_milli = 2 where id = $1", panel.account_id)
        assert (await stream.until("balance"))["value"] == 2


async def test_the_database_is_asked_only_while_somebody_listens(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_HEARTBEAT_S", 0.05)  # which finds out that a tab was closed
    async with listening(await panel.client()) as one, listening(await panel.client()) as two:
        await one.until("balance")
        await two.until("balance")
        assert live_of(panel).watches(panel.account_id) == 2
    async with asyncio.timeout(10):
        while live_of(panel).watches(panel.account_id):
            await asyncio.sleep(0.01)


async def test_a_stream_ends_with_its_session(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_HEARTBEAT_S", 0.05)
    async with listening(await panel.client()) as stream:
        await stream.until("balance")
        await users.end_sessions(panel.db, await panel.person())
        await stream.until("ended")


async def test_a_stream_that_always_has_news_ends_with_its_session_too(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_HEARTBEAT_S", 0.5)
    async with listening(await panel.client()) as stream:
        await stream.until("balance")
        [watched] = live_of(panel)._watched.values()
        await users.end_sessions(panel.db, await panel.person())

        async def talk() -> None:
            for n in itertools.count():
                for listener in watched.streams:
                    listener.tell({"messages": n})
                await asyncio.sleep(0.05)

        talking = asyncio.create_task(talk())
        try:
            await stream.until("ended")
        finally:
            talking.cancel()


async def test_who_left_before_the_first_octet_is_not_waited_for(panel: Panel) -> None:
    person = cast(Person, SimpleNamespace(id=1, session_id=1, account=SimpleNamespace(id=panel.account_id)))
    never, begun = (events.stream(live_of(panel), panel.db, person) for _ in range(2))
    assert await anext(begun) and live_of(panel).watches(panel.account_id) == 1
    await cast(AsyncGenerator[bytes], begun).aclose()
    assert live_of(panel).watches(panel.account_id) == 0
    del never


async def test_one_person_does_not_take_all_streams(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_MOST_OF_PERSON", 2)
    greedy, other = await panel.client(), await panel.client(Role.VIEWER)
    async with listening(greedy) as one, listening(greedy) as two:
        await one.until("balance")
        await two.until("balance")
        await greedy.get("/eventos", status=503)
        async with listening(other) as three:
            await three.until("balance")


async def test_whoever_is_not_signed_in_hears_nothing(panel: Panel) -> None:
    client = await panel.client(None)
    assert await client.get("/eventos", status=303) == "/entrar?depois=/eventos"


async def test_a_server_that_stops_does_not_wait_for_streams(own_panel: Panel) -> None:
    async with listening(await own_panel.client()) as stream:
        await stream.until("balance")
        async with asyncio.timeout(5):  # it would wait ten for an answer that is under way
            await own_panel.server.stop()


async def test_the_balance_and_the_badge_follow_without_a_reload_and_a_hidden_tab_is_quiet(
    visit: Visit, panel: Panel
) -> None:
    page = await visit("/perfil/idioma")
    await expect(page.locator("[data-balance]")).to_have_text("R$\N{NO-BREAK SPACE}100,00")
    await panel.db.execute("update account set balance_milli = 79 where id = $1", panel.account_id)
    await expect(page.locator("[data-balance]")).to_have_text("R$\N{NO-BREAK SPACE}0,079")
    await page.evaluate(
        "() => { Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange')); }"
    )
    assert await page.evaluate("stream") is None
