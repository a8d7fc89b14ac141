"""A whole GET for one message is taken without parser and task: what clients see is the same, whatever they do with it."""

import asyncio
import ipaddress
import re
from collections.abc import Iterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from legacy_gateway import NUMBER, TOKEN, Client, Gateway

from pombo.accept.legacy import LegacyApi

pytestmark = pytest.mark.anyio

LOOPBACK = ipaddress.ip_network("127.0.0.0/8")
TARGET = f"/api/unitario.php?token={TOKEN.replace(' ', '+')}&destino={NUMBER}&msg="
HEAD = "Host: pombo\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\nConnection: keep-alive\r\n"


def get(text: str = "Oi", head: str = HEAD) -> bytes:
    return f"GET {TARGET}{text} HTTP/1.1\r\n{head}\r\n".encode()


class Taken:
    """How many requests went which way."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.plain = self.common = 0
        at_once, serve = LegacyApi.at_once, LegacyApi._serve

        def counted(api: LegacyApi, *args: object) -> bool:
            taken = at_once(api, *args)  # type: ignore[arg-type]
            self.plain += taken
            return taken

        async def served(api: LegacyApi, *args: object) -> int:
            self.common += 1
            return await serve(api, *args)  # type: ignore[arg-type]

        monkeypatch.setattr(LegacyApi, "at_once", counted)
        monkeypatch.setattr(LegacyApi, "_serve", served)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Iterator[Taken]:
    return Taken(monkeypatch)


@pytest.fixture
async def known(taken: Taken, gateway: Gateway) -> Gateway:
    """Its token is remembered."""
    await gateway.send_one()
    taken.plain = taken.common = 0
    return gateway


@asynccontextmanager
async def locked(database_url: str):
    """No message is accepted meanwhile."""
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            await connection.execute("select from account for update")
            yield
    finally:
        await connection.close()


async def waits(gateway: Gateway, database_url: str) -> None:
    """Until a request is in its commit."""
    find = "select exists (select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database())"
    async with asyncio.timeout(10):
        while not await gateway.db.fetchval(find):
            await asyncio.sleep(0)


async def said(client: Client, octets: bytes) -> bytes:
    """The answer, without what differs from message to message."""
    await client.send(octets)
    head = await client.reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    assert length is not None
    answer = head + await client.reader.readexactly(int(length[1]))
    return re.sub(rb"(date: |ID\":\"|data\":\")[^\"\r]+", rb"\1", answer)


async def test_its_answer_is_the_same_octet_for_octet(known: Gateway, taken: Taken) -> None:
    async with known.connected() as client:
        for text in ("Oi", "", "%E7%E3o", "a" * 2000):
            plain = await said(client, get(text))
            common = await said(client, get(text, HEAD + "Content-Length: 0\r\n"))
            assert plain == common
    assert (taken.plain, taken.common) == (4, 4)


@pytest.mark.parametrize(
    "octets",
    [
        get(head="Host: a\r\nContent-Length: 0\r\n"),
        get(head="Host: a\r\ncontent-LENGTH: 0\r\n"),
        get(head="Host: a\r\nTransfer-Encoding: chunked\r\n") + b"0\r\n\r\n",
        get(head="Host: a\r\nConnection: close\r\n"),
        get(head="Host: a\r\nConnection: keep-alive, close\r\n"),
        get(head="Host: a\r\nConnection:close\r\n"),
        get(head="Host: a\r\nProxy-Connection: close\r\n"),
        get(head="Host: a\r\nUpgrade: h2c\r\n"),
        get(head="Host: a\r\nExpect: 100-continue\r\n"),
        get(head="Host: a\r\nX: a\r\n b\r\n"),
        get(head="Host: a\nX: b\r\n"),
        get().replace(b"HTTP/1.1", b"HTTP/1.0"),
        get().replace(b"msg=Oi", b"msg=Oi#a"),
        get().replace(b"msg=Oi", "msg=ção".encode()),
        get().replace(b"GET", b"get"),
        get().replace(b"unitario", b"Unitario"),
        get() + get(),
        b"\r\n" + get(),
        b"POST" + get()[3:],
        get("a" * 20_000),
        get().replace(TOKEN.replace(" ", "+").encode(), b"nobody"),
    ],
)
async def test_whatever_else_a_head_says_goes_the_common_way(
    known: Gateway, taken: Taken, octets: bytes
) -> None:
    async with known.connected() as client:
        await client.send(octets)
        async with asyncio.timeout(10):
            assert (await client.reader.readexactly(5)) == b"HTTP/"
    assert taken.plain == 0


async def test_a_token_that_is_not_remembered_is_looked_up_and_then_remembered(
    taken: Taken, gateway: Gateway
) -> None:
    async with gateway.connected() as client:
        assert [b'"OK"' in await said(client, get()) for _ in range(3)] == [True] * 3
    assert (taken.plain, taken.common) == (2, 1)


async def test_what_comes_before_its_answer_waits_for_it(
    known: Gateway, taken: Taken, database_url: str
) -> None:
    async with known.connected() as client:
        async with locked(database_url):
            await client.send(get("um"))
            await waits(known, database_url)
            await client.send(get(""))
            (connection,) = known.server.server_state.connections
            async with asyncio.timeout(10):
                while not connection._meanwhile:  # type: ignore[union-attr]
                    await asyncio.sleep(0)
            await client.send(get("dois") + get(""))
            await client.send(get("tres"))
        answers = [await client.read() for _ in range(5)]
    empty = ["Mensagem vazia"]
    assert [answer.told for answer in answers] == [["OK"], empty, ["OK"], empty, ["OK"]]
    assert (await known.texts())[1:] == ["um", "dois", "tres"]


async def test_a_request_that_comes_in_pieces_is_one(known: Gateway, taken: Taken) -> None:
    async with known.connected() as client:
        whole = get("inteira")
        await client.send(whole[:2])
        (connection,) = known.server.server_state.connections
        while not connection._in_message:  # type: ignore[union-attr]
            await asyncio.sleep(0)
        await client.send(whole[2:])
        assert (await client.read()).told == ["OK"]
        assert (await said(client, get())).startswith(b"HTTP/1.1 200")
    assert (taken.plain, taken.common) == (1, 1)


async def test_a_body_that_looks_like_a_request_is_a_body(known: Gateway, taken: Taken) -> None:
    """Also when the answer is given before it has come."""
    inner = get("contrabando")
    head = f"PUT /api/envio.php HTTP/1.1\r\nHost: a\r\nContent-Length: {len(inner)}\r\n\r\n"
    async with known.connected() as client:
        await client.send(head.encode())
        assert (await client.read()).status == 405
        await client.send(inner)
        (connection,) = known.server.server_state.connections
        async with asyncio.timeout(10):
            while connection._in_message:  # type: ignore[union-attr]
                await asyncio.sleep(0)
        await client.send(get("depois"))
        assert (await client.read()).told == ["OK"]
    assert (await known.texts())[1:] == ["depois"]


async def test_nothing_is_taken_from_who_was_refused(known: Gateway, taken: Taken) -> None:
    async with known.connected() as client:
        await client.send(b"\r\n" * 45_000)
        assert (await client.read()).status == 431
        await client.send(get())
        assert await client.ended()
    assert taken.plain == 0


async def test_a_stop_waits_for_its_answer_and_closes(known: Gateway, database_url: str) -> None:
    async with known.connected() as client:
        async with locked(database_url):
            await client.send(get())
            await waits(known, database_url)
            known.server.should_exit = True
            (connection,) = known.server.server_state.connections
            while not connection._last:  # type: ignore[union-attr]
                await asyncio.sleep(0)
        reply = await client.read()
        assert (reply.told, reply.headers["connection"]) == (["OK"], "close")
        assert await client.ended()


async def test_a_client_that_leaves_before_its_answer_harms_nobody(known: Gateway, database_url: str) -> None:
    async with locked(database_url):
        async with known.connected() as client:
            await client.send(get("sem resposta".replace(" ", "+")))
            await waits(known, database_url)
        while known.server.server_state.connections:
            await asyncio.sleep(0)
    assert (await known.send_one("outra")).told == ["OK"]
    assert (await known.texts())[1:] == ["sem resposta", "outra"]


async def test_a_proxy_says_whom_it_asks_for(database, taken: Taken) -> None:
    gateway = Gateway(database, trusted_proxies=[LOOPBACK])
    account = await gateway.add_account("alfa", TOKEN)
    await gateway.change_token(1, networks=["192.0.2.7/32"])
    assert account == 1
    async with gateway.running(), gateway.connected() as client:
        for address, told in (("192.0.2.7", b'"OK"'), ("192.0.2.8", b"Token"), ("192.0.2.7", b'"OK"')):
            assert told in await said(client, get(head=f"{HEAD}X-FORWARDED-For:  {address}\r\n"))
    assert taken.plain == 1


async def test_a_fault_of_ours_is_told_and_the_next_request_is_served(
    known: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with known.connected() as client:
        with monkeypatch.context() as patched:
            patched.setattr(LegacyApi, "_submissions", lambda *_: 1 / 0)
            answer = await said(client, get())
            assert answer.startswith(b"HTTP/1.1 503") and b"Servico indisponivel" in answer
        assert b'"OK"' in await said(client, get())
