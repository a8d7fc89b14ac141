import asyncio
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from embedded_process import stays

from places import new_directory
from pombo.store import embedded, pg_place


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def room() -> Iterator[Path]:
    """A directory that every user reaches; servers that a failed test left are ended."""
    path = new_directory()
    yield path
    for pointer in path.rglob(pg_place.POINTER):
        shutil.rmtree(Path(pointer.read_text().strip()), ignore_errors=True)
    end_servers(path)
    shutil.rmtree(path)


@pytest.fixture
def fresh(room: Path) -> Path:
    """A data directory that is not there yet."""
    return room / "data"


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    path = new_directory()
    asyncio.run(stays(path / "data"))
    yield path / "data"
    shutil.rmtree(path)


@pytest.fixture
def data(made: Path) -> Iterator[Path]:
    """A data directory with a database, stopped. It is shared, as a new one takes a second: leave it usable."""
    yield made
    end_servers(made)


def end_servers(path: Path) -> None:
    for cluster in path.rglob("postgres"):
        if pid := embedded._postmaster(cluster):
            os.kill(pid, signal.SIGQUIT)
