"""What a message that was not delivered gives back, by every way that messages end, and once only."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest

from pombo.message import State
from pombo.receipt.match import Receipts
from pombo.smpp.status import Status
from pombo.store import endings, ledger, limits, queue, receipts, waiting
from pombo.store.database import Database
from pombo.store.waiting import Which

pytestmark = pytest.mark.anyio

NUMBER = 5511999999999
PRICE = 80  # of each message, whatever its parts
START = 1_000_000


class Books:
    def __init__(self, db: Database) -> None:
        self.db = db

    async def open(self) -> None:
        """What the office's account was given without an entry."""
        await self.db.execute(
            "insert into ledger (account_id, kind, amount_milli) select id, 'recharge', balance_milli from account a"
            " where not exists (select from ledger l where l.account_id = a.id)"
        )

    async def policy(self, *, rejected: bool = True, undelivered: bool = False) -> None:
        await self.db.execute(
            "update account set refund_rejected = $1, refund_undelivered = $2", rejected, undelivered
        )

    async def refunds(self) -> list[tuple[int, int]]:
        rows = await self.db.fetch(
            "select amount_milli, messages from ledger where kind = 'refund' order by id"
        )
        return [tuple(row) for row in rows]

    async def spent(self) -> int:
        return START - int(await self.db.fetchval("select sum(balance_milli) from account"))


@pytest.fixture
async def books(database: Database) -> AsyncIterator[Books]:
    """After each test every balance is the sum of its ledger, and no message was refunded twice."""
    books = Books(database)
    yield books
    assert await ledger.faults(database) == []


async def expire(db: Database) -> list[int]:
    """As a node does it now and then."""
    async with db.transaction() as tx:
        final = await queue.expire(tx, 2**63 - 1, 100)
        await endings.ended(tx, None, final)
    return final


async def test_what_expires_in_the_queue_is_refunded_whole_whatever_the_policy(office, books):
    place = await office(start=False)
    await books.open()
    await books.policy(rejected=False, undelivered=False)
    for _ in range(3):
        await place.accept(valid_s=-1)
    await place.accept()
    assert await books.spent() == 4 * PRICE
    assert len(await expire(place.db)) == 3
    assert await books.spent() == PRICE
    assert await books.refunds() == [(3 * PRICE, 3)]
    assert await expire(place.db) == []
    assert await books.refunds() == [(3 * PRICE, 3)]


async def test_what_is_found_expired_when_it_is_claimed_is_refunded(office, books):
    place = await office(start=False)
    await books.open()
    message_id = await place.accept(valid_s=-1)
    place.start()
    await place.reaches(message_id, State.EXPIRED)
    assert await books.refunds() == [(PRICE, 1)]


async def test_what_is_discarded_before_it_was_submitted_is_refunded_whole(office, books):
    place = await office(start=False)
    await books.open()
    await books.policy(rejected=False, undelivered=False)
    message_id = await place.accept(parts=2)
    await waiting.discard(place.db, Which(), 0)
    assert (await place.message(message_id))["state"] == State.CANCELLED
    assert (await place.message(message_id))["refunded_milli"] == PRICE
    assert await books.spent() == 0


@pytest.mark.parametrize("rejected", [True, False])
async def test_what_the_operator_refuses_is_refunded_by_the_policy_for_rejected(office, books, rejected):
    place = await office()
    await books.open()
    await books.policy(rejected=rejected, undelivered=not rejected)
    message_id = await place.accept()
    _, sequence = await place.operator.submit()
    place.operator.answer(sequence, status=Status.ESME_RINVDSTADR)
    await place.reaches(message_id, State.REJECTED)
    assert await books.refunds() == ([(PRICE, 1)] if rejected else [])


@pytest.mark.parametrize(("rejected", "back"), [(True, 60), (False, 0)])
async def test_of_a_partly_refused_message_the_parts_that_were_taken_are_paid(office, books, rejected, back):
    place = await office()
    await books.open()
    await books.policy(rejected=rejected)
    message_id = await place.accept(text="a" * 600, parts=4)
    for n in range(4):
        _, sequence = await place.operator.submit()
        if n == 1:
            place.operator.answer(sequence, b"taken")
        else:
            place.operator.answer(sequence, status=Status.ESME_RINVDSTADR)
    row = await place.reaches(message_id, State.REJECTED)
    assert (row["refunded_milli"] or 0) == back
    assert await books.spent() == PRICE - back


@pytest.mark.parametrize(
    ("stat", "state", "rejected", "undelivered", "back"),
    [
        ("UNDELIV", State.UNDELIVERED, True, False, 0),
        ("UNDELIV", State.UNDELIVERED, False, True, PRICE),
        ("EXPIRED", State.UNDELIVERED, True, True, PRICE),
        ("REJECTD", State.REJECTED, True, False, PRICE),
        ("REJECTD", State.REJECTED, False, True, 0),
        ("DELIVRD", State.DELIVERED, True, True, 0),
    ],
)
async def test_a_receipt_refunds_the_whole_message_by_the_policy_for_its_state(
    office, books, stat, state, rejected, undelivered, back
):
    place = await office()
    await books.open()
    await books.policy(rejected=rejected, undelivered=undelivered)
    message_id = await place.accept(text="a" * 300, parts=2)
    for id_ in (b"p1", b"p2"):
        _, sequence = await place.operator.submit()
        place.operator.answer(sequence, id_)
    await place.leaves_the_queue(message_id)
    for id_ in ("p1", "p2", "p1"):
        place.operator.receipt(id_, NUMBER, stat)
    row = await place.reaches(message_id, state)
    await place.operator.delivery_answers(3)
    assert (row["refunded_milli"] or 0) == back
    assert await books.spent() == PRICE - back


@pytest.mark.parametrize(("undelivered", "back"), [(True, 40), (False, 0)])
async def test_a_message_with_a_part_taken_that_expires_counts_as_submitted(office, books, undelivered, back):
    place = await office()
    await books.open()
    await books.policy(undelivered=undelivered)
    message_id = await place.accept(text="a" * 300, parts=2)
    _, first = await place.operator.submit()
    _, second = await place.operator.submit()
    place.operator.answer(first, b"p1")
    place.operator.answer(second, status=Status.ESME_RSYSERR)
    await place.waits(message_id, 1)
    await place.stop()
    await place.db.execute("update queue set expires_at = now()")
    assert await expire(place.db) == [message_id]
    assert ((await place.message(message_id))["refunded_milli"] or 0) == back


@pytest.mark.parametrize("undelivered", [True, False])
async def test_what_may_have_been_taken_is_not_refunded_when_it_is_discarded(office, books, undelivered):
    place = await office(uncertain_policy="hold")
    await books.open()
    await books.policy(undelivered=undelivered)
    message_id = await place.accept()
    await place.operator.submit()
    place.operator.drop()
    await place.reaches(message_id, State.UNCERTAIN)
    await place.stop()
    await waiting.discard(place.db, Which(), 0)
    assert (await place.message(message_id))["state"] == State.CANCELLED
    assert await books.refunds() == []


async def test_what_we_reject_ourselves_was_never_submitted(office, books):
    """Such as a number that went onto a block list while its message waited."""
    place = await office(start=False)
    await books.open()
    await books.policy(rejected=False)
    message_id = await place.accept()
    async with place.db.transaction() as tx:
        await tx.execute("delete from queue")
        await tx.execute("update message set state = $1, final_at = now()", int(State.REJECTED))
        await endings.ended(tx, None, [message_id])
    assert await books.refunds() == [(PRICE, 1)]


async def test_what_cost_nothing_gives_nothing_back(office, books):
    place = await office(start=False)
    await books.open()
    message_id = await place.accept(valid_s=-1)
    await place.db.execute("update message set price_milli = 0")
    async with place.db.transaction() as tx:
        await tx.execute("update account set balance_milli = balance_milli + $1", PRICE)
        await tx.execute(
            "insert into ledger (account_id, kind, amount_milli) values ($1, 'adjustment', $2)",
            place.account_id, PRICE,
        )  # fmt: skip
    assert await expire(place.db) == [message_id]
    assert await books.refunds() == []


async def test_a_commit_that_is_made_again_refunds_nothing_again(office, books):
    """The answer to COMMIT was lost, so the same results are written once more."""
    place = await office(start=False)
    await books.open()
    message_id = await place.accept()
    (claimed,) = await place.db.fetch(
        "update queue set state = 1, claims = 1, attempts = 1 returning message_id, claims"
    )
    end = queue.Ending(message_id, claimed["claims"], State.REJECTED, "ESME_RINVDSTADR")
    for _ in range(3):
        async with place.db.transaction(queue.lock_of(place.smsc.id)) as tx:
            await endings.ended(tx, None, await queue.finish(tx, [end]))
    assert await books.refunds() == [(PRICE, 1)]
    async with place.db.transaction() as tx:  # nor by whoever names a message that was refunded already
        await endings.ended(tx, None, [message_id])
    assert await books.refunds() == [(PRICE, 1)]


async def test_expiry_discard_and_receipts_that_cross_refund_each_message_once(office, books):
    """Each of them may end each message; two accounts, so that locks may cross; nothing dead-locks."""
    place = await office(start=False)
    other = await place.db.fetchval("insert into account (name, balance_milli) values ('b', 0) returning id")
    await books.open()
    await books.policy(undelivered=True)
    ids = [await place.accept(valid_s=-1) for _ in range(200)]
    await place.db.execute(
        "update account set balance_milli = balance_milli + case id when $1 then 8000 else -8000 end", other
    )
    await place.db.execute(
        "insert into ledger (account_id, kind, amount_milli) select id, 'adjustment',"
        " case id when $1 then 8000 else -8000 end from account",
        other,
    )
    for table, key in (("message", "id"), ("queue", "message_id")):
        await place.db.execute(f"update {table} set account_id = $1 where {key} % 2 = 0", other)
    await place.db.execute(
        "insert into attempt (message_id, part, n, smsc_id, session_id, number, smsc_message_id, smsc_key, state,"
        " submitted_at) select id, 1, 1, $1, 1, number, id::text, id::text, 1, now() from message",
        place.smsc.id,
    )
    before = await _deadlocks(place.db)

    async def by_receipts(some: list[int]) -> int:
        effects = [
            receipts.Effect(receipts.AttemptKey(i, 1, 1), 3, State.UNDELIVERED, "5", str(i), str(i))
            for i in some
        ]
        async with place.db.transaction() as tx:
            final = (await receipts.apply(tx, effects)).final
            await endings.ended(tx, uuid.uuid4(), final)
            return len(final)

    async def by_people() -> None:
        await waiting.discard(place.db, Which(), 0)

    groups = [sorted(ids[n::5]) for n in range(5)]
    await asyncio.gather(
        *(by_receipts(group) for group in groups), expire(place.db), by_people(), expire(place.db), by_people(),
        *(by_receipts(group) for group in groups),
    )  # fmt: skip
    await asyncio.gather(*(by_receipts(group) for group in groups))
    assert await _deadlocks(place.db) == before
    rows = await place.db.fetch("select state, refunded_milli from message")
    assert len(rows) == 200
    assert all(row["state"] in (State.UNDELIVERED, State.EXPIRED, State.CANCELLED) for row in rows)
    assert sum(n for _, n in await books.refunds()) == sum(row["refunded_milli"] is not None for row in rows)


async def _deadlocks(db: Database) -> int:
    await db.execute("select pg_stat_clear_snapshot(), pg_stat_force_next_flush()")
    return int(await db.fetchval("select deadlocks from pg_stat_database where datname = current_database()"))


async def test_a_refund_that_waits_for_the_account_adds_to_what_was_committed_meanwhile(office, books):
    place = await office(start=False)
    await books.open()
    await place.accept(valid_s=-1)
    async with place.db.transaction() as tx:
        await tx.execute("update account set balance_milli = balance_milli - 500")
        await tx.execute(
            "insert into ledger (account_id, kind, amount_milli) values ($1, 'charge', -500)",
            place.account_id,
        )
        expiring = asyncio.create_task(expire(place.db))
        while not await place.db.fetchval("select count(*) from pg_locks where not granted"):
            await asyncio.sleep(0.005)
    await expiring
    assert await books.spent() == 500


async def test_refunds_lock_accounts_in_the_order_in_which_charges_do(office, books):
    """A charge has locked the first account and wants the second one, while a refund of both is under way."""
    place = await office(start=False)
    other = await place.db.fetchval("insert into account (name, balance_milli) values ('b', 0) returning id")
    await books.open()
    for _ in range(2):
        await place.accept(valid_s=-1)
    await ledger.book(place.db, other, "recharge", PRICE)
    await place.db.execute(
        "with moved as (update message set account_id = $1 where id = (select max(id) from message))"
        " update account set balance_milli = balance_milli + case id when $1 then -80 else 80 end",
        other,
    )
    await place.db.execute(
        "insert into ledger (account_id, kind, amount_milli) select id, 'adjustment', case id when $1 then -80 else 80 end"
        " from account",
        other,
    )
    async with place.db.transaction() as charge:
        await limits.lock(charge, [place.account_id])
        expiring = asyncio.create_task(expire(place.db))
        while not await place.db.fetchval("select count(*) from pg_locks where not granted"):
            await asyncio.sleep(0.005)
        await limits.lock(charge, [other])
    await expiring
    assert await books.refunds() == [(PRICE, 1), (PRICE, 1)]


async def test_receipts_that_waited_for_their_id_refund_in_the_sweep(office, books):
    place = await office(start=False)
    await books.open()
    await books.policy(undelivered=True)
    message_id = await place.accept()
    await place.db.execute(
        "insert into attempt (message_id, part, n, smsc_id, session_id, number, state, failed_as, submitted_at, smsc_key)"
        " values ($1, 1, 1, $2, 1, $3, 3, 4, now() - interval '80 hours', 'a'),"
        " ($1, 1, 2, $2, 1, $3, 0, null, now() - interval '80 hours', null)",
        message_id, place.smsc.id, NUMBER,
    )  # fmt: skip
    await place.db.execute("delete from queue")

    async def caused(tx, final):
        await endings.ended(tx, None, final)

    assert await Receipts(place.smsc.id).sweep(place.db, caused) == [message_id]
    assert await books.refunds() == [(PRICE, 1)]


async def test_no_path_writes_the_callbacks_of_messages_without_their_refunds():
    """`endings.ended` does both; whatever ends messages calls it."""
    from pathlib import Path

    import pombo

    callers = [
        path.name
        for path in Path(pombo.__file__).parent.rglob("*.py")
        if "outbox.of_messages" in path.read_text(encoding="utf-8")
    ]
    assert callers == ["endings.py"]
