"""What the intake writes: messages, keys, charges and queue rows, in one commit."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg

from pombo.store.database import Db


class NewMessages(NamedTuple):
    """Columns of the messages of one commit, and the charge per account.

    Most messages of a commit agree in account, route, alphabet and price: these stand once in `kinds`, and a message
    has the place (from 1) of its kind there. (Every array costs the driver 0.7 µs a message.)
    """

    account_ids: list[int]  # in order of id
    costs_milli: list[int]
    counts: list[int]
    accepted_at: datetime  # of all of them
    # a value per message
    message_ids: list[int]
    kinds: list[int]
    client_refs: list[str]
    destinations: list[str]
    numbers: list[int]
    bodies: list[str]
    sent_bodies: list[str | None]
    content_hmacs: list[bytes]
    # a value per kind
    owner_ids: list[int]
    smsc_ids: list[int]
    validities_s: list[int]
    ucs2: list[bool]
    parts: list[int]
    prices_milli: list[int]
    classes: list[int]  # message.MessageClass
    held_for: list[str]  # why a person looks at it first; '': nobody does
    scheduled_ats: list[datetime | None]  # as account.window.When has it, and the two below
    opens_ats: list[datetime | None]
    closes_ats: list[datetime | None]


# The accounts are locked first and in order of id (`locked` is read by every insert), so that crossing batches of
# two nodes wait for each other instead of dead-locking; `no key`, so that whoever books a recharge meanwhile, and
# only refers to the account, need not wait. A balance that would go below zero, or a client id that is used
# already, fails the whole statement: the intake then looks closer (`known_keys`) under the same lock. So it does where
# nothing is written because a block list that was taken to be empty is not.
_ACCEPT = """
with locked as materialized (
    select id from account where id = any($1::bigint[])
      and not exists (select from block where account_id = any($24::bigint[]))
    order by id for no key update
), charged as (
    update account a set balance_milli = a.balance_milli - c.cost
    from unnest($1::bigint[], $2::bigint[]) c(id, cost)
    where a.id = c.id and c.cost <> 0 and (select count(*) from locked) > 0
), entered as (
    insert into ledger (account_id, kind, amount_milli, messages)
    select c.id, 'charge', -c.cost, c.count from unnest($1::bigint[], $2::bigint[], $3::int[]) c(id, cost, count)
    where c.cost <> 0 and (select count(*) from locked) > 0
), new as materialized (
    select id, client_ref, destination, number, body, sent_body, content_hmac, ($13::bigint[])[kind] as account_id,
           ($14::int[])[kind] as smsc_id, ($15::int[])[kind] as validity_s, ($16::boolean[])[kind] as ucs2,
           ($17::smallint[])[kind] as parts, ($18::int[])[kind] as price_milli, ($19::smallint[])[kind] as class,
           ($20::text[])[kind] as held_for, ($21::timestamptz[])[kind] as scheduled_at,
           ($22::timestamptz[])[kind] as opens_at, ($23::timestamptz[])[kind] as closes_at
    from unnest($5::bigint[], $6::int[], $7::text[], $8::text[], $9::bigint[], $10::text[], $11::text[], $12::bytea[])
        t(id, kind, client_ref, destination, number, body, sent_body, content_hmac)
    where (select count(*) from locked) > 0
), keyed as (
    insert into message_key (account_id, client_ref, message_id, content_hmac, accepted_at)
    select account_id, client_ref, id, content_hmac, $4 from new
), messages as (
    insert into message (id, account_id, client_ref, destination, number, body, sent_body, ucs2, parts, price_milli,
                         smsc_id, class, accepted_at, scheduled_at)
    select id, account_id, client_ref, destination, number, body, sent_body, ucs2, parts, price_milli,
           smsc_id, class, $4, scheduled_at from new
)
insert into queue (message_id, smsc_id, account_id, class, due_at, expires_at, parts, state, held_for, opens_at, closes_at)
select id, smsc_id, account_id, class, coalesce(opens_at, $4::timestamptz),
       coalesce(opens_at, $4) + make_interval(secs => validity_s), parts,
       case held_for when '' then 0 else 2 end, held_for, opens_at, closes_at
from new
"""


async def accept(db: Db, new: NewMessages, unlisted: Sequence[int] = ()) -> bool:
    """All or nothing. Raises asyncpg.UniqueViolationError (a client id in use) or CheckViolationError (no credits).

    unlisted: accounts (blocks.EVERYBODY among them) whose block list was thought to be empty, so that nobody looked
    into it. False, and nothing was written, where one is not.
    """
    return await db.execute(_ACCEPT, *new, unlisted) != "INSERT 0 0"


async def lock_balances(db: Db, account_ids: Sequence[int]) -> dict[int, int]:
    """Lock the accounts for this transaction, in order of id; what each may still spend, in thousandths."""
    rows = await db.fetch(
        "select id, available_milli from account where id = any($1::bigint[]) order by id for no key update",
        account_ids,
    )
    return {row["id"]: row["available_milli"] for row in rows}


_KNOWN_KEYS = (
    "select k.account_id, k.client_ref, k.message_id, k.content_hmac, k.accepted_at"
    " from unnest($1::bigint[], $2::text[]) t(account_id, client_ref) join message_key k using (account_id, client_ref)"
)


async def known_keys(
    db: Db, account_ids: Sequence[int], client_refs: Sequence[str]
) -> dict[tuple[int, str], asyncpg.Record]:
    """Which of these (account, client id) pairs are used, and by what."""
    found = await db.fetch(_KNOWN_KEYS, account_ids, client_refs)
    return {(row["account_id"], row["client_ref"]): row for row in found}
