"""Contacts: the people that an account writes to, by name. Personal data: all of one number can be had and erased."""

from collections.abc import Sequence
from typing import NamedTuple

import asyncpg
import msgspec

from pombo.errors import Taken
from pombo.store.database import Db
from pombo.text.keyword import folded

_COLUMNS = "id, number, name, labels, note, created_at, updated_at"


class Contact(NamedTuple):
    number: int  # E.164 digits
    name: str
    labels: Sequence[str] = ()
    note: str = ""


class Which(NamedTuple):
    """Which contacts of an account. digits: of the number. name: folded; either fits where it stands anywhere, or both are
    ''. number: this one. label: ''  fits all."""

    digits: str = ""
    name: str = ""
    number: int | None = None
    label: str = ""


_FITS = (
    "account_id = $1 and ($5::text = '' or labels @> array[$5])"
    " and (($2::text = '' and $3::text = '' and $4::bigint is null) or ($2 <> '' and number::text like '%' || $2 || '%')"
    " or ($3 <> '' and strpos(folded, $3) > 0) or number = $4)"
)


async def listed(
    db: Db, account_id: int, which: Which, after: tuple[str, int] | None, limit: int
) -> list[asyncpg.Record]:
    """By name, with their `folded` name; after: that and the id of the last one of the page before."""
    return await db.fetch(
        f"select {_COLUMNS}, folded from contact where {_FITS}"
        " and ($6::text is null or (folded, id) > ($6, $7::bigint)) order by folded, id limit $8",
        account_id, *which, *(after or (None, None)), limit,
    )  # fmt: skip


async def counted(db: Db, account_id: int, which: Which) -> int:
    return int(await db.fetchval(f"select count(*) from contact where {_FITS}", account_id, *which))


async def labels(db: Db, account_id: int) -> list[asyncpg.Record]:
    """`label` and its `contacts`, by label."""
    return await db.fetch(
        "select label, count(*) as contacts from contact cross join unnest(labels) label where account_id = $1"
        " group by label order by label",
        account_id,
    )


async def contact(db: Db, account_id: int, contact_id: int) -> asyncpg.Record | None:
    return await db.fetchrow(
        f"select {_COLUMNS} from contact where account_id = $1 and id = $2", account_id, contact_id
    )


async def names(db: Db, account_id: int, numbers: Sequence[int]) -> dict[int, str]:
    """By number, of those that have one."""
    rows = await db.fetch(
        "select number, name from contact where account_id = $1 and number = any($2::bigint[]) and name <> ''",
        account_id, numbers,
    )  # fmt: skip
    return {row["number"]: row["name"] for row in rows}


async def add(db: Db, account_id: int, new: Contact) -> int:
    """Raises Taken where the number has a contact already."""
    contact_id = await db.fetchval(
        "insert into contact (account_id, number, name, folded, labels, note) values ($1, $2, $3, $4, $5, $6)"
        " on conflict do nothing returning id",
        account_id, new.number, new.name, folded(new.name), list(new.labels), new.note,
    )  # fmt: skip
    if contact_id is None:
        raise Taken
    return int(contact_id)


async def change(db: Db, account_id: int, contact_id: int, new: Contact) -> bool:
    """Whether it is there. Raises Taken where another contact has the number."""
    try:
        found = await db.fetchval(
            "update contact set number = $3, name = $4, folded = $5, labels = $6, note = $7, updated_at = now()"
            " where account_id = $1 and id = $2 returning true",
            account_id, contact_id, new.number, new.name, folded(new.name), list(new.labels), new.note,
        )  # fmt: skip
    except asyncpg.UniqueViolationError:
        raise Taken from None
    return bool(found)


async def remove(db: Db, account_id: int, contact_ids: Sequence[int]) -> int:
    """How many were there."""
    rows = await db.fetch(
        "delete from contact where account_id = $1 and id = any($2::bigint[]) returning 1",
        account_id, contact_ids,
    )  # fmt: skip
    return len(rows)


# A name that is given takes the place of the old one, labels come to those that are there, and a note stays.
_MERGE = """
insert into contact as c (account_id, number, name, folded, labels, note)
select $1, t.number, t.name, t.folded, array(select jsonb_array_elements_text(t.labels)), t.note
from unnest($2::bigint[], $3::text[], $4::text[], $5::jsonb[], $6::text[]) t(number, name, folded, labels, note)
order by t.number
on conflict (account_id, number) do update set
    name = case excluded.name when '' then c.name else excluded.name end,
    folded = case excluded.name when '' then c.folded else excluded.folded end,
    labels = c.labels || array(select l from unnest(excluded.labels) l where l <> all (c.labels)),
    note = case c.note when '' then excluded.note else c.note end,
    updated_at = now()
where (excluded.name <> '' and excluded.name <> c.name) or not excluded.labels <@ c.labels
   or (c.note = '' and excluded.note <> '')
returning xmax = 0 as added
"""


class Merged(NamedTuple):
    added: int
    changed: int


async def merge(db: Db, account_id: int, new: Sequence[Contact]) -> Merged:
    """Add them, or what they say to those that have the number; no number may stand there twice."""
    rows = await db.fetch(
        _MERGE,
        account_id,
        [c.number for c in new], [c.name for c in new], [folded(c.name) for c in new],
        [_array(c.labels) for c in new], [c.note for c in new],
    )  # fmt: skip
    added = sum(row["added"] for row in rows)
    return Merged(added, len(rows) - added)


def _array(labels: Sequence[str]) -> str:
    """Arrays of arrays must be rectangular; JSON need not be."""
    return msgspec.json.encode(list(labels)).decode()
