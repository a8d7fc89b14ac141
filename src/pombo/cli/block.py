"""`block list|add|remove|check|import|export|confirmation`: numbers that must not be written to."""

import contextlib
import csv
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import asyncpg
from cyclopts import Parameter
from rich.console import Group
from rich.text import Text

from pombo import country
from pombo.account import blocking
from pombo.account.blocking import BlockList
from pombo.app.optouts import CONFIRMATION
from pombo.cli.actor import this_actor
from pombo.cli.answer import Answer, iso, note, table, waiting
from pombo.cli.options import EVERY, Every, Flag
from pombo.cli.words import a_number
from pombo.errors import PomboError
from pombo.number import masked
from pombo.store import accounts, blocks
from pombo.store.blocks import EVERYBODY
from pombo.store.database import Database
from pombo.text.outgoing import prepare

_BAD_LINES_SHOWN = 20
_TEXT_MOST_PARTS = 2

Number = Annotated[
    str, Parameter(help="A mobile number; of another country with + in front.", allow_leading_hyphen=True)
]
OfAccount = Annotated[str | None, Parameter(name="--account", help="The list of this account: name or id.")]
Global = Annotated[
    bool, Parameter(name="--global", help="The operator's list, which counts for every account.", negative=())
]


class _List(NamedTuple):
    account_id: int  # EVERYBODY: the operator's
    name: str | None

    @property
    def facts(self) -> dict[str, Any]:
        return {"account": self.account_id or None, "name": self.name, "global": not self.account_id}

    @property
    def block_list(self) -> BlockList:
        return BlockList(self.account_id)

    @property
    def shown(self) -> str:
        return "the operator's list" if self.name is None else f"the list of {self.name}"


async def add(
    number: Number, /, *, account: OfAccount = None, everybody: Global = False, every: Every = EVERY
) -> Answer:
    """Block a number: messages to it are refused from now on. Marketing messages that wait for it end."""
    normalised = a_number(number)
    async with every.changing("block.add") as (doing, secrets):
        of = await _list(doing.db, account, everybody)
        added, ended = await blocking.block(doing, secrets, of.block_list, normalised)
    shown = f"{masked(normalised)} is on {of.shown}" + (" now." if added else " already.")
    if ended:
        shown += f" {ended} marketing message(s) that waited for it ended."
    return Answer({**of.facts, "added": added, "ended": ended}, Text(shown))


async def remove(
    number: Number,
    /,
    *,
    account: OfAccount = None,
    everybody: Global = False,
    asked_back: Annotated[
        bool, Parameter(help="The person, who opted out by a reply, has asked to be written to again."), Flag
    ] = False,
    every: Every = EVERY,
) -> Answer:
    """Take a number off a list. Who asked for it by a reply comes off at their own wish only."""
    normalised = a_number(number)
    async with every.changing("block.remove") as (doing, secrets):
        of = await _list(doing.db, account, everybody)
        try:
            await blocking.unblock(doing, secrets, of.block_list, normalised, asked_back=asked_back)
        except blocking.NotListed:
            raise PomboError(
                f"{masked(normalised)} is not on {of.shown}. `pombo block check` says where it is."
            ) from None
        except blocking.OptedOut:
            raise PomboError(
                f"{masked(normalised)} opted out by a reply. If the person has asked to be written to again, say so with "
                "--asked-back: the audit trail keeps it."
            ) from None
    return Answer({**of.facts, "removed": 1}, Text(f"{masked(normalised)} is off {of.shown}."))


async def check(number: Number, /, *, every: Every = EVERY) -> Answer:
    """On which lists a number is, since when, and why."""
    normalised = a_number(number)
    async with every.reached() as doors:
        found = await blocks.lists_of(doors.db, doors.secrets.number_hmac(normalised))
    facts = [
        {
            **_List(row["account_id"], row["account"]).facts,
            "reason": row["reason"],
            "reply": None if row["inbox_id"] is None else str(row["inbox_id"]),
            "created_at": row["created_at"],
        }
        for row in found
    ]
    shown = table(
        "list", "reason", "reply", "since",
        rows=((f["name"] or "(global)", f["reason"], f["reply"] or "-", iso(f["created_at"]) or "") for f in facts),
        empty=f"{masked(normalised)} is on no list.",
    )  # fmt: skip
    return Answer({"blocked": bool(facts), "lists": facts}, shown)


async def show(*, account: OfAccount = None, everybody: Global = False, every: Every = EVERY) -> Answer:
    """How many numbers each list has, and why. The numbers themselves are not kept."""
    async with every.reached() as doors:
        of = await _list(doors.db, account, everybody) if account is not None or everybody else None
        found = await blocks.counted(doors.db, None if of is None else of.account_id)
    facts = [
        {
            **_List(row["account_id"], row["account"]).facts,
            "reason": row["reason"], "numbers": row["numbers"], "newest_at": row["newest_at"],
        }
        for row in found
    ]  # fmt: skip
    shown = table(
        "list", "reason", ">numbers", "newest",
        rows=((f["name"] or "(global)", f["reason"], str(f["numbers"]), iso(f["newest_at"]) or "") for f in facts),
        empty="No number is blocked.",
    )  # fmt: skip
    return Answer({"lists": facts}, shown)


async def import_(
    file: Annotated[Path, Parameter(help="A number a line; of a CSV file, the first column counts.")],
    /,
    *,
    account: OfAccount = None,
    everybody: Global = False,
    every: Every = EVERY,
) -> Answer:
    """Block the numbers of a file. Lines without a mobile number are named, and the others are blocked."""
    lines = _lines(file)
    bad: list[int] = []
    numbers = added = ended = 0
    async with every.reached() as doors:
        of = await _list(doors.db, account, everybody)
        with waiting("lines left", len(lines), silent=every.json) as progress:
            for at in range(0, len(lines), blocking.PAGE):
                good = []
                for line, text in enumerate(lines[at : at + blocking.PAGE], at + 1):
                    normalised = country.normalise(text, None)
                    if normalised is not None:
                        good.append(normalised)
                    elif text:
                        bad.append(line)
                now_added, now_ended = await blocking.import_page(
                    doors.db, this_actor(), doors.secrets, of.block_list, good
                )
                numbers, added, ended = numbers + len(good), added + now_added, ended + now_ended
                progress(max(0, len(lines) - at - blocking.PAGE))
    facts = {**of.facts, "numbers": numbers, "added": added, "ended": ended, "bad_lines": bad}
    shown = [f"{numbers} number(s) read, {added} new on {of.shown}."]
    if ended:
        shown.append(f"{ended} marketing message(s) that waited for them ended.")
    if bad:
        first = ", ".join(map(str, bad[:_BAD_LINES_SHOWN])) + (", …" if len(bad) > _BAD_LINES_SHOWN else "")
        shown.append(f"{len(bad)} line(s) without a mobile number were left out: {first}.")
    return Answer(facts, Group(*map(Text, shown)))


async def export(
    file: Annotated[Path, Parameter(help="The CSV file to write.")],
    /,
    *,
    account: OfAccount = None,
    everybody: Global = False,
    every: Every = EVERY,
) -> Answer:
    """Write a list as a CSV file: keyed hash, reason, reply and time of each number. The numbers themselves are not kept,
    so nobody can export them."""
    count = 0
    with contextlib.ExitStack() as stack:
        async with every.reached() as doors:
            of = await _list(doors.db, account, everybody)
            total = sum(row["numbers"] for row in await blocks.counted(doors.db, of.account_id))
            out = stack.enter_context(_new_file(file))
            writer = csv.writer(out)
            writer.writerow(["number_hmac", "reason", "reply", "created_at"])
            progress = stack.enter_context(waiting("numbers left", total, silent=every.json))
            after: tuple[datetime, bytes] | None = None
            while page := await blocks.page(doors.db, of.account_id, after, blocking.PAGE):
                writer.writerows(_csv_row(row) for row in page)
                count += len(page)
                after = (page[-1]["created_at"], page[-1]["number_hmac"])
                progress(max(0, total - count))
    if not every.json:
        note("Numbers are kept as keyed hashes only: the file says when and why, and not whom.")
    return Answer(
        {**of.facts, "exported": count, "file": str(file)}, Text(f"{count} row(s) written to {file}.")
    )


async def confirmation(
    text: Annotated[
        str | None,
        Parameter(
            help="What an opt-out is answered with; '' for the platform's own words.",
            allow_leading_hyphen=True,
        ),
    ] = None,
    /,
    *,
    account: Annotated[str, Parameter(help="Whose opt-outs: name or id.")],
    every: Every = EVERY,
) -> Answer:
    """Show or change what people who opt out of an account's messages are answered, once and free of charge."""
    async with every.changing("block.confirmation") as (doing, _):
        row = await accounts.account(doing.db, account)
        before = (await accounts.optout(doing.db, row["id"]))["optout_text"]
        if text is not None:
            parts = prepare(text, row["text_mode"]).parts
            if parts > _TEXT_MOST_PARTS:
                raise PomboError(f"This text takes {parts} parts: {_TEXT_MOST_PARTS} at most.")
            await accounts.set_optout_text(doing.db, row["id"], text.strip())
            doing.record(f"account {row['id']}", before=_words(before), after=_words(text.strip()))
        else:
            doing.nothing()
        now = (await accounts.optout(doing.db, row["id"]))["optout_text"]
    facts = {"account": row["id"], "text": now or CONFIRMATION, "default": not now}
    return Answer(facts, Text(f"Opt-outs of {row['name']} are answered: {facts['text']}"))


def _words(text: str) -> dict[str, Any]:
    """For the audit trail, which keeps no texts."""
    return {"own_words": bool(text), "characters": len(text)}


async def _list(db: Database, account: str | None, everybody: bool) -> _List:
    if (account is None) is not everybody:
        raise PomboError("Say which list: --account ACCOUNT, or --global for the operator's own.")
    if account is None:
        return _List(EVERYBODY, None)
    row = await accounts.account(db, account)
    return _List(row["id"], row["name"])


def _lines(file: Path) -> list[str]:
    """The first column of each line. A first line that begins with a word is a heading: empty, as blank ones are."""
    try:
        octets = file.read_bytes()
    except OSError as error:
        raise PomboError(f"{file} cannot be read: {error.strerror}.") from None
    text = octets.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    lines = [line.replace(";", ",").split(",")[0].strip(" \t\"'") for line in text.splitlines()]
    if lines and lines[0] and not any(char.isdigit() for char in lines[0]):
        lines[0] = ""
    return lines


@contextlib.contextmanager
def _new_file(file: Path) -> Iterator[Any]:
    """Only its owner may read it: hashes with dates are still about people."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise PomboError(f"{file} cannot be written: {error.strerror}.") from None
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as out:
        yield out


def _csv_row(row: asyncpg.Record) -> list[str]:
    reply = "" if row["inbox_id"] is None else str(row["inbox_id"])
    return [row["number_hmac"].hex(), row["reason"], reply, iso(row["created_at"]) or ""]
