"""An account's messages as people list them: newest first, filtered, page by page.

Pages go by id, which is the order of acceptance to within the clocks of the nodes. Ids are not in commit order: a message
whose commit took its time may come to stand on a page that was shown already, so what must miss none does not read this.

A filter that few messages fit must not read a million of them in one go: each page looks at LOOKED messages at the most,
and says where to go on when it has not come to the end.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import asyncpg

from pombo.message import CallbackKind, State
from pombo.store.database import Db
from pombo.store.ids import lowest_at

LOOKED = 100_000  # messages that one page looks at; measured: 80 ms where none fits
COUNTED = 100_000  # messages that are counted at the most
_APART = timedelta(hours=1)  # that an id and its time of acceptance may be
_NONE_BELOW = 2**63 - 1


class Which(NamedTuple):
    """Which messages of an account. None, "" and () fit all. since, until: when accepted, the second excluded."""

    account_id: int
    since: datetime
    until: datetime
    states: Sequence[State] = ()
    smsc_id: int | None = None
    message_class: int | None = None  # message.MessageClass
    sent_before: datetime | None = None
    number: int | None = None
    client_ref: str = ""
    ref_prefix: str = ""  # what the customer's id begins with: all messages of a campaign
    token_id: int | None = None  # that it came with; 0: none, a person sent it
    text: str = ""  # a piece of what was typed or sent, in capitals or not
    message_ids: Sequence[int] = ()

    def found(self, first: int) -> tuple[str, list[object]]:
        """What an index finds; and the values of its parameters, from `$first` on."""
        found = {
            "m.account_id = {}": self.account_id,
            "m.id >= {}": lowest_at(self.since - _APART),
            "m.id < {}": lowest_at(self.until + _APART),
            "m.number = {}": self.number,
            f"m.id = (select message_id from message_key where account_id = ${first} and client_ref = {{}})": (
                self.client_ref or None
            ),
            "m.id = any({}::bigint[])": list(self.message_ids) or None,
        }
        return _conditions(found, first)

    def asked(self, first: int) -> tuple[str, list[object]]:
        """What each row that was found is asked; and the values of its parameters, from `$first` on."""
        asked = {
            "m.accepted_at >= {}": self.since,
            "m.accepted_at < {}": self.until,
            "m.state = any({}::smallint[])": [int(state) for state in self.states] or None,
            "m.smsc_id = {}": self.smsc_id,
            "m.class = {}": self.message_class,
            "coalesce(m.token_id, 0) = {}": self.token_id,
            "m.sent_at < {}": self.sent_before,
            "starts_with(m.client_ref, {})": self.ref_prefix or None,
            "(m.body ilike {0} or m.sent_body ilike {0})": _piece(self.text) if self.text else None,
        }
        return _conditions(asked, first)


def _conditions(asked: Mapping[str, object], first: int) -> tuple[str, list[object]]:
    given = [(condition, value) for condition, value in asked.items() if value is not None]
    conditions = [condition.format(f"${n}") for n, (condition, _) in enumerate(given, first)]
    return " and ".join(conditions), [value for _, value in given]


def _piece(text: str) -> str:
    for special in ("\\", "%", "_"):
        text = text.replace(special, f"\\{special}")
    return f"%{text}%"


class Page(NamedTuple):
    rows: list[asyncpg.Record]  # newest first
    before_id: int | None  # the next page begins below this id; None: this was the last
    looked_until: (
        datetime | None
    )  # it stopped looking here, with fewer rows than asked for, and there may be more


_LISTED = """
    m.id, m.client_ref, m.destination, m.number, m.body, m.sent_body, m.ucs2, m.parts, m.price_milli, m.refunded_milli,
    m.state, m.error, m.class, m.smsc_id, s.name as smsc, m.accepted_at, m.sent_at, m.final_at, m.scheduled_at,
    q.state as queue_state, q.held_for, case when q.opens_at > now() then q.opens_at end as opens_at
"""


async def page(db: Db, which: Which, before_id: int | None, limit: int, looked: int = LOOKED) -> Page:
    """The messages below this id (None: the newest ones)."""
    found, values = which.found(3)
    asked, more = which.asked(4 + len(values))
    seen = f"from message m where {found} and m.id < $1 order by m.id desc"
    below = _NONE_BELOW if before_id is None else before_id
    rows = await db.fetch(
        f"select {_LISTED} from (select m.* {seen} limit $2) m left join smsc s on s.id = m.smsc_id"
        f" left join queue q on q.message_id = m.id where {asked}"
        f" order by m.id desc limit ${3 + len(values)}",
        below, looked, *values, limit + 1, *more,
    )  # fmt: skip
    if len(rows) > limit:
        return Page(rows[:limit], rows[limit - 1]["id"], None)
    last = await db.fetchrow(
        f"select m.id, m.accepted_at {seen} offset $2 limit 1", below, looked - 1, *values
    )
    return Page(rows, None, None) if last is None else Page(rows, last["id"], last["accepted_at"])


class Count(NamedTuple):
    messages: int
    parts: int
    cost_milli: int  # what was given back is taken off
    whole: bool  # False: there may be more, which nobody counted


async def count(db: Db, which: Which) -> Count:
    """Of the newest COUNTED of the period, how many fit."""
    found, values = which.found(2)
    asked, more = which.asked(2 + len(values))
    row = await db.fetchrow(
        "select count(*) as looked, count(*) filter (where fits) as messages,"
        " coalesce(sum(parts) filter (where fits), 0)::bigint as parts,"
        " coalesce(sum(price_milli - coalesce(refunded_milli, 0)) filter (where fits), 0)::bigint as cost_milli"
        f" from (select parts, price_milli, refunded_milli, {asked} as fits"
        f"  from message m where {found} order by m.id desc limit $1) m",
        COUNTED + 1, *values, *more,
    )  # fmt: skip
    assert row is not None
    return Count(row["messages"], row["parts"], row["cost_milli"], row["looked"] <= COUNTED)


async def pages(db: Db, which: Which, limit: int) -> AsyncIterator[list[asyncpg.Record]]:
    """All of them, newest first, in pages of this many at the most: what leaves us, such as an export, reads this."""
    before_id: int | None = None
    while True:
        found = await page(db, which, before_id, limit)
        if found.rows:
            yield found.rows
        before_id = found.before_id
        if before_id is None:
            return


async def callbacks(db: Db, account_id: int, message_ids: Sequence[int]) -> dict[int, asyncpg.Record]:
    """The latest DLR callback about each of these messages: state, attempts, last_status, last_error."""
    rows = await db.fetch(
        "select distinct on (subject_id) subject_id, id, state, attempts, last_status, last_error from callback"
        f" where kind = {CallbackKind.DLR:d} and subject_id = any($2::bigint[]) and account_id = $1"
        " order by subject_id, id desc",
        account_id, message_ids,
    )  # fmt: skip
    return {row["subject_id"]: row for row in rows}


async def newer(db: Db, which: Which, after_id: int, limit: int) -> int:
    """How many that fit have an id above this one; `limit` stands for as many or more."""
    found, values = which.found(3)
    asked, more = which.asked(3 + len(values))
    count = await db.fetchval(
        f"select count(*) from (select from message m where {found} and {asked} and m.id > $1 limit $2) m",
        after_id, limit, *values, *more,
    )  # fmt: skip
    return int(count)


async def connections(db: Db, account_id: int) -> list[asyncpg.Record]:
    """id, name: of those that its newest 10,000 messages went over, or are to go over."""
    return await db.fetch(
        "select s.id, s.name from smsc s where s.id in ("
        " select smsc_id from (select smsc_id from message where account_id = $1 order by id desc limit 10000) m"
        ") order by s.name",
        account_id,
    )


async def is_client_ref(db: Db, account_id: int, client_ref: str) -> bool:
    """Whether the account used this id for a message."""
    sql = "select exists (select from message_key where account_id = $1 and client_ref = $2)"
    return bool(await db.fetchval(sql, account_id, client_ref))


async def ids_of_refs(db: Db, account_id: int, client_refs: Sequence[str]) -> dict[str, int]:
    """Our ids of the account's messages with these ids of its own."""
    rows = await db.fetch(
        "select client_ref, message_id from message_key where account_id = $1 and client_ref = any($2::text[])",
        account_id, client_refs,
    )  # fmt: skip
    return {row["client_ref"]: row["message_id"] for row in rows}
