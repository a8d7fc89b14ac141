"""`privacy export|erase|search|access`: what is kept of a person, and who used the platform."""

import contextlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TextIO

import asyncpg
from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Group
from rich.prompt import Prompt
from rich.text import Text

from pombo.account import erasure
from pombo.account.erasure import Erased, Whose
from pombo.cli.actor import this_actor
from pombo.cli.answer import Answer, at_terminal, iso, note, table, waiting
from pombo.cli.options import EVERY, Every, Flag
from pombo.cli.words import a_number, a_time
from pombo.errors import PomboError
from pombo.number import masked, pretty
from pombo.store import access as accesses
from pombo.store import accounts, blocks, privacy
from pombo.store.database import Database

ThisNumber = Annotated[
    str, Parameter(help="A mobile number; of another country with + in front.", allow_leading_hyphen=True)
]
OfAccount = Annotated[
    str | None,
    Parameter(name="--account", help="What this account keeps of it alone: name or id. Default: all of it."),
]
_PAGE = 1000


async def export(
    number: ThisNumber,
    /,
    *,
    file: Annotated[Path, Parameter(help="A new file; only its owner may read it.")],
    account: OfAccount = None,
    every: Every = EVERY,
) -> Answer:
    """Write all that is kept of a number to a file, as JSON: its messages and replies with their texts, and everything
    else. The audit trail keeps that it was done."""
    normalised = a_number(number)
    rows: Counter[str] = Counter()
    async with every.reached(changes=True) as (db, secrets):
        whose = await _whose(db, normalised, account)
        with _new_file(file) as out:
            head = {
                "number": pretty(normalised), "account": account, "at": iso(datetime.now(UTC)),
                "blocked": [
                    {"account": row["account_id"] or None, "reason": row["reason"], "since": iso(row["created_at"])}
                    for row in await blocks.lists_of(db, secrets.number_hmac(normalised))
                    if whose.account_id in (None, row["account_id"])
                ],
            }  # fmt: skip
            out.write(json.dumps(head, ensure_ascii=False, indent=1)[:-2] + ',\n "kept": [')
            async for name, row in erasure.export(db, whose):
                out.write(("," if rows else "") + "\n  ")
                json.dump({"table": name, **row}, out, ensure_ascii=False)
                rows[name] += 1
            out.write("\n ]\n}\n")
        await erasure.exported(db, this_actor(), whose, rows.total())
    facts = {"number": masked(normalised), "file": str(file), "rows": dict(rows)}
    return Answer(facts, Text(f"{rows.total()} row(s) about {masked(normalised)} written to {file}."))


async def erase(
    number: ThisNumber,
    /,
    *,
    account: OfAccount = None,
    yes: Annotated[bool, Flag, Parameter(help="Do not ask.")] = False,
    rewrite: Annotated[
        bool,
        Flag,
        Parameter(
            help="Write the tables anew, so that no octet stays in their files. The platform stands still meanwhile."
        ),
    ] = False,
    every: Every = EVERY,
) -> Answer:
    """Erase a number: from its messages and replies with their texts, from attempts, callbacks, contacts, conversations and
    campaigns. What waits for it is not sent, and refunded. Counts, states and money stay, and so do opt-outs, which are
    keyed hashes. It cannot be undone."""
    normalised = a_number(number)
    async with every.reached(changes=True) as (db, _):
        whose = await _whose(db, normalised, account)
        if not yes and not _confirmed(normalised, every):
            return Answer({"erased": False}, Text("Nothing was done."))
        with waiting("rows erased", 0, silent=every.json) as progress:
            erased = await erasure.erase(db, this_actor(), whose, progress=progress)
        if not every.json:
            note("Vacuuming: nothing that could still be read is left behind.")
        await erasure.vacuum(db, rewrite=rewrite)
    return _erased(normalised, erased)


def _confirmed(number: int, every: Every) -> bool:
    if every.json or not at_terminal():
        raise PomboError(f"Erasing {masked(number)} cannot be undone: add --yes.")
    typed = Prompt.ask(f"Erasing {masked(number)} cannot be undone. Type its last four digits to go on")
    return typed.strip() == str(number)[-4:]


def _erased(number: int, erased: Erased) -> Answer:
    facts = {
        "erased": not erased.writing, "ended": erased.ended, "writing": erased.writing, "rows": erased.rows,
    }  # fmt: skip
    told = ", ".join(f"{count} of {name}" for name, count in erased.rows.items()) or "nothing was there"
    lines = [Text(f"{masked(number)} is erased: {told}.")]
    if erased.ended:
        lines.append(Text(f"{erased.ended} message(s) that waited for it were not sent."))
    if erased.writing:
        lines.append(
            Text(
                f"{erased.writing} message(s) are with an operator that does not answer, and were left. Run it again.",
                style="yellow",
            )
        )
    return Answer(facts, Group(*lines), failed=bool(erased.writing))


async def search(number: ThisNumber, /, *, every: Every = EVERY) -> Answer:
    """Look for a number in every row of every table, in all the ways in which people write it. Reads the whole database.
    Ends with 1 where it is found. Texts to others that quote it are found, too: they are erased in their own time."""
    normalised = a_number(number)
    found: Counter[str] = Counter()
    async with every.reached() as (db, _):
        left = sum(row["blocks"] for row in await privacy.tables(db))
        with waiting("blocks left", left, silent=every.json) as progress:
            async for name, rows, blocks_read in privacy.quoting(db, normalised):
                found[name] += rows
                left -= blocks_read
                progress(max(0, left))
    quoting = {name: count for name, count in found.items() if count}
    shown = table(
        "table", ">rows", rows=((name, str(count)) for name, count in quoting.items()),
        empty=f"{masked(normalised)} stands in none of {len(found)} tables.",
    )  # fmt: skip
    return Answer(
        {"found": bool(quoting), "rows": quoting, "tables": len(found)}, shown, failed=bool(quoting)
    )


async def access(
    *,
    account: Annotated[str | None, Parameter(help="Those of this account: name or id.")] = None,
    since: Annotated[
        str | None, Parameter(help='From then on: "2026-11-24 10:00" (UTC), or with its offset.')
    ] = None,
    until: Annotated[str | None, Parameter(help="Before then.")] = None,
    address: Annotated[str | None, Parameter(help="From this address.")] = None,
    limit: Annotated[
        int, Parameter(help="So many of them, the newest.", validator=Number(gte=1, lte=10_000))
    ] = 50,
    file: Annotated[
        Path | None, Parameter(help="Write all that fit to this new file, as lines of JSON.")
    ] = None,
    every: Every = EVERY,
) -> Answer:
    """Who used the API and the panel, and ran commands: when and from which address. Kept for six months."""
    async with every.reached() as (db, _):
        account_id = None if account is None else (await accounts.account(db, account))["id"]
        which = accesses.Which(account_id, a_time(since), a_time(until), address)
        if file is not None:
            count = await _write_accesses(db, which, file)
            return Answer({"accesses": count, "file": str(file)}, Text(f"{count} line(s) written to {file}."))
        facts = [_access(row) for row in await accesses.page(db, which, None, limit)]
    shown = table(
        "minute (UTC)", "", "who", "what", "from", "account", ">times",
        rows=(
            (f["minute_at"][:16].replace("T", " "), f["kind"], f["who"], f["what"], f["address"] or "-",
             f["account_name"] or "-", str(f["times"]))
            for f in facts
        ),
        empty="No access fits.",
    )  # fmt: skip
    return Answer({"accesses": facts}, shown)


async def _write_accesses(db: Database, which: accesses.Which, file: Path) -> int:
    count = 0
    last: asyncpg.Record | None = None
    with _new_file(file) as out:
        while page := await accesses.page(db, which, last, _PAGE):
            out.writelines(json.dumps(_access(row)) + "\n" for row in page)
            count, last = count + len(page), page[-1]
    return count


def _access(row: asyncpg.Record) -> dict[str, Any]:
    return {
        "minute_at": iso(row["minute_at"]) or "",
        "kind": row["kind"],
        "who": row["who"],
        "what": row["what"],
        "address": row["address"],
        "account": row["account_id"] or None,
        "account_name": row["account"],
        "times": row["times"],
    }


async def _whose(db: Database, number: int, account: str | None) -> Whose:
    return Whose(number, None if account is None else (await accounts.account(db, account))["id"])


@contextlib.contextmanager
def _new_file(file: Path) -> Iterator[TextIO]:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise PomboError(f"{file} is there already. Name a new file.") from None
    except OSError as error:
        raise PomboError(f"{file} cannot be written: {error.strerror}.") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        yield out
