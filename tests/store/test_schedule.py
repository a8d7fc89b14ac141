"""What waits for its time: windows that close, cancelling, and claims past a hundred thousand scheduled messages."""

import asyncio
import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from pombo.app.windows import put_off
from pombo.message import AttemptState, MessageClass, QueueState, State
from pombo.store import accounts, schedule, waiting
from pombo.store.database import Database
from pombo.store.intake import accept
from pombo.store.waiting import Which
from rows import claim, one_message

pytestmark = pytest.mark.anyio

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
NUMBER = 5511987654321


async def furnish(db: Database, window: str = "always") -> int:
    account_id = await db.fetchval(
        "insert into account (name, balance_milli, marketing_window) values ('loja', 1000, $1) returning id",
        window,
    )
    await db.execute(
        "insert into ledger (account_id, kind, amount_milli) values ($1, 'recharge', 1000)", account_id
    )
    return int(account_id)


async def marketing(db: Database, message_id: int, closes_at: datetime | None, **columns: object) -> None:
    """Of account 1, accepted in an opening that ends at `closes_at`; columns: of its queue row."""
    await accept(
        db, one_message(1, message_id, NUMBER, 1, message_class=MessageClass.MARKETING, closes_at=closes_at)
    )
    for column, value in columns.items():
        await db.execute(f"update queue set {column} = $2 where message_id = $1", message_id, value)


async def session(db: Database) -> int:
    return int(
        await db.fetchval("insert into session (smsc_id, holder) values (1, $1) returning id", uuid.uuid4())
    )


async def set_window(db: Database, window: str) -> None:
    await accounts.change_account(db, 1, {"marketing_window": window})
    await schedule.close_windows(db, 1)


def days_from(at: datetime) -> str:
    """A window of three days, from tomorrow on."""
    return ",".join(sorted({f"{at + n * DAY:%a}".lower() for n in (2, 3, 4)})) + " 10:00-11:00"


async def test_what_still_waits_when_its_window_closes_goes_to_the_next_opening_with_what_is_left_of_its_validity(
    database: Database,
) -> None:
    await furnish(database, days_from(NOW))
    closed_at = NOW - timedelta(minutes=10)
    await marketing(
        database, 1, closed_at, due_at=NOW - timedelta(hours=1), expires_at=closed_at + timedelta(hours=5)
    )
    await marketing(database, 2, NOW + timedelta(hours=1))

    assert await put_off(database) == 1

    first, second = await database.fetch("select * from queue order by message_id")
    assert first["opens_at"] > NOW + DAY
    assert first["due_at"] == first["opens_at"]
    assert first["closes_at"] == first["opens_at"] + timedelta(hours=1)
    assert first["expires_at"] == first["opens_at"] + timedelta(hours=5)
    assert second["closes_at"] == NOW + timedelta(hours=1)
    assert await put_off(database) == 0


async def test_more_than_a_page_is_put_off_at_once(database: Database) -> None:
    await furnish(database, days_from(NOW))
    await database.execute(
        "with new as (insert into message (id, account_id, client_ref, destination, number, body, ucs2, parts, price_milli,"
        "  smsc_id, accepted_at) select n, 1, n::text, '', $1, 'oi', false, 1, 80, 1, now()"
        "  from generate_series(1, 2500) n returning id)"
        " insert into queue (message_id, smsc_id, account_id, class, due_at, expires_at, parts, closes_at)"
        " select id, 1, 1, 2, now() - interval '1 hour', now() + interval '1 day', 1, now() - interval '1 minute' from new",
        NUMBER,
    )
    assert await put_off(database) == 2500


async def test_what_has_expired_by_the_closing_is_left_to_expire(database: Database) -> None:
    await furnish(database, days_from(NOW))
    await marketing(database, 1, NOW - timedelta(minutes=1), expires_at=NOW - timedelta(minutes=2))
    assert await put_off(database) == 0


async def test_a_claim_says_that_the_window_has_closed(database: Database) -> None:
    await furnish(database)
    for message_id, closes_at in ((1, NOW - DAY), (2, NOW + DAY), (3, None)):
        await marketing(database, message_id, closes_at)
    claimed = await claim(database, 1, await session(database), 10)
    assert [message.closed for message in claimed] == [True, False, False]


async def test_a_window_that_is_changed_counts_for_what_waits_and_for_no_other_class(
    database: Database,
) -> None:
    await furnish(database)
    await marketing(database, 1, None)
    await accept(database, one_message(1, 2, NUMBER, 1))

    await set_window(database, days_from(NOW))
    await put_off(database)

    first, second = await database.fetch("select * from queue order by message_id")
    assert first["opens_at"] > NOW + DAY
    assert (second["opens_at"], second["closes_at"]) == (None, None)

    await set_window(database, "always")
    await put_off(database)

    row = await database.fetchrow("select *, due_at <= now() as due from queue where message_id = 1")
    assert row is not None
    assert (row["opens_at"], row["closes_at"], row["due"]) == (None, None, True)


@pytest.mark.parametrize("step", [waiting.retry, waiting.hold])
async def test_nobody_who_tries_again_or_releases_sends_before_the_time(
    database: Database, step: object
) -> None:
    await furnish(database)
    opens_at = NOW + DAY
    await accept(database, one_message(1, 1, NUMBER, 1, opens_at=opens_at))
    await step(database, Which(), 0)  # type: ignore[operator]
    await waiting.release(database, Which(), 0)
    row = await database.fetchrow("select state, due_at from queue")
    assert tuple(row or ()) == (QueueState.WAITING, opens_at)


async def test_cancelling_ends_a_waiting_message_once_and_gives_its_charge_back(database: Database) -> None:
    await furnish(database)
    await accept(database, one_message(1, 1, NUMBER, 1, opens_at=NOW + DAY))
    which = Which(message_ids=[1])

    both = await asyncio.gather(waiting.cancel(database, which, 0), waiting.cancel(database, which, 0))

    assert sorted(ids for ids, _ in both) == [[], [1]]
    row = await database.fetchrow("select state, error, refunded_milli from message")
    assert tuple(row or ()) == (State.CANCELLED, "CANCELLED", 80)
    assert await database.fetchval("select balance_milli from account") == 1000
    assert await database.fetchval("select count(*) from queue") == 0


async def test_of_cancelling_and_claiming_at_once_exactly_one_has_each_message(database: Database) -> None:
    account_id = await furnish(database)
    await database.execute("update account set balance_milli = 1000000 where id = $1", account_id)
    ids = list(range(1, 301))
    for message_id in ids:
        await accept(database, one_message(1, message_id, NUMBER, 1))
    at = await session(database)

    async def claim_all() -> list[int]:
        # Not for all of them: however quick it is, something is left to be cancelled.
        return [m.message_id for _ in range(20) for m in await claim(database, 1, at, 10)]

    async def cancel_all() -> list[int]:
        return [
            i
            for each in reversed(ids)
            for i in (await waiting.cancel(database, Which(message_ids=[each]), 0))[0]
        ]

    claimed, cancelled = await asyncio.gather(claim_all(), cancel_all())

    assert sorted(claimed + cancelled) == ids
    assert claimed
    assert cancelled
    rows = await database.fetch("select id, state from message order by id")
    assert [row["id"] for row in rows if row["state"] == State.CANCELLED] == sorted(cancelled)


@pytest.mark.parametrize(
    "spoil",
    [
        "update queue set state = 1",
        "update queue set parts_taken = 1",
        "update message set state = 1, sent_at = now()",
        "insert into attempt (message_id, part, n, smsc_id, session_id, number, state, submitted_at)"
        f" values (1, 1, 1, 1, 1, {NUMBER}, {AttemptState.UNCERTAIN:d}, now())",
    ],
)
async def test_what_an_operator_has_or_may_have_cannot_be_cancelled(database: Database, spoil: str) -> None:
    await furnish(database)
    await accept(database, one_message(1, 1, NUMBER, 1, parts=2))
    await database.execute(spoil)
    assert await waiting.cancel(database, Which(message_ids=[1]), 0) == ([], None)
    assert await database.fetchval("select count(*) from queue") == 1


async def test_a_refused_attempt_is_no_reason_against_cancelling(database: Database) -> None:
    await furnish(database)
    await accept(database, one_message(1, 1, NUMBER, 1))
    await database.execute(
        "insert into attempt (message_id, part, n, smsc_id, session_id, number, state, submitted_at)"
        f" values (1, 1, 1, 1, 1, {NUMBER}, {AttemptState.REFUSED:d}, now())"
    )
    assert await waiting.cancel(database, Which(message_ids=[1]), 0) == ([1], None)


_MANY = """
with new as (
    insert into message (id, account_id, client_ref, destination, number, body, ucs2, parts, price_milli, smsc_id,
                         accepted_at)
    select $1::bigint + n, $2, n::text, '', 5511987654321, 'oi', false, 1, 80, 1, now() from generate_series(1, $3::int) n
    returning id
)
insert into queue (message_id, smsc_id, account_id, due_at, expires_at, parts, opens_at)
select id, 1, $2, $4, $4::timestamptz + interval '1 day', 1, $4 from new
"""


async def test_ten_thousand_messages_due_at_once_delay_nobody_else(database: Database) -> None:
    await database.execute(_MANY, 0, 1, 10_000, NOW - timedelta(hours=1))
    await database.execute(_MANY, 20_000, 2, 3, NOW)
    claimed = await claim(database, 1, await session(database), 10)
    assert [message.account_id for message in claimed][:6] == [1, 2, 1, 2, 1, 2]


async def test_claims_do_not_look_at_what_is_scheduled(database: Database) -> None:
    """Against the same claims without any: three times as long would be a walk through a hundred thousand."""
    at = await session(database)

    async def claims(first_id: int) -> float:
        await database.execute(_MANY, first_id, 1, 500, NOW)
        took = []
        for _ in range(25):
            begun = time.perf_counter()
            assert len(await claim(database, 1, at, 10)) == 10
            took.append(time.perf_counter() - begun)
        return sorted(took)[12]

    alone_s = await claims(1_000)
    await database.execute(_MANY, 1_000_000, 1, 100_000, NOW + DAY)
    await database.execute("analyze queue")
    assert await claims(2_000) < 3 * alone_s
