import io
import sys
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cli_commands import Pombo, Ran, in_database, rows

from pombo.cli import main
from pombo.store.database import Database


@pytest.fixture(scope="module")
def shared_database_url(postgres: str) -> str:
    """A database for all tests of a module: making one takes longer than most of them."""
    name = f"cli_{uuid.uuid4().hex}"
    rows(postgres, f"create database {name} template blank")
    return urlsplit(postgres)._replace(path=f"/{name}").geturl()


@pytest.fixture
def database_url(shared_database_url: str) -> str:
    """The same, as if it were new: no rows, and ids count from 1."""
    in_database(shared_database_url, _empty)
    return shared_database_url


async def _empty(db: Database) -> None:
    tables = await db.fetch(
        "select tablename from pg_tables where schemaname = 'public' and tablename <> 'migration'"
    )
    await db.execute(
        "alter table audit disable trigger append_only;"
        f"truncate {', '.join(row[0] for row in tables)} restart identity;"
        "alter table audit enable trigger append_only"
    )


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Pombo:
    """Runs a command that gets no further than its arguments: there is no database."""
    monkeypatch.setenv("POMBO_DATABASE_URL", "postgresql://pombo@127.0.0.1:1/pombo")
    monkeypatch.setenv("POMBO_DATA", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str, stdin: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return Ran(int(ended.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture
def pombo(command: Pombo, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Pombo:
    """Runs a command on a database of the test's own: `pombo("account", "list", "--json")`."""
    monkeypatch.setenv("POMBO_DATABASE_URL", database_url)
    return command


@pytest.fixture
def operator(pombo: Pombo) -> Pombo:
    """The same, with an account `loja` (R$ 10,00), a connection `tim` and a route to it."""
    pombo("account", "add", "loja", "--balance", "10.00")
    pombo(
        "smsc", "add", "tim", "--host", "127.0.0.1", "--port", "2775", "--system-id", "s", "--password", "p"
    )
    pombo("route", "add", "--prefix", "55", "--smsc", "tim")
    return pombo
