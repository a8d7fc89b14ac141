"""The ledger: every change of a balance, append-only. The sum of an account's entries is its balance.

Charges are booked by the intake, refunds by store/endings.py; recharges and adjustments here.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple

import asyncpg

from pombo.errors import PomboError
from pombo.store.database import Connection, Database, Db


class Booked(NamedTuple):
    entry_id: int
    balance_milli: int  # now
    again: bool  # it had been booked before under this reference; nothing was booked now


async def book(
    db: Database,
    account_id: int,
    kind: Literal["recharge", "adjustment"],
    amount_milli: int,
    *,
    note: str = "",
    reference: str | None = None,
) -> Booked:
    """A recharge or an adjustment, once for each reference of the account.

    Raises PomboError when the account may not owe so much, and when the reference stands for another booking.
    """
    try:
        async with db.transaction() as tx:
            # Whoever books under the same reference waits here, and then finds it.
            await tx.execute("select from account where id = $1 for no key update", account_id)
            before = await tx.fetchrow(
                "select id, kind, amount_milli from ledger where account_id = $1 and reference = $2",
                account_id, reference,
            )  # fmt: skip
            if before is not None:
                if (before["kind"], before["amount_milli"]) != (kind, amount_milli):
                    raise PomboError(
                        f"The reference {reference!r} stands for another booking of this account."
                    )
                return Booked(before["id"], await _balance(tx, account_id), True)
            balance_milli = await tx.fetchval(
                "update account set balance_milli = balance_milli + $2 where id = $1 returning balance_milli",
                account_id, amount_milli,
            )  # fmt: skip
            entry_id = await tx.fetchval(
                "insert into ledger (account_id, kind, amount_milli, note, reference) values ($1, $2, $3, $4, $5)"
                " returning id",
                account_id, kind, amount_milli, note, reference,
            )  # fmt: skip
            await end_low_balance(tx, account_id)
            return Booked(entry_id, balance_milli, False)
    except asyncpg.CheckViolationError:
        raise PomboError("The account may not owe so much: raise its limit, or take off less.") from None
    except asyncpg.NumericValueOutOfRangeError:
        raise PomboError("The balance would be too large.") from None


async def _balance(db: Db, account_id: int) -> int:
    return int(await db.fetchval("select balance_milli from account where id = $1", account_id))


async def end_low_balance(tx: Connection, account_id: int) -> None:
    """The notice of a low balance is over, if the balance is not low any more: the next one counts anew."""
    await tx.execute(
        "update notice n set ended_at = now() from account a where n.account_id = $1 and a.id = n.account_id"
        " and n.kind = 'balance_low' and n.ended_at is null and a.available_milli >= a.low_balance_milli",
        account_id,
    )


class Entry(NamedTuple):
    id: int
    at: datetime
    kind: str  # 'recharge', 'charge', 'refund' or 'adjustment'
    amount_milli: int
    messages: int
    note: str
    reference: str | None
    balance_milli: int  # after it


async def statement(
    db: Db, account_id: int, since: datetime | None, until: datetime | None, limit: int
) -> tuple[int, list[Entry]]:
    """The balance before `since`, and the entries from then until before `until`: the newest ones, oldest first."""
    rows = await db.fetch(
        "with before as (select coalesce(sum(amount_milli), 0)::bigint as milli from ledger"
        "  where account_id = $1 and at < $2),"
        " entries as (select id, at, kind, amount_milli, messages, note, reference, (select milli from before)"
        "  + (sum(amount_milli) over (order by at, id))::bigint as balance_milli from ledger"
        "  where account_id = $1 and ($2::timestamptz is null or at >= $2) and ($3::timestamptz is null or at < $3))"
        " select (select milli from before) as opening_milli, e.* from (select) one"
        " left join lateral (select * from entries order by at desc, id desc limit $4) e on true order by e.at, e.id",
        account_id, since, until, limit,
    )  # fmt: skip
    return rows[0]["opening_milli"], [Entry(*row[1:]) for row in rows if row["id"] is not None]


class Day(NamedTuple):
    day: str  # YYYY-MM-DD in the account's time zone
    messages: int  # charged
    charged_milli: int  # what the messages cost, before refunds
    refunded_milli: int
    booked_milli: int  # recharges and adjustments
    balance_milli: int  # at its end


async def days(db: Db, account_id: int, since: datetime | None, until: datetime | None) -> list[Day]:
    """Totals of each day with entries, oldest first."""
    rows = await db.fetch(
        "with before as (select coalesce(sum(amount_milli), 0)::bigint as milli from ledger"
        "  where account_id = $1 and at < $2),"
        " days as (select (l.at at time zone a.time_zone)::date as day,"
        "  coalesce(sum(l.messages) filter (where l.kind = 'charge'), 0)::bigint as messages,"
        "  coalesce(-sum(l.amount_milli) filter (where l.kind = 'charge'), 0)::bigint as charged,"
        "  coalesce(sum(l.amount_milli) filter (where l.kind = 'refund'), 0)::bigint as refunded,"
        "  coalesce(sum(l.amount_milli) filter (where l.kind in ('recharge', 'adjustment')), 0)::bigint as booked,"
        "  sum(l.amount_milli)::bigint as change"
        "  from ledger l join account a on a.id = l.account_id where l.account_id = $1"
        "   and ($2::timestamptz is null or l.at >= $2) and ($3::timestamptz is null or l.at < $3) group by 1)"
        " select day::text, messages, charged, refunded, booked,"
        "  (select milli from before) + (sum(change) over (order by day))::bigint from days order by day",
        account_id, since, until,
    )  # fmt: skip
    return [Day(*row) for row in rows]


async def faults(db: Db, account_ids: Sequence[int] | None = None) -> list[str]:
    """What is wrong with the books, a sentence each; on a live system, too, for it is one look at one moment.

    Each balance is the sum of its ledger; messages were refunded no more than the ledger gave back, and none that was
    delivered or has not ended. (The database itself holds that a message is refunded no more than its price.)
    """
    rows = await db.fetch(
        "select a.name, a.balance_milli, coalesce(l.milli, 0)::bigint as booked, coalesce(l.refunds, 0)::bigint as refunds,"
        "  coalesce(m.refunded, 0)::bigint as refunded, coalesce(m.undue, 0) as undue from account a"
        " left join (select account_id, sum(amount_milli) as milli,"
        "   sum(amount_milli) filter (where kind = 'refund') as refunds"
        "  from ledger group by account_id) l on l.account_id = a.id"
        " left join (select account_id, sum(refunded_milli) as refunded,"
        "   count(*) filter (where state in (0, 1, 2, 3)) as undue"
        "  from message where refunded_milli is not null group by account_id) m on m.account_id = a.id"
        " where $1::bigint[] is null or a.id = any($1) order by a.id",
        account_ids,
    )  # fmt: skip
    found = []
    for row in rows:
        if row["balance_milli"] != row["booked"]:
            found.append(
                f"{row['name']}: the balance is {row['balance_milli']} thousandths, its ledger says {row['booked']}."
            )
        if row["refunded"] != row["refunds"]:
            found.append(
                f"{row['name']}: messages were refunded {row['refunded']} thousandths, the ledger says {row['refunds']}."
            )
        if row["undue"]:
            found.append(f"{row['name']}: {row['undue']} message(s) were refunded that have not failed.")
    return found
