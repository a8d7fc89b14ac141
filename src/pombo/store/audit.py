"""The audit trail: who changed what, when, from where. Append-only, and chained: each record's hash covers the one before.

A record is the JSON object that `exported` gives, its `hash` the SHA-256 over all the rest of it: keys sorted, no blanks,
ASCII. So whoever has an export can check the chain without us; docs/operating.md shows how.
"""

import hashlib
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import asyncpg

from pombo.number import masked
from pombo.store.database import Connection, Database, Db, Within

FIRST = bytes(32)  # what the first record has for the hash of the one before

_LOCK = 0x6175646974  # "audit"
_PAGE = 1000
_SECRET = re.compile(r"password|secret|token$|hmac|^text$|body|sealed", re.IGNORECASE)
_NUMBER = re.compile(r"number|destination|handset|source", re.IGNORECASE)
_LONG_NUMBER = re.compile(r"\+?\d{8,}")
_MOST_CHARACTERS = 500  # of one value: a list of certificates would be longer than all the rest


class Actor(NamedTuple):
    """Who it is, as far as we can tell."""

    name: str  # 'cli:maria@gateway1'
    source: str  # address and terminal; '' where there is none


class Change:
    """A change under way: all statements on `db` are one transaction, which its record commits with."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.told: tuple[str, Mapping[str, Any] | None, Mapping[str, Any] | None] | None = None
        self.empty = False

    def record(
        self,
        subject: str,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """subject: `smsc 3`. before, after: what it was and is, of which the record keeps what differs.

        Numbers are masked and secrets left out where it is written; say a new password as `{"new_password": True}`.
        """
        assert self.told is None, "a change has one record"
        if before is not None and after is not None:
            moved = {key for key in {*before, *after} if before.get(key) != after.get(key)}
            before = {key: value for key, value in before.items() if key in moved}
            after = {key: value for key, value in after.items() if key in moved}
        self.told = (subject, before, after)

    def nothing(self) -> None:
        """It turned out that there was nothing to change."""
        self.empty = True


@asynccontextmanager
async def changing(db: Database, actor: Actor, action: str) -> AsyncIterator[Change]:
    """action: `smsc.set`. A block that ends without having said what it changed is a fault, and changes nothing."""
    async with db.transaction("begin read write") as tx:
        change = Change(Within(tx))
        yield change
        if change.told is not None:
            await record(tx, actor, action, *change.told)
        elif not change.empty:
            raise RuntimeError(f"{action} changes something without a record of it")


async def record(
    tx: Connection,
    actor: Actor,
    action: str,
    subject: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Add a record, in the transaction of the change that it tells of. Call it last: records are written one at a time,
    so the chain is locked from here to the commit."""
    await tx.execute(f"select pg_advisory_xact_lock({_LOCK})")
    last = await tx.fetchrow("select id, hash from audit order by id desc limit 1")
    # As the database will give them back: it writes numbers in its own way.
    row = await tx.fetchrow(
        "select $1::bigint as id, clock_timestamp() as at, $2::text as actor, $3::text as source, $4::text as action,"
        " $5::text as subject, $6::jsonb as before, $7::jsonb as after, $8::bytea as previous",
        1 if last is None else last["id"] + 1, actor.name, actor.source, action, str(_safe(subject)),
        _json(before), _json(after), FIRST if last is None else last["hash"],
    )  # fmt: skip
    assert row is not None
    await tx.execute(
        "insert into audit (id, at, actor, source, action, subject, before, after, previous, hash)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        *row.values(), hash_of(row),
    )  # fmt: skip


def facts(row: asyncpg.Record) -> dict[str, Any]:
    """A record as it is hashed, shown and exported; without its hash."""
    return {
        "id": row["id"],
        "at": row["at"].astimezone(UTC).isoformat(timespec="microseconds"),
        "actor": row["actor"],
        "source": row["source"],
        "action": row["action"],
        "subject": row["subject"],
        "before": None if row["before"] is None else json.loads(row["before"]),
        "after": None if row["after"] is None else json.loads(row["after"]),
        "previous": row["previous"].hex(),
    }


def hash_of(row: asyncpg.Record) -> bytes:
    text = json.dumps(facts(row), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).digest()


def exported(row: asyncpg.Record) -> dict[str, Any]:
    return {**facts(row), "hash": row["hash"].hex()}


class Which(NamedTuple):
    """Which records; None fits all. until: excluded. action, subject: also what begins with it and a dot or blank."""

    since: datetime | None = None
    until: datetime | None = None
    action: str | None = None
    subject: str | None = None
    actor: str | None = None


async def listed(db: Db, which: Which, limit: int) -> list[asyncpg.Record]:
    """The newest of them, newest first."""
    return await db.fetch(
        "select * from audit where ($1::timestamptz is null or at >= $1) and ($2::timestamptz is null or at < $2)"
        " and ($3::text is null or action = $3 or starts_with(action, $3 || '.'))"
        " and ($4::text is null or subject = $4 or starts_with(subject, $4 || ' '))"
        " and ($5::text is null or actor = $5) order by id desc limit $6",
        *which, limit,
    )  # fmt: skip


async def pages(db: Db) -> AsyncIterator[list[asyncpg.Record]]:
    """All records, the oldest first."""
    after_id: int | None = None
    while True:
        page = await db.fetch(
            "select * from audit where $1::bigint is null or id > $1 order by id limit $2", after_id, _PAGE
        )
        if page:
            yield page
            after_id = page[-1]["id"]
        if len(page) < _PAGE:
            return


class Verdict(NamedTuple):
    records: int  # that are sound, from the first one on
    newest: bytes  # the hash of the last of them
    fault: str | None  # what is wrong with the one after them


async def verify(db: Db, expected: bytes | None = None) -> Verdict:
    """Walk the chain up to its first fault. expected: a hash that was the newest once, and must stand in it."""
    count, newest, found = 0, FIRST, expected in (None, FIRST)
    async for page in pages(db):
        for row in page:
            if row["id"] != count + 1:
                said = f"record {count + 1} is missing, before record {row['id']}"
            elif row["previous"] != newest:
                said = f"record {row['id']} does not follow the one before it"
            elif row["hash"] != hash_of(row):
                said = f"record {row['id']} was changed"
            else:
                count, newest = count + 1, row["hash"]
                found = found or newest == expected
                continue
            return Verdict(count, newest, said)
    if not found:
        said = "no record has the hash that was expected: the last ones are missing, or all were made anew"
        return Verdict(count, newest, said)
    return Verdict(count, newest, None)


def _json(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(_safe(value))


def _safe(value: object) -> object:
    """Without secrets and whole numbers, whoever forgot that. Numbers of our own (ids, thousandths) are int, and stay."""
    if isinstance(value, Mapping):
        return {str(key): _of(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_safe(inner) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    text = str(value).replace("\0", "")
    if len(text) > _MOST_CHARACTERS:
        return f"({len(text)} characters, SHA-256 {hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:7]}…)"
    return _LONG_NUMBER.sub(lambda found: masked(int(found[0])), text)


def _of(key: str, value: object) -> object:
    if value is None or isinstance(value, bool):
        return value  # of a secret, too: whether there is one
    if _SECRET.search(key):
        return "(not shown)"
    return _safe(str(value) if isinstance(value, int) and _NUMBER.search(key) else value)
