"""Whose message is the next submit, with an operator that takes its time."""

import pytest

from pombo.message import MessageClass

pytestmark = pytest.mark.anyio

_CODE = 5511988887777


async def test_a_code_of_another_account_is_the_next_submit_past_a_thousand_marketing_messages(office):
    place = await office(start=False, window_size=10)
    await place.accept_many(1000, MessageClass.MARKETING)
    other = await place.db.fetchval(
        "insert into account (name, balance_milli) values ('b', 1000) returning id"
    )
    place.start()
    waiting = [(await place.operator.submit())[1] for _ in range(10)]
    await place.accept(_CODE, account_id=other, message_class=MessageClass.OTP)
    for sequence in waiting:
        place.operator.answer(sequence, b"%d" % sequence)
    body, _ = await place.operator.submit()
    assert body.destination_addr == b"%d" % _CODE


async def test_while_all_places_are_free_a_message_of_an_account_that_was_not_seen_yet_goes_at_once(office):
    place = await office(window_size=10)
    for account in ("b", "c", "d"):
        other = await place.db.fetchval(
            "insert into account (name, balance_milli) values ($1, 1000) returning id", account
        )
        await place.accept(_CODE, account_id=other)
        _, sequence = await place.operator.submit()
        place.operator.answer(sequence, b"%d" % sequence)
