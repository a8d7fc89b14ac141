"""`receipt list|rematch`: receipts that no message owns yet."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Annotated, Any

import asyncpg
import structlog
from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Group
from rich.text import Text

from pombo.cli.actor import this_actor
from pombo.cli.answer import Answer, age, table
from pombo.cli.options import EVERY, Every
from pombo.errors import PomboError
from pombo.number import masked
from pombo.receipt.match import Receipts
from pombo.store import audit, endings, explain, parked, smscs
from pombo.store.database import Connection, Database
from pombo.store.queue import lock_of

log = structlog.get_logger()

_WHY = {
    "waiting": "came just now",
    "unknown_id": "no message has this id",
    "no_id": "it names no id",
    "ambiguous": "its id may mean several messages, or one to another handset",
}


async def show(
    *,
    smsc: Annotated[str | None, Parameter(help="Those of this connection: name or id.")] = None,
    since_h: Annotated[
        float | None,
        Parameter(help="Those that came in the last so many hours.", validator=Number(gte=0, lte=72)),
    ] = None,
    limit: Annotated[
        int, Parameter(help="So many of them, the newest first.", validator=Number(gte=0, lte=10_000))
    ] = 20,
    number: Annotated[bool, Parameter(help="Show whole numbers.", negative=())] = False,
    every: Every = EVERY,
) -> Answer:
    """Receipts that wait for their message, and why. They are tried again for 72 hours."""
    since = None if since_h is None else timedelta(hours=since_h)
    async with every.reached() as (db, _):
        smsc_id = None if smsc is None else (await smscs.named(db, smsc)).id
        total = await parked.counted(db, smsc_id, since)
        receipts = [_receipt(row, whole=number) for row in await parked.listed(db, smsc_id, since, limit)]
    lines = table(
        ">receipt", "connection", "id of the operator", "handset", ">came", "why it waits",
        rows=(
            (str(r["receipt"]), r["smsc"] or "-", r["smsc_message_id"] or "-", r["number"] or "-",
             f"{age(r['received_at'])} ago", _WHY[r["why"]])
            for r in receipts
        ),
        empty="No receipt waits for its message.",
    )  # fmt: skip
    return Answer(
        {"total": total, "receipts": receipts}, Group(lines, f"[dim]{total} in all.[/]") if total else lines
    )


async def rematch(
    *receipts: Annotated[int, Parameter(help="Numbers of receipts, as `receipt list` shows them.")],
    smsc: Annotated[str | None, Parameter(help="All of this connection: name or id.")] = None,
    all_: Annotated[bool, Parameter(help="All there are.", negative=())] = False,
    message: Annotated[
        str | None,
        Parameter(
            help="Give the one receipt to this message, by its id: a person knows.", allow_leading_hyphen=True
        ),
    ] = None,
    part: Annotated[int | None, Parameter(help="The part of --message, where it has several.")] = None,
    every: Every = EVERY,
) -> Answer:
    """Try again now what would be tried again within a minute, or give a receipt to its message by hand."""
    if bool(receipts) + (smsc is not None) + all_ != 1:
        raise PomboError("Say which: numbers of receipts, --smsc, or --all.")
    if part is not None and message is None:
        raise PomboError("--part says which part of --message is meant: give both.")
    if message is not None and len(receipts) != 1:
        raise PomboError("--message takes exactly one receipt, by its number.")
    async with every.reached(changes=True) as (db, _):
        if message is not None:
            return await _assign(db, receipts[0], message, part)
        if receipts:
            return _said(*await _these(db, receipts))
        chosen = await smscs.smscs(db) if all_ else [await smscs.named(db, smsc or "")]
        matched = final = 0
        for one in chosen:
            of_one = Receipts(one.id, one.name)
            final += len(await of_one.sweep(db, _recorded(of_one, f"smsc {one.id}")))
            matched += of_one.figures.rematched
        return _said(matched, final)


async def _these(db: Database, ids: Sequence[int]) -> tuple[int, int]:
    by_smsc = defaultdict(list)
    for waiting in await parked.those(db, ids):
        by_smsc[waiting.smsc_id, waiting.smsc].append(waiting.id)
    matched = final = 0
    for (smsc_id, name), its_ids in by_smsc.items():
        of_one = Receipts(smsc_id, name)
        async with db.transaction(lock_of(smsc_id)) as tx:
            now_final = await of_one.rematch_these(tx, its_ids)
            await _recorded(of_one, f"smsc {smsc_id}")(tx, now_final)
        final += len(now_final)
        matched += of_one.figures.rematched
    return matched, final


async def _assign(db: Database, receipt: int, given: str, part: int | None) -> Answer:
    [waiting] = await parked.those(db, [receipt])
    message_id = (await explain.one_message(db, given, None))["id"]
    async with db.transaction(lock_of(waiting.smsc_id)) as tx:
        await parked.those(tx, [receipt])  # it may have found its message meanwhile
        attempts = await parked.open_attempts(tx, waiting.smsc_id, message_id)
        attempts = [attempt for attempt in attempts if part in (None, attempt.part)]
        if not attempts:
            raise PomboError(
                f"Nothing of the message {given!r} over {waiting.smsc!r} waits for a receipt. "
                "`pombo explain` shows its attempts."
            )
        if len({attempt.part for attempt in attempts}) > 1:
            raise PomboError(f"The message {given!r} has several parts that wait: say which with --part.")
        final = await Receipts(waiting.smsc_id, waiting.smsc).assign(tx, receipt, attempts[-1])
        await endings.ended(tx, None, final)
        after = {"message_id": message_id, "part": attempts[-1].part, "final": len(final)}
        await audit.record(tx, this_actor(), "receipt.assign", f"receipt {receipt}", after=after)
    log.warning(
        "receipt_assigned", smsc=waiting.smsc, receipt=receipt, message_id=message_id, part=attempts[-1].part
    )
    return _said(1, len(final))


def _recorded(receipts: Receipts, subject: str) -> Callable[[Connection, list[int]], Awaitable[None]]:
    """What each transaction of a rematch ends with: what its messages' ends cause, and the record of what it did."""
    told = 0

    async def recorded(tx: Connection, final: list[int]) -> None:
        nonlocal told
        await endings.ended(tx, None, final)
        matched = receipts.figures.rematched - told
        told += matched
        if matched or final:
            after = {"matched": matched, "final": len(final)}
            await audit.record(tx, this_actor(), "receipt.rematch", subject, after=after)

    return recorded


def _said(matched: int, final: int) -> Answer:
    return Answer(
        {"matched": matched, "final": final},
        Text(f"{matched} receipt(s) found their message; {final} message(s) are final now."),
    )


def _receipt(row: asyncpg.Record, *, whole: bool) -> dict[str, Any]:
    number = row["number"]
    return {
        "receipt": row["id"],
        "smsc": row["smsc"],
        "smsc_message_id": row["raw_id"],
        "number": None if number is None else str(number) if whole else masked(number),
        "received_at": row["received_at"],
        "why": row["why"],
    }
