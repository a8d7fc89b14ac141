"""The queue: claims, results, retries, and what a break leaves behind."""

from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter
from typing import NamedTuple

from pombo.store.database import Db


class Claimed(NamedTuple):
    message_id: int
    n: int  # this attempt's number, from 1
    parts: int
    parts_taken: int  # bit per part that the operator has already
    expired: bool
    number: int
    text: str
    ucs2: bool
    more: bool  # messages are due that did not fit
    claim: int  # the how manieth claim of this message
    account_id: int
    due_at: datetime
    closed: bool = False  # it may not go before its next opening (store/schedule.py)


class Line(NamedTuple):
    """The messages of one account in one class that wait for one connection, as a place in the index of them all."""

    message_class: int
    account_id: int


class Head(NamedTuple):
    """The earliest message of a line, which is due."""

    line: Line
    due_at: datetime
    message_id: int


# From line to line by one step in the index each, however many messages a line has.
_HEADS = """
with recursive head as (
    (select class, account_id, due_at, message_id from queue
     where smsc_id = $1 and state = 0 and (class, account_id) > ($2::smallint, $3::bigint) and class <= $4
     order by class, account_id, due_at, message_id limit 1)
    union all
    select next.* from head cross join lateral (
        select q.class, q.account_id, q.due_at, q.message_id from queue q
        where q.smsc_id = $1 and q.state = 0 and (q.class, q.account_id) > (head.class, head.account_id)
          and q.class <= $4
        order by q.class, q.account_id, q.due_at, q.message_id limit 1
    ) next
), page as materialized (
    select *, row_number() over () = $5 as last from head limit $5
)
select class, account_id, due_at, message_id, due_at <= now(), last from page where due_at <= now() or last
"""


async def heads(
    db: Db, smsc_id: int, after: Line, last_class: int, limit: int
) -> tuple[list[Head], Line | None]:
    """Lines that have due messages, in order, up to those of `last_class`; and the last line of this page, None when
    there are no more. limit: how many lines are looked at, those whose messages are all due later included."""
    rows = await db.fetch(_HEADS, smsc_id, *after, last_class, limit)
    last = Line(rows[-1][0], rows[-1][1]) if rows and rows[-1][5] else None
    return [Head(Line(row[0], row[1]), row[2], row[3]) for row in rows if row[4]], last


class Turn(NamedTuple):
    """An account whose turn it is, in one claim."""

    account_id: int
    most: int  # messages that it gets
    due_at: datetime  # with message_id: what it has after this message
    message_id: int  # (before it stand only the dead entries of what was claimed)


# The window of a bind counts parts, so a claim stops before the message that would not fit; the first always goes,
# or a message with more parts than the window would never leave. Its rows are `writing` once this is committed.
# The session must be open, and whoever ends it (the next owner of the connection, above all) waits for this commit:
# nothing is claimed that nobody would find again. The first messages of all accounts go before the second ones, and so on.
# What is locked is updated by its place in the table, and its message fetched one by one: by their ids the planner would
# rather read the whole queue, or all messages, when it believes them to be few (only the primary key gives the order that
# is asked for). A row that changed while it was being locked has another place, and waits for the next claim.
_CLAIM = """
with session_open as materialized (
    select from session where id = $2 and ended_at is null for key share
), picked as materialized (
    select t.place, q.rank, q.at, q.message_id, q.parts
    from unnest($5::bigint[], $6::int[], $7::timestamptz[], $8::bigint[]) with ordinality
        t(account_id, most, due_at, message_id, place)
    cross join lateral (
        select row_number() over () as rank, * from (
            select ctid as at, message_id, parts from queue
            where smsc_id = $1 and class = $4 and state = 0 and account_id = t.account_id and due_at <= now()
              and (due_at, message_id) > (t.due_at, t.message_id)
            order by due_at, message_id limit t.most
            for update skip locked
        ) of_account
    ) q
    where exists (select from session_open)
), fitting as materialized (
    select at, message_id, sum(parts) over line as running, row_number() over line as line
    from picked window line as (order by rank, place rows unbounded preceding)
)
update queue q set state = 1, session_id = $2, attempts = q.attempts + 1, claims = q.claims + 1
from fitting f cross join lateral (
    select number, coalesce(sent_body, body) as text, ucs2 from message
    where id between f.message_id and f.message_id order by id limit 1
) m
where q.ctid = f.at and (f.running <= $3 or f.line = 1)
returning f.line, q.message_id, q.attempts, q.parts, q.parts_taken, q.expires_at <= now(), m.number, m.text, m.ucs2,
          exists (select from fitting where running > $3 and line > 1), q.claims, q.account_id, q.due_at,
          coalesce(q.closes_at <= now(), false)
"""


def lock_of(smsc_id: int) -> str:
    """Begins a transaction that has the results and receipts of one connection to itself: a receipt that is judged
    while the id it speaks of is being committed would otherwise be missed by both."""
    return f"begin; select pg_advisory_xact_lock(1, {smsc_id})"


async def claim(
    db: Db, smsc_id: int, session_id: int, room: int, message_class: int, turns: Sequence[Turn]
) -> list[Claimed]:
    """Due messages of one class and these accounts, in turn, for `room` parts; committed as being written by this bind
    session. In the order in which they are to go."""
    rows = await db.fetch(
        _CLAIM, smsc_id, session_id, room, message_class, *map(list, zip(*turns, strict=True))
    )
    return [Claimed(*row[1:]) for row in sorted(rows, key=itemgetter(0))]


async def take_back(db: Db, session_id: int, known: Sequence[int]) -> None:
    """After a claim whose answer was lost: what this session claimed without knowing it waits again, as if it had not."""
    await db.execute(
        "update queue set state = 0, session_id = null, attempts = attempts - 1"
        " where session_id = $1 and state = 1 and message_id <> all($2::bigint[])",
        session_id, known,
    )  # fmt: skip


class Attempt(NamedTuple):
    """The outcome of one submit of one part."""

    message_id: int
    part: int
    n: int
    number: int
    smsc_message_id: str | None
    smsc_key: str | None
    state: int  # message.AttemptState
    status: int  # command_status
    submitted_at: datetime
    part_of_many: bool  # the message has more than this submit carries
    source_addr: str = ""  # that it was sent from
    carried: int = (
        0  # bits of the parts that went along in one piece (`message_payload`): its receipt is theirs, too
    )

    @property
    def bits(self) -> int:
        """Of all parts that it carries."""
        return self.carried | 1 << (self.part - 1)


# Receipts that came before their id are few: whether there are any is seen on the way, under the connection's lock.
_RESULTS = """
with new as materialized (
    select message_id, ($8::smallint[])[kind] as part, ($9::smallint[])[kind] as n, number, smsc_message_id, smsc_key,
           ($10::smallint[])[kind] as state, ($11::bigint[])[kind] as status, ($12::timestamptz[])[kind] as submitted_at,
           ($13::text[])[kind] as source_addr
    from unnest($4::bigint[], $5::int[], $6::bigint[], $7::text[], $3::text[])
        t(message_id, kind, number, smsc_message_id, smsc_key)
), kept as (
    insert into attempt (message_id, part, n, smsc_id, session_id, number, smsc_message_id, smsc_key, state, status,
                         submitted_at)
    select message_id, part, n, $1, $2, number, smsc_message_id, smsc_key, state, status, submitted_at from new
    {}
), gone as (
    delete from queue where message_id = any($14::bigint[])
), sent as (
    update message m set state = 1, sent_at = coalesce(m.sent_at, t.submitted_at), source_addr = t.source_addr
    from {} t where m.id = t.message_id and m.state in (0, 2)
)
select exists (select from parked_key where smsc_id = $1 and key = any($3::text[]))
"""
# An attempt that was uncertain may still be answered: a late response adds the operator's id to it.
_RESULTS_OF_ALL_KINDS = _RESULTS.format(
    """on conflict (message_id, part, n) do update
    set smsc_message_id = excluded.smsc_message_id, smsc_key = excluded.smsc_key, state = excluded.state,
        status = excluded.status
    where attempt.state = 0""",
    """(select message_id, min(submitted_at) as submitted_at, min(source_addr) as source_addr from new where state = 1
          group by message_id)""",
)
_RESULTS_PLAIN = _RESULTS.format("", "new")


async def commit_results(
    db: Db,
    smsc_id: int,
    session_id: int,
    attempts: Sequence[Attempt],
    done: Sequence[int],
    *,
    plain: bool = False,
) -> bool:
    """Keep what the operator answered. done: messages of which nothing is left to submit: they leave the queue.

    Whether receipts are parked that may speak of these ids.

    plain: each attempt is the only one here of its message, was taken, and is not stored in any state; for a fifth less
    of PostgreSQL's time. Raises asyncpg.UniqueViolationError where one is.
    """
    # Submits of one socket write agree in all but these: as in store.intake.NewMessages, the rest stands once a kind.
    kinds: dict[tuple[int, int, int, int, datetime, str], int] = {}
    of_each = [
        (
            a.message_id,
            kinds.setdefault((a.part, a.n, a.state, a.status, a.submitted_at, a.source_addr), len(kinds) + 1),
            a.number,
            a.smsc_message_id,
            a.smsc_key,
        )
        for a in attempts
    ]
    message_ids, places, numbers, ids, keys = zip(*of_each, strict=True) if of_each else ((),) * 5
    parts, ns, states, statuses, times, sources = zip(*kinds, strict=True) if kinds else ((),) * 6
    early = await db.fetchval(
        _RESULTS_PLAIN if plain else _RESULTS_OF_ALL_KINDS, smsc_id, session_id, keys, message_ids, places, numbers,
        ids, parts, ns, states, statuses, times, sources, done,
    )  # fmt: skip
    return bool(early)


async def note_carried(db: Db, parts: Sequence[tuple[int, int]]) -> None:
    """(message_id, bits): parts that went along in the submit of another one, whose receipt speaks for them, too."""
    await db.execute(
        "update message m set parts_delivered = m.parts_delivered | t.bits"
        " from unnest($1::bigint[], $2::bigint[]) t(id, bits) where m.id = t.id and m.state in (0, 1, 2)",
        [message_id for message_id, _ in parts], [bits for _, bits in parts],
    )  # fmt: skip


async def note_not_carried(db: Db, parts: Sequence[tuple[int, int]]) -> None:
    """(message_id, part): parts that were now taken by themselves, although they went along before: their own receipt
    counts, unless one has come already."""
    await db.execute(
        "update message m set parts_delivered = m.parts_delivered & ~t.bits"
        " from (select id, bit_or(1::bigint << (part - 1)) as bits from unnest($1::bigint[], $2::smallint[]) u(id, part)"
        "  where not exists (select from attempt a where a.message_id = id and a.part = u.part and a.state = 2)"
        "  group by id) t"
        " where m.id = t.id and m.state in (0, 1, 2) and m.parts_delivered & t.bits <> 0",
        [message_id for message_id, _ in parts], [part for _, part in parts],
    )  # fmt: skip


async def note_parts_taken(db: Db, parts: Sequence[tuple[int, int]]) -> None:
    """(message_id, bits): parts of long messages that need not be submitted again."""
    await db.execute(
        "update queue q set parts_taken = q.parts_taken | t.bits"
        " from (select id, bit_or(bits) as bits from unnest($1::bigint[], $2::bigint[]) u(id, bits) group by id) t"
        " where q.message_id = t.id",
        [message_id for message_id, _ in parts], [bits for _, bits in parts],
    )  # fmt: skip


async def drop_taken(db: Db, message_ids: Sequence[int]) -> None:
    """Waiting or held messages of which, after all, every part was taken: nothing to send again."""
    await db.execute(
        "delete from queue where message_id = any($1::bigint[]) and state <> 1 and parts_taken = (1::bigint << parts) - 1",
        message_ids,
    )


class Retry(NamedTuple):
    message_id: int
    claim: int  # only this one is put back: written twice (a lost answer to COMMIT), it changes nothing
    delay_s: float
    uncounted: bool  # the operator refused before it took the message: no attempt was used up
    taken: int  # bits of the parts that it did take


async def retry(db: Db, retries: Sequence[Retry]) -> None:
    """Back to waiting, unless the message has become final meanwhile or was claimed again."""
    await db.execute(
        "update queue q set state = 0, session_id = null, due_at = now() + make_interval(secs => t.delay_s),"
        " attempts = q.attempts - t.uncounted::int, parts_taken = q.parts_taken | t.taken"
        " from unnest($1::bigint[], $2::int[], $3::float8[], $4::boolean[], $5::bigint[])"
        "  t(message_id, claim, delay_s, uncounted, taken)"
        " where q.message_id = t.message_id and q.state = 1 and q.claims = t.claim",
        *map(list, zip(*retries, strict=True)),
    )


# A message is locked before its queue row, as receipts do it: the other way round they could dead-lock.
_MESSAGES_FIRST = """
locked as materialized (select id from message where id = any($1::bigint[]) order by id for no key update)
"""


async def hold(db: Db, held: Sequence[tuple[int, int]]) -> None:
    """(message_id, claim): their fate is not known, and the connection's policy is to wait for a receipt or a person."""
    await db.execute(
        f"with {_MESSAGES_FIRST}, held as ("
        "  update queue q set state = 2, session_id = null from unnest($1::bigint[], $2::int[]) t(id, claim)"
        "  where q.message_id = t.id and q.message_id = any(array(select id from locked))"
        "  and q.state = 1 and q.claims = t.claim returning q.message_id)"
        " update message set state = 2 where id = any(array(select message_id from held)) and state in (0, 1)",
        [message_id for message_id, _ in held], [claim for _, claim in held],
    )  # fmt: skip


async def release_refused(db: Db, message_ids: Sequence[int]) -> None:
    """A held message turns out to have been refused: it waits again, unless another attempt of it is not known yet."""
    await db.execute(
        f"with {_MESSAGES_FIRST}, released as (update queue q set state = 0, due_at = now()"
        "  where message_id = any(array(select id from locked)) and state = 2"
        "  and not exists (select from attempt a where a.message_id = q.message_id and a.state = 0) returning message_id)"
        " update message set state = case when sent_at is null then 0 else 1 end"
        " where id = any(array(select message_id from released)) and state = 2",
        message_ids,
    )


class Ending(NamedTuple):
    message_id: int
    claim: int  # only this one ends the message: once another node has claimed it again, that claim's answer counts
    state: int  # message.State
    error: str


async def finish(db: Db, endings: Sequence[Ending]) -> list[int]:
    """Final without a receipt. Returns those that were not final before."""
    rows = await db.fetch(
        "with mine as materialized (select q.message_id, t.state, t.error"
        "  from unnest($1::bigint[], $2::int[], $3::smallint[], $4::text[]) t(id, claim, state, error)"
        "  join queue q on q.message_id = t.id and q.state = 1 and q.claims = t.claim),"
        " ended as (update message m set state = t.state, error = t.error, final_at = now() from mine t"
        "  where m.id = t.message_id and m.state in (0, 1, 2) returning m.id),"
        " gone as (delete from queue where message_id = any(array(select message_id from mine)))"
        " select id from ended",
        *map(list, zip(*endings, strict=True)),
    )
    return [row["id"] for row in rows]


# As in `_MESSAGES_FIRST`, but what is locked is just ending in another way.
_EXPIRE = """
with overdue as materialized (
    select m.id from queue q join message m on m.id = q.message_id
    where q.message_id < $1 and q.state = 0 and q.expires_at <= now()
    order by q.message_id limit $2 for update of m skip locked
), gone as (
    delete from queue where message_id = any(array(select id from overdue)) and state = 0 and expires_at <= now()
    returning message_id
)
update message m set state = 5, error = 'EXPIRED', final_at = now()
where m.id = any(array(select message_id from gone)) and m.state in (0, 1, 2) returning m.id
"""


async def expire(db: Db, before_id: int, limit: int) -> list[int]:
    """End waiting messages whose validity is over; returns them. before_id: only those with a lower id."""
    return [row["id"] for row in await db.fetch(_EXPIRE, before_id, limit)]
