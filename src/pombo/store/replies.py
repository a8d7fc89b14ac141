"""Writing replies (MO) and the parts of long ones."""

from collections.abc import Sequence
from typing import NamedTuple

from pombo.store.database import Db

ANSWERS_HOURS = 72  # a reply answers a message sent within this time
_REPEAT_MINUTES = (
    10  # an operator that got no answer to a deliver_sm sends it again within this time of the next bind
)
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
    keyword: str = ""  # its first word, folded
    other: int | None = None  # that the source may mean, too: see `meant`


class Stored(NamedTuple):
    id: int
    account_id: int | None  # None: nobody owns it yet


# A reply is written once: the same PDU under the same sequence number, or from another bind session than one that ended
# shortly after it came, is an operator's repetition of what we had stored but not answered (or whose answer was lost), if
# it comes soon after the next bind, however long we were away. Otherwise the same text again is a person who writes it
# twice. A session without an end, or of which nothing is known, counts as ended now where it is another node's, or where
# the connection has one bind and so there is a later one; of several binds it is alive, and has answered. The nth
# repetition stands for the nth reply that is there; it takes that one's place in the session, so that what comes after it
# is new again.
# It answers the newest message (by id: the one accepted last) from its destination to its source, of whichever account;
# also one that was written to this connection and never answered: the source address and the time of those are only
# noted with the answer. What answers none belongs to whom its destination and first word are given, or its destination.
# `+ 0` keeps the planner from walking a whole table in the order of its ids for the first that fits.
_STORE = """
with new as materialized (
    select *, row_number() over (partition by body_hash order by id) as place, service_address(destination) as address
    from unnest($2::bigint[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::smallint[], $8::bytea[],
                $9::bigint[], $10::bigint[], $11::text[])
        t(id, source, number, destination, body, data_coding, body_hash, session_id, sequence_number, keyword)
), alone as materialized (
    select binds = 1 as alone from smsc where id = $1
), repetition as materialized (
    select n.id, n.session_id, n.sequence_number, (
        select i.id from inbox i left join session s on s.id = i.session_id
        where i.smsc_id = $1 and i.body_hash = n.body_hash
          and now() - make_interval(mins => $13) < case when i.session_id = n.session_id then i.received_at else coalesce(
              (select min(bound_at) from session where smsc_id = $1 and bound_at > s.ended_at), now()) end
          and case when i.session_id = n.session_id then i.sequence_number = n.sequence_number
              when s.ended_at is null and not (select alone from alone)
                  and s.holder = (select holder from session where id = n.session_id) then false
              else i.received_at > coalesce(s.ended_at, now()) - make_interval(secs => $14) end
        order by i.id + 0 offset n.place - 1 limit 1
    ) as of_id from new n
), renewed as (
    update inbox i set session_id = r.session_id, sequence_number = r.sequence_number
    from repetition r where i.id = r.of_id
)
insert into inbox (id, account_id, smsc_id, source, destination, body, data_coding, message_id, client_ref, body_hash,
                   session_id, sequence_number)
select n.id, coalesce(m.account_id, o.account_id), $1, n.source, n.destination, n.body, n.data_coding, m.id,
       coalesce(m.client_ref, ''), n.body_hash, n.session_id, n.sequence_number
from new n join repetition r on r.id = n.id and r.of_id is null left join lateral (
    (select id, account_id, client_ref from message
     where number = n.number and sent_at > now() - make_interval(hours => $12)
       and case source_addr when '' then smsc_id = $1 when n.destination then true
           else service_address(source_addr) = n.address end
     order by id desc limit 1)
    union all
    (select u.id, u.account_id, u.client_ref
     from attempt a join smsc s on s.id = a.smsc_id join message u on u.id = a.message_id
         join account c on c.id = u.account_id
     where a.smsc_id = $1 and a.number = n.number and a.smsc_key is null and a.state = 0
       and a.submitted_at > now() - make_interval(hours => $12)
       and service_address(coalesce(nullif(c.source_addr, ''), s.source_addr)) in (n.address, '')
     order by u.id + 0 desc limit 1)
    order by id desc limit 1
) m on true left join lateral (
    select account_id from reply_owner
    where m.id is null and address = n.address and keyword in (n.keyword, '')
    order by keyword desc limit 1
) o on true
returning id, account_id
"""


_WRITTEN_TO = """
select n as number, m.id from unnest($1::bigint[]) n
cross join lateral (select id, accepted_at from message where number = n order by id desc limit 1) m
where m.accepted_at > now() - make_interval(hours => $2)
"""


async def meant(db: Db, replies: Sequence[NewReply]) -> list[NewReply]:
    """Of a source that may mean two numbers, the one that was written to last; where none was, one of Brazil."""
    numbers = {number for reply in replies if reply.other for number in (reply.number, reply.other)}
    if not numbers:
        return list(replies)
    rows = await db.fetch(_WRITTEN_TO, sorted(numbers), ANSWERS_HOURS)
    last = {row["number"]: row["id"] for row in rows}
    return [
        reply._replace(number=reply.other, source=str(reply.other))
        if reply.other and last.get(reply.other, 0) > last.get(reply.number, 0)
        else reply
        for reply in replies
    ]


async def store(db: Db, smsc_id: int, replies: Sequence[NewReply]) -> list[Stored]:
    """Put replies into the inbox of whoever they answer; returns those that were not there yet."""
    rows = await db.fetch(
        _STORE,
        smsc_id,
        *map(list, zip(*(reply[:-1] for reply in replies), strict=True)),
        ANSWERS_HOURS,
        _REPEAT_MINUTES,
        _UNANSWERED_S,
    )
    return [Stored(*row) for row in rows]


class PartKey(NamedTuple):
    """What the parts of one long reply have in common, within a connection."""

    source: str
    destination: str
    reference: int
    total: int


class PartRow(NamedTuple):
    source: str
    destination: str
    reference: int
    total: int
    sequence: int
    data_coding: int
    octets: bytes
    locking: int
    single: int
    session_id: int
    joined: bool  # its reply is in the inbox
    again: bool  # and it came once more

    @property
    def key(self) -> PartKey:
        return PartKey(*self[:4])


async def parts_of(db: Db, smsc_id: int, keys: Sequence[PartKey]) -> list[PartRow]:
    rows = await db.fetch(
        f"select {', '.join('p.' + name for name in PartRow._fields)}"
        " from unnest($2::text[], $3::text[], $4::int[], $5::smallint[]) k(source, destination, reference, total)"
        " cross join lateral (select * from reply_part where smsc_id = $1 and source = k.source"  # an index look-up each
        "  and destination = k.destination and reference = k.reference and total = k.total offset 0) p",
        smsc_id, *map(list, zip(*keys, strict=True)),
    )  # fmt: skip
    return [PartRow(*row) for row in rows]


async def keep_parts(db: Db, smsc_id: int, parts: Sequence[PartRow]) -> None:
    """New ones, and those of which something has changed."""
    await db.execute(
        f"insert into reply_part as p (smsc_id, {', '.join(PartRow._fields)})"
        " select $1, * from unnest($2::text[], $3::text[], $4::int[], $5::smallint[], $6::smallint[], $7::smallint[],"
        "  $8::bytea[], $9::smallint[], $10::smallint[], $11::bigint[], $12::boolean[], $13::boolean[])"
        " on conflict (smsc_id, source, destination, reference, total, sequence) do update"
        " set data_coding = excluded.data_coding, octets = excluded.octets, locking = excluded.locking,"
        "  single = excluded.single, session_id = excluded.session_id, joined = excluded.joined, again = excluded.again,"
        "  received_at = case when excluded.again then p.received_at else now() end",
        smsc_id, *map(list, zip(*parts, strict=True)),
    )  # fmt: skip


async def drop_parts(db: Db, smsc_id: int, parts: Sequence[PartRow]) -> None:
    """Those of an earlier reply whose reference another one has now."""
    await db.execute(
        "delete from reply_part where ctid = any(array(select p.ctid"
        " from unnest($2::text[], $3::text[], $4::int[], $5::smallint[], $6::smallint[])"
        "  k(source, destination, reference, total, sequence)"
        " cross join lateral (select ctid from reply_part where smsc_id = $1 and source = k.source"
        "  and destination = k.destination and reference = k.reference and total = k.total"
        "  and sequence = k.sequence offset 0) p))",
        smsc_id, *map(list, zip(*(part[:5] for part in parts), strict=True)),
    )  # fmt: skip


async def parts_waiting(db: Db) -> dict[int, int]:
    """How many parts wait for others, by connection."""
    rows = await db.fetch(
        "select smsc_id, count(*) as parts from reply_part where not joined group by smsc_id"
    )
    return {row["smsc_id"]: row["parts"] for row in rows}


async def overdue_connections(db: Db, wait_s: float) -> list[int]:
    """Connections with parts that have waited so long."""
    rows = await db.fetch(
        "select distinct smsc_id from reply_part where received_at < now() - make_interval(secs => $1) and not joined"
        " order by 1",
        wait_s,
    )
    return [row["smsc_id"] for row in rows]


async def overdue_parts(db: Db, smsc_id: int, wait_s: float, limit: int) -> list[PartKey]:
    """Long replies of which a part has waited so long; of `limit` parts."""
    rows = await db.fetch(
        "select distinct source, destination, reference, total from ("
        " select * from reply_part where smsc_id = $1 and received_at < now() - make_interval(secs => $2) and not joined"
        " order by received_at limit $3) waiting",
        smsc_id, wait_s, limit,
    )  # fmt: skip
    return [PartKey(*row) for row in rows]


async def forget_joined(db: Db, wait_s: float) -> None:
    """Parts of replies that have been in the inbox for so long."""
    await db.execute(
        "delete from reply_part where received_at < now() - make_interval(secs => $1) and joined", wait_s
    )
