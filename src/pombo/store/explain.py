"""What operators ask: one message's whole life, and how the platform stands. Planned for people, not for load."""

from collections.abc import Sequence
from typing import NamedTuple

import asyncpg

from pombo.errors import PomboError
from pombo.message import AttemptState, CallbackKind
from pombo.store.database import Db

_BIGINT_MAX = 2**63 - 1


async def messages_by_id(db: Db, given: str, account_id: int | None) -> list[asyncpg.Record]:
    """Messages with this client id, of any account or of one; where there is none, the one with this message id.

    `state` is null where only the key is kept, to keep its client id from being used again.
    """
    by_ref = await db.fetch(
        f"""
        select {_MESSAGE} from account a join message_key k on k.account_id = a.id and k.client_ref = $1
        left join message m on m.id = k.message_id left join smsc s on s.id = m.smsc_id
        where $2::bigint is null or a.id = $2 order by a.id
        """,
        given, account_id,
    )  # fmt: skip
    if by_ref or not (given.isascii() and given.isdigit() and int(given) <= _BIGINT_MAX):
        return by_ref
    return await db.fetch(
        f"""
        select {_MESSAGE} from message m join account a on a.id = m.account_id
        left join message_key k on k.account_id = m.account_id and k.client_ref = m.client_ref
        left join smsc s on s.id = m.smsc_id
        where m.id = $1 and ($2::bigint is null or a.id = $2)
        """,
        int(given), account_id,
    )  # fmt: skip


async def message_of(db: Db, account_id: int, message_id: int) -> asyncpg.Record | None:
    """The message with our id, where it is this account's."""
    return await db.fetchrow(
        f"""
        select {_MESSAGE} from message m join account a on a.id = m.account_id
        left join message_key k on k.account_id = m.account_id and k.client_ref = m.client_ref
        left join smsc s on s.id = m.smsc_id where m.id = $1 and m.account_id = $2
        """,
        message_id, account_id,
    )  # fmt: skip


async def one_message(db: Db, given: str, account_id: int | None) -> asyncpg.Record:
    """The one that `messages_by_id` finds. Raises PomboError where there is none, or several, or only its key."""
    rows = await messages_by_id(db, given, account_id)
    if not rows:
        raise PomboError(f"No message has the id {given!r}.")
    if len(rows) > 1:
        names = ", ".join(row["account_name"] for row in rows)
        raise PomboError(f"Several accounts used the id {given!r}: {names}. Say which with --account.")
    if rows[0]["state"] is None:
        raise PomboError(
            f"The message with the id {given!r} is no longer kept; its id stays used for 400 days."
        )
    return rows[0]


_MESSAGE = """
    coalesce(m.id, k.message_id) as id, a.id as account_id, a.name as account_name, a.time_zone,
    coalesce(m.client_ref, k.client_ref) as client_ref, m.destination, m.number, m.body, m.sent_body, m.ucs2, m.parts,
    m.price_milli, m.refunded_milli,
    m.state, m.smsc_id, s.name as smsc, m.error, coalesce(m.accepted_at, k.accepted_at) as accepted_at,
    m.sent_at, m.final_at, m.scheduled_at, m.class, m.source_addr, m.erased_at, s.long_mode, m.token_id,
    (select coalesce(nullif(t.name, ''), t.prefix || '…') from token t where t.id = m.token_id) as token
"""


class Life(NamedTuple):
    """What is known of one message, beside its own row."""

    queue: asyncpg.Record | None
    attempts: list[asyncpg.Record]
    parked_receipts: list[asyncpg.Record]
    replies: list[asyncpg.Record]
    callbacks: list[tuple[CallbackKind, asyncpg.Record]]


async def life(db: Db, row: asyncpg.Record) -> Life:
    """row: as `one_message` and `message_of` give it."""
    answers = await replies(db, row["account_id"], row["id"])
    about = ((CallbackKind.DLR, [row["id"]]), (CallbackKind.MO, [reply["id"] for reply in answers]))
    return Life(
        await queue_row(db, row["id"]),
        await attempts(db, row["id"]),
        await parked_receipts(db, row["id"]),
        answers,
        [(kind, callback) for kind, ids in about for callback in await callbacks(db, kind, ids)],
    )


async def queue_row(db: Db, message_id: int) -> asyncpg.Record | None:
    """Where the message stands in the queue; None once nothing of it is left to submit."""
    return await db.fetchrow(
        """
        select state, due_at, expires_at, attempts, parts_taken, opens_at, closes_at, opens_at > now() as waits_to_open,
               held_for
        from queue where message_id = $1
        """,
        message_id,
    )


async def attempts(db: Db, message_id: int) -> list[asyncpg.Record]:
    """Every submit of every part whose outcome is known, or known to be unknown; in order."""
    return await db.fetch(
        """
        select t.n, t.part, t.state, t.status, t.smsc_message_id, t.receipt_error, t.submitted_at, t.receipt_at,
               t.interim, t.interim_at, t.smsc_id, s.name as smsc
        from attempt t left join smsc s on s.id = t.smsc_id where t.message_id = $1 order by t.n, t.part
        """,
        message_id,
    )


async def parked_receipts(db: Db, message_id: int) -> list[asyncpg.Record]:
    """Receipts kept aside that may speak of this message, for example because their id could mean two."""
    return await db.fetch(
        """
        select distinct r.id, r.raw_id, r.received_at from attempt t
        join parked_key k on k.smsc_id = t.smsc_id and k.key = t.smsc_key
        join parked_receipt r on r.id = k.parked_receipt_id where t.message_id = $1 order by r.id
        """,
        message_id,
    )


async def replies(db: Db, account_id: int, message_id: int) -> list[asyncpg.Record]:
    """Replies that answer this message. They come after it (by another clock, so with an hour to spare): that bounds
    the part of the index that is read."""
    return await db.fetch(
        """
        select i.id, i.body, i.received_at, i.read_at, i.erased_at from inbox i
        where i.account_id = $1 and i.message_id = $2
          and i.received_at >= (select accepted_at - interval '1 hour' from message where id = $2)
        order by i.received_at, i.id
        """,
        account_id, message_id,
    )  # fmt: skip


async def callbacks(db: Db, kind: CallbackKind, subject_ids: Sequence[int]) -> list[asyncpg.Record]:
    """Callbacks about a message (DLR) or about replies (MO), by their ids."""
    return await db.fetch(
        """
        select id, subject_id, state, attempts, due_at, last_status, last_error, created_at from callback
        where kind = $1 and subject_id = any($2::bigint[]) order by id
        """,
        kind, subject_ids,
    )  # fmt: skip


async def connections(db: Db) -> list[asyncpg.Record]:
    """Per operator connection: who serves it, whether it is bound, and what it left unanswered.

    bound: binds that the operator has taken and that stand, of its owner while the lease is valid. binds: that there
    should be. node: the number of the one that serves it; null while none does.
    unanswered: parts that were written and never answered, while a receipt may still come for them.
    """
    return await db.fetch(
        f"""
        select s.id as smsc, s.name, s.wanted, coalesce(b.bound, 0) as bound, b.bound_at,
               s.binds * case s.bind_mode when 'pair' then 2 else 1 end as binds, l.down_since, n.number as node,
               (select count(*) from attempt a
                where a.smsc_id = s.id and a.smsc_key is null and a.state = {AttemptState.UNCERTAIN:d}) as unanswered
        from smsc s
        left join link l on l.smsc_id = s.id
        left join lease o on o.smsc_id = s.id and o.lease_until > now()
        left join node n on n.holder = o.holder
        left join (
            select e.smsc_id, count(*) as bound, max(e.bound_at) as bound_at from session e
            join lease o on o.smsc_id = e.smsc_id and o.holder = e.holder and o.lease_until > now()
            where e.ended_at is null and e.bound_at is not null group by e.smsc_id
        ) b on b.smsc_id = s.id
        order by s.id
        """
    )


async def running_nodes(db: Db) -> list[asyncpg.Record]:
    """number, roles: of those that run, or ended without a word less than half a minute ago."""
    return await db.fetch("select number, roles from node where lease_until > now() order by number")


async def database(db: Db) -> asyncpg.Record:
    """version, size_octets, migrations (names in order)."""
    row = await db.fetchrow(
        """
        select current_setting('server_version') as version, pg_database_size(current_database()) as size_octets,
               (select array_agg(lpad(number::text, 4, '0') || '_' || name order by number) from migration) as migrations
        """
    )
    assert row is not None
    return row
