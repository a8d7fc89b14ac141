"""How connections stand: what their owner sees, for everybody else to read."""

from pombo.store.database import Db


async def note_bound(db: Db, smsc_id: int, bound: int, *, down: bool) -> None:
    """bound: binds that the operator has taken and that stand. down: none of them can submit.

    `down_since` keeps the beginning. Written only where it says something new: each write makes every process read
    the configuration again.
    """
    if await db.fetchval(
        "select bound = $2 and (down_since is not null) = $3 from link where smsc_id = $1",
        smsc_id, bound, down,
    ):  # fmt: skip
        return
    await db.execute(
        "insert into link as l (smsc_id, bound, down_since)"
        " select id, $2, case when $3 then now() end from smsc where id = $1"  # it may have been removed
        " on conflict (smsc_id) do update"
        " set bound = excluded.bound, down_since = case when $3 then coalesce(l.down_since, now()) end",
        smsc_id, bound, down,
    )  # fmt: skip
