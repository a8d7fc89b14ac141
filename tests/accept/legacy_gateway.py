"""The legacy API as customers meet it: uvicorn on a socket, a real database, and a client that writes octets."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

import uvicorn

from pombo.accept.auth import Authenticator
from pombo.accept.intake import Intake
from pombo.accept.legacy import LegacyApi
from pombo.accept.plain import PlainConnection
from pombo.account.prices import Price, Prices
from pombo.account.secret import Secrets
from pombo.route.routes import Route, Routes
from pombo.store import accounts
from pombo.store.database import Database
from pombo.store.ids import Ids

TOKEN = "the token of alfa"
NUMBER = "11999999999"


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def items(self) -> list[dict[str, Any]]:
        """Of unitario.php and envio.php."""
        envelope = self.json
        assert list(envelope) in (["envio"], ["detalhes"])
        (items,) = envelope.values()
        assert self.body.count(b'"status":200') == sum(item["status"] == 200 for item in items)
        return list(items)

    @property
    def item(self) -> dict[str, Any]:
        (item,) = self.items
        return item

    @property
    def told(self) -> list[str]:
        return [item["detailDescription"] for item in self.items]


class Client:
    """One connection. `ask` and `read` apart, for those who send several requests, or half of one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, octets: bytes) -> None:
        self.writer.write(octets)
        await self.writer.drain()

    async def read(self, *, head: bool = False) -> Reply:
        start, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("ascii").split("\r\n")[:-2]
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        length = 0 if head else int(headers.get("content-length", 0))
        return Reply(int(start.split()[1]), headers, await self.reader.readexactly(length))

    async def ask(
        self, method: str, target: str | bytes, body: bytes | None = None, content_type: str = ""
    ) -> Reply:
        await self.send(request(method, target, body, content_type))
        return await self.read(head=method == "HEAD")

    async def ended(self) -> bool:
        """The server has closed the connection, and said no more."""
        return await self.reader.read(1) == b""


def request(
    method: str,
    target: str | bytes,
    body: bytes | None = None,
    content_type: str = "",
    **headers: str,
) -> bytes:
    target = target.encode() if isinstance(target, str) else target
    lines = [method.encode() + b" " + target + b" HTTP/1.1", b"Host: sms.example"]
    if body is not None:
        lines.append(b"Content-Length: %d" % len(body))
    if content_type:
        lines.append(b"Content-Type: " + content_type.encode())
    lines.extend(f"{name}: {value}".encode() for name, value in headers.items())
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


class Gateway:
    def __init__(self, db: Database, node: int = 1, **settings: Any) -> None:
        self.db = db
        self.secrets = Secrets(b"a secret for the tests")
        self.routes = [Route("55", 1, 86400)]
        self.time_s = 1000.0  # by which requests are counted
        self.prices: list[Price] = []
        self.intake = Intake(
            db,
            Ids(node),
            stored=lambda smsc_ids: None,
            number_hmac=self.secrets.number_hmac,
            limit_messages=settings.get("limit_messages", 50_000),
            commit_timeout_s=settings.get("commit_timeout_s", 10.0),
        )
        self.authenticator = Authenticator(db, self.secrets)
        self.api = LegacyApi(
            db=db,
            authenticator=self.authenticator,
            intake=self.intake,
            secrets=self.secrets,
            routes=lambda: Routes(self.routes),
            prices=lambda: Prices(self.prices),
            body_limit_octets=settings.get("body_limit_octets", 16 * 1024 * 1024),
            body_timeout_s=settings.get("body_timeout_s", 30.0),
            trusted_proxies=settings.get("trusted_proxies", ()),
            clock=lambda: self.time_s,
        )
        self.port = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Gateway"]:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(500)
            self.port = listener.getsockname()[1]
            server = self.server = _Server(
                uvicorn.Config(
                    self.api,
                    loop="none",
                    http=PlainConnection.of(self.api.at_once),
                    ws="none",
                    lifespan="off",
                    log_config=None,
                    access_log=False,
                    server_header=False,
                    proxy_headers=False,
                    timeout_graceful_shutdown=1,
                )
            )
            self.intake.start()
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            try:
                yield self
            finally:
                server.should_exit = True
                await serving
                await self.intake.stop()

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[Client]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 26)
        try:
            yield Client(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def ask(
        self, method: str, target: str | bytes, body: bytes | None = None, content_type: str = ""
    ) -> Reply:
        """One request on a connection of its own."""
        async with self.connected() as client:
            return await client.ask(method, target, body, content_type)

    async def unitario(self, **parameters: object) -> Reply:
        return await self.ask("GET", f"/api/unitario.php?{urlencode({'token': TOKEN, **parameters})}")

    async def send_one(self, text: str = "Oi", destination: str = NUMBER, **parameters: object) -> Reply:
        return await self.unitario(destino=destination, msg=text, **parameters)

    async def envio(self, document: object, query: str = "") -> Reply:
        return await self.ask("POST", f"/api/envio.php{query}", json.dumps(document).encode())

    async def send_many(self, messages: list[Any], token: str = TOKEN) -> Reply:
        return await self.envio([{"token": token, "mensagens": messages}])

    async def get(self, page: str, **parameters: object) -> Reply:
        """dlr.php or mo.php"""
        return await self.ask("GET", f"/api/{page}.php?{urlencode({'token': TOKEN, **parameters})}")

    # What customers do not see

    async def add_account(self, name: str, token: str, balance_milli: int = 1_000_000, **columns: Any) -> int:
        account_id = await accounts.add_account(
            self.db, name, balance_milli, self.secrets.token_hmac(token), token[:4]
        )
        await self.change(account_id, **columns)
        return account_id

    async def add_token(self, account_id: int, token: str, **columns: Any) -> int:
        token_id = await self.db.fetchval(
            "insert into token (account_id, hmac, prefix) values ($1, $2, $3) returning id",
            account_id, self.secrets.token_hmac(token), token[:4],
        )  # fmt: skip
        await self.change_token(token_id, **columns)
        return int(token_id)

    async def change_token(self, token_id: int, **columns: Any) -> None:
        for column, value in columns.items():
            await self.db.execute(f"update token set {column} = $2 where id = $1", token_id, value)
        self.authenticator.forget()

    async def change(self, account_id: int, **columns: Any) -> None:
        for column, value in columns.items():
            await self.db.execute(f"update account set {column} = $2 where id = $1", account_id, value)
        self.authenticator.forget()

    async def stored(self) -> list[Mapping[str, Any]]:
        return list(await self.db.fetch("select * from message order by id"))

    async def texts(self) -> list[str]:
        return [row["body"] for row in await self.stored()]

    async def balance(self, account_id: int) -> int:
        """In thousandths; checks on the way that it is the sum of the ledger."""
        row = await self.db.fetchrow(
            "select balance_milli, (select coalesce(sum(amount_milli), 0) from ledger where account_id = a.id)::bigint"
            " as booked from account a where id = $1",
            account_id,
        )
        assert row is not None
        assert row["balance_milli"] == row["booked"]
        return int(row["balance_milli"])


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
