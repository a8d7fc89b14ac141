"""The code samples send what their fields hold, whatever that is: those whose language is here are run as they stand."""

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from pombo.panel.samples import LANGUAGES, VARIABLE, call, sample

_HOSTILE = (
    "Olá 'João' \"aspas\" \\n \\u0041 $HOME `id` $(id) ${x} %d {0} <?php ?> </script>"
    "\r\n\t{{x}} @arquivo &a=b;+ 😀\u202e\u2028 */ //"
)
_RUN = {
    "curl": ["sh", "sample.sh"],
    "python": [sys.executable, "sample.py"],
    "node": ["node", "sample.js"],
    "php": ["php", "sample.php"],
    "java": ["java", "Enviar.java"],
    "csharp": ["dotnet", "Program.cs"],
}
_PROJECT = """<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup><OutputType>Exe</OutputType>
<TargetFramework>net{major}.0</TargetFramework><ImplicitUsings>enable</ImplicitUsings><Nullable>enable</Nullable>
</PropertyGroup></Project>"""  # as `dotnet new console` makes it
_TOKEN = "segredo'\"$"


class _Server(ThreadingHTTPServer):
    """Keeps the last request."""

    kind = ""
    path = ""
    body = b""


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, _Server)
        self.server.path = self.path
        self.server.kind = self.headers["Content-Type"]
        self.server.body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"envio":[{"status":200}]}')

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[_Server]:
    with _Server(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ran(language: str, code: str, directory: Path, **environment: str) -> str:
    """What it prints, as a file of its language."""
    command, file = _RUN[language]
    if shutil.which(command) is None:
        pytest.skip(f"no {command} here, which {language} needs")
    if language == "csharp":
        (directory / "sample.csproj").write_text(_PROJECT.format(major=_dotnet_major()), encoding="utf-8")
        environment |= {"HOME": str(directory), "DOTNET_CLI_TELEMETRY_OPTOUT": "1", "DOTNET_NOLOGO": "1"}
    (directory / file).write_text(code, encoding="utf-8", newline="")
    done = subprocess.run(
        [command, "run"] if language == "csharp" else [command, file],
        cwd=directory, capture_output=True, timeout=60, check=True,
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "NO_PROXY": "*", **environment},
    )  # fmt: skip
    return done.stdout.decode()


def _dotnet_major() -> str:
    asked = subprocess.run(["dotnet", "--version"], capture_output=True, check=True, text=True)
    return asked.stdout.partition(".")[0]


def url(server: _Server) -> str:
    return f"http://127.0.0.1:{server.server_port}"


@pytest.mark.parametrize("language", list(_RUN))
def test_a_sample_sends_one_message_as_it_stands(language: str, server: _Server, tmp_path: Path) -> None:
    fields = {"destino": "11987654321", "msg": _HOSTILE, "id": "pedido-1", "agendar": ""}
    code = sample(language, call(url(server), "unitario.php", fields))
    printed = ran(language, code, tmp_path, **{VARIABLE: _TOKEN})
    assert server.path == "/api/unitario.php"
    assert parse_qsl(server.body.decode(), keep_blank_values=True) == [
        ("token", _TOKEN), ("destino", "11987654321"), ("msg", _HOSTILE), ("id", "pedido-1"),
    ]  # fmt: skip
    assert "200" in printed


@pytest.mark.parametrize("language", list(_RUN))
def test_a_sample_sends_a_batch_as_it_stands(language: str, server: _Server, tmp_path: Path) -> None:
    messages = [
        {"destino": "11987654321", "msg": _HOSTILE},
        {"destino": "21999998888", "msg": "Oi", "id": "b"},
    ]
    token = "segredo"
    ran(
        language,
        sample(language, call(url(server), "envio.php", {}, messages)),
        tmp_path,
        **{VARIABLE: token},
    )
    assert (server.path, server.kind) == ("/api/envio.php", "application/json")
    assert json.loads(server.body) == [{"token": token, "mensagens": messages}]


@pytest.mark.parametrize("language", ["curl", "python", "node"])
def test_a_token_that_is_given_stands_in_the_sample(language: str, server: _Server, tmp_path: Path) -> None:
    ran(language, sample(language, call(url(server), "dlr.php", {"id": "a"}, token=_TOKEN)), tmp_path)
    assert dict(parse_qsl(server.body.decode())) == {"token": _TOKEN, "id": "a"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_ends_a_line_or_turns_it_round(language: str) -> None:
    fields: dict[str, Any] = {"msg": "a\u2028b\u202ec\x85d\0"}
    code = sample(language, call("http://x", "unitario.php", fields))
    assert "\0" not in code
    if language not in ("curl", "php"):  # whose plain literals take any character
        assert not {"\u2028", "\u202e", "\x85"} & set(code)
