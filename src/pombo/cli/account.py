"""`account add|list|suspend|resume`."""

from typing import Annotated, Literal

import asyncpg
from cyclopts import Parameter
from rich.text import Text

from pombo.account.secret import new_token
from pombo.account.tokens import kept
from pombo.cli import money
from pombo.cli.answer import Answer, table
from pombo.cli.billing import facts_of
from pombo.cli.options import EVERY, Every
from pombo.cli.token import once
from pombo.cli.words import a_name
from pombo.message import MessageClass
from pombo.store import accounts

Class = Annotated[
    Literal["otp", "transactional", "marketing"],
    Parameter(name="--class", help="What its messages are: codes go first, marketing last."),
]
Money = Parameter(allow_leading_hyphen=True)  # so that a negative amount gets its own refusal


async def add(
    name: str,
    /,
    *,
    balance: Annotated[str, Money, Parameter(help="First credits in reais, such as 1000.00 or 1.000,00.")],
    price: Annotated[str, Money, Parameter(help="Price of one part of a message, in reais.")] = "0.080",
    class_: Class = "transactional",
    every: Every = EVERY,
) -> Answer:
    """Add a customer's account, with its first API token. The token is shown this once."""
    name = a_name(name, "account")
    balance_milli, price_milli = money.parse(balance), money.parse_price(price)
    token = new_token()
    async with every.changing("account.add") as (change, secrets):
        account_id = await accounts.add_account(
            change.db, name, balance_milli, *kept(token, secrets), price_milli=price_milli,
            message_class=MessageClass[class_.upper()],
        )  # fmt: skip
        change.record(
            f"account {account_id}",
            after={"name": name, "balance_milli": balance_milli, "price_milli": price_milli, "class": class_},
        )
    terms = f"{money.show(balance_milli)}, {money.show_price(price_milli)} per part"
    return Answer(
        {"account": account_id, "token": token}, once(f"Account {account_id}, {name}: {terms}.", token)
    )


async def show(*, every: Every = EVERY) -> Answer:
    """All accounts and their balances."""
    async with every.reached() as (db, _):
        rows = await accounts.accounts(db)
    facts = [facts_of(row) for row in rows]
    shown = table(
        ">id", "name", ">balance", ">may spend", ">per part", "class", "marketing", "",
        rows=(
            (
                str(row["id"]), row["name"], money.show(row["balance_milli"]), money.show(row["available_milli"]),
                money.show_price(row["price_milli"]),
                _class(row), row["marketing_window"],
                ", ".join(word for word, true in (("suspended", not row["active"]), ("demo", row["demo"])) if true),
            )
            for row in rows
        ),
        empty="No accounts yet: pombo account add NAME --balance 1000.00",
    )  # fmt: skip
    return Answer({"accounts": facts}, shown)


async def suspend(account: str, /, *, every: Every = EVERY) -> Answer:
    """Refuse an account's messages from now on. Those that wait still go: `pombo queue hold --account` keeps them."""
    return await _switch("account.suspend", account, every, active=False)


async def resume(account: str, /, *, every: Every = EVERY) -> Answer:
    """Take an account's messages again."""
    return await _switch("account.resume", account, every, active=True)


async def _switch(action: str, account: str, every: Every, *, active: bool) -> Answer:
    async with every.changing(action) as (doing, _):
        row = await accounts.account(doing.db, account)
        if row["active"] == active:
            doing.nothing()
        else:
            await accounts.change_account(doing.db, row["id"], {"active": active})
            doing.record(f"account {row['id']}", before={"active": row["active"]}, after={"active": active})
    shown = Text(f"{row['name']} may send." if active else f"{row['name']} is suspended.")
    return Answer({"account": row["id"], "active": active}, shown)


def _class(row: asyncpg.Record) -> str:
    return MessageClass(row["class"]).name.lower()
