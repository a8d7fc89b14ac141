"""A whole platform in one file: the database at one moment, by PostgreSQL's own pg_dump, and the secret that opens it.

The file is a ZIP: `about.json`, `secret`, `database.dump` (pg_dump's custom format). What a platform needs to live on
elsewhere is in it, so whoever has it has everything: it is readable for its owner only.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, NamedTuple
from urllib.parse import unquote, urlsplit

import msgspec

import pombo
from pombo.errors import PomboError
from pombo.store.database import Db
from pombo.store.pg_place import programs_in

_FORMAT = 1
_ABOUT, _SECRET, _DUMP = "about.json", "secret", "database.dump"
_CHUNK_OCTETS = 1024 * 1024


class About(msgspec.Struct):
    """What stands in `about.json`."""

    format: int
    version: str  # of Pombo
    made_at: datetime
    migration: int  # the last one


async def newest_migration(db: Db) -> int:
    return int(await db.fetchval("select max(number) from migration"))


async def is_empty(db: Db) -> bool:
    """Whether no platform has ever used this database."""
    return not await db.fetchval(
        "select exists (select from pg_tables where schemaname not in ('pg_catalog', 'information_schema'))"
    )


async def contents(db: Db) -> dict[str, int]:
    """How much of what there is, to compare with what was expected."""
    row = await db.fetchrow(
        "select (select count(*) from account) as accounts, (select count(*) from message) as messages,"
        " (select count(*) from queue) as waiting, (select count(*) from callback where state = 0) as callbacks_due"
    )
    assert row is not None
    return dict(row)


async def forget_nodes(db: Db) -> None:
    """Those that ran when the backup was made do not run on this database: what they owned is free at once."""
    await db.execute("delete from node")
    await db.execute("update lease set lease_until = now() where lease_until > now()")
    await db.execute("update link set bound = 0, down_since = coalesce(down_since, now()) where bound > 0")
    await db.execute("update callback set leased_by = null, leased_until = null where leased_until > now()")


def write(file: Path, url: str, postgres_bin: str, secret: bytes, made_at: datetime, migration: int) -> int:
    """Make the backup; returns its size in octets. There is no such file before, and none after a failure.

    Raises PomboError.
    """
    about = About(_FORMAT, pombo.__version__, made_at, migration)
    if file.exists():
        raise PomboError(f"{file} is there already. Name a new file.")
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)  # 0600
    except OSError as error:
        raise PomboError(f"{file} cannot be written: {error.strerror}.") from None
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as out:
            with zipfile.ZipFile(out, "w") as archive:
                archive.writestr(_ABOUT, msgspec.json.encode(about))
                archive.writestr(_SECRET, secret)
                with archive.open(_DUMP, "w", force_zip64=True) as dump:
                    _dump(url, postgres_bin, dump)
            out.flush()
            os.fsync(out.fileno())
            octets = out.tell()
        os.link(draft, file)
    except FileExistsError:
        raise PomboError(f"{file} is there already. Name a new file.") from None
    except OSError as error:
        raise PomboError(f"{file} cannot be written: {error.strerror}.") from None
    finally:
        draft.unlink()
    return octets


class Backup(NamedTuple):
    about: About
    secret: bytes
    archive: zipfile.ZipFile

    def restore(self, url: str, postgres_bin: str) -> None:
        """Into an empty database, all of it or nothing. Raises PomboError."""
        with self.archive.open(_DUMP) as dump:
            _restore(url, postgres_bin, dump)


@contextmanager
def opened(file: Path) -> Iterator[Backup]:
    """A backup that is whole. Raises PomboError."""
    try:
        with zipfile.ZipFile(file) as archive:
            broken = archive.testzip()
            if broken is not None:
                raise PomboError(f"{file} is damaged: {broken} is not what was written.")
            about = msgspec.json.decode(archive.read(_ABOUT), type=About)
            if about.format != _FORMAT:
                raise PomboError(f"{file} was made by Pombo {about.version}: restore it with that version.")
            yield Backup(about, archive.read(_SECRET), archive)
    except (zipfile.BadZipFile, KeyError, EOFError, msgspec.MsgspecError, json.JSONDecodeError):
        raise PomboError(f"{file} is no backup of Pombo, or only a part of one.") from None
    except OSError as error:
        raise PomboError(f"{file} cannot be read: {error.strerror}.") from None


def _dump(url: str, postgres_bin: str, out: IO[bytes]) -> None:
    argv = ["--format=custom", "--no-owner", "--no-privileges"]
    with _program("pg_dump", argv, url, postgres_bin, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        shutil.copyfileobj(process.stdout, out, _CHUNK_OCTETS)


def _restore(url: str, postgres_bin: str, dump: IO[bytes]) -> None:
    argv = ["--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges"]
    with _program("pg_restore", argv, url, postgres_bin, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        try:
            shutil.copyfileobj(dump, process.stdin, _CHUNK_OCTETS)
            process.stdin.close()
        except BrokenPipeError:  # it has ended, and says why
            return


@contextmanager
def _program(
    name: str,
    argv: list[str],
    url: str,
    postgres_bin: str,
    stdin: int = subprocess.DEVNULL,
    stdout: int | None = None,
) -> Iterator["subprocess.Popen[bytes]"]:
    """Runs it beside the block, and raises PomboError when it fails. No password stands in its arguments, where every
    user of the machine could read it."""
    parts = urlsplit(url)
    user, _, _ = parts.netloc.rpartition("@")[0].partition(":")
    place = parts.netloc.rpartition("@")[2]
    without = parts._replace(netloc=f"{user}@{place}" if user else place).geturl()
    env = {"LC_ALL": "C", "PATH": os.defpath, "HOME": os.environ.get("HOME", "/")}
    if parts.password is not None:
        env["PGPASSWORD"] = unquote(parts.password)
    with tempfile.TemporaryFile() as complaints:
        try:
            process = subprocess.Popen(
                [str(programs_in(postgres_bin) / name), *argv, f"--dbname={without}"],
                env=env, stdin=stdin, stdout=stdout or complaints, stderr=complaints,
            )  # fmt: skip
        except OSError as error:
            raise PomboError(f"{name} does not run here: {error.strerror}.") from None
        try:
            yield process
        except BaseException:
            process.kill()
            raise
        finally:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None and not pipe.closed:
                    pipe.close()
            code = process.wait()
        if code:
            complaints.seek(0)
            raise PomboError(f"{name} failed:{_said(complaints.read().decode(errors='replace'))}")


def _said(text: str) -> str:
    """Its errors, without the lines that quote data."""
    lines = re.findall(r"^pg_\w+: error: .*", text, re.MULTILINE)[:5]
    return "".join(f"\n{line}" for line in lines) or " it did not say why."
