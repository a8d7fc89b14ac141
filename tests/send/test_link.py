"""One connection against an operator that answers as told: what is in the database must be right at every step."""

import asyncio

import asyncpg
import pytest

from pombo.errors import Unavailable
from pombo.receipt import match
from pombo.send import submit
from pombo.smpp.pdu import DeliverSm
from pombo.smpp.status import Status
from pombo.store import leases, queue, receipts, sessions
from rows import claim

pytestmark = pytest.mark.anyio

NUMBER = 5511999999999


async def test_a_taken_message_is_submitted_and_leaves_the_queue(office):
    place = await office(source_addr="27300", source_ton=3)
    message_id = await place.accept(text="Olá")
    body, sequence = await place.operator.submit()
    assert (body.source_addr, body.source_addr_ton) == (b"27300", 3)
    assert (body.dest_addr_ton, body.dest_addr_npi, body.destination_addr) == (1, 1, b"5511999999999")
    assert (body.registered_delivery, body.data_coding) == (1, 0)
    place.operator.answer(sequence, b"ABC1")
    row = await place.reaches(message_id, 1)
    assert row["sent_at"] is not None and row["source_addr"] == "27300"
    assert await place.attempts(message_id) == [(1, 1, 1)]
    assert await place.queued(message_id) is None


async def test_the_attempt_is_committed_before_its_octets_go_out(office):
    """Invariant 3: what the operator has seen can always be told from what it cannot have seen."""
    place = await office()
    message_id = await place.accept()
    await place.operator.submit()
    row = await place.queued(message_id)
    assert (row["state"], row["attempts"]) == (1, 1) and row["session_id"] is not None


async def test_what_waited_goes_as_soon_as_the_connection_is_bound(office, monkeypatch):
    """Nobody wakes a link for it, and the net under wake-ups is not waited for."""
    monkeypatch.setattr(submit, "_POLL_S", 3600.0)
    place = await office(start=False)
    await place.accept()
    place.start()
    await place.operator.submit()


async def test_no_more_than_a_window_is_in_flight(office):
    place = await office(start=False, window_size=5)
    for _ in range(20):
        await place.accept()
    place.start()
    sequences = [(await place.operator.submit())[1] for _ in range(5)]
    assert place.operator.submits.empty()
    assert await place.db.fetchval("select count(*) from queue where state = 1") == 5
    place.operator.answer(sequences[0], b"1")
    await place.operator.submit()
    assert await place.db.fetchval("select count(*) from queue where state = 1") <= 10  # twice the window


async def test_a_message_with_more_parts_than_the_window_still_goes(office):
    place = await office(window_size=2)
    message_id = await place.accept(text="a" * 400, parts=3)
    for n in range(3):
        body, sequence = await place.operator.submit()
        assert body.esm_class == 0x40 and body.short_message[3:6] == bytes((message_id & 0xFF, 3, n + 1))
        place.operator.answer(sequence, b"p%d" % n)
    await place.leaves_the_queue(message_id)
    assert await place.attempts(message_id) == [(1, 1, 1), (2, 1, 1), (3, 1, 1)]


async def test_a_throttled_message_waits_and_uses_up_no_attempt(office):
    place = await office()
    message_id = await place.accept()
    _, sequence = await place.operator.submit()
    place.operator.answer(sequence, status=Status.ESME_RTHROTTLED)
    _, sequence = await place.operator.submit()
    assert (await place.queued(message_id))["attempts"] == 1
    place.operator.answer(sequence, b"1")
    await place.reaches(message_id, 1)
    assert await place.attempts(message_id) == [(1, 1, 1)]


async def test_of_a_long_message_only_the_refused_part_is_sent_again(office):
    place = await office()
    message_id = await place.accept(text="a" * 300, parts=2)
    (_, first), (_, second) = await place.operator.submit(), await place.operator.submit()
    place.operator.answer(first, b"p1")
    place.operator.answer(second, status=Status.ESME_RMSGQFUL)
    body, again = await place.operator.submit()
    assert body.short_message[5] == 2
    place.operator.answer(again, b"p2")
    await place.leaves_the_queue(message_id)

    place.operator.receipt("p1", NUMBER)
    place.operator.receipt("p2", NUMBER)
    await place.reaches(message_id, 3)


async def test_a_final_refusal_rejects_with_the_operators_word(office):
    place = await office()
    message_id = await place.accept()
    _, sequence = await place.operator.submit()
    place.operator.answer(sequence, status=Status.ESME_RINVDSTADR)
    row = await place.reaches(message_id, 6)
    assert row["error"] == "ESME_RINVDSTADR" and row["final_at"] is not None
    assert await place.queued(message_id) is None


async def test_a_vendors_status_is_carried_as_a_number(office):
    place = await office()
    message_id = await place.accept()
    _, sequence = await place.operator.submit()
    place.operator.answer(sequence, status=0x45F)
    assert (await place.reaches(message_id, 6))["error"] == "0x0000045F"


async def test_a_temporary_refusal_waits_longer_and_counts_as_an_attempt(office):
    place = await office()
    message_id = await place.accept()
    _, sequence = await place.operator.submit()
    place.operator.answer(sequence, status=Status.ESME_RSYSERR)

    async def waiting():
        return await place.db.fetchrow(
            "select *, due_at > now() + interval '3 s' as later from queue where state = 0"
        )

    row = await place.until(waiting)
    assert row["later"] and row["attempts"] == 1
    assert await place.attempts(message_id) == [(1, 1, 4)]


async def test_a_broken_connection_leaves_an_uncertain_attempt_and_resends(office):
    place = await office(uncertain_policy="resend")
    message_id = await place.accept()
    await place.operator.submit()
    place.operator.drop()
    _, sequence = await place.operator.submit()
    assert await place.attempts(message_id) == [(1, 1, 0)]
    place.operator.answer(sequence, b"second")
    await place.reaches(message_id, 1)
    assert await place.attempts(message_id) == [(1, 1, 0), (1, 2, 1)]


async def test_under_hold_nothing_is_sent_twice_and_a_receipt_settles_it(office):
    place = await office(uncertain_policy="hold")
    message_id = await place.accept()
    await place.operator.submit()
    place.operator.drop()
    await place.reaches(message_id, 2)
    assert (await place.queued(message_id))["state"] == 2
    other = await place.accept(number=5511988888888)
    body, sequence = await place.operator.submit()
    assert body.destination_addr == b"5511988888888"  # and not the one that is held
    place.operator.answer(sequence, b"x")
    await place.reaches(other, 1)
    place.operator.receipt("never-seen-id", NUMBER)
    await place.reaches(message_id, 3)
    assert await place.queued(message_id) is None


async def test_under_hold_a_negative_receipt_ends_the_message(office):
    place = await office(uncertain_policy="hold")
    message_id = await place.accept()
    await place.operator.submit()
    place.operator.drop()
    await place.reaches(message_id, 2)
    await place.accept(number=5511988888888)
    await place.operator.submit()  # bound again
    place.operator.receipt("never-seen-id", NUMBER, "UNDELIV")
    await place.reaches(message_id, 4)
    assert await place.queued(message_id) is None


async def test_a_negative_receipt_is_not_final_while_another_attempt_is_open(office):
    """Invariant 3: the first attempt's fate is not known, so the second one's failure does not decide."""
    place = await office(uncertain_policy="resend")
    message_id = await place.accept()
    await place.operator.submit()
    place.operator.drop()
    _, sequence = await place.operator.submit()
    place.operator.answer(sequence, b"second")
    await place.reaches(message_id, 1)
    place.operator.receipt("second", NUMBER, "UNDELIV")
    await place.operator.delivery_answers(1)
    assert (await place.message(message_id))["state"] == 1
    assert await place.attempts(message_id) == [(1, 1, 0), (1, 2, 3)]
    place.operator.receipt("of the first", NUMBER)
    await place.reaches(message_id, 3)


async def test_a_receipt_that_comes_before_the_response_counts(office):
    place = await office()
    message_id = await place.accept()
    _, sequence = await place.operator.submit()
    place.operator.receipt("77", NUMBER)
    assert await place.operator.delivery_answers(1) == [0]
    assert await place.db.fetchval("select count(*) from parked_receipt") == 1
    place.operator.answer(sequence, b"77")
    await place.reaches(message_id, 3)
    assert await place.db.fetchval("select count(*) from parked_receipt") == 0


async def test_a_deliver_sm_is_answered_after_its_effect_is_committed(office):
    """Invariant 4. The connection's lock is held by the test: until it lets go, nothing may be answered."""
    place = await office()
    await place.accept()
    _, sequence = await place.operator.submit()
    place.operator.answer(sequence, b"1")
    async with place.db.transaction(queue.lock_of(place.smsc.id)):
        place.operator.deliver(
            DeliverSm(source_addr=b"5511999999999", destination_addr=b"27300", short_message=b"SIM")
        )
        waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"

        async def blocked():
            return await place.db.fetchval(waiting)

        await place.until(blocked)

        assert not [e for e in place.operator.others if getattr(e, "body", None) is not None]
    assert await place.operator.delivery_answers(1) == [0]
    assert await place.db.fetchval("select body from inbox") == "SIM"


async def test_the_same_reply_again_from_a_new_session_is_kept_once(office):
    place = await office()
    reply = DeliverSm(source_addr=b"5511999999999", destination_addr=b"27300", short_message=b"SIM")
    await place.accept()
    await place.operator.submit()
    place.operator.deliver(reply)
    await place.operator.delivery_answers(1)
    place.operator.drop()
    await place.operator.submit()  # bound again
    place.operator.deliver(reply)
    assert await place.operator.delivery_answers(2) == [0, 0]
    assert await place.db.fetchval("select count(*) from inbox") == 1
    place.operator.deliver(reply)  # within one session a person may well write it twice
    await place.operator.delivery_answers(3)
    assert await place.db.fetchval("select count(*) from inbox") == 2


async def test_a_message_whose_validity_has_ended_is_not_sent(office):
    place = await office(start=False)
    message_id = await place.accept(valid_s=-1)
    place.start()
    await place.reaches(message_id, 5)
    assert place.operator.submits.empty()


async def test_a_stop_waits_for_responses_and_unbinds(office):
    place = await office()
    message_id = await place.accept()
    _, sequence = await place.operator.submit()
    stopping = place.stop()
    stopped = asyncio.ensure_future(stopping)
    await asyncio.sleep(0)
    place.operator.answer(sequence, b"1")
    await stopped
    assert (await place.message(message_id))["state"] == 1
    assert await place.db.fetchval("select count(*) from session where ended_at is null") == 0


async def test_what_a_dead_process_was_writing_is_uncertain_after_the_next_start(office):
    place = await office(start=False)
    message_id = await place.accept(text="a" * 300, parts=2)
    session_id = await place.session()
    (claimed,) = await claim(place.db, place.smsc.id, session_id, 10)
    assert claimed.message_id == message_id
    # ... and here it died.
    again = await leases.take(place.db, place.smsc.id, place.holder, 3600)
    assert again is not None and again.uncertain == 1
    assert await sessions.open_sessions(place.db, place.smsc.id) == []
    assert await place.attempts(message_id) == [(1, 1, 0), (2, 1, 0)]
    assert (await place.queued(message_id))["state"] == 0


async def test_a_refused_bind_is_tried_again_later_and_sends_nothing(office):
    place = await office(start=False)
    place.operator.bind_statuses = [Status.ESME_RINVPASWD]
    await place.accept()
    place.start()

    async def tried():
        return place.operator.binds and place.operator.lost

    await place.until(tried)
    assert place.operator.submits.empty()
    assert await place.db.fetchval("select count(*) from queue where state = 0") == 1


class Flaky:
    """A statement of the store whose answer is lost, once: what it did is done."""

    def __init__(self, monkeypatch, module, name, *, fails_before=False):
        self.lost = 0
        real = getattr(module, name)

        async def statement(*args):
            if self.lost:
                return await real(*args)
            self.lost += 1
            if not fails_before:
                await real(*args)
            raise Unavailable("the answer was lost")

        monkeypatch.setattr(module, name, statement)


async def test_a_claim_whose_answer_is_lost_is_taken_back(office, monkeypatch):
    Flaky(monkeypatch, queue, "claim")
    place = await office(start=False)
    message_id = await place.accept()
    place.start()
    _, sequence = await place.operator.submit()
    assert (await place.queued(message_id))["attempts"] == 1
    place.operator.answer(sequence, b"1")
    await place.reaches(message_id, 1)


async def test_a_retry_written_twice_does_not_disturb_the_submit_that_followed_it(office, monkeypatch):
    """The COMMIT of the retry was done and its answer lost: meanwhile the message has been claimed again."""
    place = await office(start=False)
    message_id = await place.accept()
    session = await place.session()
    (first,) = await claim(place.db, place.smsc.id, session, 1)
    retry = [queue.Retry(message_id, first.claim, 0.0, True, 0)]
    await queue.retry(place.db, retry)
    (second,) = await claim(place.db, place.smsc.id, session, 1)
    assert second.n == first.n  # a throttled attempt is not counted, so its number tells nothing
    await queue.retry(place.db, retry)
    assert (await place.queued(message_id))["state"] == 1


async def test_outcomes_survive_a_database_that_refuses_and_then_goes_away(office, monkeypatch):
    place = await office(start=False)
    ids = [await place.accept() for _ in range(4)]
    real, calls = queue.commit_results, []

    async def commit_results(*args, **how):
        calls.append(args)
        if len(calls) == 1:
            raise asyncpg.DataError("once")
        if len(calls) == 3:
            raise Unavailable("gone")
        await real(*args, **how)

    monkeypatch.setattr(queue, "commit_results", commit_results)
    place.start()
    answers = [await place.operator.submit() for _ in ids]
    for n, (_, sequence) in enumerate(answers):
        place.operator.answer(sequence, b"%d" % n)
    for message_id in ids:
        await place.leaves_the_queue(message_id)
        assert await place.attempts(message_id) == [(1, 1, 1)]
    assert place.operator.submits.empty()


async def test_an_outcome_that_cannot_be_written_does_not_take_the_message_out_of_the_queue(
    office, monkeypatch
):
    place = await office(start=False)
    bad, good = await place.accept(), await place.accept(number=5511988888888)
    real = queue.commit_results

    async def commit_results(db, smsc_id, session_id, attempts, done, **how):
        if any(a.message_id == bad for a in attempts):
            raise asyncpg.DataError("a value that is refused")
        await real(db, smsc_id, session_id, attempts, done, **how)

    monkeypatch.setattr(queue, "commit_results", commit_results)
    place.start()
    for _ in range(2):
        _, sequence = await place.operator.submit()
        place.operator.answer(sequence, b"%d" % sequence)
    await place.leaves_the_queue(good)
    assert (await place.queued(bad))["state"] == 1
    await place.stop()
    assert await place.attempts(bad) == [(1, 1, 0)] and (await place.queued(bad))["state"] == 0


async def test_a_fault_of_ours_in_one_delivery_costs_no_other(office, monkeypatch):
    place = await office()
    message_id = await place.accept()
    _, sequence = await place.operator.submit()
    real = match.of

    def of(body):
        if body.short_message == b"poison":
            raise KeyError("fault")
        return real(body)

    monkeypatch.setattr(match, "of", of)
    for text in (b"poison", b"SIM"):
        place.operator.deliver(
            DeliverSm(source_addr=b"5511999999999", destination_addr=b"27300", short_message=text)
        )
    place.operator.answer(sequence, b"1")
    assert sorted(await place.operator.delivery_answers(2)) == [0, Status.ESME_RX_T_APPN]
    await place.reaches(message_id, 1)
    assert place.operator.lost == 0
    assert await place.db.fetchval("select body from inbox") == "SIM"


async def test_a_receipt_whose_response_is_just_being_committed_settles_no_other_message(office, monkeypatch):
    place = await office(uncertain_policy="hold")
    held = await place.accept()
    await place.operator.submit()
    place.operator.drop()
    await place.reaches(held, 2)
    second = await place.accept()
    _, sequence = await place.operator.submit()
    looked_up = asyncio.Event()
    real = receipts.attempts_by_key

    async def attempts_by_key(*args):
        found = await real(*args)
        if not looked_up.is_set():
            looked_up.set()
            place.operator.answer(sequence, b"77")  # the response comes in this very moment

            async def answered():
                return not place.link_in_flight()

            await place.until(answered)
        return found

    monkeypatch.setattr(receipts, "attempts_by_key", attempts_by_key)
    place.operator.receipt("77", NUMBER)
    await place.reaches(second, 3)
    assert (await place.message(held))["state"] == 2


async def test_a_held_message_that_was_refused_after_all_is_sent_again(office):
    place = await office(start=False, uncertain_policy="hold")
    message_id = await place.accept()
    session = await place.session()
    await claim(place.db, place.smsc.id, session, 1)
    await sessions.end_sessions(place.db, [session])
    await place.reaches(message_id, 2)
    await place.db.execute("update attempt set state = 4 where message_id = $1", message_id)
    await queue.release_refused(place.db, [message_id])
    await place.reaches(message_id, 0)
    assert (await place.queued(message_id))["state"] == 0


async def test_a_half_sent_message_that_is_held_shows_as_uncertain(office):
    place = await office(uncertain_policy="hold")
    message_id = await place.accept(text="a" * 300, parts=2)
    (_, first), _ = await place.operator.submit(), await place.operator.submit()
    place.operator.answer(first, b"p1")
    await place.reaches(message_id, 1)
    place.operator.drop()
    await place.reaches(message_id, 2)


async def test_the_highest_vendor_status_is_kept(office):
    place = await office()
    message_id = await place.accept()
    _, sequence = await place.operator.submit()
    place.operator.answer(sequence, status=0xFFFFFFFF)
    await place.reaches(message_id, 6)
    assert await place.db.fetchval("select status from attempt") == 0xFFFFFFFF


async def test_a_session_whose_end_could_not_be_written_is_ended_by_upkeep(office):
    place = await office(start=False)
    await place.db.execute(
        "insert into session (smsc_id, holder, started_at) values ($1, $2, now() - interval '1 hour')",
        place.smsc.id, place.holder,
    )  # fmt: skip
    served = await place.session()
    forgotten = await sessions.forgotten_sessions(place.db, place.holder, [served])
    assert len(forgotten) == 1 and served not in forgotten
