"""What receipts are matched against, and what they change."""

from collections.abc import Sequence
from typing import NamedTuple

import asyncpg

from pombo.message import AttemptState, State
from pombo.store import queue
from pombo.store.database import Db

PARKED_HOURS = 72
ANSWERS_HOURS = 72  # then an attempt without an answer is given up


class AttemptKey(NamedTuple):
    message_id: int
    part: int
    n: int


class Sent(NamedTuple):
    """An attempt that a receipt may speak of."""

    message_id: int
    part: int
    n: int
    smsc_key: str
    smsc_message_id: str
    number: int

    @property
    def attempt(self) -> AttemptKey:
        return AttemptKey(self.message_id, self.part, self.n)


async def attempts_by_key(db: Db, smsc_id: int, keys: Sequence[str]) -> list[Sent]:
    """The newest first: ids come back over time."""
    rows = await db.fetch(
        "select message_id, part, n, smsc_key, smsc_message_id, number from attempt"
        " where smsc_id = $1 and smsc_key = any($2::text[])",
        smsc_id, keys,
    )  # fmt: skip
    return sorted((Sent(*row) for row in rows), reverse=True)


async def uncertain_attempts(db: Db, smsc_id: int, numbers: Sequence[int]) -> dict[int, list[AttemptKey]]:
    """Attempts at these handsets that the operator never answered."""
    rows = await db.fetch(
        "select number, message_id, part, n from attempt where smsc_id = $1 and number = any($2::bigint[])"
        " and smsc_key is null and state = 0",
        smsc_id, numbers,
    )  # fmt: skip
    found: dict[int, list[AttemptKey]] = {}
    for row in rows:
        found.setdefault(row["number"], []).append(AttemptKey(row["message_id"], row["part"], row["n"]))
    return found


class Effect(NamedTuple):
    """What one receipt does to one attempt."""

    attempt: AttemptKey
    state: int  # message.AttemptState: DELIVERED or FAILED; TAKEN: on its way, nothing final
    final_state: int  # message.State if the part has failed for good
    error: str  # of TAKEN: the operator's word, such as ENROUTE
    raw_id: str  # kept where the attempt has no id of the operator's yet
    key: str


class Applied(NamedTuple):
    final: list[int]  # messages that are final now and were not before
    took_s: list[float]  # from the submit to the final receipt, of each attempt that moved


async def apply(db: Db, effects: Sequence[Effect]) -> Applied:
    """Move attempts, then messages. At most one effect per attempt.

    Attempts that a receipt has settled already stay as they are, whatever comes later.
    """
    on_their_way = [e for e in effects if e.state == AttemptState.TAKEN]
    if on_their_way:
        await _note_interim(db, on_their_way)
        effects = [e for e in effects if e.state != AttemptState.TAKEN]
    if not effects:
        return Applied([], [])
    rows = await db.fetch(
        _APPLY,
        *_columns(effects), [e.state for e in effects], [e.error for e in effects], [e.raw_id for e in effects],
        [e.key for e in effects], [e.final_state for e in effects],
    )  # fmt: skip
    final: list[int] = rows.pop()["delivered"]
    if any(effect.state == AttemptState.FAILED for effect in effects):
        moved = {row[:3] for row in rows}
        failed = [e for e in effects if e.state == AttemptState.FAILED and e.attempt in moved]
        ended = await _failed(db, failed) if failed else []
        if ended:
            await db.execute("delete from queue where message_id = any($1::bigint[])", ended)
            final = final + ended
    return Applied(final, [row["took_s"] for row in rows])


# Attempts, the messages of those that are delivered (all parts: they are, too; some: sent at least), and what of these
# waits to be sent again. A message is locked before its queue row.
_APPLY = f"""
with moved as (
    update attempt a set state = e.state, receipt_error = e.error, receipt_at = now(),
        failed_as = case when e.state = {AttemptState.FAILED:d} then e.final_state end,
        smsc_message_id = coalesce(a.smsc_message_id, e.raw_id), smsc_key = coalesce(a.smsc_key, e.key)
    from unnest($1::bigint[], $2::smallint[], $3::smallint[], $4::smallint[], $5::text[], $6::text[], $7::text[],
                $8::smallint[]) e(message_id, part, n, state, error, raw_id, key, final_state)
    where a.message_id = e.message_id and a.part = e.part and a.n = e.n and a.state in (0, 1)
    returning a.message_id, a.part, a.n, a.state, date_part('epoch', now() - a.submitted_at) as took_s
), done as materialized (
    select message_id, bit_or(1::bigint << (part - 1)) as bits from moved
    where state = {AttemptState.DELIVERED:d} group by message_id
), reached as (
    update message m set parts_delivered = m.parts_delivered | d.bits, sent_at = coalesce(m.sent_at, now()),
        state = case when m.parts_delivered | d.bits = (1::bigint << m.parts) - 1 then {State.DELIVERED:d}
                     when m.state = {State.UNCERTAIN:d} then {State.UNCERTAIN:d} else {State.SUBMITTED:d} end,
        final_at = case when m.parts_delivered | d.bits = (1::bigint << m.parts) - 1 then now() end
    from done d where m.id = d.message_id and m.state in (0, 1, 2) returning m.id, m.state
), gone as (
    delete from queue where message_id = any(array(select id from reached where state = {State.DELIVERED:d}))
)
select message_id, part, n, took_s, null::bigint[] as delivered from moved
union all select null, null, null, null, array(select id from reached where state = {State.DELIVERED:d})
"""


def _columns(effects: Sequence[Effect]) -> tuple[list[int], list[int], list[int]]:
    """message_id, part, n."""
    return (
        [e.attempt.message_id for e in effects],
        [e.attempt.part for e in effects],
        [e.attempt.n for e in effects],
    )


async def _note_interim(db: Db, effects: Sequence[Effect]) -> None:
    """What the operator says of an attempt on its way, which it therefore has taken, answered or not."""
    await db.execute(
        "update attempt a set state = 1, interim = e.word, interim_at = now(),"
        " smsc_message_id = coalesce(a.smsc_message_id, e.raw_id), smsc_key = coalesce(a.smsc_key, e.key)"
        " from unnest($1::bigint[], $2::smallint[], $3::smallint[], $4::text[], $5::text[], $6::text[])"
        "  e(message_id, part, n, word, raw_id, key)"
        " where a.message_id = e.message_id and a.part = e.part and a.n = e.n and a.state in (0, 1)",
        *_columns(effects), [e.error for e in effects], [e.raw_id for e in effects], [e.key for e in effects],
    )  # fmt: skip


async def note_taken(db: Db, effects: Sequence[Effect]) -> None:
    """The operator has these parts, although it never answered their submits: they are not submitted again.

    A held message is submitted now, unless other parts of it are held still. The message goes before its queue row, as
    everywhere.
    """
    bits = await _carried(db, effects)
    for effect in effects:
        bits[effect.attempt.message_id] = bits.get(effect.attempt.message_id, 0) | 1 << (
            effect.attempt.part - 1
        )
    await db.execute(
        "update message m set sent_at = coalesce(m.sent_at, now()), state = case when m.state = 2 and exists ("
        "  select from queue q where q.message_id = m.id and q.state = 2"
        "  and (q.parts_taken | t.bits) <> (1::bigint << q.parts) - 1) then 2 else 1 end"
        " from unnest($1::bigint[], $2::bigint[]) t(id, bits) where m.id = t.id and m.state in (0, 2)",
        list(bits), list(bits.values()),
    )  # fmt: skip
    await queue.note_parts_taken(db, list(bits.items()))
    await queue.drop_taken(db, list(bits))


async def _carried(db: Db, effects: Sequence[Effect]) -> dict[int, int]:
    """By message, the parts that went along in one piece (`queue.note_carried`) with these attempts."""
    first = [effect.attempt for effect in effects if effect.attempt.part == 1]
    rows = await db.fetch(
        "select m.id, m.parts_delivered from unnest($1::bigint[], $2::smallint[]) t(id, n) join message m on m.id = t.id"
        " where m.parts_delivered <> 0 and not exists ("
        "  select from attempt o where o.message_id = t.id and o.part > 1 and o.n = t.n)",
        [attempt.message_id for attempt in first], [attempt.n for attempt in first],
    )  # fmt: skip
    return {row["id"]: row["parts_delivered"] for row in rows}


# Delivered, or a receipt may still come: one that was never answered stays open for 72 h (see `give_up`).
_OPEN = "(o.state in (1, 2) or (o.state = 0 and o.smsc_key is null))"


async def _failed(db: Db, effects: Sequence[Effect]) -> list[int]:
    """One part failed for good fails the message: no other attempt at it is open, none delivered it, none will follow."""
    rows = await db.fetch(
        "update message m set state = f.state, error = f.error, final_at = now(), sent_at = coalesce(m.sent_at, now())"
        " from unnest($1::bigint[], $2::smallint[], $3::smallint[], $4::text[]) f(id, part, state, error)"
        " where m.id = f.id and m.state in (0, 1, 2)"
        f" and not exists (select from attempt o where o.message_id = f.id and o.part = f.part and {_OPEN})"
        " and not exists (select from queue q where q.message_id = f.id and q.state <> 2"
        "  and (q.parts_taken >> (f.part - 1)) & 1 = 0)"
        " returning m.id",
        [e.attempt.message_id for e in effects],
        [e.attempt.part for e in effects],
        [e.final_state for e in effects],
        [e.error for e in effects],
    )
    return list({row["id"] for row in rows})


async def unanswered_long_ago(db: Db, smsc_id: int) -> bool:
    """Whether there is anything for `give_up`."""
    return bool(
        await db.fetchval(
            "select exists (select from attempt where smsc_id = $1 and smsc_key is null"
            f" and submitted_at < now() - interval '{ANSWERS_HOURS} hours')",
            smsc_id,
        )
    )


async def give_up(db: Db, smsc_id: int, limit: int) -> tuple[int, list[int]]:
    """Expect no id and no receipt any more for attempts without an answer for 72 h; returns how many they were, and
    the messages that are final now.

    Where a receipt has failed another attempt at the same part, and only such an attempt kept it open, the message ends
    as that receipt says. A message of which nothing else is known stays as it is: its operator may send no receipts.
    """
    rows = await db.fetch(
        "update attempt set smsc_key = '' where (message_id, part, n) in (select message_id, part, n from attempt"
        f"  where smsc_id = $1 and smsc_key is null and submitted_at < now() - interval '{ANSWERS_HOURS} hours'"
        "  order by submitted_at limit $2) returning message_id, part, state",
        smsc_id, limit,
    )  # fmt: skip
    parts = {(row["message_id"], row["part"]) for row in rows if row["state"] == 0}
    if not parts:
        return len(rows), []
    failed = await db.fetch(
        "select distinct on (a.message_id) a.message_id, a.part, a.receipt_error, a.failed_as"
        " from unnest($1::bigint[], $2::smallint[]) p(message_id, part) join attempt a using (message_id, part)"
        " where a.state = 3 order by a.message_id, a.n desc",
        [message_id for message_id, _ in parts], [part for _, part in parts],
    )  # fmt: skip
    effects = [
        Effect(
            AttemptKey(row["message_id"], row["part"], 0), 3, row["failed_as"], row["receipt_error"], "", ""
        )
        for row in failed
    ]
    final = await _failed(db, effects) if effects else []
    if final:
        await db.execute("delete from queue where message_id = any($1::bigint[])", final)
    return len(rows), final


class Parked(NamedTuple):
    """A receipt to keep until its attempt is known."""

    raw_id: str
    keys: Sequence[str]  # every form in which its attempt may be stored
    command_id: int
    body: bytes  # msgpack
    number: int | None = None  # the handset, where it carries one


_OLD = "received_at < now() - interval '5 minutes'"  # longer than any response takes
_PARKED = f"id, command_id, body, received_at, {_OLD} as old"


async def park(db: Db, smsc_id: int, receipts: Sequence[Parked]) -> None:
    """The same PDU again is the same receipt: they are kept once."""
    rows = await db.fetch(
        "insert into parked_receipt (smsc_id, raw_id, number, command_id, body)"
        " select $1, t.* from unnest($2::text[], $3::bigint[], $4::bigint[], $5::bytea[])"
        "  t(raw_id, number, command_id, body) on conflict do nothing returning id, body",
        smsc_id, [r.raw_id for r in receipts], [r.number for r in receipts],
        [r.command_id for r in receipts], [r.body for r in receipts],
    )  # fmt: skip
    ids = {row["body"]: row["id"] for row in rows}
    pairs = {(key, ids[r.body]) for r in receipts if r.body in ids for key in r.keys}
    if pairs:
        await db.execute(
            "insert into parked_key (smsc_id, key, parked_receipt_id)"
            " select $1, t.key, t.id from unnest($2::text[], $3::bigint[]) t(key, id)",
            smsc_id, [key for key, _ in pairs], [parked_id for _, parked_id in pairs],
        )  # fmt: skip


async def parked_for(db: Db, smsc_id: int, keys: Sequence[str]) -> list[asyncpg.Record]:
    """Parked receipts (id, command_id, body, received_at, old) that may speak of attempts with these keys; oldest first."""
    return await db.fetch(
        f"select {_PARKED} from parked_receipt where id = any(array("
        " select parked_receipt_id from parked_key where smsc_id = $1 and key = any($2::text[]))) order by id",
        smsc_id, keys,
    )  # fmt: skip


async def parked_page(db: Db, smsc_id: int, after_id: int, limit: int) -> list[int]:
    """Parked receipts of a connection for which some attempt has an id that may be theirs, or whose handset has an
    attempt that was never answered; in order, a page at a time. It looks at all that are parked: not under a lock."""
    rows = await db.fetch(
        " select p.id from parked_receipt p where p.smsc_id = $1 and p.id > $2 and exists ("
        "  select from parked_key k join attempt a on a.smsc_id = k.smsc_id and a.smsc_key = k.key"
        "  where k.parked_receipt_id = p.id)"
        " union select p.id from parked_receipt p where p.smsc_id = $1 and p.id > $2 and exists ("
        "  select from attempt u where u.smsc_id = p.smsc_id and u.number = p.number and u.smsc_key is null"
        "  and u.state = 0)"
        " order by id limit $3",
        smsc_id, after_id, limit,
    )  # fmt: skip
    return [row["id"] for row in rows]


async def parked_for_unanswered(db: Db, smsc_id: int, limit: int) -> list[int]:
    """Parked receipts whose handset has an attempt that was given up as unanswered in the last ten minutes."""
    rows = await db.fetch(
        "select p.id from attempt u join parked_receipt p on p.smsc_id = u.smsc_id and p.number = u.number"
        " where u.smsc_id = $1 and u.smsc_key is null and u.state = 0"
        "  and u.submitted_at > now() - interval '10 minutes' limit $2",
        smsc_id, limit,
    )  # fmt: skip
    return [row["id"] for row in rows]


async def parked_by_id(db: Db, smsc_id: int, ids: Sequence[int]) -> list[asyncpg.Record]:
    return await db.fetch(
        f"select {_PARKED} from parked_receipt where smsc_id = $1 and id = any($2::bigint[]) order by id",
        smsc_id,
        ids,
    )


async def being_written(db: Db, smsc_id: int) -> set[int]:
    """Handsets to which a submit over this connection may be on its way: none of it goes out uncommitted."""
    rows = await db.fetch(
        "select m.number from queue q join message m on m.id = q.message_id where q.state = 1 and q.smsc_id = $1",
        smsc_id,
    )
    return {row["number"] for row in rows}


async def unpark(db: Db, ids: Sequence[int]) -> None:
    await db.execute("delete from parked_receipt where id = any($1::bigint[])", ids)


async def drop_old_parked(db: Db) -> int:
    """Those that have waited for 72 h; returns how many."""
    rows = await db.fetch(
        f"delete from parked_receipt where received_at < now() - interval '{PARKED_HOURS} hours' returning 1"
    )
    return len(rows)
