"""What the intake writes: messages, keys, charges and queue rows, in one commit."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg

from pombo.store import limits
from pombo.store.database import Db


class NewMessages(NamedTuple):
    """Columns of the messages of one commit, and the charge per account.

    Most messages of a commit agree in account, route, alphabet and price: these stand once in `kinds`, and a message
    has the place (from 1) of its kind there. (Every array costs the driver 0.7 µs a message.)
    """

    account_ids: list[int]  # in order of id
    costs_milli: list[int]
    counts: list[int]  # without the platform's own words, which no limit stops
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
    token_ids: list[int | None]  # that the requests came with
    # a value per account and prefix of numbers, in order, where the account may send to one so many an hour only
    prefix_account_ids: Sequence[int] = ()
    prefixes: Sequence[int] = ()
    prefix_counts: Sequence[int] = ()
    prefix_mosts: Sequence[int] = ()


# The accounts are locked first and in order of id (what follows waits for `fits`), so that crossing batches of
# two nodes wait for each other instead of dead-locking; `no key`, so that whoever books a recharge meanwhile, and
# only refers to the account, need not wait. A balance that would go below zero, a client id that is used
# already, or too many messages to one prefix fail the whole statement: the intake then looks closer (`known_keys`,
# limits.lock) under the same lock. So it does where nothing is written because a limit is reached, or because a block
# list that was taken to be empty is not.
_ACCEPT = f"""
with locked as materialized (
    select a.id, c.cost, c.count, {limits.COLUMNS}
    from unnest($1::bigint[], $2::bigint[], $3::int[]) c(id, cost, count) join account a on a.id = c.id
    where not exists (select from block where account_id = any($29::bigint[]))
    order by a.id for no key update of a
), used as materialized (
    select l.id, l.messages_per_s, l.messages_per_day, l.spend_per_day_milli, l.cost, l.count, p.day, p.second,
           {limits.DAY_MESSAGES} + l.count as day_messages, {limits.DAY_SPENT_MILLI} + l.cost as day_spent_milli,
           {limits.SECOND_MESSAGES} + l.count as second_messages
    from locked l cross join {limits.PERIOD}
), fits as materialized (
    select count(*) > 0
           and bool_and(count = 0 or messages_per_s = 0 or second_messages <= messages_per_s)
           and bool_and(count = 0 or messages_per_day = 0 or day_messages <= messages_per_day)
           and bool_and(cost = 0 or spend_per_day_milli = 0 or day_spent_milli <= spend_per_day_milli) as all_of_it
    from used
), charged as (
    update account a
    set balance_milli = a.balance_milli - u.cost, used_on = u.day, day_messages = u.day_messages,
        day_spent_milli = u.day_spent_milli, used_second = u.second, second_messages = u.second_messages
    from used u where a.id = u.id and (u.cost <> 0 or u.count <> 0) and (select all_of_it from fits)
), entered as (
    insert into ledger (account_id, kind, amount_milli, messages)
    select id, 'charge', -cost, count from used where cost <> 0 and (select all_of_it from fits) order by id
), prefixed as (
    insert into velocity as v (account_id, prefix, hour_at, messages, most)
    select account_id, prefix, date_trunc('hour', clock_timestamp()), count, most
    from unnest($25::bigint[], $26::bigint[], $27::int[], $28::int[]) t(account_id, prefix, count, most)
    where (select all_of_it from fits)
    on conflict (account_id, prefix) do update
    set hour_at = excluded.hour_at, most = excluded.most,
        messages = case when v.hour_at = excluded.hour_at then v.messages else 0 end + excluded.messages,
        refused = case when v.hour_at = excluded.hour_at then v.refused else 0 end
), new as materialized (
    select id, client_ref, destination, number, body, sent_body, content_hmac, ($13::bigint[])[kind] as account_id,
           ($14::int[])[kind] as smsc_id, ($15::int[])[kind] as validity_s, ($16::boolean[])[kind] as ucs2,
           ($17::smallint[])[kind] as parts, ($18::int[])[kind] as price_milli, ($19::smallint[])[kind] as class,
           ($20::text[])[kind] as held_for, ($21::timestamptz[])[kind] as scheduled_at,
           ($22::timestamptz[])[kind] as opens_at, ($23::timestamptz[])[kind] as closes_at,
           ($24::bigint[])[kind] as token_id
    from unnest($5::bigint[], $6::int[], $7::text[], $8::text[], $9::bigint[], $10::text[], $11::text[], $12::bytea[])
        t(id, kind, client_ref, destination, number, body, sent_body, content_hmac)
    where (select all_of_it from fits)
), keyed as (
    insert into message_key (account_id, client_ref, message_id, content_hmac, accepted_at)
    select account_id, client_ref, id, content_hmac, $4 from new
), messages as (
    insert into message (id, account_id, client_ref, destination, number, body, sent_body, ucs2, parts, price_milli,
                         smsc_id, class, accepted_at, scheduled_at, token_id)
    select id, account_id, client_ref, destination, number, body, sent_body, ucs2, parts, price_milli,
           smsc_id, class, $4, scheduled_at, token_id from new
)
insert into queue (message_id, smsc_id, account_id, class, due_at, expires_at, parts, state, held_for, opens_at, closes_at)
select id, smsc_id, account_id, class, coalesce(opens_at, $4::timestamptz),
       coalesce(opens_at, $4) + make_interval(secs => validity_s), parts,
       case held_for when '' then 0 else 2 end, held_for, opens_at, closes_at
from new
"""


async def accept(db: Db, new: NewMessages, unlisted: Sequence[int] = ()) -> bool:
    """All or nothing. Raises asyncpg.UniqueViolationError (a client id in use) or CheckViolationError (no credits, or
    too many messages to one prefix).

    unlisted: accounts (blocks.EVERYBODY among them) whose block list was thought to be empty, so that nobody looked
    into it. False, and nothing was written, where one is not, and where an account reaches a limit.
    """
    return await db.execute(_ACCEPT, *new, unlisted) != "INSERT 0 0"


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
