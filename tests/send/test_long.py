"""Long messages in every mode of a connection: parts, receipts and states agree."""

import pytest

from pombo.smpp import tlv
from pombo.smpp.status import Status
from pombo.store import sessions
from rows import claim

pytestmark = pytest.mark.anyio

NUMBER = 5511999999999
LONG = "a" * 300


async def parts_of(place, message_id):
    return await place.db.fetchrow(
        "select parts, parts_delivered, state from message where id = $1", message_id
    )


@pytest.mark.parametrize("long_mode", ["udh8", "udh16", "sar"])
async def test_in_parts_each_has_its_submit_and_its_receipt(office, long_mode):
    place = await office(long_mode=long_mode)
    message_id = await place.accept(text=LONG, parts=2)
    for n in (1, 2):
        body, sequence = await place.operator.submit()
        if long_mode == "sar":
            place_of = (
                tlv.sar_msg_ref_num(body),
                tlv.sar_total_segments(body),
                tlv.sar_segment_seqnum(body),
            )
            assert place_of == (message_id & 0xFFFF, 2, n) and body.esm_class == 0
        else:
            assert body.esm_class == 0x40 and body.short_message[0] == (5 if long_mode == "udh8" else 6)
        place.operator.answer(sequence, b"p%d" % n)
    await place.leaves_the_queue(message_id)
    place.operator.receipt("p2", NUMBER)
    assert await place.operator.delivery_answers(1) == [0]
    assert (await place.message(message_id))["state"] == 1
    place.operator.receipt("p1", NUMBER)
    await place.reaches(message_id, 3)


async def test_neighbours_to_one_handset_have_different_references(office):
    place = await office(long_mode="udh8")
    references = set()
    for _ in range(5):
        await place.accept(text=LONG, parts=2)
        for _ in range(2):
            body, sequence = await place.operator.submit()
            references.add(body.short_message[3])
            place.operator.answer(sequence, b"%d" % sequence)
    assert len(references) == 5


async def test_in_one_piece_there_is_one_submit_and_one_receipt_for_all(office):
    place = await office(long_mode="payload")
    message_id = await place.accept(text=LONG, parts=2)
    body, sequence = await place.operator.submit()
    assert (body.short_message, tlv.message_payload(body), body.esm_class) == (b"", LONG.encode(), 0)
    place.operator.answer(sequence, b"all")
    await place.leaves_the_queue(message_id)
    assert place.operator.submits.empty()
    assert await place.attempts(message_id) == [(1, 1, 1)]
    place.operator.receipt("all", NUMBER)
    row = await place.reaches(message_id, 3)
    assert row["parts_delivered"] == 0b11


async def test_a_short_message_goes_as_ever_where_long_ones_go_in_one_piece(office):
    place = await office(long_mode="payload")
    await place.accept(text="oi")
    body, _ = await place.operator.submit()
    assert (body.short_message, body.tlvs) == (b"oi", {})


async def test_a_receipt_before_the_response_ends_a_message_in_one_piece(office):
    place = await office(long_mode="payload")
    message_id = await place.accept(text=LONG, parts=2)
    _, sequence = await place.operator.submit()
    place.operator.receipt("all", NUMBER)
    assert await place.operator.delivery_answers(1) == [0]
    place.operator.answer(sequence, b"all")
    await place.reaches(message_id, 3)


async def test_a_failure_in_one_piece_ends_it_and_a_refusal_too(office):
    place = await office(long_mode="payload")
    undelivered, refused = await place.accept(text=LONG, parts=2), await place.accept(text=LONG, parts=2)
    (_, first), (_, second) = await place.operator.submit(), await place.operator.submit()
    place.operator.answer(first, b"all")
    place.operator.answer(second, status=Status.ESME_RINVDSTADR)
    place.operator.receipt("all", NUMBER, "UNDELIV")
    await place.reaches(undelivered, 4)
    assert (await place.reaches(refused, 6))["parts_delivered"] == 0


async def test_a_throttled_message_in_one_piece_goes_again_whole(office):
    place = await office(long_mode="payload")
    message_id = await place.accept(text=LONG, parts=2)
    _, sequence = await place.operator.submit()
    place.operator.answer(sequence, status=Status.ESME_RTHROTTLED)
    body, sequence = await place.operator.submit()
    assert tlv.message_payload(body) == LONG.encode()
    place.operator.answer(sequence, b"1")
    await place.leaves_the_queue(message_id)


async def test_one_piece_whose_fate_is_not_known_is_settled_by_its_receipt(office):
    """Also where the books of its session were closed by another process, after a crash."""
    place = await office(long_mode="payload", uncertain_policy="hold")
    message_id = await place.accept(text=LONG, parts=2)
    await place.operator.submit()
    place.operator.drop()
    await place.reaches(message_id, 2)
    assert await place.attempts(message_id) == [(1, 1, 0)]
    await place.operator.stand(1)
    place.operator.receipt("x", NUMBER)
    await place.reaches(message_id, 3)


@pytest.mark.parametrize("policy", ["hold", "resend"])
async def test_one_piece_that_is_said_to_be_on_its_way_is_not_sent_again_in_parts(office, policy):
    place = await office(long_mode="payload", uncertain_policy=policy)
    message_id = await place.accept(text=LONG, parts=2)
    await place.operator.submit()
    place.operator.drop()
    await place.stop()
    await place.db.execute("update queue set due_at = now() + interval '1 hour'")
    place.start()
    await place.operator.stand(1)
    place.operator.receipt("x", NUMBER, "ENROUTE")
    await place.leaves_the_queue(message_id)
    assert (await place.message(message_id))["state"] == 1
    place.operator.receipt("x", NUMBER)
    await place.reaches(message_id, 3)


async def test_after_a_crash_one_piece_is_one_uncertain_attempt(office):
    place = await office(start=False, long_mode="payload", uncertain_policy="hold")
    message_id = await place.accept(text=LONG, parts=2)
    session_id = await place.session()
    await claim(place.db, place.smsc.id, session_id, 5)
    assert await sessions.end_sessions(place.db, [session_id]) == 1
    assert await place.attempts(message_id) == [(1, 1, 0)]
    place.start()
    await place.operator.stand(1)
    place.operator.receipt("x", NUMBER)
    await place.reaches(message_id, 3)


async def test_what_went_in_one_piece_and_then_in_parts_waits_for_the_receipt_of_each(office):
    place = await office(long_mode="payload", uncertain_policy="resend")
    message_id = await place.accept(text=LONG, parts=2)
    await place.operator.submit()
    place.operator.drop()
    await place.stop()
    place.smsc = place.smsc._replace(long_mode="udh8")
    place.start()
    for n in (1, 2):
        _, sequence = await place.operator.submit()
        place.operator.answer(sequence, b"p%d" % n)
    await place.leaves_the_queue(message_id)
    place.operator.receipt("p1", NUMBER)
    assert await place.operator.delivery_answers(1) == [0]
    assert (await parts_of(place, message_id))["parts_delivered"] == 0b01
    place.operator.receipt("p2", NUMBER)
    await place.reaches(message_id, 3)
