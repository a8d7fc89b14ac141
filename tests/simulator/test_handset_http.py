"""The handset's door for scripts: what it answers, and to whom."""

import asyncio
import json

import aiohttp
import pytest
from esme_client import bound, in_time, until_shown
from handset_server import SECRET, served

from pombo.simulator import bubbles
from pombo.simulator.bubbles import Bubble, Handsets, Part, Place

NUMBER = "5511900000001"

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_messages_are_listed_by_number_in_any_form() -> None:
    async with served() as (operator, port, url), aiohttp.ClientSession() as http:
        client = await bound(port)
        await client.submit(NUMBER, "Oi, Pombo")
        await until_shown(operator, NUMBER, "entregue")
        for form in (NUMBER, "11900000001", "(11) 90000-0001"):
            answer = await http.get(url + "/mensagens", params={"numero": form})
            body = await answer.json()
            (message,) = body["mensagens"]
            assert body["numeros"] == [{"numero": NUMBER, "ultima": message}]
            expected = {
                "de": "27300",
                "para": NUMBER,
                "texto": "Oi, Pombo",
                "direcao": "mt",
                "estado": "entregue",
            }
            assert {name: message[name] for name in expected} == expected
            assert message["quando"].endswith("+00:00")
        unknown = await (await http.get(url + "/mensagens")).json()
        assert unknown["mensagens"] == []


@pytest.mark.parametrize(
    "path", ["", "/aparelho.js", "/aparelho.css", "/mensagens", "/ao-vivo", "/responder"]
)
async def test_without_the_right_secret_there_is_nothing(path: str) -> None:
    async with served() as (_, _, url), aiohttp.ClientSession() as http:
        for wrong in ("x", SECRET[:-1], SECRET + "x", SECRET.upper(), "%C3%A9", "%FF"):
            address = url.replace(SECRET, wrong) + path
            if path == "/responder":
                answer = await http.post(address, json={"number": NUMBER, "text": "SIM"})
            else:
                answer = await http.get(address)
            assert answer.status == 404


async def test_page_keeps_its_secret_and_runs_nothing_of_others() -> None:
    async with served() as (_, _, url), aiohttp.ClientSession() as http:
        for path in ("", "/aparelho.js", "/aparelho.css", "/mensagens"):
            answer = await http.get(url + path)
            assert answer.status == 200
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy and "unsafe" not in policy


async def test_reply_is_taken_as_json_only_and_refused_with_a_reason() -> None:
    async with served() as (_, port, url), aiohttp.ClientSession() as http:
        client = await bound(port)
        await client.submit(NUMBER)
        good = json.dumps({"number": NUMBER, "text": "SIM"})

        async def post(body: str, content_type: str = "application/json") -> tuple[int, dict[str, str]]:
            answer = await http.post(
                url + "/responder", data=body.encode(), headers={"Content-Type": content_type}
            )
            return answer.status, await answer.json()

        for content_type in (
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
        ):
            status, body = await post(good, content_type)
            assert status == 415 and body["erro"]
        for refused, expected in (
            ("{", 400),
            ("[]", 400),
            ('{"number": 5511900000001, "text": "SIM"}', 400),
            (json.dumps({"number": NUMBER}), 400),
            (json.dumps({"number": NUMBER, "text": "  \n"}), 400),
            (json.dumps({"number": NUMBER, "text": "a" * 1001}), 400),
            (json.dumps({"number": "5511900000002", "text": "SIM"}), 404),
        ):
            status, body = await post(refused)
            assert (status, bool(body["erro"])) == (expected, True), refused
        assert (await post("x" * 100_000))[0] == 413
        assert client.delivered.qsize() <= 1, "the receipt, and no reply"
        assert (await post(good, "application/json; charset=utf-8"))[0] == 201
        await until(client, b"SIM")
        assert (await post(json.dumps({"number": NUMBER, "text": "😀" * 1000})))[0] == 201
        assert (await post(json.dumps({"number": NUMBER, "text": "\ud800"})))[0] in (201, 400)
        assert (await post(good))[0] == 201


async def until(client: object, octets: bytes) -> None:
    async with asyncio.timeout(5):
        while (await client.delivered.get()).short_message != octets:  # type: ignore[attr-defined]
            pass


async def test_stream_says_what_changes_and_ends_with_the_operator() -> None:
    async with served() as (operator, port, url), aiohttp.ClientSession() as http:
        client = await bound(port)
        async with http.get(url + "/ao-vivo") as stream:
            assert stream.content_type == "text/event-stream"

            async def event(name: str) -> list[dict[str, str]]:
                async with asyncio.timeout(5):
                    while (await stream.content.readline()) != f"event: {name}\n".encode():
                        pass
                    line = await stream.content.readline()
                return json.loads(line.removeprefix(b"data: "))  # type: ignore[no-any-return]

            await event("pronto")
            await client.submit(NUMBER, "linha\nseguinte")
            states = [message["estado"] for message in await event("mensagens")]
            while states[-1] != "entregue":
                states += [message["estado"] for message in await event("mensagens")]
            await operator.stop()
            await in_time(stream.content.read())


async def test_stream_that_nobody_reads_any_more_is_forgotten() -> None:
    async with served() as (operator, _, url):
        async with aiohttp.ClientSession() as http, http.get(url + "/ao-vivo") as stream:
            await in_time(stream.content.readline())
            assert len(operator.handsets._watchers) == 1
        async with asyncio.timeout(5):
            while operator.handsets._watchers:
                await asyncio.sleep(0)


def bubble(number: int, text: str = "oi") -> Bubble:
    made = Bubble(f"m{number}", f"55119{number:08}", "27300", "mt", float(number), b"cliente")
    made.parts[1] = Part(text.encode(), 0)
    return made


async def test_oldest_numbers_and_bubbles_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubbles, "NUMBERS_KEPT", 3)
    handsets = Handsets()
    for n in (1, 2, 3, 1, 4):
        handsets.show(bubble(n))
    assert [number[-1] for number in handsets.numbers()] == ["4", "1", "3"]
    for _ in range(bubbles.BUBBLES_KEPT + 5):
        handsets.show(bubble(4))
    assert len(handsets.bubbles("5511900000004")) == bubbles.BUBBLES_KEPT


async def test_slow_watcher_loses_the_oldest_changes_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubbles, "CHANGES_KEPT", 2)
    handsets = Handsets()
    watcher = handsets.watch()
    handsets.show(bubble(1))
    handsets.show(bubble(2))
    assert not watcher.take_overflow()
    handsets.show(bubble(3))
    assert [changed.bubble_id for changed in await watcher.changes(1)] == ["m2", "m3"]
    assert watcher.take_overflow() and not watcher.take_overflow()


async def test_part_that_comes_too_late_begins_a_message_of_its_own() -> None:
    handsets = Handsets()
    for n, (at, sequence) in enumerate(((0.0, 1), (bubbles.JOINING_S + 1, 1), (bubbles.JOINING_S + 2, 2))):
        made = Bubble(f"m{n}", NUMBER, "27300", "mt", at, b"cliente")
        handsets.arrived(made, Part(b"ab"[sequence - 1 : sequence], 0), Place(7, 2, sequence))
    assert [shown.read() for shown in handsets.bubbles(NUMBER)] == ["a…", "ab"]
