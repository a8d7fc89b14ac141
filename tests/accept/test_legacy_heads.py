"""RELIABILITY: heads of requests that are too large, or never end, over real sockets."""

import asyncio
from urllib.parse import quote

import pytest
from legacy_gateway import NUMBER, TOKEN, Client, Gateway, request

from pombo.accept.connection import Connection

pytestmark = pytest.mark.anyio

ONE = f"/api/unitario.php?token={quote(TOKEN)}&destino={NUMBER}&msg=Oi"
CHUNKED = b"POST /api/unitario.php HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


def connection_of(gateway: Gateway) -> Connection:
    (connection,) = gateway.server.server_state.connections
    assert isinstance(connection, Connection)
    return connection


async def is_closed(client: Client) -> bool:
    """With no answer, not even one of nothing."""
    async with asyncio.timeout(10):
        return await client.ended()


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 90_000,
        b"GET /" + b"\xe7" * 90_000,
        b"GET / HTTP/1.1\r\nX: " + b"a" * 90_000,
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 15_000,
        b"GET / HTTP/1.1\r\n" + b"X" * 90_000,
        b"\r\n" * 45_000,
    ],
    ids=["url", "raw-url", "header", "headers", "name", "empty-lines"],
)
async def test_a_head_over_64_kib_is_refused_before_it_ends(gateway: Gateway, head: bytes) -> None:
    async with gateway.connected() as client:
        await client.send(head)
        async with asyncio.timeout(10):
            reply = await client.read()
        assert (reply.status, reply.headers["connection"]) == (431, "close")
        await client.send(request("GET", ONE))
        assert await is_closed(client)
    assert await gateway.stored() == []


async def test_a_head_of_60_kb_is_taken_again_and_again(gateway: Gateway) -> None:
    padding = {"X": "x" * 30_000}
    async with gateway.connected() as client:
        for _ in range(3):
            await client.send(request("GET", f"{ONE}&x={'x' * 30_000}", None, "", **padding))
            assert (await client.read()).told == ["OK"]


async def test_a_large_body_is_no_part_of_the_head(gateway: Gateway) -> None:
    body = b"x=" + b"x" * 1_000_000
    async with gateway.connected() as client:
        for _ in range(2):
            assert (await client.ask("POST", ONE, body)).told == ["OK"]


@pytest.mark.parametrize(
    "rest", [b"0\r\n" + b"X: y\r\n" * 15_000, b"0\r\nX: " + b"y" * 90_000, b"1;" + b"x" * 90_000]
)
async def test_what_surrounds_the_chunks_of_a_body_is_bounded_too(gateway: Gateway, rest: bytes) -> None:
    async with gateway.connected() as client:
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await client.send(CHUNKED + b"1\r\na\r\n" + rest)
            async with asyncio.timeout(10):
                await client.read()


@pytest.mark.parametrize("octets", [b"", b"G", b"GET / HTTP/1.1\r\nHost: a\r\n"])
async def test_a_head_that_does_not_come_ends_the_connection(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, octets: bytes
) -> None:
    monkeypatch.setattr(Connection, "head_timeout_s", 0.05)
    async with gateway.connected() as client:
        await client.send(octets)
        assert await is_closed(client)


@pytest.mark.parametrize("octets", [b"\r\n", b"G", b"GET / HTTP/1.1\r\nHost: a\r\n"])
async def test_nor_may_a_later_one_stay_away(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, octets: bytes
) -> None:
    async with gateway.connected() as client:
        assert (await client.ask("GET", ONE)).told == ["OK"]
        monkeypatch.setattr(Connection, "head_timeout_s", 0.05)
        await client.send(octets)
        assert await is_closed(client)


async def test_a_connection_between_requests_has_its_own_longer_time(gateway: Gateway) -> None:
    async with gateway.connected() as client:
        assert (await client.ask("GET", ONE)).told == ["OK"]
        connection = connection_of(gateway)
        assert connection._head_timer is None
        assert connection.timeout_keep_alive_task is not None


async def test_a_head_waits_while_the_request_before_it_is_answered(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Connection, "head_timeout_s", 0.01)
    async with gateway.connected() as client:
        async with gateway.db.transaction() as tx:
            await tx.execute("lock table account in access exclusive mode")
            await client.send(request("GET", ONE) + b"GET /")
            while not gateway.server.server_state.tasks:
                await asyncio.sleep(0)
            for _ in range(3):  # its time comes, and comes again
                timer = connection_of(gateway)._head_timer
                while connection_of(gateway)._head_timer is timer:
                    await asyncio.sleep(0.001)
        assert (await client.read()).told == ["OK"]
        assert await is_closed(client)
