"""The ledger: nothing in it changes, each booking counts once, and it says what every balance is."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from pombo.errors import PomboError
from pombo.store import ledger
from pombo.store.database import Database

pytestmark = pytest.mark.anyio


@pytest.fixture
async def account(database: Database) -> int:
    """An account without money."""
    return int(await database.fetchval("insert into account (name) values ('a') returning id"))


async def balance(db: Database) -> int:
    assert await ledger.faults(db) == []
    return int(await db.fetchval("select balance_milli from account"))


@pytest.mark.parametrize("change", ["update ledger set note = 'x'", "delete from ledger"])
async def test_an_entry_is_never_changed_or_removed(database: Database, account: int, change: str) -> None:
    await ledger.book(database, account, "recharge", 1000)
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        await database.execute(change)
    assert await balance(database) == 1000


async def test_a_booking_counts_once_for_its_reference(database: Database, account: int) -> None:
    made = await asyncio.gather(
        *(ledger.book(database, account, "recharge", 1000, reference="nf 1") for _ in range(10))
    )
    assert len({booked.entry_id for booked in made}) == 1
    assert sum(not booked.again for booked in made) == 1
    assert {booked.balance_milli for booked in made} == {1000}
    await ledger.book(database, account, "recharge", 1000)
    await ledger.book(database, account, "recharge", 1000)
    assert await balance(database) == 3000
    with pytest.raises(PomboError, match="another booking"):
        await ledger.book(database, account, "recharge", 1001, reference="nf 1")
    with pytest.raises(PomboError, match="another booking"):
        await ledger.book(database, account, "adjustment", 1000, reference="nf 1")


async def test_the_same_reference_of_another_account_is_another_booking(
    database: Database, account: int
) -> None:
    other = await database.fetchval("insert into account (name) values ('b') returning id")
    for booked_for in (account, other):
        assert not (await ledger.book(database, booked_for, "recharge", 1, reference="nf 1")).again


async def test_no_adjustment_takes_more_than_may_be_owed(database: Database, account: int) -> None:
    await ledger.book(database, account, "recharge", 1000)
    with pytest.raises(PomboError, match="may not owe"):
        await ledger.book(database, account, "adjustment", -1001)
    await database.execute("update account set billing = 'postpaid', limit_milli = 500")
    await ledger.book(database, account, "adjustment", -1500)
    with pytest.raises(PomboError, match="may not owe"):
        await ledger.book(database, account, "adjustment", -1)
    assert await balance(database) == -500


async def test_a_balance_beyond_all_bounds_is_refused(database: Database, account: int) -> None:
    await ledger.book(database, account, "recharge", 2**63 - 1)
    with pytest.raises(PomboError, match="too large"):
        await ledger.book(database, account, "recharge", 1)


async def test_a_statement_has_the_balance_before_and_after_each_entry(
    database: Database, account: int
) -> None:
    await database.execute(
        "insert into ledger (account_id, kind, amount_milli, messages, at) values"
        " ($1, 'recharge', 1000, 0, '2026-11-01 12:00Z'), ($1, 'charge', -160, 2, '2026-11-02 02:59Z'),"
        " ($1, 'charge', -80, 1, '2026-11-02 03:00Z'), ($1, 'refund', 80, 1, '2026-11-03 12:00Z')",
        account,
    )
    await database.execute("update account set balance_milli = 840")
    opening, entries = await ledger.statement(database, account, None, None, 10)
    assert (opening, [entry.balance_milli for entry in entries]) == (0, [1000, 840, 760, 840])
    opening, entries = await ledger.statement(database, account, None, None, 2)
    assert (opening, [entry.balance_milli for entry in entries]) == (0, [760, 840])
    since = datetime(2026, 11, 2, 3, tzinfo=UTC)
    opening, entries = await ledger.statement(database, account, since, since + timedelta(days=1), 10)
    assert (opening, [(e.kind, e.amount_milli, e.balance_milli) for e in entries]) == (
        840,
        [("charge", -80, 760)],
    )
    assert await ledger.days(database, account, None, None) == [
        ("2026-11-01", 2, 160, 0, 1000, 840),  # ends at 3 h UTC in São Paulo
        ("2026-11-02", 1, 80, 0, 0, 760),
        ("2026-11-03", 0, 0, 80, 0, 840),
    ]
    assert [day.balance_milli for day in await ledger.days(database, account, since, None)] == [760, 840]
    future = since + timedelta(days=365)
    assert await ledger.statement(database, account, future, None, 10) == (840, [])


async def test_what_is_wrong_with_the_books_is_found(database: Database, account: int) -> None:
    await ledger.book(database, account, "recharge", 1000)
    await database.execute(
        "insert into message (id, account_id, client_ref, destination, number, body, ucs2, parts, price_milli, state,"
        " smsc_id, accepted_at, refunded_milli) values (1, $1, '1', '1', 1, 'a', false, 1, 80, 3, 1, now(), 80)",
        account,
    )
    await database.execute("update account set balance_milli = 999")
    found = " ".join(await ledger.faults(database))
    assert "balance is 999" in found and "says 1000" in found
    assert "refunded 80 thousandths, the ledger says 0" in found
    assert "have not failed" in found
    with pytest.raises(asyncpg.CheckViolationError):
        await database.execute("update message set refunded_milli = 81")
