"""The contract on the real program, as it is started: raw octets in a URL, which its HTTP server has to be told to take."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from places import new_directory


class Server(NamedTuple):
    port: int
    token: str

    def get(self, target: bytes) -> bytes:
        """The whole answer, head and body."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(b"GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % target)
            return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    data = new_directory()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("POMBO_")}
    environment["POMBO_DATA"] = str(data)
    pombo = [sys.executable, "-m", "pombo.cli"]

    def run(*arguments: str) -> Any:
        done = subprocess.run(
            [*pombo, *arguments, "--json"], env=environment, capture_output=True, timeout=60
        )
        assert done.returncode == 0, done
        return json.loads(done.stdout)

    with subprocess.Popen(
        [*pombo, "serve", "--json", "--port", "0"], env=environment, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            port = urlsplit(json.loads(process.stdout.readline())["url"]).port
            assert port
            operator = "--host 127.0.0.1 --port 9 --system-id x --password x --source 27300"
            run("smsc", "add", "away", *operator.split())
            run("route", "add", "--prefix", "55", "--smsc", "away")
            yield Server(port, run("account", "add", "alfa", "--balance", "10.00")["token"])
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            finally:
                process.kill()  # no harm to one that has ended
                shutil.rmtree(data, ignore_errors=True)


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_the_program_takes_raw_octets_in_a_url(server: Server, encoding: str) -> None:
    text = "ação €".encode(encoding).replace(b" ", b"+")
    parameters = b"?token=%s&destino=11999999999&id=%s&msg=" % (server.token.encode(), encoding.encode())
    answer = server.get(b"/api/unitario.php" + parameters + text)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'"detailDescription":"OK"' in answer
    kept = server.get(b"/api/dlr.php" + parameters)
    assert b'"mensagem":"a\\u00e7\\u00e3o \\u20ac"' in kept
