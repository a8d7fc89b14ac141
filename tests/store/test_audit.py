"""The chain of records: what is done to it past Pombo is found, and two who write at once keep one chain."""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import asyncpg
import pytest

from pombo.store import accounts, audit
from pombo.store.audit import Actor, changing
from pombo.store.database import Database

pytestmark = pytest.mark.anyio

MARIA = Actor("cli:maria@gateway1", "192.0.2.7 /dev/pts/3")


async def recorded(db: Database, count: int) -> list[str]:
    """Records 1 to count; returns their hashes."""
    for n in range(1, count + 1):
        async with changing(db, MARIA, "smsc.set") as change:
            change.record(f"smsc {n}", before={"rate": n}, after={"rate": n + 0.5})
    return [row["hash"].hex() for row in await db.fetch("select hash from audit order by id")]


async def tampered(db: Database, *statements: str) -> None:
    """By somebody with full rights."""
    for statement in (
        "alter table audit disable trigger append_only",
        *statements,
        "alter table audit enable trigger append_only",
    ):
        await db.execute(statement)


async def test_what_was_recorded_is_a_chain_from_the_first_to_the_newest(database: Database) -> None:
    assert await audit.verify(database) == (0, audit.FIRST, None)

    hashes = await recorded(database, 3)

    count, newest, fault = await audit.verify(database)
    assert (count, newest.hex(), fault) == (3, hashes[-1], None)
    first = (await audit.listed(database, audit.Which(), 10))[-1]
    assert (first["id"], first["actor"], first["source"]) == (1, MARIA.name, MARIA.source)
    assert (first["action"], first["subject"]) == ("smsc.set", "smsc 1")
    assert (json.loads(first["before"]), json.loads(first["after"])) == ({"rate": 1}, {"rate": 1.5})


@pytest.mark.parametrize(
    "statement",
    ["update audit set actor = 'cli:nobody@here'", "delete from audit", "truncate audit"],
)
async def test_the_table_refuses_every_change(database: Database, statement: str) -> None:
    await recorded(database, 1)

    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        await database.execute(statement)

    assert (await audit.verify(database)).records == 1


@pytest.mark.parametrize(
    ("statements", "sound", "said"),
    [
        (["update audit set actor = 'cli:nobody@here' where id = 3"], 2, "record 3 was changed"),
        (["""update audit set after = '{"rate": 9}' where id = 3"""], 2, "record 3 was changed"),
        (["update audit set at = at - interval '1 us' where id = 1"], 0, "record 1 was changed"),
        (["update audit set before = null where id = 5"], 4, "record 5 was changed"),
        (["delete from audit where id = 3"], 2, "record 3 is missing, before record 4"),
        (["delete from audit where id = 1"], 0, "record 1 is missing, before record 2"),
        (
            ["delete from audit where id = 3", "update audit set id = id - 1 where id > 3"],
            2,
            "record 3 does not follow the one before it",
        ),
        (
            [
                "update audit set id = id + 100 where id > 2",
                "update audit set id = id - 99 where id > 2",
                "insert into audit select 3, at, actor, source, action, subject, before, after, previous, hash"
                " from audit where id = 2",
            ],
            2,
            "record 3 does not follow the one before it",
        ),
    ],
)  # fmt: skip
async def test_what_was_done_to_a_record_in_the_middle_is_found(
    database: Database, statements: list[str], sound: int, said: str
) -> None:
    hashes = await recorded(database, 5)

    await tampered(database, *statements)

    count, newest, fault = await audit.verify(database)
    assert (count, fault) == (sound, said)
    assert newest.hex() == ["0" * 64, *hashes][sound]


async def test_that_the_last_records_are_missing_is_found_by_a_hash_that_was_kept(database: Database) -> None:
    hashes = await recorded(database, 5)
    kept = [bytes.fromhex(one) for one in hashes]

    await tampered(database, "delete from audit where id > 3")

    assert (await audit.verify(database)).fault is None
    assert (await audit.verify(database, kept[2])).fault is None
    fault = (await audit.verify(database, kept[4])).fault
    assert fault is not None
    assert "the last ones are missing" in fault


async def test_a_chain_longer_than_a_page_is_walked_to_its_end(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "_PAGE", 2)
    hashes = await recorded(database, 4)

    assert (await audit.verify(database, bytes.fromhex(hashes[0]))).records == 4

    await tampered(database, "update audit set subject = 'smsc 9' where id = 4")
    assert (await audit.verify(database)).fault == "record 4 was changed"


async def test_two_who_change_at_once_make_one_chain(database: Database) -> None:
    async def change_ten(who: str) -> None:
        for n in range(10):
            async with changing(database, Actor(who, ""), "account.set") as change:
                change.record(f"account {n}")

    await asyncio.gather(*(change_ten(f"cli:{n}@host") for n in range(4)))

    assert (await audit.verify(database))[::2] == (40, None)


async def test_a_change_that_fails_leaves_neither_itself_nor_a_record(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with changing(database, MARIA, "account.add") as change:
            await accounts.add_account(change.db, "loja", 0, b"h" * 32, "pombo_")
            change.record("account 1")
            raise ZeroDivisionError

    assert await accounts.accounts(database) == []
    assert (await audit.verify(database)).records == 0


async def test_a_change_that_says_nothing_of_itself_is_not_made(database: Database) -> None:
    with pytest.raises(RuntimeError, match=r"account\.add"):
        async with changing(database, MARIA, "account.add") as change:
            await accounts.add_account(change.db, "loja", 0, b"h" * 32, "pombo_")

    assert await accounts.accounts(database) == []


async def test_a_statement_that_is_refused_leaves_the_rest_of_the_change(database: Database) -> None:
    async with changing(database, MARIA, "account.add") as change:
        await accounts.add_account(change.db, "loja", 0, b"h" * 32, "pombo_")
        with pytest.raises(asyncpg.UniqueViolationError):
            async with change.db.transaction("begin; select pg_advisory_xact_lock(1)") as tx:
                await tx.execute("update account set name = 'banco'")
                await tx.execute("insert into account (name) values ('banco')")
        change.record("account 1", after={"name": "loja"})

    assert [row["name"] for row in await accounts.accounts(database)] == ["loja"]
    assert (await audit.verify(database)).records == 1


@pytest.mark.parametrize(
    "told",
    [
        {"password": "canary"}, {"token": "canary"}, {"signing_secret": b"canary"}, {"text": "canary"},
        {"settings": {"password_sealed": "canary"}}, {"rows": [{"hmac": "canary"}]},
    ],
)  # fmt: skip
async def test_no_secret_stands_in_a_record_whoever_gave_it(
    database: Database, told: Mapping[str, Any]
) -> None:
    async with changing(database, MARIA, "smsc.set") as change:
        change.record("smsc 1", before=told, after={**told, "more": 1})
    async with changing(database, MARIA, "smsc.add") as change:
        change.record("smsc 1", after=told)

    [[kept]] = await database.fetch("select string_agg(audit::text, ' ') from audit")
    assert "canary" not in kept
    assert "63616e617279" not in kept  # in hexadecimal


async def test_numbers_of_people_are_masked_wherever_they_stand(database: Database) -> None:
    told = {"name": "loja 5511987654321", "number": 5511987654321, "list": ["+5511987654321", "11987654321"]}

    async with changing(database, MARIA, "block.add") as change:
        change.record("block 5511987654321", after=told)

    [row] = await database.fetch("select audit::text as kept, subject, after from audit")
    assert "98765" not in row["kept"]
    assert row["subject"] == "block (11) 9****-4321"
    assert json.loads(row["after"])["name"] == "loja (11) 9****-4321"
    assert (await audit.verify(database)).fault is None


async def test_a_record_can_be_checked_without_us(database: Database) -> None:
    """As docs/operating.md shows, after JSON has been to wherever it is kept."""
    await recorded(database, 2)
    async with changing(database, MARIA, "account.add") as change:
        change.record("account 1", after={"name": "Pão & Açúcar", "rate": 1e22, "price": 0.1, "on": True})

    last = "0" * 64
    async for page in audit.pages(database):
        for row in page:
            record = json.loads(json.dumps(audit.exported(row)))
            found = record.pop("hash")
            text = json.dumps(record, sort_keys=True, separators=(",", ":"))
            assert hashlib.sha256(text.encode()).hexdigest() == found
            assert record["previous"] == last
            last = found


@pytest.mark.parametrize(
    ("which", "found"),
    [
        (audit.Which(), [4, 3, 2, 1]),
        (audit.Which(action="smsc"), [3, 2, 1]),
        (audit.Which(action="smsc.add"), [1]),
        (audit.Which(action="sms"), []),
        (audit.Which(subject="smsc 1"), [2, 1]),
        (audit.Which(subject="smsc"), [3, 2, 1]),
        (audit.Which(actor="cli:joao@gateway1"), [4]),
    ],
)
async def test_records_are_found_by_what_they_say(
    database: Database, which: audit.Which, found: list[int]
) -> None:
    for actor, action, subject in (
        (MARIA, "smsc.add", "smsc 1"), (MARIA, "smsc.set", "smsc 1"), (MARIA, "smsc.set", "smsc 10"),
        (Actor("cli:joao@gateway1", ""), "account.add", "account 1"),
    ):  # fmt: skip
        async with changing(database, actor, action) as change:
            change.record(subject)

    assert [row["id"] for row in await audit.listed(database, which, 10)] == found
    newest = (await audit.listed(database, audit.Which(), 1))[0]
    at = newest["at"]
    assert newest["id"] == 4
    assert [r["id"] for r in await audit.listed(database, audit.Which(since=at), 10)] == [4]
    assert [r["id"] for r in await audit.listed(database, audit.Which(until=at), 10)] == [3, 2, 1]
