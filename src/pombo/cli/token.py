"""`token add|list|set|rotate|revoke`."""

import getpass
import re
import sys
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Literal

import asyncpg
from cyclopts import Parameter
from rich.console import Group
from rich.text import Text

from pombo.account import tokens as operations
from pombo.account.token import Scope, parse_networks
from pombo.account.tokens import MOST_CHARACTERS
from pombo.cli.answer import Answer, age, table
from pombo.cli.options import EVERY, Every, Flag
from pombo.cli.words import a_name
from pombo.errors import PomboError
from pombo.message import MessageClass
from pombo.store import accounts, tokens
from pombo.store.tokens import Terms

_OVERLAP = re.compile(r"([0-9]{1,4}) ?([hd])|0", re.ASCII)
_LONGEST_OVERLAP_S = 400 * 86400

TokenId = Annotated[int, Parameter(help="Its number in `pombo token list`.")]
From = Annotated[
    str,
    Parameter(
        name="--from", help="Addresses that may use it: 192.0.2.7,198.51.100.0/24; or any, which is usual."
    ),
]
Scopes = Annotated[str, Parameter(name="--scope", help="What it may do: send, read, or send,read.")]
Name = Annotated[str, Parameter(help="What people call it.")]
Class = Annotated[
    Literal["otp", "transactional", "marketing", "account"],
    Parameter(name="--class", help="What messages sent with it are; account: what the account's are."),
]
Expires = Annotated[
    str, Parameter(help="When it ends: 2026-12-31, or 2026-12-31 18:00, in UTC; or never, which is usual.")
]


async def add(
    account: str,
    /,
    *,
    name: Name = "",
    class_: Class = "account",
    scope: Scopes = "send,read",
    from_: From = "any",
    expires: Expires = "never",
    import_: Annotated[
        bool, Flag, Parameter(name="--import", help="Read a token that the customer has already from stdin.")
    ] = False,
    every: Every = EVERY,
) -> Answer:
    """Give an account one more API token; those it has stay valid. A new token is shown this once."""
    terms = Terms(_name(name), _class(class_), _scopes(scope), parse_networks(from_), _moment(expires))
    if terms.expires_at is not None and terms.expires_at <= datetime.now(UTC):
        raise PomboError(
            f"A token that expired on {expires} would never be valid: name a later time, or never."
        )
    own = _read() if import_ else None
    async with every.changing("token.add") as (doing, secrets):
        row = await accounts.account(doing.db, account)
        token_id, given = await operations.add(doing, secrets, row["id"], terms, own)
    facts = {"account": row["id"], "token_id": token_id}
    if import_:
        return Answer({**facts, "imported": True}, Text(f"{row['name']} may use this token now."))
    return Answer({**facts, "token": given}, once(f"Token {token_id}, for {row['name']}.", given))


async def show(
    *,
    account: Annotated[str | None, Parameter(help="Those of this account: name or id.")] = None,
    all_: Annotated[
        bool, Flag, Parameter(name="--all", help="Also those that are revoked or expired.")
    ] = False,
    every: Every = EVERY,
) -> Answer:
    """API tokens: what each may do, and when it was used last."""
    async with every.reached() as (db, _):
        account_id = None if account is None else (await accounts.account(db, account))["id"]
        rows = await tokens.tokens(db, account_id, over=all_)
    facts = [operations.facts(row) for row in rows]
    shown = table(
        ">token", "account", "begins", "name", "class", "scopes", "from", "used", "ends",
        rows=(
            (
                str(row["id"]), row["account"], f"{row['prefix']}…", row["name"], fact["class"] or "account's",
                ",".join(fact["scopes"]), ",".join(fact["addresses"]) or "any", _ago(row["used_at"]), _end(row),
            )
            for row, fact in zip(rows, facts, strict=True)
        ),
        empty="No tokens: pombo token add ACCOUNT",
    )  # fmt: skip
    return Answer({"tokens": facts}, shown)


async def change(
    token: TokenId,
    /,
    *,
    name: Name | None = None,
    class_: Class | None = None,
    scope: Scopes | None = None,
    from_: From | None = None,
    expires: Expires | None = None,
    every: Every = EVERY,
) -> Answer:
    """Change what a token may do; what is not given stays. Takes effect at once."""
    if name is class_ is scope is from_ is expires is None:
        raise PomboError("Nothing to change: give at least one option. `pombo token set --help` shows them.")
    async with every.changing("token.set") as (doing, _):
        row = await tokens.token(doing.db, token)
        if row["revoked_at"] is not None:
            raise PomboError(f"Token {token} is revoked for good. `pombo token add` makes a new one.")
        terms = Terms(
            row["name"] if name is None else _name(name),
            row["class"] if class_ is None else _class(class_),
            row["scopes"] if scope is None else _scopes(scope),
            row["networks"] if from_ is None else parse_networks(from_),
            row["expires_at"] if expires is None else _moment(expires),
        )
        row = await operations.alter(doing, row, terms)
    fact = operations.facts(row)
    shown = (
        f"Token {token} of {row['account']}: {', '.join(fact['scopes'])}; class {fact['class'] or 'of the account'};"
        f" from {', '.join(fact['addresses']) or 'any address'}; ends: {_end(row) or 'never'}."
    )
    return Answer(fact, Text(shown))


async def rotate(
    token: TokenId,
    /,
    *,
    overlap: Annotated[str, Parameter(help="How long the old one stays valid: 24h, 7d, or 0.")] = "24h",
    every: Every = EVERY,
) -> Answer:
    """Make a new token like an old one, which ends after a while. The new token is shown this once."""
    overlap_s = _overlap_s(overlap)
    async with every.changing("token.rotate") as (doing, secrets):
        row = await tokens.token(doing.db, token)
        rotated = await operations.rotate(doing, secrets, row, overlap_s)
        if rotated is None:
            raise PomboError(f"Token {token} is {row['state']}. `pombo token add` makes a new one.")
        new, given = rotated
    facts = {
        "account": row["account_id"],
        "token_id": new["id"],
        "token": given,
        "old_token_id": token,
        "old_expires_at": new["ends_at"],
    }
    ends = f"{new['ends_at'].astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return Answer(facts, once(f"Token {new['id']}, for {row['account']}. Token {token} ends {ends}.", given))


async def revoke(token: TokenId, /, *, every: Every = EVERY) -> Answer:
    """End a token at once and for good."""
    async with every.changing("token.revoke") as (doing, _):
        row = await tokens.token(doing.db, token)
        revoked = await operations.revoke(doing, row)
    shown = f"Token {token} of {row['account']} is revoked{'' if revoked else ' already'}."
    return Answer({"token_id": token, "account": row["account_id"], "revoked": revoked}, Text(shown))


def _ago(at: datetime | None) -> str:
    return "never" if at is None else f"{age(at)} ago"


def _end(row: asyncpg.Record) -> str:
    if row["state"] == "revoked":
        return "revoked"
    return "" if row["expires_at"] is None else f"{row['expires_at'].astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _name(name: str) -> str:
    return a_name(name, "token") if name.strip() else ""


def _class(name: str) -> MessageClass | None:
    return None if name == "account" else MessageClass[name.upper()]


def _scopes(text: str) -> list[str]:
    wanted = {part.strip().lower() for part in text.split(",") if part.strip()}
    if not wanted or wanted - set(Scope):
        raise PomboError(f"{text!r} is no scope: write send, read, or send,read.")
    return sorted(wanted)


def _moment(text: str) -> datetime | None:
    if text.strip().lower() == "never":
        return None
    try:
        at = datetime.fromisoformat(text.strip())
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at
    except ValueError:
        raise PomboError(f"{text!r} is no time. Write it as 2026-12-31 18:00 (UTC), or never.") from None


def _overlap_s(text: str) -> int:
    found = _OVERLAP.fullmatch(text.strip().lower())
    seconds = -1
    if found:
        seconds = int(found[1] or 0) * (86400 if found[2] == "d" else 3600)
    if not 0 <= seconds <= _LONGEST_OVERLAP_S:
        raise PomboError(f"{text!r} is no overlap: write it as 24h or 7d, 400d at the most, or 0.")
    return seconds


def once(sentence: str, token: str) -> Group:
    return Group(Text(sentence), Text(f"Token: {token}", style="bold"), "[dim]It is shown this once only.[/]")


def _read() -> str:
    """A token from stdin, without the end of its line. Raises PomboError for one that no request could carry."""
    if sys.stdin.isatty():
        return _checked(getpass.getpass("Token: "))
    octets = sys.stdin.buffer.read(4 * MOST_CHARACTERS + 16)  # UTF-8 needs four octets at most
    try:
        text = octets.decode("utf-8-sig")  # what Windows writes begins with a mark
    except UnicodeDecodeError:
        raise PomboError("The token on stdin is not UTF-8, or far too long.") from None
    return _checked(text.removesuffix("\n").removesuffix("\r"))


def _checked(token: str) -> str:
    if not token.strip():
        raise PomboError(
            'There is no token on stdin. For example: printf %s "$TOKEN" | pombo token add NAME --import'
        )
    if len(token) > MOST_CHARACTERS:
        raise PomboError(f"The token is too long: {MOST_CHARACTERS} characters at most.")
    if any(unicodedata.category(char) == "Cc" for char in token):
        raise PomboError("The token contains control characters, or more than one line.")
    return token
