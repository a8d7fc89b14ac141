"""What a submit says, by the settings of its connection and its account; and settings that change meanwhile."""

import pytest
import structlog

from pombo.send.links import Links
from pombo.smpp.status import Status
from pombo.store.accounts import Source, sources

pytestmark = pytest.mark.anyio


async def test_an_account_may_have_a_source_address_of_its_own(office):
    place = await office(source_addr="27300", source_ton=3)
    place.sources[place.account_id] = Source("LOJA", 5, 0)
    message_id = await place.accept()
    body, sequence = await place.operator.submit()
    assert (body.source_addr, body.source_addr_ton, body.source_addr_npi) == (b"LOJA", 5, 0)
    place.sources.clear()  # followed at once
    other = await place.accept()
    body, second = await place.operator.submit()
    assert (body.source_addr, body.source_addr_ton) == (b"27300", 3)
    place.operator.answer(sequence, b"1")
    place.operator.answer(second, b"2")
    assert (await place.reaches(message_id, 1))["source_addr"] == "LOJA"  # what replies are correlated by
    assert (await place.reaches(other, 1))["source_addr"] == "27300"


async def test_only_accounts_with_a_source_of_their_own_are_kept_in_memory(office):
    place = await office(start=False)
    assert await sources(place.db) == {}
    await place.db.execute("update account set source_addr = '1234', source_ton = 3, source_npi = 1")
    assert await sources(place.db) == {place.account_id: ("1234", 3, 1)}


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, b""),
        (3600, b"000000010000000R"),
        (86_400 + 61, b"000001000101000R"),
        (45 * 86_400, b"000115000000000R"),
    ],
)
async def test_the_operator_is_told_how_long_to_try(office, seconds, written):
    place = await office(operator_validity_s=seconds)
    await place.accept()
    body, _ = await place.operator.submit()
    assert body.validity_period == written


async def test_a_connection_judges_statuses_by_its_own_table(office):
    place = await office(verdicts={0x45F: "throttling", int(Status.ESME_RINVDSTADR): "temporary"})
    throttled = await place.accept()
    _, sequence = await place.operator.submit()
    place.operator.answer(sequence, status=0x45F)
    _, sequence = await place.operator.submit()
    place.operator.answer(sequence, b"1")
    await place.reaches(throttled, 1)
    assert await place.attempts(throttled) == [(1, 1, 1)]
    assert place.link.figures().throttled == 1 and place.link.figures().submitted == 2

    temporary = await place.accept()
    _, sequence = await place.operator.submit()
    place.operator.answer(sequence, status=Status.ESME_RINVDSTADR)

    async def waits():
        return await place.attempts(temporary) == [(1, 1, 4)]

    await place.until(waits)
    assert (await place.message(temporary))["state"] == 0


async def test_a_submit_without_an_answer_is_given_up_after_the_connections_time(office):
    place = await office(response_timeout_s=1, uncertain_policy="resend")
    message_id = await place.accept()
    await place.operator.submit()
    _, sequence = await place.operator.submit()
    assert await place.attempts(message_id) == [(1, 1, 0)]
    assert place.operator.lost == 0
    place.operator.answer(sequence, b"1")
    await place.reaches(message_id, 1)


async def test_an_operator_that_answers_nothing_is_in_the_log_a_few_times_and_not_once_a_message(office):
    place = await office(response_timeout_s=1, uncertain_policy="hold", window_size=12, start=False)
    for _ in range(12):
        await place.accept()
    with structlog.testing.capture_logs() as logs:
        place.start()

        async def held():
            return await place.db.fetchval("select count(*) = 12 from queue where state = 2")

        await place.until(held)
    assert [line["times"] for line in logs if line["event"] == "submit_unanswered"] == [1, 10]


async def test_a_silent_operator_is_asked_after_the_connections_time(office):
    place = await office(enquire_link_s=1)
    await place.operator.stand(1)
    (peer,) = place.operator.standing
    heard = []
    receive = peer.session.receive
    peer.session.receive = lambda octets, now: heard.append(octets) or receive(octets, now)

    async def asked():
        return any(octets[4:8] == b"\x00\x00\x00\x15" for octets in heard)  # enquire_link

    await place.until(asked)


@pytest.fixture
async def links(office):
    place = await office(start=False, source_addr="27300", rate_per_s=50)
    links = Links(place.doors(), place.has_left)
    links.follow([place.smsc])
    yield place, links
    place.operator.drop()
    await links.stop()


async def test_settings_that_need_no_new_session_apply_without_a_bind(links):
    place, links = links
    await place.operator.stand(1)
    links.follow(
        [place.smsc._replace(source_addr="1010", rate_per_s=7, operator_validity_s=60, wanted="draining")]
    )
    await place.accept()
    links.wake([place.smsc.id])
    body, _ = await place.operator.submit()
    assert (body.source_addr, body.validity_period) == (b"1010", b"000000000100000R")
    assert [figures.rate_per_s for figures in links.figures()] == [7]
    assert len(place.operator.binds) == 1


async def test_a_stopped_connection_leaves_in_order_and_loses_nothing(links):
    place, links = links
    await place.operator.stand(1)
    submitted = await place.accept()
    links.wake([place.smsc.id])
    _, sequence = await place.operator.submit()
    links.follow([place.smsc._replace(wanted="stopped")])
    waiting = await place.accept()
    links.wake([place.smsc.id])
    place.operator.answer(sequence, b"1")
    await place.reaches(submitted, 1)
    await place.operator.stand(0)
    assert place.operator.submits.empty()
    assert (await place.queued(waiting))["state"] == 0

    async def stopped():
        return links.figures() == []

    await place.until(stopped)
    links.follow([place.smsc])  # and goes on at once
    _, sequence = await place.operator.submit()
    place.operator.answer(sequence, b"2")
    await place.reaches(waiting, 1)
    assert links.figures()[0].submitted == 2  # totals go on


async def test_what_a_claim_gets_while_its_connection_is_stopped_waits_again_before_the_unbind(links):
    place, links = links
    await place.operator.stand(1)
    async with place.db.transaction("begin; select from session for update") as lock:
        message_id = await place.accept()
        links.wake([place.smsc.id])

        async def claim_waits():
            return await lock.fetchval("select count(*) from pg_locks where not granted")

        await place.until(claim_waits)
        (session,) = links._links[place.smsc.id]._flow.sessions
        links.follow([place.smsc._replace(wanted="stopped")])

        async def it_is_to_end():
            return session._ended.is_set()

        await place.until(it_is_to_end)
    await place.operator.stand(0)
    assert (await place.queued(message_id))["state"] == 0
    assert place.operator.submits.empty()


async def test_a_draining_connection_sends_what_waits_and_takes_receipts(links):
    place, links = links
    links.follow([place.smsc._replace(wanted="draining")])
    message_id = await place.accept()
    links.wake([place.smsc.id])
    _, sequence = await place.operator.submit()
    place.operator.answer(sequence, b"1")
    await place.reaches(message_id, 1)
    place.operator.receipt("1", 5511999999999)
    await place.reaches(message_id, 3)
