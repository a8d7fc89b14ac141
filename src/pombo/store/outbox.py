"""Callbacks are written in the commit that causes them, leased to this node, which is handed them in memory.

What delivers none (a command) gives no holder: then the nodes that do find them in the table, within a second.
"""

import uuid
from collections.abc import Sequence
from typing import NamedTuple

from pombo.message import LEGACY_STATUS, CallbackKind, State
from pombo.store.callbacks import LEASE_S, Job
from pombo.store.database import Db

_UNTIL = f"case when $2::uuid is not null then now() + interval '{LEASE_S} seconds' end"


class Written(NamedTuple):
    jobs: list[Job]
    undelivered: list[int]  # of the messages: for whose end something may be owed


# One look at each message: its row is this transaction's by now, and stays as it is. A callback has its id before it is
# written, since what is joined to the rows that an insert gives back is joined in the time of a square.
_OF_MESSAGES = f"""
with ended as materialized (
    select case when e.account_id is not null then nextval('callback_id_seq') end as callback_id,
           m.id, m.account_id, m.state, m.client_ref, m.destination, m.final_at, a.time_zone
    from message m join account a on a.id = m.account_id
    left join endpoint e on e.account_id = m.account_id and e.kind = {CallbackKind.DLR:d}
    where m.id = any($1::bigint[])
), written as (
    insert into callback (id, account_id, kind, subject_id, leased_by, leased_until) overriding system value
    select callback_id, account_id, {CallbackKind.DLR:d}, id, $2::uuid, {_UNTIL}
    from ended where callback_id is not null
)
select * from ended where callback_id is not null or state <> {State.DELIVERED:d}
"""


async def of_messages(db: Db, holder: uuid.UUID | None, message_ids: Sequence[int]) -> Written:
    """A callback for each of these final messages whose account has a DLR endpoint."""
    rows = await db.fetch(_OF_MESSAGES, message_ids, holder)
    jobs = [
        Job(
            callback_id=callback_id,
            account_id=account_id,
            kind=CallbackKind.DLR,
            subject_id=message_id,
            status=LEGACY_STATUS[State(state)],
            client_ref=client_ref,
            number=destination,
            text="",
            at=final_at,
            time_zone=time_zone,
        )
        for callback_id, message_id, account_id, state, client_ref, destination, final_at, time_zone in rows
        if callback_id is not None
    ]
    jobs.sort()  # by their ids: in the order in which they were written
    return Written(jobs, [row["id"] for row in rows if row["state"] != State.DELIVERED])


async def of_replies(db: Db, holder: uuid.UUID | None, inbox_ids: Sequence[int]) -> list[Job]:
    """A callback for each of these replies whose account has an MO endpoint."""
    if not inbox_ids:
        return []
    rows = await db.fetch(
        "with new as (insert into callback (account_id, kind, subject_id, leased_by, leased_until)"
        f" select i.account_id, 2, i.id, $2::uuid, {_UNTIL}"
        " from inbox i join endpoint e on e.account_id = i.account_id and e.kind = 2"
        " where i.id = any($1::bigint[]) returning id, account_id, subject_id)"
        " select n.id, n.account_id, n.subject_id, i.client_ref, i.source, i.body, i.received_at, a.time_zone"
        " from new n join inbox i on i.id = n.subject_id join account a on a.id = n.account_id order by n.id",
        inbox_ids, holder,
    )  # fmt: skip
    return [
        Job(
            callback_id=row["id"],
            account_id=row["account_id"],
            kind=CallbackKind.MO,
            subject_id=row["subject_id"],
            status="",
            client_ref=row["client_ref"],
            number=row["source"],
            text=row["body"],
            at=row["received_at"],
            time_zone=row["time_zone"],
        )
        for row in rows
    ]
