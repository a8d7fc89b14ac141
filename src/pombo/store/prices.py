"""Prices of one part of a message, by account, prefix and class."""

from typing import NamedTuple

import asyncpg

from pombo.errors import PomboError
from pombo.store.database import Db


class Row(NamedTuple):
    id: int
    prefix: str
    price_milli: int
    account_id: int | None  # None: all accounts
    message_class: int | None  # None: all classes
    account: str | None  # its name


async def prices(db: Db) -> list[Row]:
    """The accounts' own first, then the longer prefix, then those that name a class: the order in which they count."""
    rows = await db.fetch(
        "select p.id, p.prefix, p.price_milli, p.account_id, p.class, a.name from price p"
        " left join account a on a.id = p.account_id"
        " order by p.account_id nulls last, length(p.prefix) desc, p.class nulls last, p.prefix"
    )
    return [Row(*row) for row in rows]


async def set_price(
    db: Db, price_milli: int, *, prefix: str, account_id: int | None, message_class: int | None
) -> int:
    """A new price, or a new amount where these conditions have one; its id. Raises PomboError for what is no prefix or
    too high a price."""
    try:
        return int(
            await db.fetchval(
                "insert into price (prefix, price_milli, account_id, class) values ($1, $2, $3, $4)"
                " on conflict on constraint price_once do update set price_milli = excluded.price_milli returning id",
                prefix, price_milli, account_id, message_class,
            )
        )  # fmt: skip
    except asyncpg.CheckViolationError as error:
        if error.constraint_name == "price_prefix_check":
            raise PomboError(
                f"A prefix is digits, such as 55 or 5511, or empty for all numbers; not {prefix!r}."
            ) from None
        raise PomboError("A part costs R$ 10.000,00 at the most.") from None


async def remove_price(db: Db, price_id: int) -> None:
    """Raises PomboError when there is none. Messages keep the price with which they were accepted."""
    if await db.fetchval("delete from price where id = $1 returning id", price_id) is None:
        raise PomboError(f"There is no price {price_id}. `pombo price list` shows those there are.")
