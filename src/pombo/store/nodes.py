"""The running nodes: each leases a number that stands in the ids it makes."""

import uuid
from collections.abc import Sequence

from pombo.errors import PomboError
from pombo.store.database import Database

LEASE_S = 30


async def lease_number(db: Database, holder: uuid.UUID, roles: Sequence[str] = ()) -> int:
    """A number from 0 to 255 for this node: its own from before, one that ran out, or a new one.

    roles: of 'api', 'send' and 'callback'; none for a command.
    """
    async with db.transaction("begin; lock table node") as tx:
        number = await tx.fetchval("select number from node where holder = $1", holder)
        if number is None:
            number = await tx.fetchval("select min(number) from node where lease_until < now()")
        if number is None:
            number = await tx.fetchval(
                "select min(n) from generate_series(0, 255) n where n not in (select number from node)"
            )
        if number is None:
            raise PomboError("256 nodes run on this database already; stop one first.")
        await tx.execute(
            "insert into node (number, holder, lease_until, roles) values ($1, $2, now() + make_interval(secs => $3), $4)"
            " on conflict (number) do update"
            " set holder = excluded.holder, lease_until = excluded.lease_until, roles = excluded.roles",
            number, holder, LEASE_S, sorted(roles),
        )  # fmt: skip
        return int(number)


async def renew_number(db: Database, number: int, holder: uuid.UUID) -> bool:
    """False when the number was given to another node, because this one did not renew in time."""
    return (
        await db.fetchval(
            "update node set lease_until = now() + make_interval(secs => $3) where number = $1 and holder = $2 returning 1",
            number, holder, LEASE_S,
        )
    ) is not None  # fmt: skip


async def retire(db: Database, holder: uuid.UUID) -> None:
    """This node is about to stop: the others share out its connections among themselves."""
    await db.execute("update node set roles = '{}' where holder = $1", holder)


async def release_number(db: Database, number: int, holder: uuid.UUID) -> None:
    """Give the number back: at a stop, when nothing will be accepted under it any more. Whoever leases it next begins
    above `newest_id`, so no id is made twice."""
    await db.execute("delete from node where number = $1 and holder = $2", number, holder)


async def newest_id(db: Database) -> int:
    """The highest message id there is, so that ids go on above it when a clock has stepped back."""
    return int(await db.fetchval("select coalesce(max(id), 0) from message"))
