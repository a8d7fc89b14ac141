"""How `serve` ends."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from pombo.app import _until
from pombo.app.identity import holder
from pombo.app.web import Server
from pombo.config import Config
from pombo.errors import PomboError


@pytest.fixture
def node(database_url: str, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    settings = {"POMBO_DATABASE_URL": database_url, "POMBO_DATA": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-m", "pombo.cli", "serve", "--port", "0", "--json"],
        env={**os.environ, **settings}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    yield process
    process.kill()
    process.communicate()


def _port(node: "subprocess.Popen[str]") -> int:
    assert node.stdout
    ready: dict[str, Any] = json.loads(node.stdout.readline())
    return urllib.parse.urlsplit(ready["url"]).port or 0


def test_a_second_signal_ends_a_stop_that_takes_long(node: "subprocess.Popen[str]") -> None:
    with socket.create_connection(("127.0.0.1", _port(node))) as client:
        client.sendall(b"POST /api/unitario.php HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\ntoken")
        began = time.monotonic()
        while node.poll() is None:
            node.send_signal(signal.SIGTERM)
            with_patience = time.monotonic() - began
            assert with_patience < 8, "the stop took its whole time"
            try:
                node.wait(0.1)
            except subprocess.TimeoutExpired:
                continue

    assert node.returncode == 130
    assert node.stderr
    assert "stopped_at_once" in node.stderr.read()


def test_a_signal_that_comes_twice_at_once_is_one(node: "subprocess.Popen[str]") -> None:
    _port(node)
    node.send_signal(signal.SIGINT)
    node.send_signal(signal.SIGTERM)

    assert node.wait(20) == 0


def test_of_two_first_starts_at_once_both_have_the_same_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quicker, slower = uuid.uuid4(), uuid.uuid4()

    def made() -> uuid.UUID:
        (tmp_path / "node").write_text(f"{quicker}\n")
        return slower

    monkeypatch.setattr(uuid, "uuid4", made)
    assert holder(Config(data=tmp_path), None) == quicker


def test_an_http_server_that_ends_by_itself_is_an_error() -> None:
    class Ended:
        async def ended(self) -> None:
            pass

    async def serve() -> None:
        await _until(asyncio.Event(), cast(Server, Ended()))

    with pytest.raises(PomboError, match="ended by itself"):
        asyncio.run(serve())
