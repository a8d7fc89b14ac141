"""What tests of pages share: a panel that serves, and browsers that look at it."""

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from argon2 import PasswordHasher
from panel_browser import FLAGS, Visit, Visits
from panel_server import Panel, Server, serving
from playwright.async_api import Browser, async_playwright

from pombo.account import password


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", autouse=True)
def quick_passwords() -> Iterator[None]:
    """As argon2 hashes them, only with less work for each: there is nothing to protect."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(password, "_hasher", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
        yield


@pytest.fixture(scope="module")
async def server(
    anyio_backend: str, postgres: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Server]:
    """One for all tests of a module, on a database of its own: starting one takes longer than most of them."""
    name = f"panel_{uuid.uuid4().hex}"
    connection = await asyncpg.connect(postgres)
    await connection.execute(f"create database {name} template blank")
    await connection.close()
    url = urlsplit(postgres)._replace(path=f"/{name}").geturl()
    async with serving(url, tmp_path_factory.mktemp("panel")) as server:
        yield server


@pytest.fixture
async def panel(server: Server) -> AsyncIterator[Panel]:
    """A new account of the test's own on it."""
    await server.db.execute("delete from sign_in_try")
    yield await server.panel()
    await server.close()


@pytest.fixture
async def own_panel(database_url: str, tmp_path: Path) -> AsyncIterator[Panel]:
    """A server and a database of the test's own, which it may break."""
    async with serving(database_url, tmp_path) as server:
        yield await server.panel()
        await server.close()


@pytest.fixture(scope="session")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
async def visit(browser: Browser, panel: Panel) -> AsyncIterator[Visit]:
    """`page = await visit("/mensagens", theme="dark", width=390)`: see panel_browser.Visits.visit."""
    async with Visits(browser, panel) as visits:
        yield visits.visit
