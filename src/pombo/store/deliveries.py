"""What people ask of callbacks: which there are, what became of one, and to make them again. In pages, so that a million of
them neither fill the memory nor hold locks for long. What is under way to a receiver is left alone."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg

from pombo.message import CallbackKind, CallbackState
from pombo.store.database import Db
from pombo.store.ids import lowest_at

PAGE = 5000

_FREE = "(c.leased_until is null or c.leased_until <= now())"
_CALLABLE = "exists (select from endpoint e where e.account_id = c.account_id and e.kind = c.kind)"
_AGAIN = (
    "set state = 0, attempts = 0, due_at = now(), replayed_at = now(), leased_by = null, leased_until = null"
)


class Which(NamedTuple):
    """Which callbacks; None fits all. since, until: when they were written, the second excluded."""

    account_id: int | None = None
    kind: int | None = None  # message.CallbackKind
    state: CallbackState | None = None
    since: datetime | None = None
    until: datetime | None = None
    failed_since: datetime | None = (
        None  # not confirmed, and an attempt failed, or all were given up, since then
    )

    def where(self, first: int) -> tuple[str, list[object]]:
        """Conditions on `callback c`, and the values of their parameters from `$first` on.

        Only those that are asked for: with `$1 is null or …` a partial index would be of no use.
        """
        asked = {
            "c.account_id = {}": self.account_id,
            "c.kind = {}": self.kind,
            "c.created_at >= {}": self.since,
            "c.created_at < {}": self.until,
            "(c.state = 2 and c.due_at >= {0} or c.state = 0 and c.attempts > 0 and exists ("
            "select from callback_attempt t where t.callback_id = c.id and t.at >= {0}))": self.failed_since,
        }
        given = [(condition, value) for condition, value in asked.items() if value is not None]
        conditions = [condition.format(f"${n}") for n, (condition, _) in enumerate(given, first)]
        if self.state is not None:  # written out: only then it implies the predicate of an index
            conditions.append(f"c.state = {self.state:d}")
        return " and ".join(conditions) or "true", [value for _, value in given]


_SHOWN = f"""
    c.id, c.account_id, a.name as account, c.kind, c.state, c.attempts, c.created_at, c.due_at, not {_FREE} as calling,
    c.last_status, c.last_error, coalesce(m.client_ref, i.client_ref) as client_ref,
    coalesce(nullif(m.number, 0)::text, nullif(i.source, '')) as number, m.id as message_id, i.id as mo_id
"""
_ABOUT = """
    join account a on a.id = c.account_id
    left join message m on c.kind = 1 and m.id = c.subject_id
    left join inbox i on c.kind = 2 and i.id = c.subject_id
"""


async def listed(db: Db, which: Which, limit: int) -> list[asyncpg.Record]:
    """The newest of them."""
    where, values = which.where(2)
    return await db.fetch(
        f"select {_SHOWN} from callback c {_ABOUT} where {where} order by c.id desc limit $1", limit, *values
    )


# From an account's messages and replies to their callbacks: there is an index for it, and one by account and callback would
# have to be kept up with each callback that is written.
_OF_ACCOUNT = f"""
select {_SHOWN}, c.subject_id from (
    (select c.* from message s join callback c on c.kind = 1 and c.subject_id = s.id
     where s.account_id = $1 and s.id >= $2 and s.id < $3 and (c.state = $5 or $5 is null) and $6
     order by s.id desc limit $4)
    union all
    (select c.* from inbox s join callback c on c.kind = 2 and c.subject_id = s.id
     where s.account_id = $1 and s.id >= $2 and s.id < $3 and s.received_at >= $8 and (c.state = $5 or $5 is null) and $7
     order by s.id desc limit $4)
) c {_ABOUT} order by c.subject_id desc limit $4
"""


async def of_account(
    db: Db,
    account_id: int,
    *,
    kind: CallbackKind | None,
    state: CallbackState | None,
    since: datetime,
    before: int | None,
    limit: int,
) -> list[asyncpg.Record]:
    """As `listed`, in order of what they are about (`subject_id`), the newest first. since: when that message was accepted,
    or that reply came. before: only what is about something older than this id."""
    return await db.fetch(
        _OF_ACCOUNT, account_id, lowest_at(since), 2**63 - 1 if before is None else before, limit, state,
        kind in (None, CallbackKind.DLR), kind in (None, CallbackKind.MO), since,
    )  # fmt: skip


async def one(db: Db, callback_id: int, account_id: int | None = None) -> asyncpg.Record | None:
    """As `listed`, and whether its endpoint is registered (`callable`). account_id: whose it is; None for whosever."""
    return await db.fetchrow(
        f"select {_SHOWN}, {_CALLABLE} as callable from callback c {_ABOUT}"
        " where c.id = $1 and ($2::bigint is null or c.account_id = $2)",
        callback_id,
        account_id,
    )


async def attempts(db: Db, callback_id: int) -> list[asyncpg.Record]:
    """at, url, signature, address, status, error, duration_ms, answer: in the order in which they were made."""
    return await db.fetch(
        """
        select at, url, signature, address, status, error, duration_ms, answer from callback_attempt
        where callback_id = $1 order by at
        """,
        callback_id,
    )


async def replay(db: Db, ids: Sequence[int]) -> int:
    """Makes callbacks due again, confirmed ones too, with the whole schedule ahead; returns how many.

    Left alone: those that a node is calling, and those whose account has no URL registered.
    """
    rows = await db.fetch(
        f"update callback c {_AGAIN} where c.id = any($1::bigint[]) and {_FREE} and {_CALLABLE} returning 1",
        sorted(ids),
    )
    return len(rows)


def _replayable(which: Which, first: int) -> tuple[str, list[object]]:
    """Never what was confirmed, nor what waits for its first attempt."""
    where, values = which.where(first)
    return f"{where} and (c.state = 2 or c.state = 0 and c.attempts > 0) and {_FREE} and {_CALLABLE}", values


async def count_replayable(db: Db, which: Which) -> int:
    where, values = _replayable(which, 1)
    return int(await db.fetchval(f"select count(*) from callback c where {where}", *values))


async def replay_page(db: Db, which: Which, after_id: int) -> tuple[int, int | None]:
    """As `replay`, for up to PAGE callbacks that are not confirmed; returns how many, and the id to go on after."""
    where, values = _replayable(which, 3)
    row = await db.fetchrow(
        f"""
        with page as materialized (
            select c.id from callback c where c.id > $1 and {where} order by c.id limit $2
        ), again as (
            update callback c {_AGAIN} from page where c.id = page.id and c.state <> 1 and {_FREE} returning 1
        )
        select (select count(*) from again) as replayed, (select max(id) from page) as last_id
        """,
        after_id, PAGE, *values,
    )  # fmt: skip
    assert row is not None
    return row["replayed"], row["last_id"]
