"""`price list|set|remove`."""

from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.text import Text

from pombo.cli import money
from pombo.cli.answer import Answer, table
from pombo.cli.options import EVERY, Every
from pombo.message import MessageClass
from pombo.store import accounts, prices
from pombo.store.prices import Row


async def show(*, every: Every = EVERY) -> Answer:
    """All prices, in the order in which they count: an account's own, then the longer prefix, then those of a class."""
    async with every.reached() as (db, _):
        rows = await prices.prices(db)
    shown = table(
        ">id", "account", "prefix", "class", ">per part",
        rows=(
            (
                str(row.id), row.account or "(all)", row.prefix or "(all)", _class(row) or "",
                money.show_price(row.price_milli),
            )
            for row in rows
        ),
        empty="No prices: each account's default counts (pombo account list).",
    )  # fmt: skip
    return Answer({"prices": [_facts(row) for row in rows]}, shown)


async def change(
    amount: Annotated[
        str, Parameter(help="Price of one part of a message in reais.", allow_leading_hyphen=True)
    ],
    /,
    *,
    account: Annotated[str | None, Parameter(help="Only messages of this account: its name or id.")] = None,
    prefix: Annotated[str, Parameter(help="Only numbers that begin so, with the country: 55, 5511.")] = "",
    class_: Annotated[
        Literal["otp", "transactional", "marketing"] | None,
        Parameter(name="--class", help="Only messages of this class."),
    ] = None,
    every: Every = EVERY,
) -> Answer:
    """Set the price of one part of messages that fit all conditions. The old one for the same conditions goes."""
    price_milli = money.parse_price(amount)
    async with every.changing("price.set") as (doing, _):
        before = {row.id: _facts(row) for row in await prices.prices(doing.db)}
        price_id = await prices.set_price(
            doing.db,
            price_milli,
            prefix=prefix,
            account_id=None if account is None else (await accounts.account(doing.db, account))["id"],
            message_class=None if class_ is None else MessageClass[class_.upper()],
        )
        [row] = [row for row in await prices.prices(doing.db) if row.id == price_id]
        doing.record(f"price {price_id}", before=before.get(price_id), after=_facts(row))
    said = [
        row.prefix or "all numbers",
        row.account and f"account {row.account}",
        class_ and f"class {class_}",
    ]
    conditions = ", ".join(filter(None, said))
    return Answer(
        _facts(row), Text(f"Price {price_id}: {conditions}, {money.show_price(price_milli)} per part.")
    )


async def remove(
    price: Annotated[int, Parameter(help="Its number, as `price list` shows it.")], /, *, every: Every = EVERY
) -> Answer:
    """Take a price away. Messages keep the price with which they were accepted."""
    async with every.changing("price.remove") as (doing, _):
        before = {row.id: _facts(row) for row in await prices.prices(doing.db)}
        await prices.remove_price(doing.db, price)
        doing.record(f"price {price}", before=before.get(price))
    return Answer({"price": price, "removed": True}, Text(f"Price {price} is gone."))


def _class(row: Row) -> str | None:
    return None if row.message_class is None else MessageClass(row.message_class).name.lower()


def _facts(row: Row) -> dict[str, Any]:
    return {
        "price": row.id,
        "account": row.account_id,
        "account_name": row.account,
        "prefix": row.prefix,
        "class": _class(row),
        "price_milli": row.price_milli,
    }
