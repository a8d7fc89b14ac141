"""`account add|list|token`."""

import getpass
import sys
import unicodedata
from typing import Annotated, Literal

import asyncpg
from cyclopts import Parameter
from rich.console import Group
from rich.text import Text

from pombo.account.secret import TOKEN_PREFIX, Secrets, new_token
from pombo.cli import money
from pombo.cli.answer import Answer, table
from pombo.cli.billing import facts_of
from pombo.cli.options import EVERY, Every
from pombo.cli.words import a_name
from pombo.errors import PomboError
from pombo.message import MessageClass
from pombo.store import accounts

_TOKEN_MOST_CHARACTERS = 512  # the API looks no longer one up
_PREFIX_SHOWN = 4  # characters of a token that people may see, after the common start of ours

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
    async with every.reached() as (db, secrets):
        account_id = await accounts.add_account(
            db, name, balance_milli, *_kept(token, secrets), price_milli=price_milli,
            message_class=MessageClass[class_.upper()],
        )  # fmt: skip
    terms = f"{money.show(balance_milli)}, {money.show_price(price_milli)} per part"
    return Answer(
        {"account": account_id, "token": token}, _once(f"Account {account_id}, {name}: {terms}.", token)
    )


async def show(*, every: Every = EVERY) -> Answer:
    """All accounts and their balances."""
    async with every.reached() as (db, _):
        rows = await accounts.accounts(db)
    facts = [facts_of(row) for row in rows]
    shown = table(
        ">id", "name", ">balance", ">may spend", ">per part", "class", "",
        rows=(
            (
                str(row["id"]), row["name"], money.show(row["balance_milli"]), money.show(row["available_milli"]),
                money.show_price(row["price_milli"]),
                _class(row),
                ", ".join(word for word, true in (("suspended", not row["active"]), ("demo", row["demo"])) if true),
            )
            for row in rows
        ),
        empty="No accounts yet: pombo account add NAME --balance 1000.00",
    )  # fmt: skip
    return Answer({"accounts": facts}, shown)


async def token(
    account: str,
    /,
    *,
    import_: Annotated[
        bool,
        Parameter(
            name="--import", help="Read a token that the customer has already from stdin.", negative=()
        ),
    ] = False,
    every: Every = EVERY,
) -> Answer:
    """Give an account one more API token; those it has stay valid. A new token is shown this once."""
    given = _read_token() if import_ else new_token()
    async with every.reached() as (db, secrets):
        row = await accounts.account(db, account)
        await accounts.add_token(db, row["id"], *_kept(given, secrets))
    if import_:
        return Answer(
            {"account": row["id"], "imported": True}, Text(f"{row['name']} may use this token now.")
        )
    return Answer({"account": row["id"], "token": given}, _once(f"A new token for {row['name']}.", given))


def _class(row: asyncpg.Record) -> str:
    return MessageClass(row["class"]).name.lower()


def _once(sentence: str, token: str) -> Group:
    return Group(Text(sentence), Text(f"Token: {token}", style="bold"), "[dim]It is shown this once only.[/]")


def _kept(token: str, secrets: Secrets) -> tuple[bytes, str]:
    """What the database keeps of a token: its HMAC, and a few characters by which people tell tokens apart.

    Of a customer's own short token no more than a quarter: it must stay hard to guess.
    """
    common = len(TOKEN_PREFIX) if token.startswith(TOKEN_PREFIX) else 0
    return secrets.token_hmac(token), token[: common + min(_PREFIX_SHOWN, (len(token) - common) // 4)]


def _read_token() -> str:
    """A token from stdin, without the end of its line. Raises PomboError for one that no request could carry."""
    if sys.stdin.isatty():
        return _checked(getpass.getpass("Token: "))
    octets = sys.stdin.buffer.read(4 * _TOKEN_MOST_CHARACTERS + 16)  # UTF-8 needs four octets at most
    try:
        text = octets.decode("utf-8-sig")  # what Windows writes begins with a mark
    except UnicodeDecodeError:
        raise PomboError("The token on stdin is not UTF-8, or far too long.") from None
    return _checked(text.removesuffix("\n").removesuffix("\r"))


def _checked(token: str) -> str:
    if not token.strip():
        raise PomboError(
            'There is no token on stdin. For example: printf %s "$TOKEN" | pombo account token NAME --import'
        )
    if len(token) > _TOKEN_MOST_CHARACTERS:
        raise PomboError(f"The token is too long: {_TOKEN_MOST_CHARACTERS} characters at most.")
    if any(unicodedata.category(char) == "Cc" for char in token):
        raise PomboError("The token contains control characters, or more than one line.")
    return token
