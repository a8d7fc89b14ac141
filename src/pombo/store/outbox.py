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


async def of_messages(db: Db, holder: uuid.UUID | None, message_ids: Sequence[int]) -> Written:
    """A callback for each of these final messages whose account has a DLR endpoint."""
    rows = await db.fetch(
        "with new as (insert into callback (account_id, kind, subject_id, leased_by, leased_until)"
        f" select m.account_id, 1, m.id, $2::uuid, {_UNTIL}"
        " from message m join endpoint e on e.account_id = m.account_id and e.kind = 1"
        " where m.id = any($1::bigint[]) returning id, account_id, subject_id)"
        " select c.*, u.undelivered from (select array(select id from message where id = any($1::bigint[])"
        f"  and state <> {State.DELIVERED:d}) as undelivered) u left join ("
        "  select n.id, n.account_id, n.subject_id, m.state, m.client_ref, m.destination, m.final_at, a.time_zone"
        "  from new n join message m on m.id = n.subject_id join account a on a.id = n.account_id"
        " ) c on true order by c.id",
        message_ids, holder,
    )  # fmt: skip
    jobs = [
        Job(
            callback_id=row["id"],
            account_id=row["account_id"],
            kind=CallbackKind.DLR,
            subject_id=row["subject_id"],
            status=LEGACY_STATUS[State(row["state"])],
            client_ref=row["client_ref"],
            number=row["destination"],
            text="",
            at=row["final_at"],
            time_zone=row["time_zone"],
        )
        for row in rows
        if row["id"] is not None
    ]
    return Written(jobs, rows[0]["undelivered"])


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
