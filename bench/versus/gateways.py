"""The two gateways, each as a person would start it, against the same operator and the same receiver of callbacks."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

TEXT = "Hello world bench text!"
WINDOW = 200
_START_S = 60.0


class Gateway(Protocol):
    name: str
    port: int
    accepted: bytes  # what an answer holds once for each message that was accepted

    def start(self) -> float:
        """Returns the seconds until it was ready."""

    def stop(self) -> None: ...

    def single(self, number: int, *, callback: bool) -> bytes:
        """A request that sends one message."""

    def pids(self) -> dict[str, list[int]]:
        """Its processes, by what they are."""


class Pombo:
    """`pombo serve` as it ships: its own PostgreSQL with fsync on, one process."""

    name = "pombo"
    accepted = b'"status":200'

    def __init__(self, operator_port: int, receiver_port: int, arguments: Sequence[str] = ()) -> None:
        self.port = free_port()
        self.data = Path(tempfile.mkdtemp(prefix="pombo-bench-"))
        self.data.chmod(0o755)
        self.operator_port, self._receiver_port = operator_port, receiver_port
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self._environment = os.environ | {
            "POMBO_CALLBACK_ALLOW": "127.0.0.0/8",
            "POMBO_LOG_LEVEL": "warning",
        }
        self.tokens: dict[bool, str] = {}  # by whether its account is called back

    def command(self, *words: str) -> dict[str, str]:
        done = subprocess.run(
            [_program(), *words, "--data", str(self.data), "--json"],
            check=True, capture_output=True, env=self._environment,
        )  # fmt: skip
        answer: dict[str, str] = json.loads(done.stdout)
        return answer

    def start(self) -> float:
        began = time.perf_counter()
        with (self.data.parent / f"{self.data.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [_program(), "serve", "--data", str(self.data), "--port", str(self.port), *self._arguments],
                env=self._environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        _until(lambda: _answers(f"http://127.0.0.1:{self.port}/readyz"))
        took_s = time.perf_counter() - began
        if not self.tokens:
            self._furnish()
        return took_s

    def _furnish(self) -> None:
        for name, called in (("plain", False), ("called", True)):
            self.tokens[called] = self.command("account", "add", name, "--balance", "100000000")["token"]
        self.command(
            "smsc", "add", "op", "--host", "127.0.0.1", "--port", str(self.operator_port),
            "--system-id", "bench", "--password", "bench", "--window", str(WINDOW),
        )  # fmt: skip
        self.command("route", "add", "--prefix", "55", "--smsc", "op")
        url = f"http://127.0.0.1:{self._receiver_port}/dlr"
        self.command("callback", "set", "called", "--kind", "dlr", "--url", url)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(60)
            self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.data)

    def single(self, number: int, *, callback: bool) -> bytes:
        path = f"/api/unitario.php?token={self.tokens[callback]}&destino={number}&msg={quote(TEXT)}"
        return _get(self.port, path)

    def batch(self, first: int, count: int, *, callback: bool, text: str = TEXT) -> bytes:
        messages = [{"destino": str(number), "msg": text} for number in range(first, first + count)]
        body = json.dumps([{"token": self.tokens[callback], "mensagens": messages}]).encode()
        return (
            b"POST /api/envio.php HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % (self.port, len(body))
        ) + body

    def pids(self) -> dict[str, list[int]]:
        assert self._process is not None
        children = _descendants(self._process.pid)
        postgres = {pid for pid in children if _command(pid) == "postgres"}
        return {"pombo": [self._process.pid, *(set(children) - postgres)], "postgres": sorted(postgres)}


class Kannel:
    """Kannel with its file store, which it does not fsync; bearerbox and smsbox, one SMPP transceiver."""

    name = "kannel"
    accepted = b"delivery"  # accepted, or queued for later

    def __init__(self, operator_port: int, receiver_port: int) -> None:
        self.port = free_port()
        self._data = Path(tempfile.mkdtemp(prefix="kannel-bench-"))
        self._receiver_port = receiver_port
        self._processes: list[subprocess.Popen[bytes]] = []
        admin, boxes = free_port(), free_port()
        self._configuration = self._data / "kannel.conf"
        self._admin = admin
        self._configuration.write_text(f"""
group = core
admin-port = {admin}
admin-password = bench
admin-interface = 127.0.0.1
smsbox-port = {boxes}
smsbox-interface = 127.0.0.1
box-allow-ip = 127.0.0.1
log-file = {self._data}/bearerbox.log
log-level = 4
dlr-storage = internal
sms-outgoing-queue-limit = 2000000
store-type = file
store-location = {self._data}/kannel.store
store-dump-freq = 10

group = smsc
smsc = smpp
smsc-id = op
host = 127.0.0.1
port = {operator_port}
transceiver-mode = true
smsc-username = bench
smsc-password = bench
system-type = ""
max-pending-submits = {WINDOW}
reconnect-delay = 1
enquire-link-interval = 30

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = {boxes}
sendsms-port = {self.port}
sendsms-interface = 127.0.0.1
log-file = {self._data}/smsbox.log
log-level = 4

group = sendsms-user
username = bench
password = bench
default-sender = 12345

group = sms-service
keyword = default
text = ""
max-messages = 0
""")

    @staticmethod
    def installed() -> bool:
        return shutil.which("bearerbox") is not None and shutil.which("smsbox") is not None

    def start(self) -> float:
        began = time.perf_counter()
        self._run("bearerbox")
        _until(lambda: _answers(f"http://127.0.0.1:{self._admin}/status?password=bench"))
        self._run("smsbox")
        _until(lambda: _answers(f"http://127.0.0.1:{self.port}/"))
        return time.perf_counter() - began

    def _run(self, program: str) -> None:
        with (self._data / f"{program}.out").open("ab") as out:
            self._processes.append(
                subprocess.Popen(
                    [program, "-v", "4", str(self._configuration)], stdout=out, stderr=out, cwd=self._data
                )
            )

    def stop(self) -> None:
        for process in reversed(self._processes):
            process.terminate()
        for process in self._processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:  # it has been seen to hang with a queue
                process.kill()
                process.wait()
        self._processes.clear()

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._data)

    def single(self, number: int, *, callback: bool) -> bytes:
        path = f"/cgi-bin/sendsms?username=bench&password=bench&from=12345&to=55{number}&text={quote(TEXT)}"
        if callback:
            url = f"http://127.0.0.1:{self._receiver_port}/dlr?id=55{number}&st=%d"
            path += f"&dlr-mask=1&dlr-url={quote(url, safe='')}"
        return _get(self.port, path)

    def pids(self) -> dict[str, list[int]]:
        bearerbox, smsbox = self._processes
        return {"bearerbox": [bearerbox.pid], "smsbox": [smsbox.pid]}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _program() -> str:
    return str(Path(__file__).parents[2] / ".venv" / "bin" / "pombo")


def _get(port: int, path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except urllib.error.HTTPError as error:
        return error.code != 503
    except OSError:
        return False
    return True


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + _START_S
    while not true():
        if time.monotonic() > end:
            raise SystemExit("a gateway did not start in time; its log stands beside its data")
        time.sleep(0.02)


def _descendants(pid: int) -> list[int]:
    """Children are listed by the thread that started them."""
    found = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text().split():
            found += [int(child), *_descendants(int(child))]
    return found


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
