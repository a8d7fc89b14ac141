"""Writing replies (MO) and the parts of long ones."""

from collections.abc import Sequence
from typing import NamedTuple

import asyncpg

from pombo.store.database import Db

ANSWERS_HOURS = 72  # a reply answers a message sent within this time
_REPEAT_MINUTES = 10  # an operator that got no answer to a deliver_sm sends it again within this time
_UNANSWERED_S = 60.0  # only what came so shortly before its session's end may have lost its answer


class NewReply(NamedTuple):
    id: int
    source: str
    number: int  # the source as E.164 digits; 0 where it is no handset's number
    destination: str
    body: str
    data_coding: int
    body_hash: bytes
    session_id: int
    sequence_number: int


# A reply is written once: the same PDU under the same sequence number, or from another bind session than one that ended
# shortly after it came, is an operator's repetition of what we had stored but not answered (or whose answer was lost).
# Otherwise the same text again is a person who writes it twice. A session without an end, or of which nothing is known,
# counts as ended now: there is a later one. The nth repetition stands for the nth reply that is there; it takes
# that one's place in the session, so that what comes after it is new again.
# It answers the newest message from its destination to its source; also one that was written to this connection and
# never answered: the source address and the time of those are only noted with the answer.
_STORE = """
with new as materialized (
    select *, row_number() over (partition by body_hash order by id) as place
    from unnest($2::bigint[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::smallint[], $8::bytea[],
                $9::bigint[], $10::bigint[])
        t(id, source, number, destination, body, data_coding, body_hash, session_id, sequence_number)
), repetition as materialized (
    select n.id, n.session_id, n.sequence_number, (
        select i.id from inbox i left join session s on s.id = i.session_id
        where i.smsc_id = $1 and i.body_hash = n.body_hash and i.received_at > now() - make_interval(mins => $12)
          and case when i.session_id = n.session_id then i.sequence_number = n.sequence_number
              else i.received_at > coalesce(s.ended_at, now()) - make_interval(secs => $13) end
        order by i.id offset n.place - 1 limit 1
    ) as of_id from new n
), renewed as (
    update inbox i set session_id = r.session_id, sequence_number = r.sequence_number
    from repetition r where i.id = r.of_id
)
insert into inbox (id, account_id, smsc_id, source, destination, body, data_coding, message_id, client_ref, body_hash,
                   session_id, sequence_number)
select n.id, m.account_id, $1, n.source, n.destination, n.body, n.data_coding, m.id, coalesce(m.client_ref, ''),
       n.body_hash, n.session_id, n.sequence_number
from new n join repetition r on r.id = n.id and r.of_id is null left join lateral (
    (select id, account_id, client_ref from message
     where number = n.number and sent_at > now() - make_interval(hours => $11)
       and (ltrim(source_addr, '+') = ltrim(n.destination, '+') or (source_addr = '' and smsc_id = $1))
     order by id desc limit 1)
    union all
    (select u.id, u.account_id, u.client_ref
     from attempt a join smsc s on s.id = a.smsc_id join message u on u.id = a.message_id
     where a.smsc_id = $1 and a.number = n.number and a.smsc_key is null and a.state = 0
       and a.submitted_at > now() - make_interval(hours => $11)
       and ltrim(s.source_addr, '+') in (ltrim(n.destination, '+'), '')
     order by u.id desc limit 1)
    order by id desc limit 1
) m on true
returning id
"""


async def store(db: Db, smsc_id: int, replies: Sequence[NewReply]) -> list[int]:
    """Put replies into the inbox of whoever they answer; returns the ids of those that were not there yet."""
    rows = await db.fetch(
        _STORE, smsc_id, *map(list, zip(*replies, strict=True)), ANSWERS_HOURS, _REPEAT_MINUTES, _UNANSWERED_S
    )
    return [row["id"] for row in rows]


class NewPart(NamedTuple):
    source: str
    destination: str
    reference: int
    total: int
    sequence: int
    data_coding: int
    octets: bytes
    session_id: int


async def keep_parts(db: Db, smsc_id: int, parts: Sequence[NewPart]) -> None:
    """A part that is there already stays as it is: its operator got no answer to it. But where its reply is in the
    inbox already and it says something else, it begins a new one: references come back."""
    await db.execute(
        "insert into reply_part as p"
        "  (smsc_id, source, destination, reference, total, sequence, data_coding, octets, session_id)"
        " select distinct on (t.source, t.destination, t.reference, t.total, t.sequence) $1, t.*"
        " from unnest($2::text[], $3::text[], $4::int[], $5::smallint[], $6::smallint[], $7::smallint[],"
        "  $8::bytea[], $9::bigint[]) t(source, destination, reference, total, sequence, data_coding, octets, session_id)"
        " on conflict (smsc_id, source, destination, reference, total, sequence) do update"
        " set data_coding = excluded.data_coding, octets = excluded.octets, session_id = excluded.session_id,"
        "  received_at = now(), joined = false"
        " where p.joined and (p.data_coding, p.octets) <> (excluded.data_coding, excluded.octets)",
        smsc_id, *map(list, zip(*parts, strict=True)),
    )  # fmt: skip


async def parts_of(
    db: Db, smsc_id: int, source: str, destination: str, reference: int, total: int
) -> list[asyncpg.Record]:
    """sequence, data_coding, octets; of parts that are in no reply yet."""
    return await db.fetch(
        "select sequence, data_coding, octets from reply_part where smsc_id = $1 and source = $2 and destination = $3"
        " and reference = $4 and total = $5 and not joined order by sequence",
        smsc_id, source, destination, reference, total,
    )  # fmt: skip


async def mark_joined(
    db: Db, smsc_id: int, source: str, destination: str, reference: int, total: int
) -> None:
    await db.execute(
        "update reply_part set joined = true, received_at = now() where smsc_id = $1 and source = $2"
        " and destination = $3 and reference = $4 and total = $5 and not joined",
        smsc_id, source, destination, reference, total,
    )  # fmt: skip


async def overdue_connections(db: Db, wait_s: float) -> list[int]:
    """Connections with parts that have waited so long."""
    rows = await db.fetch(
        "select distinct smsc_id from reply_part where received_at < now() - make_interval(secs => $1) and not joined"
        " order by 1",
        wait_s,
    )
    return [row["smsc_id"] for row in rows]


async def overdue_parts(db: Db, smsc_id: int, wait_s: float, limit: int) -> list[asyncpg.Record]:
    """Long replies of which a part has waited so long: source, destination, reference, total, session_id."""
    return await db.fetch(
        "select source, destination, reference, total, max(session_id) as session_id from reply_part"
        " where smsc_id = $1 and (source, destination, reference, total) in (select source, destination, reference, total"
        "  from reply_part where smsc_id = $1 and received_at < now() - make_interval(secs => $2) and not joined limit $3)"
        " and not joined group by 1, 2, 3, 4",
        smsc_id, wait_s, limit,
    )  # fmt: skip


async def forget_joined(db: Db, wait_s: float) -> None:
    """Parts of replies that have been in the inbox for so long."""
    await db.execute(
        "delete from reply_part where received_at < now() - make_interval(secs => $1) and joined", wait_s
    )
