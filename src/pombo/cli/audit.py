"""`audit list|verify|export`: who changed what."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TextIO

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.text import Text

from pombo.cli.answer import Answer, note, table
from pombo.cli.options import EVERY, Every
from pombo.cli.words import a_time
from pombo.errors import PomboError
from pombo.store import audit as store
from pombo.store.database import Database


async def show(
    *,
    since: Annotated[
        str | None, Parameter(help='From then on: "2026-11-24 10:00" (UTC), or with its offset.')
    ] = None,
    until: Annotated[str | None, Parameter(help="Before then.")] = None,
    action: Annotated[str | None, Parameter(help="smsc.set, or smsc for all of them.")] = None,
    subject: Annotated[str | None, Parameter(help='"smsc 3", or smsc for all of them.')] = None,
    actor: Annotated[str | None, Parameter(help="Who did it: cli:maria@gateway1.")] = None,
    limit: Annotated[
        int, Parameter(help="So many of them, the newest first.", validator=Number(gte=1, lte=10_000))
    ] = 50,
    every: Every = EVERY,
) -> Answer:
    """Who changed what, when and from where; the newest first."""
    which = store.Which(a_time(since), a_time(until), action, subject, actor)
    async with every.reached() as (db, _):
        records = [store.exported(row) for row in await store.listed(db, which, limit)]
    shown = table(
        ">id", "at (UTC)", "who", "from", "action", "subject", "what",
        rows=(
            (
                str(r["id"]), r["at"][:19].replace("T", " "), r["actor"], r["source"] or "-", r["action"], r["subject"],
                _what(r["before"], r["after"]),
            )
            for r in records
        ),
        empty="No record fits.",
    )  # fmt: skip
    return Answer({"records": records}, shown)


async def verify(
    *,
    expect: Annotated[
        str | None, Parameter(help="A hash that you kept elsewhere: it must stand in the chain.")
    ] = None,
    every: Every = EVERY,
) -> Answer:
    """Check that no record was changed, added or taken away. Ends with 1, and the first broken record, where one was."""
    expected = None if expect is None else _hash(expect)
    async with every.reached() as (db, _):
        verdict = await store.verify(db, expected)
    newest = verdict.newest.hex()
    if verdict.fault is not None:
        raise PomboError(
            f"The audit trail is broken: {verdict.fault}. Up to there {verdict.records} record(s) are sound."
        )
    facts = {"records": verdict.records, "newest": newest}
    return Answer(
        facts, Text(f"{verdict.records} record(s), unbroken. Keep the newest hash elsewhere:\n{newest}")
    )


async def export(
    *,
    out: Annotated[Path, Parameter(help="A new file; - for stdout.", allow_leading_hyphen=True)],
    every: Every = EVERY,
) -> Answer | None:
    """Write all records as lines of JSON, the oldest first, with their hashes."""
    async with every.reached() as (db, _):
        with _opened(out) as file:
            count, newest = await _write(db, file)
    facts = {"records": count, "newest": newest, "file": str(out)}
    answer = Answer(facts, Text(f"{count} record(s) written to {out}. The newest hash:\n{newest}"))
    if str(out) != "-":
        return answer
    note(f"{count} record(s). The newest hash: {newest}")
    return None


async def _write(db: Database, file: TextIO) -> tuple[int, str]:
    count, newest = 0, store.FIRST.hex()
    async for page in store.pages(db):
        for row in page:
            record = store.exported(row)
            file.write(json.dumps(record, sort_keys=True, separators=(",", ":")) + "\n")
            count, newest = count + 1, record["hash"]
    file.flush()
    return count, newest


@contextmanager
def _opened(out: Path) -> Iterator[TextIO]:
    if str(out) == "-":
        yield sys.stdout
        return
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise PomboError(f"{out} is there already. Name a new file, or - for stdout.") from None
    except OSError as error:
        raise PomboError(f"{out} cannot be written: {error.strerror}.") from None
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        yield file


def _hash(text: str) -> bytes:
    try:
        expected = bytes.fromhex(text.strip())
    except ValueError:
        expected = b""
    if len(expected) != len(store.FIRST):
        raise PomboError("A hash is 64 hexadecimal digits, as `pombo audit verify` shows the newest.")
    return expected


def _what(before: dict[str, Any] | None, after: dict[str, Any] | None) -> str:
    """`rate: 10 → 20, host: …`"""
    keys = {**(before or {}), **(after or {})}
    return ", ".join(f"{key}: {_change(key, before, after)}" for key in keys)


def _change(key: str, before: dict[str, Any] | None, after: dict[str, Any] | None) -> str:
    if before is None or key not in before:
        return _plain((after or {}).get(key))
    return f"{_plain(before[key])} → {_plain((after or {}).get(key))}"


def _plain(value: object) -> str:
    return "-" if value is None or value == "" else str(value)
