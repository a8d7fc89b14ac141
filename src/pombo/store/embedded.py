"""PostgreSQL without installing one: programs from a wheel, run below the data directory by ourselves.

In the data directory: `lock`, `postgres` (or `postgres.elsewhere`, see pg_place.py), `postgres.password` and
`postgres.log`. The server listens on a private unix socket only, and lets in only the role `pombo`, which is
no superuser. It may outlive a gateway that was killed: the next start takes it over.
"""

import asyncio
import contextlib
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import asyncpg
import structlog

from pombo.errors import PomboError
from pombo.store import pg_cluster, pg_place
from pombo.store.pg_place import Place

_START_S = 60.0  # a server that does not listen by then does not start
_RECOVERY_S = 600.0  # one that says that it recovers may take longer
_STOP_S = 60.0
_HELD_S = 5.0  # a command that holds the data directory lets go of it soon; another node does not
_USERS_S = 60.0  # a command that started the server waits so long for others who use it by now
_APPEARS_S = 2.0  # a `pombo serve` that was started just before a command takes so long to begin
_POLL_S = 0.01
_LOG_OCTETS = 4 * 1024 * 1024  # a longer log is set aside at the next start; one older one is kept

_log = structlog.get_logger(__name__)

T = TypeVar("T")


class DirectoryHeldError(PomboError):
    """Another process holds the data directory."""


class Embedded:
    """PostgreSQL from a wheel, run below one data directory, whose lock it holds from start to stop."""

    def __init__(self, data: Path, postgres_bin: str = "") -> None:
        self._data = data.resolve()
        self._postgres_bin = postgres_bin
        self._locks: list[int] = []
        self._cluster = self._data / "postgres"
        self._child: subprocess.Popen[bytes] | None = None  # None when taken over
        self._log_began_octets = 0

    async def start(self) -> str:
        """Makes the cluster if there is none, starts the server or takes over a running one, waits for it.

        Returns its URL for asyncpg, password included. May be called again when the server has died; the lock
        is then kept even if that fails.
        Raises DirectoryHeldError when another process holds the data directory, PomboError with what
        PostgreSQL said when it does not start.
        """
        again = bool(self._locks)
        try:
            await asyncio.to_thread(self._claim)
            return await self._ready()
        except DirectoryHeldError:
            self._release()  # the server that may run is not ours to stop
            raise
        except BaseException as error:
            try:
                if self._locks:
                    await self._shut_down()
            finally:
                if not again:
                    self._release()
            if isinstance(error, OSError):
                raise PomboError(f"The embedded PostgreSQL cannot be started: {error}") from error
            raise

    async def stop(self) -> None:
        """Fast shutdown: ends sessions, writes a checkpoint, waits up to a minute. Nothing if not started."""
        if not self._locks:
            return
        try:
            await self._shut_down()
        finally:
            self._release()

    async def ended(self) -> None:
        """Returns when the server has died: start() again. Cancel this before stop()."""
        while True:
            if self._pid() is None:
                return
            await asyncio.sleep(0.5)

    def _claim(self) -> None:
        if self._locks:
            return
        self._locks.append(_hold(self._data))
        self._cluster = pg_place.cluster_of(self._data)
        self._claim_elsewhere()

    def _claim_elsewhere(self) -> None:
        """A cluster outside the data directory has a lock too: a copied data directory points to the same one."""
        home = self._cluster.parent
        if home != self._data and home.exists() and len(self._locks) == 1:
            self._locks.append(_lock(home / "lock"))

    async def _shut_down(self) -> None:
        self.interrupt()
        until = time.monotonic() + _STOP_S
        while self._pid() is not None:
            if time.monotonic() > until:
                _log.warning("postgres_still_stopping", pid=self._pid())
                return
            await asyncio.sleep(_POLL_S)
        self._remove_short_sockets()

    async def _ready(self) -> str:
        began = told = time.monotonic()
        patience_s = _START_S
        if pg_cluster.password(self._data) is None:
            self.interrupt()  # a server that outlived its password is started anew, with a new one
        while True:
            if self._pid() is None:
                await asyncio.to_thread(self._spawn)
            elif _status(self._cluster) in ("starting", "stopping"):
                patience_s = _RECOVERY_S
            elif (url := _url(self._data, self._cluster)) and await _answers(url):
                return url
            now = time.monotonic()
            if now > began + patience_s:
                raise PomboError(f"PostgreSQL does not start.{self._said()}")
            if now > told + 10:
                told = now
                _log.info("postgres_starting", recovers=patience_s > _START_S, waited_s=round(now - began))
            await asyncio.sleep(_POLL_S)
            if self._child and self._child.poll() is not None:
                self._child = None
                # After a kill of the server alone its children need a moment to notice.
                if "shared memory block" not in self._said():
                    raise PomboError(f"PostgreSQL does not start.{self._said()}")
                await asyncio.sleep(0.1)

    def _spawn(self) -> None:
        place = pg_place.settle(self._data, self._postgres_bin)
        self._cluster = place.cluster
        self._claim_elsewhere()
        if not place.cluster.exists():
            pg_cluster.make(place, self._data)
        sockets = pg_place.socket_directory(place.cluster, place.user)
        _forget_stale(place, sockets)
        pg_cluster.configure(place, self._data, sockets)
        log = self._data / "postgres.log"
        if log.exists() and log.stat().st_size > _LOG_OCTETS:
            log.replace(self._data / "postgres.log.1")
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._log_began_octets = os.fstat(out).st_size
        argv = [str(place.programs / "postgres"), "-D", str(place.cluster)]
        try:
            self._child = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, **pg_place.as_user(place.user)
            )
        finally:
            os.close(out)

    def _pid(self) -> int | None:
        if self._child:
            return self._child.pid if self._child.poll() is None else None
        return _postmaster(self._cluster)

    def interrupt(self) -> None:
        """Asks the server for a fast shutdown, and does not wait for it."""
        pid = self._pid()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)

    def _said(self) -> str:
        """What PostgreSQL logged since it was started, at most its last lines."""
        path = self._data / "postgres.log"
        try:
            with path.open("rb") as log:
                log.seek(max(self._log_began_octets, path.stat().st_size - 4096))
                lines = log.read().decode(errors="replace").splitlines()[-15:]
        except OSError:
            return ""
        return "\n".join((f" The end of {path}:", *lines))

    def _remove_short_sockets(self) -> None:
        with contextlib.suppress(OSError, PomboError):
            sockets = pg_place.socket_directory(self._cluster, pg_place.owner_of(self._cluster))
            if sockets != self._cluster:
                sockets.rmdir()

    def _release(self) -> None:
        self._child = None
        while self._locks:
            os.close(self._locks.pop())


async def attach(data: Path) -> str | None:
    """The URL of the server that runs for this data directory; None when none takes connections."""
    url = await asyncio.to_thread(_running, data)
    return url if url and await _answers(url) else None


async def expect(data: Path) -> None:
    """Raises PomboError where no platform has ever been: a mistyped path must not become a new one. One that is just
    being started appears in a moment."""
    until = time.monotonic() + _APPEARS_S
    while not any((data / name).exists() for name in ("lock", "postgres", pg_place.POINTER)):
        if time.monotonic() > until:
            raise _none_in(data)
        await asyncio.sleep(0.1)


def _none_in(data: Path) -> PomboError:
    return PomboError(
        f"There is no platform in {data.resolve()}. Name the directory of yours with --data (or POMBO_DATA);"
        " `pombo serve` starts a new one, `pombo demo` one to try."
    )


@contextlib.asynccontextmanager
async def reach(data: Path, postgres_bin: str = "") -> AsyncIterator[str]:
    """For commands: the URL of the running server, or of one that is started for the time being.

    Such a server is stopped when everybody who came to it meanwhile has gone.
    """
    until = time.monotonic() + _START_S + _USERS_S
    while True:
        with _among_users(data) as among:
            if among and (url := await attach(data)):
                yield url
                return
        own = Embedded(data, postgres_bin)
        try:
            url = await own.start()
            break
        except DirectoryHeldError:  # somebody else starts it this very moment, or stops it
            if time.monotonic() > until:
                raise
        await asyncio.sleep(0.1)
    try:
        yield url
    finally:
        async with _last_user(data):
            await own.stop()


@contextlib.asynccontextmanager
async def hold(data: Path) -> AsyncIterator[None]:
    """For a node with a database of its own: the data directory, which is its identity, for itself alone.

    Raises DirectoryHeldError when another process has it.
    """
    lock = await patiently(lambda: asyncio.to_thread(_hold, data.resolve()))
    try:
        yield
    finally:
        os.close(lock)


async def patiently(take: Callable[[], Awaitable[T]]) -> T:
    """What `take` gives, tried for some seconds while it raises DirectoryHeldError: a command is soon done."""
    until = time.monotonic() + _HELD_S
    while True:
        try:
            return await take()
        except DirectoryHeldError:
            if time.monotonic() > until:
                raise
        await asyncio.sleep(0.1)


@contextlib.contextmanager
def _among_users(data: Path) -> Iterator[bool]:
    """Keeps the process that started the server from stopping it. False: it is stopping it already.

    The lock is a shared one on the directory itself: that needs no file, and no right to write.
    """
    try:
        directory = os.open(data, os.O_RDONLY)
    except OSError:  # there is none yet; or it is closed to us, which `attach` says better
        yield True
        return
    try:
        yield _flock(directory, fcntl.LOCK_SH)
    finally:
        os.close(directory)


@contextlib.asynccontextmanager
async def _last_user(data: Path) -> AsyncIterator[None]:
    """Once nobody else uses the server, or after a minute; nobody comes to it meanwhile."""
    until = time.monotonic() + _USERS_S
    directory = os.open(data, os.O_RDONLY)
    try:
        while True:
            if _flock(directory, fcntl.LOCK_EX) or time.monotonic() > until:
                break
            await asyncio.sleep(_POLL_S)
        yield
    finally:
        os.close(directory)


def _flock(directory: int, kind: int) -> bool:
    try:
        fcntl.flock(directory, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system that locks no directories
        return True
    return True


def _hold(data: Path) -> int:
    data.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
    try:
        return _lock(data / "lock")
    except PermissionError:
        owner = pg_place.user_of(data)
        if owner.uid == os.geteuid():
            raise
        raise PomboError(
            f"{data}: the data directory belongs to {owner.name}: start Pombo as that user, or choose another "
            "with --data."
        ) from None


def _lock(path: Path) -> int:
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.read(lock, 20).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        raise DirectoryHeldError(
            f"another pombo is running on this data directory (pid {pid}): {path.parent}"
        ) from None
    except OSError:
        os.close(lock)
        raise
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    return lock


def _pid_file(cluster: Path) -> list[str]:
    """Lines of postmaster.pid, or none: pid, data, start, port, sockets, address, shared memory, status."""
    try:
        return (cluster / "postmaster.pid").read_text(errors="replace").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []
    except PermissionError:
        raise PomboError(f"{cluster} is closed to this user: start Pombo as the one it belongs to.") from None


def _postmaster(cluster: Path) -> int | None:
    """The process that serves this cluster. A number left by a dead server may be another process by now."""
    lines = _pid_file(cluster)
    if not lines or not lines[0].strip().isdigit():
        return None
    pid = int(lines[0])
    try:
        if Path("/proc/self/cmdline").exists():  # readable for everyone, while `cwd` asks for ptrace rights
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            return pid if os.fsencode(cluster) in arguments else None
        os.kill(pid, 0)
    except OSError:
        return None
    return pid


def _forget_stale(place: Place, sockets: Path) -> None:
    """Lets PostgreSQL see that a dead server's pid file is stale though another process has that number now.

    It takes its parent's number for stale. The file itself stays, because PostgreSQL finds out by it whether
    children of the dead server still write.
    """
    lines = _pid_file(place.cluster)
    if lines:
        text = "\n".join((str(os.getpid()), *lines[1:], ""))
        pg_place.write_as(place.user, place.cluster / "postmaster.pid", text)
    for leftover in (sockets / pg_place.SOCKET, sockets / f"{pg_place.SOCKET}.lock"):
        leftover.unlink(missing_ok=True)


def _status(cluster: Path) -> str:
    """What the server says: starting (and while it recovers), ready or stopping; '' at the very first."""
    lines = _pid_file(cluster)
    return lines[7].strip() if len(lines) > 7 else ""


def _running(data: Path) -> str | None:
    data = data.resolve()
    cluster = pg_place.cluster_of(data)
    return _url(data, cluster) if _postmaster(cluster) is not None else None


def _url(data: Path, cluster: Path) -> str | None:
    """The URL of a server that is ready; else None."""
    lines = _pid_file(cluster)
    password = pg_cluster.password(data)
    if _status(cluster) != "ready" or password is None:
        return None
    user = pg_place.owner_of(cluster)
    if not pg_place.is_private(Path(lines[4]), user):
        raise PomboError(f"{lines[4]} is not a directory of {user.name} alone: its socket cannot be trusted.")
    host = quote(lines[4], safe="")
    return f"postgresql://pombo:{password}@/pombo?host={host}&port={lines[3]}&sslmode=disable"


async def _answers(url: str) -> bool:
    try:
        connection = await asyncpg.connect(url, timeout=5)
    except asyncpg.TooManyConnectionsError:
        return True
    except (OSError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError):
        return False
    except asyncpg.PostgresError as error:
        raise PomboError(f"The embedded PostgreSQL refuses the role pombo: {error}") from None
    await connection.close()
    return True
