"""Texts that an account uses again and again."""

from typing import NamedTuple

import asyncpg

from pombo.errors import Taken
from pombo.store.database import Db
from pombo.text.keyword import folded

_COLUMNS = "id, name, body, class, updated_at"


class Template(NamedTuple):
    name: str
    body: str
    message_class: int | None = None  # message.MessageClass; None: the account's


async def listed(db: Db, account_id: int) -> list[asyncpg.Record]:
    """By name."""
    return await db.fetch(
        f"select {_COLUMNS} from template where account_id = $1 order by folded, id", account_id
    )


async def template(db: Db, account_id: int, template_id: int) -> asyncpg.Record | None:
    return await db.fetchrow(
        f"select {_COLUMNS} from template where account_id = $1 and id = $2", account_id, template_id
    )


async def counted(db: Db, account_id: int) -> int:
    return int(await db.fetchval("select count(*) from template where account_id = $1", account_id))


async def add(db: Db, account_id: int, new: Template) -> int:
    """Raises Taken for a name in use."""
    template_id = await db.fetchval(
        "insert into template (account_id, name, folded, body, class) values ($1, $2, $3, $4, $5)"
        " on conflict do nothing returning id",
        account_id, new.name, folded(new.name), new.body, new.message_class,
    )  # fmt: skip
    if template_id is None:
        raise Taken
    return int(template_id)


async def change(db: Db, account_id: int, template_id: int, new: Template) -> bool:
    """Whether it is there. Raises Taken for a name in use."""
    try:
        found = await db.fetchval(
            "update template set name = $3, folded = $4, body = $5, class = $6, updated_at = now()"
            " where account_id = $1 and id = $2 returning true",
            account_id, template_id, new.name, folded(new.name), new.body, new.message_class,
        )  # fmt: skip
    except asyncpg.UniqueViolationError:
        raise Taken from None
    return bool(found)


async def remove(db: Db, account_id: int, template_id: int) -> bool:
    """Whether it was there."""
    return bool(
        await db.fetchval(
            "delete from template where account_id = $1 and id = $2 returning true", account_id, template_id
        )
    )
