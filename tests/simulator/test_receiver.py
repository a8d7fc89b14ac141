"""The built-in receiver of callbacks: what it keeps of a call, and from whom."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
import uvicorn
from esme_client import in_time
from litestar import Litestar

from pombo.simulator import receiver
from pombo.simulator.receiver import Receiver

SECRET = "b7Qx-segredo_9"

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def served() -> AsyncIterator[tuple[Receiver, str]]:
    """The receiver, and the address of the server that has it."""
    taking = Receiver(SECRET)
    app = Litestar([taking.routes()], openapi_config=None)
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, log_config=None, access_log=False, lifespan="off", ws="none")
    )
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(5):
        while not server.started:
            await asyncio.sleep(0)  # uvicorn offers nothing to wait for
    yield taking, f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await in_time(serving)


@pytest.mark.parametrize("joined", ["?", "/"], ids=["query", "literal"])
async def test_a_call_is_kept_as_it_came_and_answered_200(served: tuple[Receiver, str], joined: str) -> None:
    taking, base = served
    query = "data=2026-11-22%2017:43:31&numero=11900000001&mensagem=Sim%2C%20%C3%A0s%208%2F9%20%2B%20caf%C3%A9&id="
    target = taking.url("", "mo") + joined + query
    headers = {"webhook-id": "cb_7", "User-Agent": "pombo", "Cookie": "nada"}
    # The octets that we send, and not what a client would make of them.
    reader, writer = await asyncio.open_connection("127.0.0.1", int(base.rpartition(":")[2]))
    lines = [
        f"GET {target} HTTP/1.1",
        "Host: a",
        *(f"{k}: {v}" for k, v in headers.items()),
        "Connection: close",
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    answer = await in_time(reader.read())
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"OK")
    (call,) = taking.calls
    assert (call.kind, call.method, call.target, call.status, call.answer) == ("mo", "GET", target, 200, "OK")
    assert dict(call.parameters) == {
        "data": "2026-11-22 17:43:31", "numero": "11900000001", "mensagem": "Sim, às 8/9 + café", "id": "",
    }  # fmt: skip
    assert call.headers == [("host", "a"), ("user-agent", "pombo"), ("webhook-id", "cb_7")]


async def test_what_is_posted_is_kept_too_and_is_bounded(served: tuple[Receiver, str]) -> None:
    taking, base = served
    async with aiohttp.ClientSession() as http:
        async with http.post(taking.url(base, "dlr"), data={"status": "2", "id": "ação"}) as answer:
            assert answer.status == 200
        assert dict(taking.calls[0].parameters) == {"status": "2", "id": "ação"}
        assert taking.calls[0].body.startswith("status=2&id=")
        async with http.post(taking.url(base, "dlr"), data=b"x" * 60_000) as answer:
            assert answer.status == 200
        assert len(taking.calls[1].body) == 4000
        async with http.post(taking.url(base, "dlr"), data=b"x" * 70_000) as answer:
            assert answer.status == 413
        assert len(taking.calls) == 2


async def test_without_the_right_secret_there_is_nothing(served: tuple[Receiver, str]) -> None:
    taking, base = served
    right = taking.url(base, "dlr")
    async with aiohttp.ClientSession() as http:
        for wrong in ("x", SECRET[:-1], SECRET + "x", SECRET.upper(), "%C3%A9", "%FF"):
            async with http.get(right.replace(SECRET, wrong)) as answer:
                assert answer.status == 404
        async with http.get(right.replace("/dlr", "/outro")) as answer:
            assert answer.status == 404
    assert not taking.calls


async def test_the_oldest_calls_make_room(
    served: tuple[Receiver, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    taking, base = served
    async with aiohttp.ClientSession() as http:
        for n in range(receiver.CALLS_KEPT + 2):
            async with http.get(taking.url(base, "dlr"), params={"id": str(n)}):
                pass
    assert len(taking.calls) == receiver.CALLS_KEPT
    assert taking.calls[0].parameters == [("id", "2")]
    numbers = [call.number for call in taking.calls]
    assert numbers == sorted(set(numbers)) and taking.newest == numbers[-1]


def test_it_knows_its_own_address_at_whatever_port() -> None:
    taking = Receiver(SECRET)
    assert taking.is_at(taking.url("http://127.0.0.1:8080", "dlr"), "dlr")
    assert taking.is_at(taking.url("http://127.0.0.1:9", "mo"), "mo")
    assert not taking.is_at(taking.url("http://127.0.0.1:9", "mo"), "dlr")
    assert not taking.is_at("https://acme.example/dlr", "dlr")
