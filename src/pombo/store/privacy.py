"""Every place where something of a person is kept, and what becomes of it: the one list by which a number is exported and
erased, and texts go when their time is over.

A new table or column has its line here, or among the harmless ones of tests/store/test_privacy_places.py, which fails
where it has neither.
"""

from collections.abc import AsyncIterator, Sequence
from enum import IntEnum
from typing import NamedTuple

import asyncpg

from pombo.number import national
from pombo.store.database import Connection, Db

PAGE = 1000


class Of(IntEnum):
    """Whose rows they are. MESSAGE and REPLY are message.CallbackKind, too."""

    MESSAGE = 1  # by ids of messages
    REPLY = 2  # by ids of replies
    NUMBER = 3  # by the number itself, of one account or of all


class Place(NamedTuple):
    table: str
    columns: str  # what they hold: a number, a text, or something that quotes them
    of: Of
    rows: str  # condition. $1: ids, of MESSAGE and REPLY; else the number, and $2 the account (null: all)
    texts: str = ""  # what takes the place of texts whose time is over; '': they have none
    erased: str = ""  # what takes the place of a person who is erased; DELETE: nothing does
    only: str = ""  # condition of those that change at all


DELETE = "delete"
_ATTEMPTS_AT_CALLBACKS = (
    "callback_id = any(array(select id from callback where kind = {} and subject_id = any($1::bigint[])))"
)
_ACCOUNTS = "($2::bigint is null or account_id = $2)"
_NOBODYS = "$2::bigint is null"  # it belongs to no account yet: it goes where it goes for all
# A customer's own id of a message that is made of the number. Nobody finds the message by it afterwards.
_REF = "number <> 0 and strpos(client_ref, national_digits(number)) > 0"
_REF_OF_SOURCE = "strpos(client_ref, nullif(regexp_replace(source, '^55(?=[0-9]{10,11}$)', ''), '')) > 0"
_CALL = "url = '', signature = '', answer = ''"

# In the order in which rows are locked: attempts before messages, as receipts do it; what is found by a row before it.
PLACES = (
    Place(
        "callback_attempt", "url answer signature", Of.MESSAGE, _ATTEMPTS_AT_CALLBACKS.format(1),
        texts=_CALL, erased=_CALL, only="url <> ''",
    ),
    Place("attempt", "number", Of.MESSAGE, "message_id = any($1::bigint[])", erased="number = 0"),
    Place(
        "message_key", "client_ref", Of.MESSAGE,
        "(account_id, client_ref) in (select account_id, client_ref from message where id = any($1::bigint[]))",
        erased="client_ref = 'erased-' || message_id",
        only=f"message_id in (select id from message where id = any($1::bigint[]) and {_REF})",
    ),
    Place(
        "message", "number destination body sent_body client_ref", Of.MESSAGE, "id = any($1::bigint[])",
        texts="body = '', sent_body = null, erased_at = now()",
        erased="body = '', sent_body = null, number = 0, destination = '', erased_at = coalesce(erased_at, now()),"
        f" client_ref = case when {_REF} then 'erased-' || id else client_ref end",
    ),
    Place(
        "callback_attempt", "url answer signature", Of.REPLY, _ATTEMPTS_AT_CALLBACKS.format(2),
        texts=_CALL, erased=_CALL, only="url <> ''",
    ),
    # What tells a customer of a reply has nothing to tell any more; what tells of a message still has its state.
    Place(
        "callback", "subject_id", Of.REPLY, "kind = 2 and subject_id = any($1::bigint[])",
        erased="state = 2, last_error = 'erased', due_at = now(), leased_by = null, leased_until = null",
        only="state = 0",
    ),
    # body_hash is a hash of text and number, with no key: whoever guesses them could tell.
    Place(
        "inbox", "source body client_ref body_hash", Of.REPLY, "id = any($1::bigint[])",
        texts="body = '', body_hash = '', erased_at = now()",
        erased="body = '', body_hash = '', source = '', erased_at = coalesce(erased_at, now()), leased_until = null,"
        " read_at = coalesce(read_at, now()),"
        f" client_ref = case when {_REF_OF_SOURCE} then coalesce('erased-' || message_id, '') else client_ref end",
    ),
    Place(
        "conversation", "handset number", Of.NUMBER,
        f"(number = $1::bigint or handset = $1::bigint::text) and {_ACCOUNTS}", erased=DELETE,
    ),
    Place(
        "contact", "number name folded labels note", Of.NUMBER, f"number = $1::bigint and {_ACCOUNTS}", erased=DELETE,
    ),
    Place(
        "campaign_row", "number cells", Of.NUMBER,
        "(number = $1::bigint or (number is null and "  # not checked yet, or nobody who can be written to
        "  strpos(translate(array_to_string(cells, ' '), '+().- ', ''), national_digits($1::bigint)) > 0))"
        f" and campaign_id in (select id from campaign where {_ACCOUNTS})",
        erased="number = null, cells = array_fill(''::text, array[cardinality(cells)])",
    ),
    # A filter for this number, as it stands in a page's address.
    Place(
        "saved_view", "query name", Of.NUMBER,
        "strpos(regexp_replace(name || ' ' || query, '%[0-9A-Fa-f]{2}|[ +().-]', '', 'g'), national_digits($1::bigint)) > 0"
        f" and {_ACCOUNTS}",
        erased=DELETE,
    ),
    Place(
        "parked_receipt", "number body", Of.NUMBER,
        f"(number = $1::bigint or position(convert_to(national_digits($1), 'UTF8') in body) > 0) and {_NOBODYS}",
        erased=DELETE,
    ),
    Place(
        "reply_part", "source octets", Of.NUMBER,
        f"service_address(source) = service_address($1::bigint::text) and {_NOBODYS}", erased=DELETE,
    ),
)  # fmt: skip


async def messages_of(
    db: Db, number: int, account_id: int | None, after_id: int = 0, *, left_queue: bool = False
) -> list[int]:
    """Ids of messages to a number, in order, PAGE of them. left_queue: only those that nobody will send any more."""
    queued = "and not exists (select from queue q where q.message_id = m.id)" if left_queue else ""
    rows = await db.fetch(
        f"select id from message m where number = $1 and ($2::bigint is null or account_id = $2) and id > $3 {queued}"
        " order by id limit $4",
        number, account_id, after_id, PAGE,
    )  # fmt: skip
    return [row["id"] for row in rows]


# An index look-up for each account: none begins with the source.
_REPLIES = """
select id from (
    select i.id from account a join inbox i on i.account_id = a.id
    where i.source = $1 and ($2::bigint is null or a.id = $2) and i.id > $3
    union all
    select id from inbox where account_id is null and source = $1 and $2::bigint is null and id > $3
) i order by id limit $4
"""


async def replies_of(db: Db, number: int, account_id: int | None, after_id: int = 0) -> list[int]:
    """As `messages_of`, of replies from it."""
    rows = await db.fetch(_REPLIES, str(number), account_id, after_id, PAGE)
    return [row["id"] for row in rows]


async def queued(db: Db, number: int, account_id: int | None) -> list[int]:
    """Ids of messages to a number that are in the queue."""
    rows = await db.fetch(
        "select m.id from message m join queue q on q.message_id = m.id"
        " where m.number = $1 and ($2::bigint is null or m.account_id = $2) order by m.id",
        number, account_id,
    )  # fmt: skip
    return [row["id"] for row in rows]


async def found(db: Db, place: Place, *args: object) -> list[str]:
    """The rows of one place, each as a JSON object. args: as `Place.rows` has them."""
    rows = await db.fetch(f"select to_jsonb(t)::text from {place.table} t where {place.rows}", *args)
    return [row[0] for row in rows]


async def lock_connections(tx: Connection, message_ids: Sequence[int]) -> None:
    """Results and receipts of these messages wait until this transaction has ended (queue.lock_of)."""
    await tx.execute(
        "select pg_advisory_xact_lock(1, smsc_id) from (select distinct smsc_id from ("
        "  select smsc_id from message where id = any($1::bigint[])"
        "  union all select smsc_id from attempt where message_id = any($1::bigint[])) u order by smsc_id) s",
        message_ids,
    )


async def erase(tx: Connection, of: Of, *args: object) -> dict[str, int]:
    """The person is gone from the rows of these places; how many rows of each table. args: as `Place.rows` has them."""
    if of is not Of.NUMBER:
        await _once_more(tx, of, args[0])
    counts: dict[str, int] = {}
    for place in PLACES:
        if place.of is of and place.erased:
            counts[place.table] = counts.get(place.table, 0) + await _change(tx, place, place.erased, args)
    return counts


async def erase_texts(tx: Connection, of: Of, ids: Sequence[int]) -> None:
    """The texts of messages, or of replies, are gone."""
    await _once_more(tx, of, ids, recent=False)
    for place in PLACES:
        if place.of is of and place.texts:
            await _change(tx, place, place.texts, (ids,))


async def _change(tx: Connection, place: Place, change: str, args: Sequence[object]) -> int:
    where = f"{place.rows} and {place.only}" if place.only else place.rows
    begin = f"delete from {place.table}" if change == DELETE else f"update {place.table} set {change}"
    return int((await tx.execute(f"{begin} where {where}", *args)).rpartition(" ")[2])


# Longer than any process keeps what it has not written, while the database answers.
_ONCE_MORE_MIN = 5
_RECENT = {
    Of.MESSAGE: "(select coalesce(final_at, sent_at, accepted_at) from message where id = i)",
    Of.REPLY: "(select received_at from inbox where id = i)",
}


async def _once_more(tx: Connection, of: Of, ids: object, *, recent: bool = True) -> None:
    """Of what is just being called, or (recent) has happened within the hour, something may be written afterwards."""
    lately = f"{_RECENT[of]} > now() - interval '1 hour'" if recent else "false"
    await tx.execute(
        "insert into erased_again (kind, subject_id, due_at)"
        f" select $1, i, now() + interval '{_ONCE_MORE_MIN} minutes' from unnest($2::bigint[]) i"
        f" where {lately} or exists (select from callback c"
        "   where c.kind = $1 and c.subject_id = i and c.leased_until > now())"
        " on conflict (kind, subject_id) do update set due_at = excluded.due_at",
        int(of), ids,
    )  # fmt: skip


async def erase_again(tx: Connection, limit: int) -> int:
    """What `erase` and `erase_texts` left for later; returns how many."""
    rows = await tx.fetch(
        "delete from erased_again where (kind, subject_id) in (select kind, subject_id from erased_again"
        " where due_at <= now() order by due_at limit $1 for update skip locked) returning kind, subject_id",
        limit,
    )
    for of, nameless in (
        (Of.MESSAGE, "select id from message where id = any($1::bigint[]) and number = 0"),
        (Of.REPLY, "select id from inbox where id = any($1::bigint[]) and source = ''"),
    ):
        ids = sorted(row["subject_id"] for row in rows if row["kind"] == of)
        gone = {row["id"] for row in await tx.fetch(nameless, ids)}
        for place in PLACES:
            if place.of is of and place.table not in ("message", "inbox", "callback"):
                await _change(tx, place, place.texts or place.erased, (ids if place.texts else sorted(gone),))
    return len(rows)


async def tables(db: Db) -> list[asyncpg.Record]:
    """table, blocks (of 8 KiB): all there are."""
    return await db.fetch(
        "select relname::text as table, pg_relation_size(oid) / current_setting('block_size')::bigint as blocks"
        " from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace order by relname"
    )


_SEARCHED_BLOCKS = 2048  # in one statement: 16 MiB


async def quoting(db: Db, number: int) -> AsyncIterator[tuple[str, int, int]]:
    """(table, rows that quote the number, blocks read), a stretch at a time: every row of every table, as it stands, in
    whatever way people write the number, also within octets. And what planners have sampled, as table `pg_stats`."""
    digits = national(number)
    written = "[ ().-]{0,3}".join(digits)
    pattern = f"(^|[^0-9])(00|[+0])?(55)?[ ().-]{{0,3}}{written}($|[^0-9])|{digits.encode().hex()}"
    for table, blocks in await tables(db):
        for first in range(0, blocks, _SEARCHED_BLOCKS):
            count = await db.fetchval(
                f"select count(*) from {table} t where ctid >= format('(%s,0)', $1::bigint)::tid"
                f" and ctid < format('(%s,0)', $2::bigint)::tid and t::text ~ $3",
                first, first + _SEARCHED_BLOCKS, pattern,
            )  # fmt: skip
            yield table, int(count), min(_SEARCHED_BLOCKS, blocks - first)
    count = await db.fetchval(
        "select count(*) from pg_stats where schemaname = 'public'"
        " and (most_common_vals::text ~ $1 or histogram_bounds::text ~ $1)",
        pattern,
    )
    yield "pg_stats", int(count), 0
