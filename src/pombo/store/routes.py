"""Routes: the rules, how their connections stand, and messages that go over another connection."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import asyncpg

from pombo.errors import PomboError
from pombo.store.database import Db


async def add_route(
    db: Db,
    prefix: str,
    smsc_name: str,
    *,
    account_id: int | None = None,
    message_class: int | None = None,
    operator: str | None = None,
    position: int = 100,
    weight: int = 0,
) -> int:
    """Raises PomboError for an unknown connection, a route that is there already and a value out of its range."""
    smsc_id = await db.fetchval("select id from smsc where name = $1", smsc_name)
    if smsc_id is None:
        raise PomboError(f"There is no connection {smsc_name!r}.")
    try:
        return int(
            await db.fetchval(
                "insert into route (prefix, smsc_id, account_id, class, operator, position, weight)"
                " values ($1, $2, $3, $4, $5, $6, $7) returning id",
                prefix, smsc_id, account_id, message_class, operator, position, weight,
            )
        )  # fmt: skip
    except asyncpg.UniqueViolationError:
        raise PomboError(
            f"Prefix {prefix!r} goes over {smsc_name!r} already, with this position and these conditions."
        ) from None
    except asyncpg.CheckViolationError as error:
        if error.constraint_name != "route_prefix_check":
            raise PomboError(f"A value is out of its range: {error.constraint_name}.") from None
        raise PomboError(
            f"A prefix is digits, such as 55 or 5511, or empty for all numbers; not {prefix!r}."
        ) from None


async def remove_route(db: Db, route_id: int) -> None:
    """Raises PomboError when there is none. Messages that it sent on their way stay where they are."""
    if await db.fetchval("delete from route where id = $1 returning id", route_id) is None:
        raise PomboError(f"There is no route {route_id}. `pombo route list` shows those there are.")


async def routes(db: Db) -> list[asyncpg.Record]:
    """The fields of `route.routes.Route`, in their order."""
    return await db.fetch(
        "select r.prefix, r.smsc_id, s.validity_s, r.id, r.position, r.account_id, r.class, r.operator, r.weight"
        " from route r join smsc s on s.id = r.smsc_id order by r.id"
    )


async def names(db: Db) -> tuple[dict[int, str], dict[int, str]]:
    """Of connections and of the accounts that routes name, by id."""
    smscs = await db.fetch("select id, name from smsc")
    accounts = await db.fetch("select id, name from account where id in (select account_id from route)")
    return {row["id"]: row["name"] for row in smscs}, {row["id"]: row["name"] for row in accounts}


class Connection(NamedTuple):
    """How a connection stands, as far as routes ask."""

    smsc_id: int
    wanted: str  # 'started', 'draining' or 'stopped'
    patience_s: int
    down_since: datetime | None  # None while it is bound
    down_s: float | None  # the same in seconds, by the database's clock
    name: str


async def connections(db: Db) -> list[Connection]:
    """One that was never bound is down since it was added; one whose owner died, since the lease ended."""
    rows = await db.fetch(
        "select id, wanted, patience_s, down_since, extract(epoch from now() - down_since)::float8, name"
        " from ("
        "  select s.id, s.name, s.wanted, s.patience_s,"
        "         case when l.smsc_id is null then s.created_at when l.down_since is not null then l.down_since"
        "              when o.lease_until <= now() then o.lease_until end as down_since"
        "  from smsc s left join link l on l.smsc_id = s.id left join lease o on o.smsc_id = s.id) c order by id"
    )
    return [Connection(*row) for row in rows]


class Place(NamedTuple):
    """A place in the line of a connection's waiting messages."""

    message_class: int
    account_id: int
    due_at: datetime
    message_id: int


FIRST = Place(-1, 0, datetime(2000, 1, 1, tzinfo=UTC), 0)


class Waiting(NamedTuple):
    """A waiting message of a connection."""

    place: Place
    number: int
    claims: int
    free: bool  # no operator may have a part of it
    tried: frozenset[int]  # connections that refused it


_WAITING = """
with page as materialized (
    select message_id, account_id, class, due_at, claims, parts_taken from queue
    where smsc_id = $1 and state = 0
      and (class, account_id, due_at, message_id) > ($2::smallint, $3::bigint, $4::timestamptz, $5::bigint)
    order by class, account_id, due_at, message_id limit $6
)
select p.class, p.account_id, p.due_at, p.message_id, m.number, p.claims,
       p.parts_taken = 0 and not exists (select from attempt a where a.message_id = p.message_id and a.state in (0, 1)),
       array(select a.smsc_id from attempt a where a.message_id = p.message_id)
from page p join message m on m.id = p.message_id order by p.class, p.account_id, p.due_at, p.message_id
"""


async def waiting(db: Db, smsc_id: int, after: Place, limit: int) -> list[Waiting]:
    """What waits for a connection, a page at a time, in the order of the index that claims go by."""
    rows = await db.fetch(_WAITING, smsc_id, *after, limit)
    return [Waiting(Place(*row[:4]), row[4], row[5], row[6], frozenset(row[7])) for row in rows]


# The message is locked before its queue row, as receipts do it. `claims` says that nobody has claimed it meanwhile. What
# was tried before is due at once: its pause was for the connection that it leaves.
_MOVE = """
with moving as materialized (
    select * from unnest($2::bigint[], $3::int[], $4::int[]) t(message_id, claims, smsc_id)
), locked as materialized (
    select id from message where id = any(array(select message_id from moving)) order by id for no key update skip locked
), moved as (
    update queue q set smsc_id = t.smsc_id,
        due_at = case when q.attempts = 0 then q.due_at else greatest(now(), q.opens_at) end
    from moving t
    where q.message_id = t.message_id and q.message_id = any(array(select id from locked))
      and q.smsc_id = $1 and q.state = 0 and q.claims = t.claims
    returning q.message_id, q.smsc_id
)
update message m set smsc_id = t.smsc_id from moved t where m.id = t.message_id returning 1
"""


async def move(db: Db, smsc_id: int, moves: Sequence[tuple[int, int, int]]) -> int:
    """(message_id, claims, smsc_id): waiting messages of one connection go over others. Returns how many did."""
    return len(await db.fetch(_MOVE, smsc_id, *map(list, zip(*moves, strict=True))))


class Refused(NamedTuple):
    """A message of a connection whose operator has just refused it."""

    message_id: int
    account_id: int
    message_class: int
    number: int
    claims: int
    refusals: int  # attempts over this connection that were refused
    free: bool  # no operator may have a part of it, and it is still being written
    tried: frozenset[int]  # connections that it went over, this one included


# The messages are locked, in order: their queue rows are written next, and receipts lock messages first.
_REFUSED = """
select q.message_id, q.account_id, q.class, m.number, q.claims,
       (select count(distinct a.n) from attempt a where a.message_id = m.id and a.smsc_id = $1 and a.state = 4),
       q.state = 1 and q.parts_taken = 0
         and not exists (select from attempt a where a.message_id = m.id and a.state in (0, 1, 2)),
       array(select a.smsc_id from attempt a where a.message_id = m.id)
from message m join queue q on q.message_id = m.id
where m.id = any($2::bigint[]) and q.smsc_id = $1 and m.state in (0, 1, 2)
order by m.id for no key update of m
"""


async def refused(db: Db, smsc_id: int, message_ids: Sequence[int]) -> list[Refused]:
    """Those of these messages that are still this connection's."""
    rows = await db.fetch(_REFUSED, smsc_id, message_ids)
    return [
        Refused(row[0], row[1], row[2], row[3], row[4], row[5], row[6], frozenset(row[7]) | {smsc_id})
        for row in rows
    ]


async def hand_on(db: Db, moves: Sequence[tuple[int, int, int]]) -> None:
    """(message_id, claims, smsc_id): messages that are being written wait for another connection, and are due."""
    await db.execute(
        "with moved as (update queue q set smsc_id = t.smsc_id, state = 0, session_id = null, due_at = now()"
        "  from unnest($1::bigint[], $2::int[], $3::int[]) t(message_id, claims, smsc_id)"
        "  where q.message_id = t.message_id and q.state = 1 and q.claims = t.claims returning q.message_id, q.smsc_id)"
        " update message m set smsc_id = t.smsc_id from moved t where m.id = t.message_id",
        *map(list, zip(*moves, strict=True)),
    )
