"""The panel as `serve` has it: a node on a real database, its HTTP server on a free loopback port, people who sign in."""

import dataclasses
import ipaddress
import itertools
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from pombo.account import people
from pombo.account.people import Role
from pombo.account.secret import new_token
from pombo.app import web
from pombo.app.node import Node
from pombo.config import Config
from pombo.panel import Doors
from pombo.panel.session import COOKIE, LENGTH
from pombo.store import accounts, users
from pombo.store.audit import Actor, changing

ACTOR = Actor("test", "")
PASSWORD = "uma senha bem comprida"
_numbers = itertools.count(1)


class Client:
    """A browser without a window, which signed in as one person: `get(path)`, `post(path, field=…)`."""

    def __init__(self, url: str, cookie: str, csrf: str) -> None:
        self.url = url
        self.csrf = csrf
        self.http = aiohttp.ClientSession(
            url,
            cookie_jar=aiohttp.CookieJar(unsafe=True),  # which keeps those of 127.0.0.1
            headers={"Accept": "text/html", "Accept-Language": "pt-BR"},
        )
        if cookie:
            self.http.cookie_jar.update_cookies({COOKIE: cookie}, aiohttp.client.URL(url))

    async def get(self, path: str, *, status: int = 200, headers: Mapping[str, str] | None = None) -> str:
        """What the page says. Redirects are not followed: their way is what it says then."""
        async with self.http.get(path, allow_redirects=False, headers=headers) as answer:
            text = await answer.text()
            assert answer.status == status, (answer.status, text)
            return answer.headers.get("Location", text)

    async def post(
        self, path: str, fields: Any = None, *, status: int = 303, headers: Mapping[str, str] | None = None
    ) -> str:
        """With the token against requests from elsewhere. fields: of a form, or an aiohttp.FormData."""
        sent = {"X-CSRF-Token": self.csrf, **(headers or {})}
        async with self.http.post(path, data=fields or {}, allow_redirects=False, headers=sent) as answer:
            text = await answer.text()
            assert answer.status == status, (answer.status, text)
            return answer.headers.get("Location", text)

    async def close(self) -> None:
        await self.http.close()


class Server:
    """What `serve` has: a node, and what its panel is given."""

    def __init__(self, node: Node, doors: Doors, http: web.Server, url: str) -> None:
        assert http.live is not None
        self._panels: list[Panel] = []
        self.live = http.live
        self.stop = http.stop
        self.node = node
        self.doors = doors
        self.db = doors.db
        self.url = url

    async def panel(self) -> "Panel":
        """A new account on it."""
        token = new_token()
        panel = Panel(self, 0, token)
        self._panels.append(panel)
        panel.account_id = await panel.account(f"Clínica Aurora {next(_numbers)}", token)
        return panel

    async def close(self) -> None:
        """The browsers of everybody who has been there."""
        while self._panels:
            await self._panels.pop().close()


class Panel:
    """`account_id` is an account with R$ 100,00 and the token `token`; `node` and `doors` are what the server has."""

    def __init__(self, server: Server, account_id: int, token: str) -> None:
        self.server = server
        self.node = server.node
        self.doors = server.doors
        self.db = server.db
        self.url = server.url
        self.account_id = account_id
        self.token = token
        self._clients: list[Client] = []
        self._people: dict[tuple[int, Role], int] = {}

    async def account(self, name: str, token: str | None = None) -> int:
        """One more of them, with R$ 100,00."""
        token = token or new_token()
        hmac = self.doors.secrets.token_hmac(token)
        return await accounts.add_account(self.node.db, name, 100_000, hmac, token[:10])

    async def person(self, role: Role = Role.ADMIN, account_id: int | None = None) -> int:
        """Of the account, with this role; the same at each call."""
        account_id = account_id or self.account_id
        if (account_id, role) not in self._people:
            email = f"{role.value}{account_id}@aurora.example"
            async with changing(self.db, ACTOR, "user.add") as change:
                added = await people.add(change, self.doors.secrets, account_id, email, role)
            self._people[account_id, role] = added.person_id
        return self._people[account_id, role]

    async def signed_in(self, role: Role = Role.ADMIN, account_id: int | None = None) -> str:
        """What the cookie of a new session holds."""
        cookie = new_token()
        terms = {
            "by_code": False,
            "idle": LENGTH,
            "length": LENGTH,
            "address": "127.0.0.1",
            "browser": "test",
        }
        hmac = self.doors.secrets.panel_hmac("session", cookie)
        await users.begin_session(self.db, await self.person(role, account_id), hmac, terms)
        return cookie

    async def client(self, role: Role | None = Role.ADMIN, account_id: int | None = None) -> Client:
        """role: None for somebody who is not signed in."""
        return await self.client_with("" if role is None else await self.signed_in(role, account_id))

    async def client_with(self, cookie: str) -> Client:
        csrf = self.doors.secrets.panel_hmac("csrf", cookie).hex() if cookie else ""
        client = Client(self.url, cookie, csrf)
        self._clients.append(client)
        if not cookie:  # as a browser: it gets its cookie and the token with the first page
            found = re.search(r'name="csrf" value="(\w+)"', await client.get("/entrar"))
            assert found
            client.csrf = found[1]
        return client

    async def close(self) -> None:
        for client in self._clients:
            await client.close()


@asynccontextmanager
async def serving(url: str, data: Path, **settings: Any) -> AsyncIterator[Server]:
    """url: of the database."""
    allow = (ipaddress.ip_network("127.0.0.0/8"),)
    config = dataclasses.replace(Config(data=data, callback_allow=allow), **settings)
    node = await Node.open(url, config)
    listener = web.listen("127.0.0.1", 0)
    try:
        await node.start()
        async with node.panel_doors(config) as doors:
            assert doors is not None
            server = web.Server(node, listener, [], node.metrics.page, doors)
            await server.start()
            try:
                yield Server(node, doors, server, f"http://{web.address(listener)}")
            finally:
                await server.stop()
    finally:
        await node.stop()
        await node.close()
        listener.close()
