"""An answer in one write is, octet for octet, what two ASGI messages make."""

import asyncio
import re
import socket

import pytest
import uvicorn

from pombo.accept.connection import WHOLE_ANSWER, Connection

pytestmark = pytest.mark.anyio

BODY = b'{"dlr":[]}'


async def application(scope, receive, send):
    if scope["path"] == "/whole":
        head = b"content-type: application/json\r\ncontent-length: %d\r\n" % len(BODY)
        await scope["extensions"][WHOLE_ANSWER](200, head, BODY)
        return
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})


@pytest.fixture
async def port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = uvicorn.Server(
            uvicorn.Config(
                application,
                loop="none",
                http=Connection,
                ws="none",
                lifespan="off",
                log_config=None,
                server_header=False,
            )
        )
        serving = asyncio.create_task(server._serve(sockets=[listener]))
        yield listener.getsockname()[1]
        server.should_exit = True
        await serving


async def spoken(port, requests: bytes) -> bytes:
    """All that the server says until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(requests)
    said = await reader.read()
    writer.close()
    return re.sub(rb"date: [^\r]+", b"date: now", said)


@pytest.mark.parametrize(
    "end",
    [
        b"GET %b HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        b"GET %b HTTP/1.0\r\n\r\n",
        b"POST %b HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}",
    ],
)
async def test_both_ways_say_the_same(port, end):
    kept = b"GET %b HTTP/1.1\r\nhost: a\r\n\r\n"
    whole = await spoken(port, (kept + kept + end).replace(b"%b", b"/whole"))
    assert whole == await spoken(port, (kept + kept + end).replace(b"%b", b"/twice"))
    assert whole.count(BODY) == 3
    assert whole.count(b"connection: close") == 1


async def test_a_client_that_went_away_meanwhile_is_no_fault(port, caplog):
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /whole HTTP/1.1\r\nhost: a\r\n\r\n" * 100)
    writer.transport.abort()
    assert (await spoken(port, b"GET /whole HTTP/1.0\r\n\r\n")).endswith(BODY)
    assert not caplog.records
