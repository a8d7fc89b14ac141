"""Sending, and what the operator says of it, cost statements and socket writes by the window, not by the message."""

import time

import pytest

from cost import Cost
from pombo.send import bind
from pombo.smpp.pdu import DeliverSm, SubmitSmResp
from pombo.store.intake import accept
from rows import many_messages

pytestmark = pytest.mark.anyio

MESSAGES, WINDOW = 1000, 200
NUMBER = 5511900000000


async def test_a_thousand_messages_cost_few_statements_and_writes(office, cost: Cost) -> None:
    place = await office(window_size=WINDOW)
    ids = list(place.ids.take(MESSAGES, time.time()))
    numbers = [NUMBER + n for n in range(MESSAGES)]
    await accept(place.db, many_messages(place.account_id, ids, numbers, place.smsc.id))
    [peer] = await place.operator.stand(1)
    cost.start()
    place.link.wake()
    for first in range(0, MESSAGES, WINDOW):
        submits = [await place.operator.submit() for _ in range(WINDOW)]
        for n, (_, sequence) in enumerate(submits, start=first):
            peer.session.respond(sequence, SubmitSmResp(message_id=b"%d" % n))
        peer.flush()

    async def all_sent() -> bool:
        return await place.db.fetchval("select count(*) from queue") == 0

    await place.until(all_sent)
    looks = cost.of.pop("select count(*) from queue")
    assert looks and cost.statements <= 6 * MESSAGES // WINDOW, cost.of
    assert cost.socket_writes <= 3 * MESSAGES // WINDOW

    cost.start()
    for first in range(0, MESSAGES, WINDOW):
        for n in range(first, first + WINDOW):
            text = (
                b"id:%d sub:001 dlvrd:001 submit date:2611221000 done date:2611221001 stat:DELIVRD err:000"
                % n
            )
            peer.session.request(
                DeliverSm(source_addr=b"%d" % (NUMBER + n), esm_class=4, short_message=text), time.monotonic()
            )
        peer.flush()
        await place.operator.delivery_answers(first + WINDOW)
    assert cost.statements <= 10 * MESSAGES // WINDOW, cost.of
    assert cost.socket_writes <= 3 * MESSAGES // WINDOW


async def test_receipts_that_come_one_after_the_other_are_committed_together(
    office, cost: Cost, monkeypatch
) -> None:
    monkeypatch.setattr(bind, "_QUIET_S", 0.5)
    monkeypatch.setattr(bind, "_GATHER_S", 60.0)
    place = await office(window_size=WINDOW)
    await place.operator.stand(1)
    cost.start()
    for count in range(1, 6):
        place.operator.receipt(f"{count}", NUMBER + count)

        async def it_waits(count: int = count) -> bool:
            return sum(session.deliveries for session in place.link_settlements()) == count

        await place.until(it_waits)
    assert cost.of["begin; select pg_advisory_xact_lock(1, 1)"] == 0
    await place.operator.delivery_answers(5)
    # One for all of them, and one to look again for what came meanwhile: they speak of nothing that we sent.
    assert cost.of["begin; select pg_advisory_xact_lock(1, 1)"] == 2, cost.of
