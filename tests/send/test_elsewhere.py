"""What one operator refuses, another one may take."""

import asyncio

import pytest

from pombo.message import State
from pombo.smpp.status import Status

pytestmark = pytest.mark.anyio

OTHER = 77  # a connection that nobody serves: what is handed on to it can be looked at


async def refusing(office, *, start=True):
    """An office whose messages may go on to another connection; and what the look-up was asked."""
    place = await office(start=False)
    asked = []

    def elsewhere(number, account_id, message_class, tried):
        asked.append((number, account_id, message_class, set(tried)))
        return OTHER if OTHER not in tried else None

    place.elsewhere = elsewhere
    if start:
        place.start()
    return place, asked


async def gone_to(place, message_id):
    async def other():
        row = await place.queued(message_id)
        return row if row is not None and row["smsc_id"] == OTHER else None

    return await place.until(other)


# A number that one operator does not have may be ported to another.
@pytest.mark.parametrize("status", [Status.ESME_RINVSRCADR, Status.ESME_RINVDSTADR, 0x45F])
async def test_what_is_refused_for_good_waits_for_the_next_connection_that_fits(office, status):
    place, asked = await refusing(office)
    message_id = await place.accept()
    _, sequence_number = await place.operator.submit()
    place.operator.answer(sequence_number, status=status)

    row = await gone_to(place, message_id)
    assert (row["state"], row["session_id"]) == (0, None)
    message = await place.message(message_id)
    assert (message["smsc_id"], message["state"], message["error"]) == (OTHER, State.WAITING, "")
    assert asked == [(5511999999999, place.account_id, 1, {place.smsc.id})]
    assert await place.attempts(message_id) == [(1, 1, 4)]  # the refusal stays on record
    async with asyncio.timeout(5):  # the commit is seen from outside a moment before it is told
        while not place.woken:
            await asyncio.sleep(0.005)
    assert place.woken == {OTHER}


async def test_once_every_connection_has_refused_it_the_message_is_rejected(office):
    place, asked = await refusing(office, start=False)
    message_id = await place.accept()
    await place.db.execute(
        "insert into attempt (message_id, part, n, smsc_id, session_id, number, state, submitted_at)"
        " values ($1, 1, 1, $2, 1, 5511999999999, 4, now())", message_id, OTHER,
    )  # fmt: skip
    await place.due(message_id, attempts=1)
    place.start()
    _, sequence_number = await place.operator.submit()
    place.operator.answer(sequence_number, status=Status.ESME_RINVSRCADR)

    assert (await place.reaches(message_id, State.REJECTED))["error"] == "ESME_RINVSRCADR"
    assert asked[0][3] == {place.smsc.id, OTHER}


async def test_of_a_long_message_with_a_part_taken_the_rest_goes_nowhere_else(office):
    place, asked = await refusing(office)
    message_id = await place.accept(text="x" * 200, parts=2)
    _, first = await place.operator.submit()
    _, second = await place.operator.submit()
    place.operator.answer(first, b"1")
    place.operator.answer(second, status=Status.ESME_RINVSRCADR)

    await place.reaches(message_id, State.REJECTED)
    assert asked == []


async def test_after_two_refusals_for_the_moment_it_goes_elsewhere_and_not_before(office):
    place, asked = await refusing(office)
    message_id = await place.accept()
    for n in (1, 2):
        _, sequence_number = await place.operator.submit()
        place.operator.answer(sequence_number, status=Status.ESME_RSYSERR)
        if n < 2:
            await place.waits(message_id, n)
            assert asked == []
            await place.due(message_id, attempts=n)

    assert (await gone_to(place, message_id))["attempts"] == 2
    assert len(asked) == 1


async def test_throttling_moves_nothing(office):
    place, asked = await refusing(office)
    message_id = await place.accept()
    _, sequence_number = await place.operator.submit()
    place.operator.answer(sequence_number, status=Status.ESME_RTHROTTLED)
    await place.waits(message_id, 0)
    assert asked == []


async def test_one_that_an_operator_may_have_is_not_given_to_another(office):
    place, asked = await refusing(office)
    message_id = await place.accept()
    await place.operator.submit()
    place.operator.drop()  # uncertain, and sent again
    _, sequence_number = await place.operator.submit()
    place.operator.answer(sequence_number, status=Status.ESME_RINVSRCADR)

    await place.reaches(message_id, State.REJECTED)
    assert asked == []


async def test_a_refusal_that_is_written_twice_does_not_end_what_was_handed_on(office, monkeypatch):
    """The answer to COMMIT was lost; meanwhile the other connection may have sent the message."""
    from pombo.errors import Unavailable
    from pombo.send.settlement import Settlement

    place, _ = await refusing(office)
    write, times = Settlement._write, []

    async def write_and_lose_the_first_answer(settlement, results):
        await write(settlement, results)
        times.append(results)
        if len(times) == 1:
            raise Unavailable("the answer was lost")

    monkeypatch.setattr(Settlement, "_write", write_and_lose_the_first_answer)
    message_id = await place.accept()
    _, sequence_number = await place.operator.submit()
    place.operator.answer(sequence_number, status=Status.ESME_RINVSRCADR)

    async def twice():
        return len(times) >= 2

    await place.until(twice)
    assert (await place.message(message_id))["state"] == State.WAITING
    assert (await gone_to(place, message_id))["state"] == 0


async def test_a_late_receipt_of_the_operator_that_was_left_counts(office):
    """Its attempt is matched over its own connection, whatever the message goes over now."""
    place, _ = await refusing(office)
    message_id = await place.accept()
    _, sequence_number = await place.operator.submit()
    place.operator.answer(sequence_number, b"abc")
    await place.reaches(message_id, State.SUBMITTED)
    await place.db.execute("update message set smsc_id = $2 where id = $1", message_id, OTHER)
    place.operator.receipt("abc", 5511999999999)
    await place.reaches(message_id, State.DELIVERED)
