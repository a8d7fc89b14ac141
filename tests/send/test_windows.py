"""Marketing whose window closes while it waits for its turn."""

from datetime import UTC, datetime, timedelta

import pytest

from pombo.app.windows import put_off
from pombo.message import MessageClass

pytestmark = pytest.mark.anyio


async def test_nothing_is_written_once_its_window_has_closed_and_no_attempt_is_used_up(office):
    place = await office(start=False)
    late = await place.accept(message_class=MessageClass.MARKETING)
    await place.db.execute("update queue set closes_at = now() - interval '1 second'")
    other = await place.accept(5511988887777, message_class=MessageClass.MARKETING)
    place.start()

    body, sequence = await place.operator.submit()
    place.operator.answer(sequence, b"1")

    assert body.destination_addr == b"5511988887777"
    assert (await place.reaches(other, 1))["sent_at"]
    row = await place.waits(late, 0)
    assert row["due_at"] > datetime.now(UTC) + timedelta(seconds=30)
    assert await place.attempts(late) == []


async def test_what_was_put_off_goes_once_the_window_is_open(office):
    place = await office(start=False)
    late = await place.accept(message_class=MessageClass.MARKETING)
    await place.db.execute("update queue set closes_at = now() - interval '1 second'")
    place.start()
    await place.waits(late, 0)
    await place.db.execute("update account set marketing_window = 'always'")
    await put_off(place.db)
    place.link.wake()
    _, sequence = await place.operator.submit()
    place.operator.answer(sequence, b"1")
    await place.reaches(late, 1)


async def test_a_message_is_sent_soon_after_it_becomes_due_without_anybody_waking_the_link(office):
    place = await office()
    scheduled = await place.accept(opens_at=datetime.now(UTC) + timedelta(seconds=1.5))
    before = datetime.now(UTC)
    _, sequence = await place.operator.submit()
    place.operator.answer(sequence, b"1")
    sent_at = (await place.reaches(scheduled, 1))["sent_at"]
    assert timedelta(seconds=1.2) < sent_at - before < timedelta(seconds=4)
