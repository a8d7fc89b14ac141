"""Receipts against the real store: whatever the order and the form, the end is the same."""

import asyncio
import itertools
import time
from datetime import UTC, datetime

import pytest

from pombo.errors import Unavailable
from pombo.message import AttemptState, State
from pombo.receipt import identity, match
from pombo.receipt.match import Receipts
from pombo.smpp.pdu import DeliverSm
from pombo.store import queue, sessions, smscs
from pombo.store.ids import Ids
from pombo.store.intake import accept
from pombo.store.queue import Attempt
from rows import one_message

pytestmark = pytest.mark.anyio

NUMBER = 5511999999999


def receipt_of(
    raw_id: str, stat: str = "DELIVRD", number: int | str = NUMBER, esm_class: int = 4
) -> DeliverSm:
    text = (
        f"id:{raw_id} sub:001 dlvrd:001 submit date:2611221000 done date:2611221001 stat:{stat} err:000 text:"
    )
    return DeliverSm(source_addr=str(number).encode(), esm_class=esm_class, short_message=text.encode())


class Bench:
    """One connection; responses and receipts come in as the test says."""

    def __init__(self, db, account_id, smsc_id):
        self.db, self.account_id, self.smsc_id = db, account_id, smsc_id
        self.receipts = Receipts(smsc_id)
        self.ids = Ids(1)

    async def submitted(self, parts: int = 1, number: int = NUMBER) -> int:
        """A message that is being written to the operator."""
        (message_id,) = self.ids.take(1, time.time())
        new = one_message(self.account_id, message_id, number, self.smsc_id, parts=parts, cost_milli=0)
        await accept(self.db, new)
        await self.db.execute(
            "update queue set state = 1, session_id = 1, attempts = 1 where message_id = $1", message_id
        )
        return message_id

    async def answered(
        self, message_id: int, raw_id: str, part: int = 1, parts: int = 1, number: int = NUMBER
    ) -> None:
        async with self.db.transaction(queue.lock_of(self.smsc_id)) as tx:
            key = identity.key(raw_id)
            at = datetime.now(UTC)
            attempt = Attempt(message_id, part, 1, number, raw_id, key, AttemptState.TAKEN, 0, at, parts > 1)
            await queue.commit_results(tx, self.smsc_id, 1, [attempt], [message_id] if parts == 1 else [])
            if parts > 1:
                await queue.note_parts_taken(tx, [(message_id, 1 << (part - 1))])
            await self.receipts.rematch(tx, [key])

    async def receipt(self, *bodies: DeliverSm, in_flight=lambda number: False) -> list[int]:
        async with self.db.transaction(queue.lock_of(self.smsc_id)) as tx:
            final, _ = await self.receipts.settle(tx, [match.Arrived(body) for body in bodies], in_flight)
            return final

    async def state(self, message_id: int) -> State:
        return State(await self.db.fetchval("select state from message where id = $1", message_id))

    async def parked(self) -> int:
        return await self.db.fetchval("select count(*) from parked_receipt")


@pytest.fixture
async def bench(database):
    account_id = await database.fetchval("insert into account (name) values ('a') returning id")
    return Bench(database, account_id, await smscs.add_smsc(database, "op", "h", 1, "s", b""))


async def test_two_parts_are_delivered_in_every_order_of_responses_and_receipts(bench):
    events = [("answer", 1), ("answer", 2), ("receipt", 1), ("receipt", 2)]
    for n, order in enumerate(itertools.permutations(events)):
        message_id = await bench.submitted(parts=2)
        for what, part in order:
            raw_id = f"m{n:03}z{part}"
            if what == "answer":
                await bench.answered(message_id, raw_id, part, 2)
            else:
                await bench.receipt(receipt_of(raw_id), receipt_of(raw_id))  # twice, too
        assert await bench.state(message_id) is State.DELIVERED, order
    assert await bench.parked() == 0
    assert await bench.db.fetchval("select count(*) from queue") == 0


async def test_one_part_that_fails_fails_the_message_at_once(bench):
    message_id = await bench.submitted(parts=2)
    await bench.answered(message_id, "a1", 1, 2)
    await bench.answered(message_id, "a2", 2, 2)
    assert await bench.receipt(receipt_of("a2", "UNDELIV")) == [message_id]
    assert await bench.state(message_id) is State.UNDELIVERED
    await bench.receipt(receipt_of("a1"))
    assert await bench.state(message_id) is State.UNDELIVERED


async def test_a_final_state_never_moves_whatever_comes_later(bench):
    message_id = await bench.submitted()
    await bench.answered(message_id, "a1")
    assert await bench.receipt(receipt_of("a1")) == [message_id]
    for stat in ("UNDELIV", "ENROUTE", "REJECTD", "DELIVRD"):
        assert await bench.receipt(receipt_of("a1", stat)) == []
    assert await bench.state(message_id) is State.DELIVERED


async def test_intermediate_receipts_end_nothing_and_the_last_of_them_is_kept(bench):
    message_id = await bench.submitted()
    await bench.answered(message_id, "a1")
    for stat in ("ENROUTE", "ACCEPTD", "UNKNOWN", "NONSENSE"):
        assert await bench.receipt(receipt_of("a1", stat)) == []
        assert await bench.db.fetchval("select interim from attempt where interim_at is not null") == stat
    assert await bench.state(message_id) is State.SUBMITTED
    assert await bench.receipt(receipt_of("a1", "ENROUTE"), receipt_of("a1")) == [message_id]
    await bench.receipt(receipt_of("a1", "ACCEPTD"))
    row = await bench.db.fetchrow("select state, interim, receipt_error from attempt")
    assert tuple(row) == (AttemptState.DELIVERED, "NONSENSE", "DELIVRD")
    assert await bench.parked() == 0


async def test_an_intermediate_notification_says_nothing_final_whatever_its_words(bench):
    message_id = await bench.submitted()
    await bench.answered(message_id, "a1")
    assert await bench.receipt(receipt_of("a1", esm_class=0x20)) == []
    assert await bench.state(message_id) is State.SUBMITTED
    assert await bench.db.fetchval("select interim from attempt") == "DELIVRD"


async def test_an_early_intermediate_receipt_waits_for_its_response(bench):
    message_id = await bench.submitted()
    await bench.receipt(receipt_of("a1", "ENROUTE"))
    assert await bench.parked() == 1
    await bench.answered(message_id, "a1")
    assert await bench.db.fetchval("select interim from attempt") == "ENROUTE"
    assert await bench.parked() == 0


@pytest.mark.parametrize("policy", ["hold", "resend"])
@pytest.mark.parametrize("stats", [["ENROUTE", "DELIVRD"], ["DELIVRD", "ENROUTE"]])
@pytest.mark.parametrize("at_once", [True, False])
async def test_a_submit_without_answer_was_taken_if_its_receipt_says_that_it_is_on_its_way(
    bench, policy, stats, at_once
):
    message_id = await broken(bench, policy)
    if stats[0] == "ENROUTE" and not at_once:
        await bench.receipt(receipt_of("x1", "ENROUTE"))
        assert await bench.state(message_id) is State.SUBMITTED
        assert await bench.db.fetchval("select count(*) from queue") == 0, "it is not sent again"
    bodies = [receipt_of("x1", stat) for stat in stats]
    for batch in [bodies] if at_once else [[body] for body in bodies]:
        await bench.receipt(*batch)
    assert await bench.state(message_id) is State.DELIVERED
    assert await bench.parked() == 0


async def test_a_held_message_stays_held_while_another_part_of_it_is_not_known(bench):
    message_id = await broken(bench, "hold", parts=2)
    await bench.db.execute("update attempt set number = 5511988888888 where part = 2")
    await bench.receipt(receipt_of("x1", "ENROUTE"))
    assert await bench.state(message_id) is State.UNCERTAIN
    assert await bench.db.fetchval("select parts_taken from queue") == 1
    await bench.receipt(receipt_of("x2", "ACCEPTD", number=5511988888888))
    assert await bench.state(message_id) is State.SUBMITTED
    assert await bench.db.fetchval("select count(*) from queue") == 0


async def broken(bench, policy: str, parts: int = 1) -> int:
    """A message whose session ended before it was answered."""
    await bench.db.execute("update smsc set uncertain_policy = $1", policy)
    await bench.db.execute(
        "insert into session (smsc_id, holder) values ($1, gen_random_uuid())", bench.smsc_id
    )
    message_id = await bench.submitted(parts=parts)
    await sessions.end_sessions(bench.db, [1])
    return message_id


@pytest.mark.parametrize(
    ("answered", "receipted"),
    [("38601FA", "59113978"), ("59113978", "38601fa"), ("0012345678", "12345678"), ("ABCdef99", "abcDEF99")],
)
async def test_an_id_in_another_form_finds_its_message(bench, answered, receipted):
    message_id = await bench.submitted()
    await bench.answered(message_id, answered)
    assert await bench.receipt(receipt_of(receipted)) == [message_id]


async def test_the_learned_form_is_kept_with_the_connection(bench):
    message_id = await bench.submitted()
    await bench.answered(message_id, "38601FA")
    await bench.receipt(receipt_of("59113978"))
    assert await smscs.id_form(bench.db, bench.smsc_id) == ("auto", "dec_in_receipt")


async def test_a_form_that_was_learned_in_a_transaction_that_failed_is_learned_again(bench):
    message_id = await bench.submitted()
    await bench.answered(message_id, "38601FA")
    with pytest.raises(LookupError):
        async with bench.db.transaction(queue.lock_of(bench.smsc_id)) as tx:
            arrived = [match.Arrived(receipt_of("59113978"))]
            await bench.receipts.settle(tx, arrived, lambda number: False)
            await bench.receipts.rematch(
                tx, ["59113978"]
            )  # of the same transaction: nothing is known by this
            raise LookupError("something else in this commit")
    await bench.receipt(receipt_of("59113978"))
    assert await smscs.id_form(bench.db, bench.smsc_id) == ("auto", "dec_in_receipt")


@pytest.mark.parametrize(
    ("receipt_ids", "answered", "others"),
    [
        ("raw", "1234567", ["19088743", "12d687"]),
        ("hex", "19088743", ["1234567", "1234567x"]),
        ("dec", "12d687", ["1234567", "19088743"]),
    ],
)
async def test_a_form_that_a_person_fixed_decides_at_once(bench, receipt_ids, answered, others):
    """The receipt says 1234567 each time: it, the hexadecimal of 19088743, or the decimal of 12d687."""
    await bench.receipt(receipt_of("nobody"))  # the form is read before it is changed
    await smscs.change_smsc(bench.db, bench.smsc_id, receipt_ids=receipt_ids)
    bench.receipts.reread()
    for other in others:
        await bench.answered(await bench.submitted(), other)
    message_id = await bench.submitted()
    await bench.answered(message_id, answered)
    assert await bench.receipt(receipt_of("1234567")) == [message_id]
    assert await smscs.id_form(bench.db, bench.smsc_id) == (receipt_ids, None), "nothing is learned"


async def test_a_fixed_form_leaves_ids_that_are_no_numbers_as_they_are(bench):
    await smscs.change_smsc(bench.db, bench.smsc_id, receipt_ids="hex")
    message_id = await bench.submitted()
    await bench.answered(message_id, "0a-zz")
    assert await bench.receipt(receipt_of("0A-zz")) == [message_id]


async def test_what_was_learned_is_forgotten_when_a_person_sets_the_form(bench):
    message_id = await bench.submitted()
    await bench.answered(message_id, "38601FA")
    await bench.receipt(receipt_of("59113978"))
    await smscs.change_smsc(bench.db, bench.smsc_id, receipt_ids="auto")
    bench.receipts.reread()
    assert await smscs.id_form(bench.db, bench.smsc_id) == ("auto", None)
    itself = await bench.submitted()
    await bench.answered(itself, "123456789")
    assert await bench.receipt(receipt_of("123456789")) == [itself]
    assert await smscs.id_form(bench.db, bench.smsc_id) == ("auto", "same")


async def test_an_id_that_came_back_means_the_newest_message(bench):
    old, new = await bench.submitted(), await bench.submitted()
    await bench.answered(old, "a1b2c3")
    await bench.answered(new, "a1b2c3")
    assert await bench.receipt(receipt_of("a1b2c3")) == [new]
    assert await bench.receipt(receipt_of("a1b2c3", "UNDELIV")) == [], "a repetition is not the older one's"
    assert await bench.state(old) is State.SUBMITTED


async def test_an_id_that_could_mean_two_messages_waits_until_the_form_is_known(bench):
    """1234567 may be itself, or the hexadecimal of 19088743; both messages are to one handset."""
    itself, other = await bench.submitted(), await bench.submitted()
    await bench.answered(itself, "1234567")
    await bench.answered(other, str(int("1234567", 16)))
    assert await bench.receipt(receipt_of("1234567")) == []
    assert await bench.parked() == 1
    teacher = await bench.submitted()
    await bench.answered(teacher, "ABCDEF01")
    final = await bench.receipt(receipt_of("ABCDEF01"))
    assert set(final) == {teacher, itself}
    assert await bench.parked() == 0


async def test_a_short_id_in_another_form_waits_only_while_a_submit_to_its_handset_is_under_way(bench):
    first = await bench.submitted()
    await bench.answered(first, "38601fa")
    await bench.receipt(receipt_of("0059113978"))  # hexadecimal in responses, decimal in receipts: learned
    assert await bench.state(first) is State.DELIVERED
    padded = await bench.submitted()
    await bench.answered(padded, "0012345")
    body = receipt_of("12345")

    assert await bench.receipt(body, in_flight=lambda number: number == NUMBER) == []
    assert await bench.parked() == 1
    assert await bench.receipt(body) == [padded]
    assert await bench.state(padded) is State.DELIVERED


async def test_a_short_id_in_another_form_waits_while_a_submit_to_its_handset_was_never_answered(bench):
    await bench.answered(await bench.submitted(), "38601fa")
    await bench.receipt(receipt_of("0059113978"))
    await broken(bench, "hold")
    padded = await bench.submitted()
    await bench.answered(padded, "0012345")

    assert await bench.receipt(receipt_of("12345")) == []
    assert await bench.parked() == 1


async def test_the_handset_decides_between_two_messages_of_one_id(bench):
    first = await bench.submitted(number=5511911111111)
    await bench.answered(first, "7", number=5511911111111)
    second = await bench.submitted(number=5511922222222)
    await bench.answered(second, "7", number=5511922222222)
    assert await bench.receipt(receipt_of("7", number=5511911111111)) == [first]
    assert await bench.receipt(receipt_of("7", number="11922222222")) == [second]


async def test_another_connections_ids_are_no_match(bench):
    message_id = await bench.submitted()
    await bench.answered(message_id, "555000")
    bench.smsc_id = await smscs.add_smsc(bench.db, "other", "h", 2, "s", b"")
    bench.receipts = Receipts(bench.smsc_id)
    assert await bench.receipt(receipt_of("555000")) == []
    assert await bench.state(message_id) is State.SUBMITTED


async def test_the_same_unknown_receipt_is_parked_once(bench):
    for _ in range(3):
        await bench.receipt(receipt_of("unknown"), receipt_of("unknown"))
    assert await bench.parked() == 1


async def test_a_parked_receipt_is_found_by_the_sweep_when_nothing_else_finds_it(bench):
    await bench.receipt(receipt_of("late", number=5511933333333))
    message_id = await bench.submitted(number=5511933333333)
    await bench.db.execute(
        "insert into attempt (message_id, part, n, smsc_id, session_id, number, smsc_message_id, smsc_key, state,"
        " submitted_at)"
        " values ($1, 1, 1, $2, 1, 5511933333333, 'late', 'late', 1, now())",
        message_id, bench.smsc_id,
    )  # fmt: skip
    await bench.db.execute("delete from queue")

    async def fail(tx, final):
        raise ConnectionError("the callbacks could not be written")

    async def note(tx, final):
        caused.extend(final)

    caused = []
    with pytest.raises(Unavailable):
        await bench.receipts.sweep(bench.db, fail)
    assert await bench.state(message_id) is State.WAITING, "a state without its callback is not committed"
    assert await bench.receipts.sweep(bench.db, note) == caused == [message_id]
    assert await bench.parked() == 0


async def ignore(tx, final):
    pass


async def test_a_receipt_that_came_before_its_connection_broke_settles_the_attempt(bench):
    """It came while the submit waited for its response, which then never came."""
    await bench.db.execute("update smsc set uncertain_policy = 'hold'")
    await bench.db.execute(
        "insert into session (smsc_id, holder) values ($1, gen_random_uuid())", bench.smsc_id
    )
    message_id = await bench.submitted()
    async with bench.db.transaction(queue.lock_of(bench.smsc_id)) as tx:
        await bench.receipts.settle(tx, [match.Arrived(receipt_of("early"))], lambda number: True)
    await sessions.end_sessions(bench.db, [1])
    assert await bench.state(message_id) is State.UNCERTAIN
    assert await bench.receipts.settle_unanswered(bench.db, ignore) == [message_id]
    assert await bench.state(message_id) is State.DELIVERED
    assert await bench.parked() == 0
    assert await bench.db.fetchval("select count(*) from queue") == 0


async def test_a_receipt_that_came_before_a_message_was_accepted_does_not_settle_it(bench):
    await bench.receipt(receipt_of("another"))
    await bench.db.execute("update parked_receipt set received_at = now() - interval '6 minutes'")
    message_id = await bench.submitted()
    await sessions.end_sessions(bench.db, [1])
    assert await bench.db.fetchval("select count(*) from attempt where state = 0") == 1
    assert await bench.receipts.sweep(bench.db, ignore) == []
    assert await bench.state(message_id) is State.WAITING
    assert await bench.parked() == 1


async def test_an_early_receipt_waits_while_a_submit_to_its_handset_is_being_written(bench):
    """It may be that one's, whose response is on its way, and not that of the older one without an answer."""
    old = await broken(bench, "hold")
    young = await bench.submitted()
    async with bench.db.transaction(queue.lock_of(bench.smsc_id)) as tx:
        await bench.receipts.settle(tx, [match.Arrived(receipt_of("early"))], lambda number: True)
    assert await bench.receipts.settle_unanswered(bench.db, ignore) == []
    assert await bench.receipts.sweep(bench.db, ignore) == []
    await bench.answered(young, "early")
    assert await bench.state(young) is State.DELIVERED
    assert await bench.state(old) is State.UNCERTAIN


async def test_a_refusal_that_counts_only_after_three_days_is_still_a_refusal(bench):
    message_id = await resent(bench, hours_ago=71)
    assert await bench.receipt(receipt_of("second", "REJECTD")) == []
    await bench.db.execute("update attempt set submitted_at = submitted_at - interval '2 hours' where n = 1")
    assert await bench.receipts.sweep(bench.db, ignore) == [message_id]
    assert await bench.state(message_id) is State.REJECTED
    assert await bench.db.fetchval("select error from message") == "REJECTD"


async def test_receipts_are_counted_by_what_they_say_and_how_long_they_took(bench):
    message_id = await bench.submitted()
    await bench.answered(message_id, "a1")
    await bench.db.execute("update attempt set submitted_at = submitted_at - interval '40 seconds'")
    await bench.receipt(receipt_of("a1", "ENROUTE"), receipt_of("a1"), receipt_of("b1", "UNDELIV"))
    await bench.receipt(receipt_of("a1"))
    await bench.answered(await bench.submitted(), "b1")
    figures = bench.receipts.figures
    assert figures.outcomes == {"interim": 1, "delivered": 2, "failed": 1}
    assert (figures.matched, figures.parked, figures.rematched) == (3, 1, 1)
    assert sum(figures.latency_s.counts) == 2, "once for each attempt that moved"
    assert figures.latency_s.counts[figures.latency_s.bounds.index(60.0)] == 1
    assert 40 <= figures.latency_s.total < 60


async def resent(bench, *, hours_ago: int) -> int:
    """A message whose first attempt was never answered and whose second was taken as `second`."""
    message_id = await bench.submitted()
    await sessions.end_sessions(bench.db, [1])
    await bench.db.execute("update attempt set submitted_at = now() - make_interval(hours => $1)", hours_ago)
    at = datetime.now(UTC)
    second = Attempt(message_id, 1, 2, NUMBER, "second", "second", AttemptState.TAKEN, 0, at, False)
    async with bench.db.transaction(queue.lock_of(bench.smsc_id)) as tx:
        await queue.commit_results(tx, bench.smsc_id, 2, [second], [message_id])
    return message_id


@pytest.mark.parametrize("receipt_first", [True, False])
async def test_an_attempt_that_never_was_answered_keeps_a_failed_message_open_for_three_days(
    bench, receipt_first
):
    message_id = await resent(bench, hours_ago=71)
    caused = []

    async def note(tx, final):
        caused.extend(final)

    if receipt_first:
        assert await bench.receipt(receipt_of("second", "UNDELIV")) == []
    assert await bench.receipts.sweep(bench.db, note) == []
    assert await bench.state(message_id) is State.SUBMITTED
    await bench.db.execute("update attempt set submitted_at = submitted_at - interval '2 hours' where n = 1")
    assert await bench.receipts.sweep(bench.db, note) == caused == ([message_id] if receipt_first else [])
    if not receipt_first:
        assert await bench.receipt(receipt_of("second", "UNDELIV")) == [message_id]
    assert await bench.state(message_id) is State.UNDELIVERED
    assert await bench.db.fetchval("select error from message") == "UNDELIV"


async def test_a_message_of_which_no_receipt_says_that_it_failed_is_not_ended_by_time(bench):
    taken = await resent(bench, hours_ago=100)
    unknown = await bench.submitted(number=5511988888888)
    await sessions.end_sessions(bench.db, [1])
    await bench.db.execute("update attempt set submitted_at = now() - interval '100 hours'")
    await bench.db.execute("delete from queue")
    assert await bench.receipts.sweep(bench.db, ignore) == []
    assert [await bench.state(message_id) for message_id in (taken, unknown)] == [
        State.SUBMITTED,
        State.WAITING,
    ]
    assert await bench.receipt(receipt_of("second")) == [taken]


async def test_looking_for_parked_receipts_keeps_nobody_waiting(bench):
    """Receipts of somebody else may be parked by the million: the connection's results must not wait for the look."""
    await bench.receipt(receipt_of("of somebody else", number=5511988888888))
    taken = await bench.submitted()
    await bench.answered(taken, "7")
    async with bench.db.transaction(queue.lock_of(bench.smsc_id)), asyncio.timeout(5):
        assert await bench.receipts.sweep(bench.db, ignore) == []
        assert await bench.receipts.settle_unanswered(bench.db, ignore) == []


async def test_receipts_from_a_parallel_commit_are_never_missed(bench):
    """A receipt judged while its id is being committed would be missed by both without the connection's lock."""
    for n in range(30):
        message_id = await bench.submitted()
        await asyncio.gather(bench.answered(message_id, f"race{n}"), bench.receipt(receipt_of(f"race{n}")))
        assert await bench.state(message_id) is State.DELIVERED
