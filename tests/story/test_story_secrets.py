"""Whatever happens, no log holds a token, a password, a number or a text: ours, or the embedded PostgreSQL's."""

import base64
import contextlib
import http.client
import json
import re
import socket
import subprocess
import time
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from story_program import Customer, Program, Unanswered, running, until
from story_receiver import Receiver
from story_smsc import Smsc

from pombo.account.second_factor import RECOVERY_CODES, code_at
from pombo.store.pg_place import programs_in

TEXT = "Segredo-da-Maria-7291"
REPLY = "Resposta-da-Maria-5518"
NUMBER = "11987650123"
URL_KEY = "chave-na-url-4411"
WRONG = "senha-errada-9031"


@pytest.fixture(scope="module")
def smsc() -> Iterator[Smsc]:
    smsc = Smsc()
    yield smsc
    smsc.stop()


@pytest.fixture(scope="module")
def program(smsc: Smsc) -> Iterator[Program]:
    with running() as program:
        program.add_smsc(smsc)
        smsc.wait("bind", status=0)
        yield program


@pytest.fixture(scope="module")
def customer(program: Program) -> Customer:
    return program.add_account("loja")


@pytest.fixture(autouse=True)
def nothing_leaks(program: Program, customer: Customer, smsc: Smsc) -> Iterator[None]:
    """After each test every log is searched."""
    smsc.do("default", behaviour={"receipts": [{"stat": "DELIVRD"}]})
    yield
    secrets = (
        customer.token, customer.token[8:], TEXT, REPLY, NUMBER, NUMBER[2:], URL_KEY, WRONG, "s3nh4Smsc",
        (program.data / "secret").read_text().strip(), (program.data / "postgres.password").read_text().strip(),
    )  # fmt: skip
    for file in _logs(program.data):
        said = file.read_text("utf-8", "replace")
        for secret in secrets:
            for form in (secret, urllib.parse.quote(secret), secret.encode().hex()):
                assert form not in said, (
                    f"{file.name}: {[line for line in said.splitlines() if form in line]}"
                )


def _logs(data: Path) -> list[Path]:
    files = [data / "stderr.log", data / "postgres.log"]
    assert all(file.exists() for file in files)
    assert files[0].read_text(), "an empty log proves nothing"
    return files


def _raw(program: Program, octets: bytes) -> None:
    connection = socket.create_connection(("127.0.0.1", program.port), timeout=5)
    with connection, contextlib.suppress(ConnectionError, TimeoutError):
        connection.sendall(octets)
        connection.settimeout(0.5)
        while connection.recv(65536):
            pass


@pytest.mark.parametrize(
    "octets",
    [
        b"GET /api/unitario.php?%s HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /api/unitario.php?%s HTTP/1.1\r\nHost: a\r\nbroken header\r\n\r\n",
        b"GET /api/unitario.php?%s HTTP/9.9\r\n\r\n",
        b"GET /api/unitario.php?%s\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /api/%%zz.php?%s HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /nowhere?%s HTTP/1.1\r\nHost: a\r\n\r\n",
        b"DELETE /metrics?%s HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /integracao/aparelho?%s HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /api/envio.php?%s HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n{{{",
        b"POST /api/envio.php?%s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"BREW /api/unitario.php?%s HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://user:%s@a/api/unitario.php HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /api/unitario.php?%s HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nHost: a\r\n\r\n",
    ],
)
def test_requests_of_every_malformed_kind(program: Program, customer: Customer, octets: bytes) -> None:
    query = urllib.parse.urlencode({"token": customer.token, "destino": NUMBER, "msg": TEXT})
    _raw(program, octets % query.encode())
    customer.form("/api/dlr.php", id="0")


def test_messages_that_the_database_refuses(program: Program, customer: Customer) -> None:
    program.sql(f"alter table message add constraint canary check (body <> '{TEXT}') not valid")
    try:
        with pytest.raises(Unanswered, match="503"):
            customer.send(NUMBER, TEXT)
    finally:
        program.sql("alter table message drop constraint canary")
    program.sql("alter table queue rename column due_at to hidden")
    try:
        with pytest.raises(Unanswered, match="503"):
            customer.send(NUMBER, TEXT)
        assert any(line["level"] == "error" for line in program.logged())
    finally:
        program.sql("alter table queue rename column hidden to due_at")


def test_backends_that_are_killed_under_a_message(program: Program, customer: Customer) -> None:
    for _ in range(3):
        program.sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pombo'")
        with contextlib.suppress(Unanswered):
            customer.send(NUMBER, TEXT)
    until(lambda: _sends(customer), timeout_s=20)
    # All that was accepted has gone: else it would take what the next test plans for this number.
    until(lambda: not program.run("queue", "list")["counts"], timeout_s=30, what="the queue to be empty")


def _sends(customer: Customer) -> bool:
    try:
        return bool(customer.send(NUMBER, TEXT))
    except Unanswered:
        return False


def test_submits_that_fail_in_every_way(program: Program, customer: Customer, smsc: Smsc) -> None:
    for behaviours, status in (
        ([{"status": 0x58}, {"status": 0x0B}], "4"),
        ([{"receipts": [{"stat": "UNDELIV", "text": TEXT}]}], "3"),
        ([{"drop": "before"}, {"receipts": [{"stat": "DELIVRD"}]}], "2"),
    ):
        smsc.plan(NUMBER, *behaviours)
        message_id = customer.send(NUMBER, TEXT)
        customer.wait_status(message_id, status, timeout_s=30)
        program.run("explain", message_id)


def test_receipts_and_replies_that_cannot_be_read(program: Program, customer: Customer, smsc: Smsc) -> None:
    mark = smsc.mark
    for octets, fields in (
        (f"id:{TEXT} sub:001 dlvrd:000 submit date: done date: stat:DELIVRD err:000 text:{TEXT}".encode(), {"esm_class": 4}),
        (REPLY.encode(), {"data_coding": 8}),
        (REPLY.encode(), {"esm_class": 0x40}),
        (b"\x05\x00\x03\x01\x00\x00" + REPLY.encode(), {"esm_class": 0x40}),
        (REPLY.encode(), {}),
    ):  # fmt: skip
        smsc.deliver(f"55{NUMBER}", octets, **fields)
    smsc.wait("deliver_resp", count=5, since=mark)


def test_callbacks_to_a_url_that_holds_a_key(program: Program, customer: Customer) -> None:
    receiver = Receiver()
    receiver.answer = 500
    try:
        url = f"{receiver.url}/cb?key={URL_KEY}"
        program.run("callback", "set", str(customer.account_id), "--kind", "dlr", "--url", url)
        ids = [customer.send(NUMBER, TEXT) for _ in range(8)]
        receiver.wait(ids[0])
        until(lambda: len(receiver.targets) >= 8)
    finally:
        receiver.stop()
    with contextlib.suppress(AssertionError):  # refused: the receiver has gone
        receiver.wait("nothing", timeout_s=2)


def test_a_password_that_the_operator_refuses(program: Program, smsc: Smsc) -> None:
    mark = smsc.mark
    program.add_smsc(smsc, "tim", password=WRONG)
    smsc.wait("bind", since=mark, where=lambda event: event["status"] != 0)
    until(lambda: [line for line in program.logged() if line["event"] == "bind_refused"])
    program.run("smsc", "stop", "tim")


def test_no_secret_stands_in_a_dump_of_the_database(
    program: Program, customer: Customer, tmp_path: Path
) -> None:
    """Whoever steals one has hashes and what only the platform's secret opens. (Texts and numbers are what it is for.)"""
    program.run("callback", "set", "loja", "--kind", "mo", "--url", "http://127.0.0.1:9/mo")
    shown = program.run("callback", "secret", "loja", "--kind", "mo")["secret"]
    second_factor = _second_factor(program)
    program.run("backup", str(tmp_path / "backup"))
    with zipfile.ZipFile(tmp_path / "backup") as backup:
        kept = backup.read("database.dump")

    dump = subprocess.run(
        [str(programs_in("") / "pg_restore"), "--file=-"], input=kept, capture_output=True, check=True
    ).stdout

    secret = (program.data / "secret").read_text().strip()
    for canary in (
        customer.token,
        customer.token[8:],
        "s3nh4Smsc",
        WRONG,
        shown,
        shown.removeprefix("whsec_"),
        secret,
        *second_factor,
    ):
        for form in (canary, canary.encode().hex()):
            assert form.encode() not in dump
    said = "".join(file.read_text("utf-8", "replace") for file in _logs(program.data))
    assert not [canary for canary in second_factor if canary in said]
    assert TEXT.encode() in dump, "a dump without anything proves nothing"


def _second_factor(program: Program) -> list[str]:
    """Of somebody who turned one on: password, secret and recovery codes, in the forms that people see."""
    link = program.run("user", "add", "loja", "ana@loja.example")["login_url"]
    home = f"http://127.0.0.1:{program.port}"
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())

    def page(path: str, **fields: str) -> str:
        sent = urllib.parse.urlencode(fields).encode() if fields else None
        with browser.open(home + path, sent, timeout=10) as answer:
            return str(answer.read().decode())

    def csrf(text: str) -> str:
        found = re.search(r'name="csrf" value="(\w+)"', text)
        assert found
        return found[1]

    way = urllib.parse.urlsplit(link).path
    inside = csrf(page(way, csrf=csrf(page(way))))
    page("/perfil/seguranca/senha", csrf=inside, nova=WRONG + WRONG, de_novo=WRONG + WRONG)
    path = "/perfil/seguranca/duas-etapas"
    found = re.search(r'id="chave"[^>]*>([A-Z2-7 ]+)<', page(path, csrf=inside))
    assert found
    key = found[1].replace(" ", "")
    secret = base64.b32decode(key)
    codes = page(
        f"{path}/ligar", csrf=inside, senha=WRONG + WRONG, codigo=code_at(secret, time.time())
    )  # fmt: skip
    recovery = re.findall(r"\b[a-z2-9]{5}-[a-z2-9]{5}\b", codes)
    assert len(recovery) == RECOVERY_CODES
    return [key, secret.hex(), WRONG, *recovery, *(code.replace("-", "") for code in recovery)]


def test_every_line_of_the_log_is_json_with_an_event_that_says_what_in_one_word(program: Program) -> None:
    for line in program.logged():
        assert line["event"].replace("_", "").isalnum() and line["event"].islower(), line
        assert {"event", "level", "timestamp"} <= set(line)


def test_what_a_metrics_page_and_a_health_page_say(program: Program) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", program.port, timeout=10)
    try:
        for path in ("/metrics", "/readyz", "/healthz", f"/nowhere?token={TEXT}"):
            connection.request("GET", path)
            page = connection.getresponse().read().decode()
            assert TEXT not in page and "loja" not in page and NUMBER not in page
        json.loads(page)
    finally:
        connection.close()
