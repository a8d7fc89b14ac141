"""What the people of an account should look at: worked out from what is there, each time that somebody asks. Nothing is
written for it but up to when each person has seen it."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from pombo.store.database import Db


class Kind(StrEnum):
    CAMPAIGN_DONE = "campaign_done"  # `number` rows were accepted
    CAMPAIGN_STOPPED = "campaign_stopped"  # by itself: `detail` is its waits_for
    CALLBACKS_PARKED = "callbacks_parked"  # `number` of them, a thousand at most, are not tried any more
    BALANCE_LOW = "balance_low"  # `number` thousandths are left
    BALANCE_OVER = "balance_over"  # not even one part can be paid
    PREFIX_LIMIT = "prefix_limit"  # messages to numbers in a row were refused
    TOKEN_ENDS = "token_ends"  # noqa: S105 - within a week, or has within the last one: at `until`


class Happening(NamedTuple):
    kind: Kind
    subject_id: int
    name: str
    at: datetime  # since when it is so
    number: int
    detail: str
    until: datetime | None
    unseen: bool


_CAMPAIGNS = 50  # the newest, that are looked at
_MOST_PARKED = 1000
_MOST = 20

# States of campaigns and callbacks: campaign.states.State, message.CallbackState.
_OF = f"""
with campaigns as materialized (
    select id, name, state, waits_for, accepted, changed_at, ended_at from campaign
    where account_id = $1 order by id desc limit {_CAMPAIGNS}
), parked as materialized (
    select id, due_at from callback where account_id = $1 and state = 2 and last_error is distinct from 'erased'
        and due_at > now() - interval '14 days'
    order by id desc limit {_MOST_PARKED}
), found as (
    select 'campaign_done' as kind, id as subject_id, name, ended_at as at, accepted::bigint as number, '' as detail,
        null::timestamptz as until
    from campaigns where state = 6 and ended_at > now() - interval '14 days'
    union all
    select 'campaign_stopped', id, name, changed_at, 0, waits_for, null
    from campaigns where state = 4 and waits_for <> ''
    union all
    select 'callbacks_parked', 0, '', max(due_at), count(*), '', null from parked having count(*) > 0
    union all
    select n.kind, n.id, '', n.at, a.available_milli, '', null
    from notice n join account a on a.id = n.account_id
    where n.account_id = $1 and n.ended_at is null
        and not (n.kind = 'balance_low' and a.available_milli < a.price_milli)
    union all
    select 'balance_over', 0, '',
        coalesce((select l.at from ledger l where l.account_id = $1 order by l.at desc, l.id desc limit 1), created_at),
        0, '', null
    from account where id = $1 and available_milli < price_milli
    union all
    select 'token_ends', id, coalesce(nullif(name, ''), prefix || '…'),
        greatest(created_at, expires_at - interval '7 days'), 0, '', expires_at
    from token where account_id = $1 and revoked_at is null
        and expires_at between now() - interval '7 days' and now() + interval '7 days'
)
"""


async def of(db: Db, account_id: int, person_id: int) -> list[Happening]:
    """The newest first, and which of them this person has not seen."""
    rows = await db.fetch(
        f"{_OF} select f.*, f.at > p.notices_seen_at as unseen from found f join person p on p.id = $2"
        f" order by f.at desc, f.subject_id desc limit {_MOST}",
        account_id,
        person_id,
    )
    return [Happening(Kind(row["kind"]), *list(row.values())[1:]) for row in rows]


async def see(db: Db, person_id: int) -> None:
    """All that has happened by now."""
    await db.execute("update person set notices_seen_at = now() where id = $1", person_id)
