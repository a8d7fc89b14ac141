"""What must always be true of the database, asked of it: hot tables carry no foreign keys, and no constraint spans two.

Each look finds nothing on a sound platform, also while it runs: all of them see one moment, and every commit leaves the
tables in agreement.
"""

from typing import NamedTuple

from pombo.message import FINAL, AttemptState, CallbackKind, QueueState, State
from pombo.store import audit, ledger
from pombo.store.database import Connection, Database

_ONE_MOMENT = "begin isolation level repeatable read, read only"
_LONGEST_S = 3600.0  # for one look: some read every message that is kept
_SHOWN = 5


class Fault(NamedTuple):
    look: str  # its name, for programs
    sentence: str
    found: int
    examples: list[str]  # ids of some of them


class _Look(NamedTuple):
    name: str
    sentence: str  # what is wrong with those that it finds
    sql: str  # gives their ids, as `id`


_OPEN = ", ".join(str(int(state)) for state in State if state not in FINAL)
_QUEUED = "exists (select from queue q where q.message_id = m.id)"
_ALL_PARTS = "(1::bigint << m.parts) - 1"
_KEPT_DAYS = 399  # a client id is forgotten a day later (store/upkeep.py)
_STUCK = "interval '1 hour'"

_LOOKS = (
    _Look(
        "waiting_nowhere",
        "wait, or are uncertain, and stand in no queue: nothing will ever send them",
        f"select m.id from message m where m.state in ({State.WAITING:d}, {State.UNCERTAIN:d}) and not {_QUEUED}",
    ),
    _Look(
        "sent_by_nobody",
        "count as sent, and no attempt at them may have reached an operator",
        f"select m.id from message m where m.state = {State.SUBMITTED:d} and not {_QUEUED} and not exists ("
        "  select from attempt a where a.message_id = m.id and a.state in"
        f"  ({AttemptState.UNCERTAIN:d}, {AttemptState.TAKEN:d}, {AttemptState.DELIVERED:d}))",
    ),
    _Look(
        "final_and_queued",
        "have ended, and stand in the queue all the same",
        f"select m.id from message m join queue q on q.message_id = m.id where m.state not in ({_OPEN})",
    ),
    _Look(
        "ended_without_time",
        "have ended at no time, or have a time at which they ended and have not",
        f"select m.id from message m where (m.state in ({_OPEN})) <> (m.final_at is null)",
    ),
    _Look(
        "delivered_in_part",
        "count as delivered and lack a part, or have all parts delivered and have not ended",
        f"select m.id from message m where (m.state = {State.DELIVERED:d}) <> (m.parts_delivered = {_ALL_PARTS})"
        f" and m.state in ({_OPEN}, {State.DELIVERED:d})",
    ),
    _Look(
        "queued_without_message",
        "stand in the queue without a message that agrees with them",
        "select q.message_id as id from queue q left join message m on m.id = q.message_id"
        " where m.id is null or (m.account_id, m.parts, m.smsc_id) is distinct from (q.account_id, q.parts, q.smsc_id)",
    ),
    _Look(
        "written_by_nobody",
        "are being written by a session that has ended, or that there never was",
        "select q.message_id as id from queue q left join session s on s.id = q.session_id"
        f" where (q.state = {QueueState.WRITING:d}) <> (s.id is not null and s.ended_at is null)"
        "  or s.smsc_id <> q.smsc_id",
    ),
    _Look(
        "uncertain_and_not_held",
        "are uncertain, and their queue rows are not held",
        "select m.id from message m join queue q on q.message_id = m.id"
        f" where m.state = {State.UNCERTAIN:d} and q.state <> {QueueState.HELD:d}",
    ),
    _Look(
        "attempt_without_message",
        "were submitted, and there is no such message",
        "select distinct a.message_id as id from attempt a"
        " where not exists (select from message m where m.id = a.message_id)",
    ),
    _Look(
        "unprotected",
        "do not hold their client id: the same request again would be sent again",
        f"select m.id from message m where m.accepted_at > now() - interval '{_KEPT_DAYS} days' and not exists ("
        "  select from message_key k where k.account_id = m.account_id and k.client_ref = m.client_ref"
        "  and k.message_id = m.id)",
    ),
    _Look(
        "not_told",
        "ended in the last week, and their customer's callback was never written",
        "select m.id from endpoint e join message m on m.account_id = e.account_id"
        f" where e.kind = {CallbackKind.DLR:d} and m.state not in ({_OPEN})"
        "  and m.final_at > greatest(e.updated_at, now() - interval '7 days') and not exists ("
        f"  select from callback c where c.kind = {CallbackKind.DLR:d} and c.subject_id = m.id)",
    ),
    _Look(
        "told_too_early",
        "have a callback that tells of their end, and have not ended",
        f"select m.id from callback c join message m on m.id = c.subject_id where c.kind = {CallbackKind.DLR:d}"
        f" and m.state in ({_OPEN})",
    ),
    _Look(
        "session_of_another_owner",
        "are sessions of a node that does not own their connection any more",
        "select s.id from session s join lease l on l.smsc_id = s.smsc_id"
        " where s.ended_at is null and s.holder <> l.holder",
    ),
    _Look(
        "stuck_in_writing",
        "have been written for an hour by a node that does not run: start it, or another one that sends",
        "select q.message_id as id from queue q join session s on s.id = q.session_id join lease l on l.smsc_id = q.smsc_id"
        f" where q.state = {QueueState.WRITING:d} and s.ended_at is null and l.lease_until < now() - {_STUCK}",
    ),
    _Look(
        "overdue",
        "are past their validity for an hour and have not ended, while a node that sends runs",
        f"select q.message_id as id from queue q where q.state = {QueueState.WAITING:d} and q.expires_at < now() - {_STUCK}"
        " and exists (select from node n where n.lease_until > now() and 'send' = any(n.roles))",
    ),
    _Look(
        "parked_too_long",
        "are receipts that should have been matched or dropped a day ago, while a node that sends runs",
        "select p.id from parked_receipt p where p.received_at < now() - interval '96 hours'"
        " and exists (select from node n where n.lease_until > now() and 'send' = any(n.roles))",
    ),
)  # fmt: skip
LOOKS = tuple(look.name for look in _LOOKS)


async def examine(db: Database) -> list[Fault]:
    """All faults; reads every message that is kept, and changes nothing."""
    async with db.transaction(_ONE_MOMENT) as tx:
        found = [Fault("books", sentence, 1, []) for sentence in await ledger.faults(tx)]
        for look in _LOOKS:
            fault = await _look(tx, look)
            if fault is not None:
                found.append(fault)
        verdict = await audit.verify(tx)
    if verdict.fault is not None:
        found.append(Fault("audit", f"The audit trail is broken: {verdict.fault}.", 1, []))
    return found


async def _look(tx: Connection, look: _Look) -> Fault | None:
    row = await tx.fetchrow(
        f"select count(*) as found, (array_agg(id order by id))[1:{_SHOWN}] as ids from ({look.sql}) found",
        timeout=_LONGEST_S,
    )
    assert row is not None
    return (
        Fault(look.name, look.sentence, row["found"], [str(i) for i in row["ids"]]) if row["found"] else None
    )


class Sealed(NamedTuple):
    what: str
    octets: bytes


async def sealed(db: Database) -> list[Sealed]:
    """Everything that only the platform's secret opens."""
    rows = await db.fetch(
        "select 'the password of connection ' || name as what, password_sealed as octets from smsc"
        " union all select 'the callback secret of account ' || a.name, e.secret_sealed from endpoint e"
        " join account a on a.id = e.account_id"
        " union all select 'the second factor of person ' || person_id, secret_sealed from second_factor order by 1"
    )
    return [Sealed(row["what"], row["octets"]) for row in rows]
