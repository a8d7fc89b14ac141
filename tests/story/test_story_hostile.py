"""Clients and peers that talk nonsense, or nothing: only their own connection suffers."""

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from story_program import Customer, Program, new_number, running, until
from story_smsc import Smsc


@pytest.fixture(scope="module")
def demo() -> Iterator[Program]:
    """`pombo demo`: the simulated operator listens on a port of its own."""
    with running("demo") as program:
        yield program


@pytest.fixture(scope="module")
def shown(demo: Program) -> Customer:
    """The customer whose token `demo` shows."""
    return Customer(demo, demo.ready["token"])


def _connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=15)


def _closed(connection: socket.socket) -> bool:
    """Whether the other side ends the connection within the socket's timeout, whatever it says before."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


HTTP_NONSENSE = {
    "no HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    "a header without end": b"GET /api/dlr.php HTTP/1.1\r\nX: " + b"a" * 200_000,
    "a line without end": b"GET /" + b"a" * 200_000,
    "two lengths": b"POST /api/envio.php HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\nhello",
    "a negative length": b"POST /api/envio.php HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    "a length nobody can count": b"POST /api/envio.php HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * 40 + b"\r\n\r\n",
    "a broken chunk": b"POST /api/envio.php HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "both lengths": b"POST /api/envio.php HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
    "an unknown method": b"BREW /api/envio.php HTTP/1.1\r\nHost: a\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("octets", HTTP_NONSENSE.values(), ids=HTTP_NONSENSE.keys())
def test_nonsense_on_the_http_port_leaves_the_server_well(shown: Customer, octets: bytes) -> None:
    with _connect(shown.program.port) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(octets)
        connection.settimeout(1)
        with contextlib.suppress(TimeoutError):
            answer = connection.recv(65536)
            assert b'"status":200' not in answer

    shown.wait_status(shown.send("11900000001"), "2")


BODIES = {
    "deep nesting": b"[" * 100_000,
    "deep objects": b'{"mensagens":' * 20_000,
    "a number too long": b'[{"token":%s,"mensagens":[{"destino":1e400,"msg":1,"id":%s}]}]' % (b"9" * 10_000, b"9" * 5000),
    "a lone surrogate and NUL": b'{"token":"\\ud800","mensagens":[{"destino":"\\u0000","msg":"\\udfff"}]}',
    "no UTF-8": b'{"token":"\xff\xfe","mensagens":[{"destino":"\xc3\x28","msg":"\x80"}]}',
    "lists for values": b'{"token":[["a"]],"mensagens":{"destino":[],"msg":{}}}',
    "the same key again and again": b"{" + b",".join(b'"token":"%d"' % n for n in range(20_000)) + b"}",
    "nothing": b"",
    "multipart without an end": b'--x\r\nContent-Disposition: form-data; name="token"\r\n\r\nabc',
}  # fmt: skip


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("path", ["/api/envio.php", "/api/unitario.php", "/api/dlr.php", "/api/mo.php"])
def test_bodies_of_every_bad_kind_get_a_refusal(shown: Customer, path: str, body: bytes) -> None:
    for content_type in (
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ):
        answer = shown.post(path, body, content_type)
        assert '"status": 200' not in json.dumps(answer)


def test_idle_slow_and_vanishing_clients_hold_nobody_up(shown: Customer) -> None:
    idle = [_connect(shown.program.port) for _ in range(200)]
    for connection in idle[:100]:
        connection.sendall(b"POST /api/envio.php HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n[")
    for connection in idle[:50]:
        # RST instead of a polite end
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    try:
        began = time.monotonic()
        ids = [shown.send("11900000001") for _ in range(20)]
        assert time.monotonic() - began < 5
        shown.wait_status(ids[-1], "2")
    finally:
        for connection in idle:
            connection.close()


def test_client_that_leaves_before_its_answer_has_been_taken_seriously(shown: Customer) -> None:
    """Its message is stored once, and the same request again is its retry."""
    body = f"token={shown.token}&destino=11900000001&msg=sumi&id=sumida".encode()
    for _ in range(20):
        with _connect(shown.program.port) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            head = b"POST /api/unitario.php HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    assert shown.send("11900000001", "sumi", id="sumida") == "sumida"
    shown.wait_status("sumida", "2")
    assert shown.program.sql("select count(*) as n from message where client_ref = 'sumida'") == [{"n": 1}]


SMPP_NONSENSE = {
    "HTTP": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    "a length of 5": struct.pack(">I", 5) + b"x",
    "a length of 4 GiB": struct.pack(">IIII", 0xFFFFFFFF, 9, 0, 1),
    "a bind of 100 KiB": struct.pack(">IIII", 100_000, 9, 0, 1),
    "a bind that ends in its middle": struct.pack(">IIII", 20, 9, 0, 1) + b"abcd",
}


@pytest.mark.parametrize("octets", SMPP_NONSENSE.values(), ids=SMPP_NONSENSE.keys())
def test_nonsense_on_the_operators_port_costs_only_its_connection(
    demo: Program, shown: Customer, octets: bytes
) -> None:
    with _connect(demo.ready["smsc_port"]) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(octets)
        assert _closed(connection), "a peer that does not bind within 5 s is closed"

    shown.wait_status(shown.send("11900000001"), "2")


def test_strangers_on_the_operators_port_cost_little_and_are_closed_after_five_seconds(
    demo: Program, shown: Customer
) -> None:
    """Each sends all of a bind as long as one may be but its last octet."""
    almost = (struct.pack(">IIII", 512, 9, 0, 1) + b"a" * 495, b"\0\0\2")
    shown.wait_status(shown.send("11900000001"), "2")
    before_kib = _pss_kib(demo.pid)
    began = time.monotonic()
    strangers = [_connect(demo.ready["smsc_port"]) for _ in range(500)]
    try:
        for n, stranger in enumerate(strangers):
            stranger.sendall(almost[n % 2])
        shown.wait_status(shown.send("11900000001"), "2")
        each_kib = (_pss_kib(demo.pid) - before_kib) / len(strangers)
        assert each_kib < 64
        assert all(_closed(stranger) for stranger in strangers)
        assert 4 < time.monotonic() - began < 20, "they have five seconds for their bind"
    finally:
        for stranger in strangers:
            stranger.close()


def _pss_kib(pid: int) -> int:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))


def test_magic_numbers_of_the_demo_end_as_they_promise(shown: Customer) -> None:
    ids = {last: shown.send(f"2190000000{last}") for last in (1, 2, 3, 4)}

    for last, status in ((1, "2"), (2, "3"), (3, "3"), (4, "1")):
        shown.wait_status(ids[last], status)


def test_operator_that_floods_with_nonsense_is_survived(
    program: Program, customer: Customer, smsc: Smsc
) -> None:
    """A thousand unknown commands, each answered; messages go through meanwhile, and the log stays readable."""
    lines = len(program.logged())

    flood = "".join(f"0000001000000777000000000{n:07x}" for n in range(1, 1001))
    smsc.do("raw", octets=flood)

    customer.wait_status(customer.send(new_number()), "2")
    smsc.wait("nack", count=1000)
    assert len(program.logged()) - lines < 200


def test_operator_that_accepts_and_says_nothing_is_logged_and_left(program: Program) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def close_each() -> None:
        with contextlib.suppress(OSError):
            while True:
                listener.accept()[0].close()

    threading.Thread(target=close_each, daemon=True).start()
    try:
        program.run(
            "smsc", "add", "mudo", "--host", "127.0.0.1", "--port", str(listener.getsockname()[1]),
            "--system-id", "x", "--password", "y",
        )  # fmt: skip
        line = until(lambda: [e for e in program.logged() if e["event"] == "bind_unanswered"])[0]
        assert (line["smsc"], line["reason"]) == ("mudo", "the connection was lost")
    finally:
        listener.close()
