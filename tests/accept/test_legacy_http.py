"""CONTRACT "All four paths": methods, HTTP statuses, connections and bodies, over real sockets."""

import asyncio
import json
from urllib.parse import quote

import pytest
from legacy_gateway import NUMBER, TOKEN, Gateway, request

from pombo.store.database import Database

pytestmark = pytest.mark.anyio

PATHS = [f"/api/{page}.php" for page in ("unitario", "envio", "dlr", "mo", "saldo")]
QUERY = f"?token={quote(TOKEN)}&destino={NUMBER}&msg=Oi"
ONE = "/api/unitario.php" + QUERY
BATCH = json.dumps([{"token": TOKEN, "mensagens": [{"destino": NUMBER, "msg": "Oi"}]}]).encode()


async def test_get_and_post_work_on_every_path(gateway: Gateway) -> None:
    async with gateway.connected() as client:
        for path in PATHS:
            for method in ("GET", "POST"):
                reply = await client.ask(method, path + QUERY)
                assert reply.status == 200
                assert reply.headers["content-type"] == "application/json; charset=utf-8"
                assert "Token" not in reply.body.decode("ascii")
    assert len(await gateway.stored()) == 4


async def test_head_options_and_other_methods_do_nothing(gateway: Gateway) -> None:
    async with gateway.connected() as client:
        for path in PATHS:
            head = await client.ask("HEAD", path + QUERY)
            assert (head.status, head.body) == (200, b"")
            options = await client.ask("OPTIONS", path + QUERY)
            assert (options.status, options.headers["allow"]) == (204, "GET, POST, HEAD, OPTIONS")
            assert "content-length" not in options.headers
            for method in ("PUT", "DELETE", "PATCH"):
                assert (await client.ask(method, path + QUERY, b"{}")).status == 405
    assert await gateway.stored() == []


async def test_head_marks_no_reply_as_read(gateway: Gateway, alfa: int) -> None:
    await gateway.db.execute(
        "insert into inbox (id, account_id, smsc_id, source, destination, body, data_coding, body_hash, session_id,"
        " sequence_number) values (1, $1, 1, '5511999999999', '27000', 'SIM', 0, '', 1, 1)",
        alfa,
    )
    await gateway.ask("HEAD", f"/api/mo.php?token={quote(TOKEN)}")
    assert len((await gateway.get("mo")).json["mo"]) == 1


async def test_answers_are_never_a_redirect_nor_compressed(gateway: Gateway) -> None:
    async with gateway.connected() as client:
        await client.send(
            request("GET", ONE, None, "", **{"X-Forwarded-Proto": "http", "Accept-Encoding": "gzip"})
        )
        reply = await client.read()
    assert reply.status == 200
    assert not {"location", "content-encoding"} & reply.headers.keys()


async def test_a_connection_serves_many_requests(gateway: Gateway) -> None:
    async with gateway.connected() as client:
        for _ in range(5):
            assert (await client.ask("GET", ONE)).item["status"] == 200
            assert (await client.ask("POST", "/api/envio.php", BATCH)).item["status"] == 200
    assert len(await gateway.stored()) == 10


async def test_pipelined_requests_are_answered_in_order(gateway: Gateway) -> None:
    async with gateway.connected() as client:
        await client.send(
            b"".join(
                request("GET", f"{ONE}&id={n}") + request("POST", "/api/envio.php", BATCH) for n in range(10)
            )
        )
        for n in range(10):
            assert (await client.read()).item["messageID"] == str(n)
            assert "detalhes" in (await client.read()).json


async def test_http_1_0_clients_are_answered_and_closed(gateway: Gateway) -> None:
    async with gateway.connected() as client:
        await client.send(f"GET {ONE} HTTP/1.0\r\n\r\n".encode())
        assert (await client.read()).item["status"] == 200
        assert await client.ended()


async def test_line_breaks_after_a_body_do_not_harm_the_next_request(gateway: Gateway) -> None:
    """Old clients end a POST with a line break that its length does not count."""
    async with gateway.connected() as client:
        await client.send(request("POST", "/api/envio.php", BATCH) + b"\r\n")
        assert (await client.read()).item["status"] == 200
        await client.send(b"\r\n\n")
        assert (await client.ask("GET", ONE)).item["status"] == 200


async def test_chunked_bodies_work_however_they_are_cut(gateway: Gateway) -> None:
    async with gateway.connected() as client:
        for size in (1, 7, 4096):
            await client.send(
                b"POST /api/envio.php HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            for at in range(0, len(BATCH), size):
                piece = BATCH[at : at + size]
                await client.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            await client.send(b"0\r\n\r\n")
            assert (await client.read()).item["status"] == 200


async def test_a_request_may_come_octet_by_octet(gateway: Gateway) -> None:
    async with gateway.connected() as client:
        for octet in request("POST", "/api/envio.php?token=ol\u00e1", BATCH):
            await client.send(bytes((octet,)))
        assert (await client.read()).item["status"] == 200


async def test_expect_100_continue_is_answered_before_the_body(gateway: Gateway) -> None:
    async with gateway.connected() as client:
        octets = request("POST", "/api/envio.php", BATCH, "", Expect="100-continue")
        await client.send(octets.removesuffix(BATCH))
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(BATCH)
        assert (await client.read()).item["status"] == 200


async def test_errors_of_the_request_are_told_with_http_200(gateway: Gateway) -> None:
    async with gateway.connected() as client:
        for path, body in (
            ("/api/unitario.php", None),
            ("/api/unitario.php", b"{"),
            ("/api/envio.php", b"garbage"),
            ("/api/dlr.php", b"{"),
            ("/api/mo.php?token=x", None),
            ("/api/saldo.php?token=x", None),
            ("/api/saldo.php", b"{"),
            (f"/api/mo.php?token={quote(TOKEN)}&de=ontem", None),
        ):
            reply = await client.ask("POST", path, body)
            assert reply.status == 200
            assert b'"status":0' in reply.body


async def test_a_url_that_is_none_harms_only_its_connection(gateway: Gateway) -> None:
    async with gateway.connected() as client:
        await client.send(b"GET nonsense\x00 HTTP/1.1\r\n\r\n")
        assert (await client.read()).status == 400
        assert await client.ended()
    assert (await gateway.send_one()).item["status"] == 200


# Large and slow bodies


async def test_too_large_a_body_is_413_even_for_clients_that_send_all_of_it_first(database: Database) -> None:
    small = Gateway(database, body_limit_octets=100_000)
    async with small.running():
        for headers in ("Content-Length: 390000", "Transfer-Encoding: chunked"):
            async with small.connected() as client:
                chunk = b"%x\r\n%s\r\n" % (39_000, b" " * 39_000) if "chunked" in headers else b" " * 39_000
                await client.send(f"POST /api/envio.php HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n".encode())
                for _ in range(10):
                    await client.send(chunk)
                await client.send(b"0\r\n\r\n" if "chunked" in headers else b"")
                reply = await client.read()
                assert (reply.status, reply.headers["connection"]) == (413, "close")
                assert reply.item["status"] == 0
                assert reply.told == ["Requisicao invalida: corpo acima de 100000 octetos"]
                assert await client.ended()
        for page in ("dlr", "mo"):
            reply = await small.ask("POST", f"/api/{page}.php", b" " * 100_001)
            assert (reply.status, reply.json[page], reply.json["status"]) == (413, [], 0)
        reply = await small.ask("POST", "/api/envio.php", b" " * 100_000)
        assert (reply.status, reply.told) == (200, ["Requisicao invalida: o corpo esta vazio"])


async def test_a_body_that_never_ends_is_not_read_for_ever(database: Database) -> None:
    small = Gateway(database, body_limit_octets=1000)
    async with small.running(), small.connected() as client:
        await client.send(b"POST /api/envio.php HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        with pytest.raises(ConnectionError):
            while True:
                await client.send(b"3e8\r\n%s\r\n" % (b" " * 1000))


async def test_who_asks_before_sending_too_much_is_refused_at_once(database: Database) -> None:
    small = Gateway(database, body_limit_octets=1000)
    async with small.running(), small.connected() as client:
        await client.send(
            b"POST /api/envio.php HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n"
        )
        assert (await client.read()).status == 413
        assert await client.ended()


async def test_a_body_that_does_not_come_is_refused_and_the_connection_closed(database: Database) -> None:
    impatient = Gateway(database, body_timeout_s=0.05)
    async with impatient.running(), impatient.connected() as client:
        await client.send(request("POST", "/api/envio.php", BATCH)[:-5])
        reply = await client.read()
        assert (reply.status, reply.told) == (200, ["Requisicao invalida: o corpo nao chegou inteiro"])
        assert await client.ended()


async def test_a_client_that_goes_away_in_the_body_leaves_nothing_behind(gateway: Gateway) -> None:
    async with gateway.connected() as client:
        await client.send(request("POST", "/api/envio.php", BATCH)[:-5])
    assert (await gateway.send_one("outra")).item["status"] == 200
    assert await gateway.texts() == ["outra"]


async def test_all_bodies_together_are_bounded(database: Database) -> None:
    """Invariant 9: many half sent bodies must not fill the memory."""
    small = Gateway(database, body_limit_octets=1000)
    half = request("POST", "/api/envio.php", b" " * 1000)[:-1]
    async with small.running():
        held = [await asyncio.open_connection("127.0.0.1", small.port) for _ in range(40)]
        for _, writer in held:
            writer.write(half)
        first, _ = await asyncio.wait(
            [asyncio.ensure_future(reader.readline()) for reader, _ in held],
            return_when=asyncio.FIRST_COMPLETED,
        )
        assert {task.result() for task in first} == {b"HTTP/1.1 503 Service Unavailable\r\n"}
        for _, writer in held:
            writer.close()
