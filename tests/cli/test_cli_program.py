import asyncio
import fcntl
import io
import json
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cli_commands import Pombo, rows

import pombo as package
from pombo.store import embedded


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pombo.cli", *arguments]


def _environment(**changed: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("POMBO_")} | changed


@pytest.mark.parametrize(
    "words",
    [
        ["bogus"], ["status", "--bogus"], ["explain"], ["account", "add", "x"], ["account", "bogus"], ["send", "a", "b"],
        ["status", "extra"], ["callback", "set", "a", "--kind", "sms", "--url", "u"], ["serve", "--port", "70000"],
        ["demo", "--port", "x"],
    ],
)  # fmt: skip
def test_what_is_no_command_ends_with_2_and_one_line(command: Pombo, words: list[str]) -> None:
    ran = command(*words)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: ")
    assert ran.err.count("\n") == 1

    ran = command(*words, "--json")
    assert ran.code == 2
    assert list(ran.json) == ["error"]


@pytest.mark.parametrize(
    "words", [["--help"], [], ["account"], ["smsc", "add", "--help"], ["demo", "--help"]]
)
def test_help_goes_to_stdout(command: Pombo, words: list[str]) -> None:
    ran = command(*words)

    assert (ran.code, ran.err) == (0, "")
    assert "Usage: pombo" in ran.out


def test_version(command: Pombo) -> None:
    assert command("--version").out == f"{package.__version__}\n"


@pytest.mark.parametrize(
    "words",
    [["account", "add", "loja", "--balance", "1.00"], ["queue", "list"], ["doctor"], ["migrate"], ["backup", "b"]],
    ids=" ".join,
)  # fmt: skip
def test_a_mistyped_directory_becomes_no_platform(
    command: Pombo, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POMBO_DATABASE_URL")
    monkeypatch.setattr(embedded, "_APPEARS_S", 0.2)

    ran = command(*words, "--data", str(tmp_path / "dta"))

    assert ran.code == 1
    assert ran.err.startswith(
        f"error: There is no platform in {tmp_path / 'dta'}. Name the directory of yours"
    )
    assert "`pombo serve` starts a new one" in ran.err
    assert not (tmp_path / "dta").exists()


def test_a_command_that_comes_right_after_serve_waits_until_there_is_a_platform(tmp_path: Path) -> None:
    async def appears() -> None:
        waiting = asyncio.ensure_future(embedded.expect(tmp_path))
        await asyncio.sleep(0)
        assert not waiting.done()
        (tmp_path / "lock").touch()
        await waiting

    asyncio.run(appears())


def test_an_empty_database_becomes_no_platform_by_a_command(
    command: Pombo, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"empty_{uuid.uuid4().hex}"
    rows(postgres, f"create database {name} template template0")
    url = urlsplit(postgres)._replace(path=f"/{name}").geturl()
    monkeypatch.setenv("POMBO_DATABASE_URL", url)

    ran = command("account", "list")

    assert ran.code == 1
    assert "There is no platform in this database" in ran.err
    assert rows(url, "select from pg_tables where schemaname = 'public'") == []


def test_settings_that_cannot_be_read_are_refused(command: Pombo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POMBO_BODY_LIMIT_OCTETS", "many")

    ran = command("status", "--json")

    assert ran.code == 1
    assert "POMBO_BODY_LIMIT_OCTETS" in ran.json["error"]


def test_another_platforms_secret_is_refused(pombo: Pombo, monkeypatch: pytest.MonkeyPatch) -> None:
    pombo("status")
    monkeypatch.setenv("POMBO_SECRET", "another secret than before")

    ran = pombo("status", "--json")

    assert ran.code == 1
    assert "secret" in ran.json["error"]


def test_a_database_that_is_not_there_is_one_line(command: Pombo) -> None:
    ran = command("status")

    assert ran.code == 1
    assert ran.err.startswith("error: PostgreSQL cannot be reached")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("url", ["postgresql://pombo:hunter/2@host/pombo", "mysql://host", "hunter"])
def test_what_is_no_url_of_a_database_is_refused_without_quoting_it(
    command: Pombo, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("POMBO_DATABASE_URL", url)

    ran = command("status")

    assert ran.code == 1
    assert ran.err.startswith("error: POMBO_DATABASE_URL is not a PostgreSQL URL")
    assert "hunter" not in ran.err


def test_arguments_that_are_no_utf8_are_refused(command: Pombo) -> None:
    ran = command("send", "loja", "11987654321", os.fsdecode(b"caf\xe9"), "--json")

    assert ran.code == 1
    assert "UTF-8" in ran.json["error"]


def test_a_fault_of_ours_is_told_without_values(pombo: Pombo, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> None:
        raise ValueError("quoting a secret text")

    monkeypatch.setattr("pombo.store.accounts.accounts", broken)

    ran = pombo("account", "list", "--json")

    assert ran.code == 1
    assert "ValueError" in ran.json["error"]
    assert "in broken" in ran.err or "broken" in ran.err
    assert "quoting a secret text" not in ran.out + ran.err


def test_an_interrupted_command_ends_with_130_quietly(pombo: Pombo, monkeypatch: pytest.MonkeyPatch) -> None:
    async def interrupted(*_: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()

    monkeypatch.setattr("pombo.store.accounts.accounts", interrupted)
    # Whoever runs the tests in the background of a script may have had SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert pombo("account", "list") == (130, "", "")
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_command_starts_the_embedded_database_where_none_runs(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "lock").touch()  # as a node leaves it that was killed before it had a database
    done = subprocess.run(
        _command("migrate", "--json", "--data", str(tmp_path / "data")),
        env=_environment(), capture_output=True, timeout=60, check=True,
    )  # fmt: skip

    assert json.loads(done.stdout)["applied"][0] == "0001_foundation"
    assert done.stderr == b""


def test_a_second_node_on_one_data_directory_is_refused_wherever_its_database_is(
    pombo: Pombo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_HELD_S", 0.0)
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        ran = pombo("serve", "--port", "0", "--json")

        assert ran.code == 1
        assert "another pombo is running on this data directory" in ran.json["error"]
        assert pombo("status").code == 0  # commands go to the database that the URL names


def test_migrate_of_a_database_that_is_up_to_date_applies_nothing(pombo: Pombo) -> None:
    assert pombo("migrate", "--json").json == {"applied": []}


@pytest.mark.parametrize("words", [["--help"], ["bogus", "--json"]])
def test_a_reader_that_goes_away_gets_no_traceback(words: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)

    done = subprocess.run(
        _command(*words), env=_environment(), stdout=write, stderr=subprocess.PIPE, timeout=60, check=False
    )

    os.close(write)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


def test_a_closed_stdout_is_no_error() -> None:
    done = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", *_command("--version")],
        env=_environment(),
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, b"")


def test_a_terminal_that_cannot_show_a_letter_is_no_error(
    pombo: Pombo, monkeypatch: pytest.MonkeyPatch
) -> None:
    pombo("account", "add", "Café", "--balance", "1")
    terminal = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(terminal, encoding="ascii", errors="strict"))

    assert pombo("account", "list").code == 0

    assert b"Caf?" in terminal.getvalue()
