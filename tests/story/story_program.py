"""The real program as a process, its commands, and customers that speak the old API to it."""

import asyncio
import contextlib
import http.client
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from places import new_directory
from pombo.store.embedded import attach

T = TypeVar("T")

_numbers = itertools.count(91_000_000)


def new_number() -> str:
    """A mobile number of São Paulo that no other test of this process uses."""
    return f"119{next(_numbers):08d}"


def until(ask: Callable[[], T], *, timeout_s: float = 10, what: str = "") -> T:
    """What `ask` returns once that is true; asked every 50 ms."""
    deadline = time.monotonic() + timeout_s
    while not (answer := ask()):
        assert time.monotonic() < deadline, (
            f"not within {timeout_s} s: {what or ask}; last answer: {answer!r}"
        )
        time.sleep(0.05)
    return answer


class Program:
    """`pombo serve` (or `demo`) on one data directory; stopped and started as a test likes."""

    def __init__(self, data: Path, command: str = "serve", **settings: str) -> None:
        """settings: variables beside POMBO_DATA."""
        self.data = data
        self.log = data / "stderr.log"
        self.ready: dict[str, Any] = {}
        self._command = command
        self._settings = settings
        self._process: subprocess.Popen[str] | None = None
        self.connections: list[http.client.HTTPConnection] = []  # of all customers, to be closed with it
        data.mkdir(exist_ok=True)

    @property
    def port(self) -> int:
        return urllib.parse.urlsplit(self.ready["url"]).port or 0

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        self._spawn()
        assert self._process is not None and self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"it did not start: {self.log.read_text()[-2000:]}"
        self.ready = json.loads(line)

    def _spawn(self, **settings: str) -> None:
        arguments = ["--no-browser"] if self._command == "demo" else []
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pombo.cli", self._command, "--port", "0", "--json", *arguments],
                env={**self._environment(), **settings}, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip

    def stop(self, timeout_s: float = 30) -> None:
        """SIGTERM; fails if that does not end it in order."""
        self._end(signal.SIGTERM, timeout_s)
        assert self._process is None

    def kill(self) -> None:
        self._end(signal.SIGKILL, 10)

    def hurry(self) -> int:
        """SIGTERM until it has ended; its exit code."""
        process = self._process
        assert process is not None and process.stdout is not None
        while True:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = process.wait(0.2)
                break
        process.stdout.close()
        self._process = None
        return code

    def close(self) -> None:
        """At the end of a test, however it ended."""
        if self._process is not None:
            self._end(signal.SIGTERM, 30)

    def _end(self, signal_number: int, timeout_s: float) -> None:
        assert self._process is not None
        self._process.send_signal(signal_number)
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
            raise AssertionError(
                f"it did not end within {timeout_s} s: {self.log.read_text()[-2000:]}"
            ) from None
        finally:
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None
            while self.connections:
                self.connections.pop().close()
        assert code in (0, -signal_number), f"exit code {code}: {self.log.read_text()[-2000:]}"

    def _environment(self) -> dict[str, str]:
        others = {name: value for name, value in os.environ.items() if not name.startswith("POMBO_")}
        own = {"POMBO_DATA": str(self.data), "POMBO_CALLBACK_ALLOW": "127.0.0.0/8"}
        return {**others, **own, **self._settings}

    def run(self, *arguments: str) -> dict[str, Any]:
        """One command of the CLI with --json; its answer."""
        done = subprocess.run(
            [sys.executable, "-m", "pombo.cli", *arguments, "--json"],
            env=self._environment(), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return dict(json.loads(done.stdout))

    def add_account(self, name: str, balance: str = "1000.00") -> "Customer":
        added = self.run("account", "add", name, "--balance", balance)
        return Customer(self, added["token"], added["account"])

    def add_smsc(
        self, smsc: Any, name: str = "vivo", *options: str, password: str = "", prefix: str = "55"
    ) -> None:
        from story_smsc import PASSWORD, SYSTEM_ID

        self.run(
            "smsc", "add", name, "--host", "127.0.0.1", "--port", str(smsc.port),
            "--system-id", SYSTEM_ID, "--password", password or PASSWORD, "--source", "27300", *options,
        )  # fmt: skip
        self.run("route", "add", "--prefix", prefix, "--smsc", name)

    def database_url(self) -> str:
        url = asyncio.run(attach(self.data))
        assert url is not None
        return url

    def sql(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        async def fetch() -> list[dict[str, Any]]:
            url = await attach(self.data)
            assert url is not None
            connection = await asyncpg.connect(url)
            try:
                return [dict(row) for row in await connection.fetch(statement, *values)]
            finally:
                await connection.close()

        return asyncio.run(fetch())

    def logged(self) -> list[dict[str, Any]]:
        """Its log lines; every one is JSON."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def postgres_pid(self) -> int:
        """0 while there is none."""
        with contextlib.suppress(FileNotFoundError, IndexError):
            return int((self.data / "postgres" / "postmaster.pid").read_text().split()[0])
        return 0


P = TypeVar("P", bound=Program)


@contextmanager
def running(command: str = "serve", **settings: str) -> Iterator[Program]:
    """A started program with a data directory of its own. settings: POMBO_… variables."""
    with started(Program, command, **settings) as program:
        yield program


@contextmanager
def started(kind: type[P], command: str = "serve", **settings: str) -> Iterator[P]:
    """The same, of another kind."""
    home = new_directory("pombo-story-")
    program = kind(home / "data", command, **settings)
    try:
        program.start()
        yield program
    finally:
        program.close()
        shutil.rmtree(home)


class Unanswered(Exception):
    """The server did not say that it has stored the messages: refused, closed or 503."""


class Customer:
    """A customer's program: keep-alive connections of its own per thread, and the paths of the old API."""

    def __init__(self, program: Program, token: str, account_id: int = 0) -> None:
        self.program = program
        self.token = token
        self.account_id = account_id
        self._local = threading.local()

    def post(self, path: str, body: bytes, content_type: str) -> dict[str, Any]:
        """Raises Unanswered for everything but 200 with JSON."""
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is None or connection.port != self.program.port:
            connection = http.client.HTTPConnection("127.0.0.1", self.program.port, timeout=20)
            self._local.connection = connection
            self.program.connections.append(connection)
        try:
            connection.request("POST", path, body, {"Content-Type": content_type})
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise Unanswered(repr(error)) from None
        if response.status != 200:
            raise Unanswered(f"{response.status} {answer!r}")
        return dict(json.loads(answer))

    def form(self, path: str, **fields: str) -> dict[str, Any]:
        fields = {"token": self.token, **fields}
        return self.post(path, urllib.parse.urlencode(fields).encode(), "application/x-www-form-urlencoded")

    def send(self, to: str, text: str = "Ola", **fields: str) -> str:
        """unitario.php; the message's id."""
        item = self.form("/api/unitario.php", destino=to, msg=text, **fields)["envio"][0]
        assert item["status"] == 200, item
        return str(item["messageID"])

    def send_batch(self, messages: list[dict[str, str]]) -> list[str]:
        """envio.php; the ids that were answered 200."""
        body = json.dumps([{"token": self.token, "mensagens": messages}]).encode()
        items = self.post("/api/envio.php", body, "application/json")["detalhes"]
        return [item["messageID"] for item in items if item["status"] == 200]

    def dlr(self, message_id: str) -> dict[str, str]:
        (entry,) = self.form("/api/dlr.php", id=message_id)["dlr"]
        return dict(entry)

    def status(self, message_id: str) -> str:
        return self.dlr(message_id)["status"]

    def wait_status(self, message_id: str, status: str, timeout_s: float = 10) -> dict[str, str]:
        until(
            lambda: self.status(message_id) == status,
            timeout_s=timeout_s,
            what=f"{message_id} to be {status}",
        )
        return self.dlr(message_id)

    def replies(self, **fields: str) -> list[dict[str, str]]:
        return list(self.form("/api/mo.php", **fields)["mo"])

    def wait_reply(self, text: str, timeout_s: float = 10) -> dict[str, str]:
        """The reply with this text, taken from the inbox (todas=1)."""

        def found() -> dict[str, str]:
            return next((r for r in self.replies(todas="1") if r["mensagem"] == text), {})

        return until(found, timeout_s=timeout_s, what=f"a reply {text!r}")
