"""What people do about a number whose owner asks: show everything that is kept of it, or erase it. Each leaves its record
in the trail, which has the number masked."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

from pombo.message import AttemptState, CallbackState, State
from pombo.number import masked
from pombo.store import privacy, waiting
from pombo.store.audit import Actor, changing
from pombo.store.database import Database
from pombo.store.privacy import PLACES, Of, Place

WRITING_S = 90.0  # what is just being written is waited for: an operator that does not answer is given up on in a minute
_LOOK_S = 0.5
_STATES: dict[tuple[str, str], type[State] | type[AttemptState] | type[CallbackState]] = {
    ("message", "state"): State,
    ("attempt", "state"): AttemptState,
    ("callback", "state"): CallbackState,
}
_OCTETS = ("answer", "octets", "body")


class Whose(NamedTuple):
    number: int
    account_id: int | None = None  # None: all accounts, and what belongs to none

    @property
    def subject(self) -> str:
        """In the audit trail."""
        return f"number {masked(self.number)}"

    @property
    def told(self) -> dict[str, int]:
        return {} if self.account_id is None else {"account": self.account_id}


class Erased(NamedTuple):
    ended: int  # messages that waited, and were not sent
    writing: int  # messages that an operator connection still has in its hands: nothing of them was erased
    rows: dict[str, int]  # by table


async def export(db: Database, whose: Whose) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Each row that is kept, with its table: of messages and replies page by page, as they came."""
    for of, ids_of in ((Of.MESSAGE, privacy.messages_of), (Of.REPLY, privacy.replies_of)):
        for place in reversed([place for place in PLACES if place.of is of]):
            after_id = 0
            while ids := await ids_of(db, *whose, after_id):
                for row in await privacy.found(db, place, ids):
                    yield place.table, _readable(place, row)
                after_id = ids[-1]
    for place in PLACES:
        if place.of is Of.NUMBER:
            for row in await privacy.found(db, place, *whose):
                yield place.table, _readable(place, row)


def _readable(place: Place, row: str) -> dict[str, Any]:
    """States by their names; octets with what can be read in them; hashes left out."""
    facts: dict[str, Any] = {}
    for column, value in json.loads(row).items():
        if column.endswith(("_hmac", "_hash")):
            continue
        named = _STATES.get((place.table, column))
        if named is not None:
            facts[column] = named(value).name.lower()
        elif column in _OCTETS and isinstance(value, str) and value.startswith("\\x"):
            octets = bytes.fromhex(value[2:])
            facts[column] = "".join(chr(octet) if 32 <= octet < 127 else "·" for octet in octets)
        else:
            facts[column] = value
    return facts


async def exported(db: Database, actor: Actor, whose: Whose, rows: int) -> None:
    """Somebody has it all now: that is worth a record."""
    async with changing(db, actor, "privacy.export") as change:
        change.record(whose.subject, after={**whose.told, "rows": rows})


async def erase(db: Database, actor: Actor, whose: Whose, *, progress: Callable[[int], None]) -> Erased:
    """End what waits for the number, with its refunds, and erase it everywhere else. May be done again: it goes on.

    progress: told how many rows have been erased.
    """
    rows: dict[str, int] = {}
    await _erase_page(db, actor, whose, rows, Of.NUMBER, None)  # first: campaigns send it nothing more
    ended, writing = await _end_waiting(db, actor, whose)
    while ids := await privacy.messages_of(db, *whose, left_queue=True):
        await _erase_page(db, actor, whose, rows, Of.MESSAGE, ids)
        progress(sum(rows.values()))
    while ids := await privacy.replies_of(db, *whose):
        await _erase_page(db, actor, whose, rows, Of.REPLY, ids)
        progress(sum(rows.values()))
    await _erase_page(db, actor, whose, rows, Of.NUMBER, None)  # and what came meanwhile
    return Erased(ended, writing, {table: count for table, count in rows.items() if count})


async def _end_waiting(db: Database, actor: Actor, whose: Whose) -> tuple[int, int]:
    """How many ended, and how many are being written all that time."""
    loop = asyncio.get_running_loop()
    until = loop.time() + WRITING_S
    ended = 0
    while ids := await privacy.queued(db, *whose):
        for start in range(0, len(ids), waiting.PAGE):
            which = waiting.Which(message_ids=ids[start : start + waiting.PAGE])
            async with changing(db, actor, "privacy.erase") as change:
                count, _ = await waiting.discard(change.db, which, 0)
                change.record(
                    whose.subject, after={**whose.told, "ended": count}
                ) if count else change.nothing()
            ended += count
        if loop.time() >= until:
            return ended, len(await privacy.queued(db, *whose))
        await asyncio.sleep(_LOOK_S)
    return ended, 0


async def _erase_page(
    db: Database, actor: Actor, whose: Whose, rows: dict[str, int], of: Of, ids: list[int] | None
) -> None:
    args = whose if ids is None else (ids,)
    async with changing(db, actor, "privacy.erase") as change:
        async with change.db.transaction() as tx:
            await privacy.lock_connections(tx, ids if ids is not None and of is Of.MESSAGE else [])
            counts = await privacy.erase(tx, of, *args)
        if any(counts.values()):
            change.record(whose.subject, after={**whose.told, **counts})
        else:
            change.nothing()
    for table, count in counts.items():
        rows[table] = rows.get(table, 0) + count


async def vacuum(db: Database, *, rewrite: bool) -> None:
    """Dead versions of rows leave tables, indexes and planners' statistics. Their octets stay in the free room of pages
    until something is written over them; rewrite: tables and indexes are written anew without, and nothing else can
    use a table meanwhile."""
    how = "full" if rewrite else "index_cleanup on, truncate off"
    for table in dict.fromkeys(["queue", *(place.table for place in PLACES)]):
        await db.maintain(f"vacuum ({how}, analyze) {table}")
    await db.maintain(f"vacuum ({how}) pg_statistic")
