"""What people do with an account's API tokens: a command or a page, each within a change that it began."""

from datetime import UTC, datetime
from typing import Any

import asyncpg

from pombo.account.secret import TOKEN_PREFIX, Secrets, new_token
from pombo.account.token import Scope
from pombo.message import MessageClass
from pombo.store import tokens
from pombo.store.audit import Change
from pombo.store.tokens import Terms

MOST_CHARACTERS = 512  # the API looks no longer one up
_PREFIX_SHOWN = 4  # characters of a token that people may see, after the common start of ours
_TOLD = ("account", "prefix", "name", "class", "scopes", "addresses", "expires_at", "revoked_at")


def kept(token: str, secrets: Secrets) -> tuple[bytes, str]:
    """What the database keeps of a token: its HMAC, and a few characters by which people tell tokens apart.

    Of a customer's own short token no more than a quarter: it must stay hard to guess.
    """
    common = len(TOKEN_PREFIX) if token.startswith(TOKEN_PREFIX) else 0
    return secrets.token_hmac(token), token[: common + min(_PREFIX_SHOWN, (len(token) - common) // 4)]


async def add(
    change: Change, secrets: Secrets, account_id: int, terms: Terms, given: str | None = None
) -> tuple[int, str]:
    """Its id, and the token, which nobody can read later. given: one that the customer has already.

    Raises PomboError when some account has it already, or had it.
    """
    token = new_token() if given is None else given
    token_id = await tokens.add(change.db, account_id, *kept(token, secrets), terms)
    after = _told(await tokens.token(change.db, token_id)) | {"imported": given is not None}
    change.record(f"token {token_id}", after=after)
    return token_id, token


async def alter(change: Change, row: asyncpg.Record, terms: Terms) -> asyncpg.Record:
    """row: as `store.tokens.token` gave it within this change."""
    await tokens.change(change.db, row["id"], terms)
    now = await tokens.token(change.db, row["id"])
    change.record(f"token {row['id']}", before=_told(row), after=_told(now))
    return now


async def rotate(
    change: Change, secrets: Secrets, row: asyncpg.Record, overlap_s: int
) -> tuple[asyncpg.Record, str] | None:
    """A new token like an old one, which ends when the overlap is over: `id` and `ends_at`, and the new token.

    None when the old one has ended already.
    """
    token = new_token()
    new = await tokens.rotate(change.db, row["id"], *kept(token, secrets), overlap_s)
    if new is None:
        change.nothing()
        return None
    after = _told(await tokens.token(change.db, row["id"])) | {"new_token_id": new["id"]}
    change.record(f"token {row['id']}", before=_told(row), after=after)
    return new, token


async def revoke(change: Change, row: asyncpg.Record) -> bool:
    """At once and for good; False when it was revoked before."""
    if not await tokens.revoke(change.db, row["id"]):
        change.nothing()
        return False
    change.record(
        f"token {row['id']}", before=_told(row), after=_told(await tokens.token(change.db, row["id"]))
    )
    return True


def facts(row: asyncpg.Record) -> dict[str, Any]:
    return {
        "token_id": row["id"],
        "account": row["account_id"],
        "account_name": row["account"],
        "prefix": row["prefix"],
        "name": row["name"],
        "class": None if row["class"] is None else MessageClass(row["class"]).name.lower(),
        "scopes": [scope.value for scope in Scope if scope in row["scopes"]],
        "addresses": [str(network) for network in row["networks"]],
        "state": row["state"],
        "created_at": _iso(row["created_at"]),
        "used_at": _iso(row["used_at"]),
        "expires_at": _iso(row["expires_at"]),
        "revoked_at": _iso(row["revoked_at"]),
    }


def _iso(at: datetime | None) -> str | None:
    return (
        None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def _told(row: asyncpg.Record) -> dict[str, Any]:
    """For the audit trail."""
    every = facts(row)
    return {key: every[key] for key in _TOLD}
