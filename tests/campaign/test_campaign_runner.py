"""Campaigns on their way: nobody is left out, nobody gets it twice, whatever happens to whoever carries them on."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from campaign_office import CAMILA, Office, numbers

from pombo.account.account import Account
from pombo.campaign import operations, runner
from pombo.campaign.doors import Letter, Outcome
from pombo.campaign.operations import Wrong
from pombo.campaign.runner import Runner
from pombo.campaign.states import State
from pombo.errors import Unavailable
from pombo.message import MessageClass
from pombo.message import State as MessageState
from pombo.store import blocks, campaign_rows, campaigns, privacy
from pombo.store.database import Database
from rows import SECRETS

pytestmark = pytest.mark.anyio

FILE = (
    b"Nome;Celular\nAna;11987654321\nBia;11987654322\nCid;1138642210\nDida;11987654323\nEva;11987654322\n"
    b"Fe;11987654324\nGil;11987654325\nHugo;11987654326\n"
)
EVERYBODY = sorted(
    (5511987654321 + n, f"Oi {name}") for n, name in enumerate(["Ana", "Bia", "Dida", "Fe", "Gil", "Hugo"])
)


class Died(BaseException):
    """The process is gone, from here on."""


class Fate:
    """Dies at the n-th moment that counts: just before and just after each commit of the campaign's or of the intake."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.moments = 0

    def moment(self) -> None:
        self.moments += 1
        if self.moments == self.at:
            raise Died


class Borrowed(Database):
    """The connections of another one."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator["asyncpg.Connection[Any]"]:
        async with self._db._connection() as connection:
            yield connection


class Mortal(Borrowed):
    def __init__(self, db: Database, fate: Fate) -> None:
        super().__init__(db)
        self.fate = fate

    @asynccontextmanager
    async def transaction(self, begin: str = "begin") -> AsyncIterator["asyncpg.Connection[Any]"]:
        async with super().transaction(begin) as tx:
            yield tx
            self.fate.moment()
        self.fate.moment()


def mortal(office: Office, fate: Fate) -> Runner:
    doors = office.doors()

    async def submit(account: Account, letters: Sequence[Letter], mode: str) -> list[Outcome]:
        fate.moment()
        outcomes = await doors.submit(account, letters, mode)
        fate.moment()
        return outcomes

    return Runner(doors._replace(db=Mortal(office.db, fate), submit=submit), most_waiting=10**9)


async def lapse(office: Office) -> None:
    """Who was at work has not been heard of for so long that another may take it."""
    await office.db.execute("update campaign set lease_until = now()")


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "PAGE", 2)


async def test_every_row_becomes_one_message(office: Office, small_pages: None) -> None:
    campaign_id = await office.started(FILE, "Oi {nome}")
    await office.until(campaign_id, State.DONE)

    assert sorted(await office.sent()) == EVERYBODY
    campaign = await office.campaign(campaign_id)
    assert (campaign.accepted, campaign.refused, campaign.row_count) == (6, 2, 8)
    assert await office.kinds(campaign_id) == ["started", "done"]


async def test_whenever_the_process_dies_the_next_one_sends_the_rest_and_nothing_twice(
    office: Office, small_pages: None
) -> None:
    moments = 1
    for at in range(1, 100):
        fate = Fate(at)
        campaign_id = await office.started(FILE, "Oi {nome}")
        first = mortal(office, fate)
        try:
            await office.until(campaign_id, State.DONE, first)
            break
        except Died:
            moments += 1
        left = (await office.campaign(campaign_id)).state == State.RUNNING
        await lapse(office)
        await office.until(campaign_id, State.DONE, office.new_runner())

        assert sorted(await office.sent()) == EVERYBODY, f"died at moment {at}"
        campaign = await office.campaign(campaign_id)
        assert (campaign.accepted, campaign.refused) == (6, 2), f"died at moment {at}"
        assert ("taken_over" in await office.kinds(campaign_id)) is left
        await office.db.execute("truncate message, queue, message_key, campaign, campaign_row")
    assert moments > 12, "each page has commits to die at"


async def test_whenever_the_process_dies_while_it_checks_the_next_one_finds_the_same(
    office: Office, small_pages: None
) -> None:
    for at in range(1, 100):
        campaign_id = await office.upload(FILE)
        campaign = await office.campaign(campaign_id)
        message = operations.Message("a", campaign.uses, "Oi {nome}", "", 1, True)
        await operations.set_message(office.db, 1, campaign_id, message, CAMILA)
        try:
            await office.until(campaign_id, State.CHECKED, mortal(office, Fate(at)))
            break
        except Died:
            await lapse(office)
            await office.until(campaign_id, State.CHECKED, office.new_runner())
        assert await office.reasons(campaign_id) == [(4, "fixed_line", ""), (6, "duplicate", "3")]
        assert (await office.campaign(campaign_id)).refused == 2
        await office.db.execute("truncate campaign, campaign_row")
    assert at > 8


async def test_who_is_thought_dead_and_is_not_does_no_harm(office: Office, small_pages: None) -> None:
    campaign_id = await office.started(FILE, "Oi {nome}")
    stored, go_on = asyncio.Event(), asyncio.Event()
    doors = office.doors()

    async def slow(account: Account, letters: Sequence[Letter], mode: str) -> list[Outcome]:
        outcomes = await doors.submit(account, letters, mode)
        stored.set()
        await go_on.wait()
        return outcomes

    late = asyncio.create_task(Runner(doors._replace(submit=slow), most_waiting=10**9).step())
    await stored.wait()
    await lapse(office)
    await office.until(campaign_id, State.DONE, office.new_runner())
    go_on.set()
    await late

    assert sorted(await office.sent()) == EVERYBODY
    assert (await office.campaign(campaign_id)).accepted == 6


class Late(Borrowed):
    """Comes to its commit when it is told to."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self.there, self.go_on = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def transaction(self, begin: str = "begin") -> AsyncIterator["asyncpg.Connection[Any]"]:
        self.there.set()
        await self.go_on.wait()
        async with super().transaction(begin) as tx:
            yield tx


async def test_a_page_that_two_have_checked_counts_once(office: Office, small_pages: None) -> None:
    campaign_id = await office.upload(b"Celular\n1138642210\n11987654321\n11987654322\n11987654323\n")
    campaign = await office.campaign(campaign_id)
    message = operations.Message("a", campaign.uses, "oi", "", 1, True)
    await operations.set_message(office.db, 1, campaign_id, message, CAMILA)
    db = Late(office.db)
    late = asyncio.create_task(Runner(office.doors()._replace(db=db), most_waiting=10**9).step())
    await db.there.wait()
    await lapse(office)
    another = office.new_runner()
    await another.step()
    assert (await office.campaign(campaign_id)).state == State.CHECKING
    db.go_on.set()
    await late
    await office.until(campaign_id, State.CHECKED, another)
    assert (await office.campaign(campaign_id)).refused == 1


async def test_a_commit_that_was_not_confirmed_is_asked_about_again(
    office: Office, small_pages: None
) -> None:
    campaign_id = await office.started(FILE, "Oi {nome}")
    doors, lost = office.doors(), [True, False, True]

    async def submit(account: Account, letters: Sequence[Letter], mode: str) -> list[Outcome]:
        outcomes = await doors.submit(account, letters, mode)
        if lost and lost.pop():
            raise Unavailable("no answer")
        return outcomes

    one = Runner(doors._replace(submit=submit), most_waiting=10**9)
    while (campaign := await office.campaign(campaign_id)).state != State.DONE:
        if not await one.step():
            assert campaign.waits_for in ("", "unavailable")
            one = office.new_runner_of(one)
    assert sorted(await office.sent()) == EVERYBODY


async def test_another_process_starts_at_once_where_the_first_one_stopped_in_order(
    office: Office, small_pages: None
) -> None:
    campaign_id = await office.started(FILE, "Oi {nome}")
    first = office.new_runner()
    running = asyncio.create_task(first.run())
    while not (await office.campaign(campaign_id)).accepted:
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await office.until(campaign_id, State.DONE, office.new_runner())
    assert sorted(await office.sent()) == EVERYBODY


async def test_it_goes_on_where_it_was_paused(office: Office, small_pages: None) -> None:
    campaign_id = await office.started(FILE, "Oi {nome}")
    await office.runner.step()
    await operations.pause(office.db, 1, campaign_id, CAMILA)
    assert not await office.runner.step()
    before = (await office.campaign(campaign_id)).accepted
    assert 0 < before < 6
    with pytest.raises(Wrong):
        await operations.pause(office.db, 1, campaign_id, CAMILA)

    await operations.resume(office.db, 1, campaign_id, CAMILA)
    await office.until(campaign_id, State.DONE)
    assert sorted(await office.sent()) == EVERYBODY
    assert await office.kinds(campaign_id) == ["started", "paused", "resumed", "done"]


async def test_only_so_many_wait_in_the_queue_at_a_time_and_scheduled_ones_do_not_count(
    office: Office,
) -> None:
    campaign_id = await office.started(numbers(30))
    few = office.new_runner(most_waiting=10)
    await few.step()
    assert not await few.step()
    assert len(await office.sent()) == 10
    assert (await office.campaign(campaign_id)).waits_for == "queue"
    await lapse(office)
    another = office.new_runner(most_waiting=10)
    assert not await another.step()
    assert len(await office.sent()) == 10
    await lapse(office)

    await office.db.execute(
        "delete from queue where message_id in (select id from message order by id limit 4)"
    )
    await office.db.execute(
        "update queue set opens_at = now() + interval '1 day' where message_id in"
        " (select id from message order by id desc limit 3)"
    )
    few._paces[campaign_id].not_before = 0.0
    await few.step()
    assert len(await office.sent()) == 17


async def test_the_rest_is_not_sent_once_it_is_cancelled(office: Office, small_pages: None) -> None:
    campaign_id = await office.started(FILE, "Oi {nome}")
    await office.runner.step()
    await operations.cancel(office.db, 1, campaign_id, queued=False, who=CAMILA)
    await office.until(campaign_id, State.CANCELLED)
    assert 0 < len(await office.sent()) < 6
    with pytest.raises(Wrong):
        await operations.resume(office.db, 1, campaign_id, CAMILA)

    # What waits can still be taken back.
    await operations.cancel(office.db, 1, campaign_id, queued=True, who=CAMILA)
    await office.until(campaign_id, State.CANCELLED)
    since = datetime.now(UTC) - timedelta(hours=1)
    became = await campaign_rows.became(office.db, campaign_id, since)
    assert {row.state for row in became} == {MessageState.CANCELLED}
    assert await office.db.fetchval("select balance_milli from account") == 100000000


async def test_what_a_process_sent_just_before_it_died_is_cancelled_too(
    office: Office, small_pages: None
) -> None:
    campaign_id = await office.started(FILE, "Oi {nome}")
    with pytest.raises(Died):
        await office.until(campaign_id, State.DONE, mortal(office, Fate(2)))
    assert len(await office.sent()) == 2
    assert (await office.campaign(campaign_id)).accepted == 0

    await operations.cancel(office.db, 1, campaign_id, queued=True, who=CAMILA)
    await lapse(office)
    await office.until(campaign_id, State.CANCELLED)
    assert await office.db.fetchval("select count(*) from queue") == 0
    assert (await office.campaign(campaign_id)).accepted == 2


async def test_where_the_credits_end_it_stops_and_says_so_and_goes_on_after_a_recharge(
    office: Office, small_pages: None
) -> None:
    campaign_id = await office.started(FILE, "Oi {nome}")
    await office.db.execute("update account set balance_milli = 250")
    await office.until(campaign_id, State.PAUSED)
    assert len(await office.sent()) == 3
    assert (await office.campaign(campaign_id)).waits_for == "credit"

    await office.db.execute("update account set balance_milli = 1000")
    await operations.resume(office.db, 1, campaign_id, CAMILA)
    await office.until(campaign_id, State.DONE)
    assert sorted(await office.sent()) == EVERYBODY
    assert await office.kinds(campaign_id) == ["started", "stopped", "resumed", "done"]


async def test_a_limit_of_the_account_makes_it_wait_and_costs_nobody_a_row(
    office: Office, small_pages: None
) -> None:
    campaign_id = await office.started(FILE, "Oi {nome}")
    await office.db.execute("update account set messages_per_day = 3")
    while await office.runner.step():
        pass
    assert len(await office.sent()) == 3
    campaign = await office.campaign(campaign_id)
    assert (campaign.state, campaign.waits_for) == (State.RUNNING, "rate")

    await office.db.execute("update account set messages_per_day = 0")
    await office.until(campaign_id, State.DONE, office.new_runner_of(office.runner))
    assert sorted(await office.sent()) == EVERYBODY
    assert (await office.campaign(campaign_id)).refused == 2


@pytest.mark.parametrize("reason", ["suspended", "no_route"])
async def test_what_somebody_must_see_to_stops_it_without_a_loss(office: Office, reason: str) -> None:
    campaign_id = await office.started(FILE, "Oi {nome}")
    routes = office.routes
    if reason == "no_route":
        office.routes = []
    else:
        await office.db.execute("update account set active = false")
    await office.until(campaign_id, State.PAUSED)
    assert (await office.campaign(campaign_id)).waits_for == reason

    office.routes = routes
    await office.db.execute("update account set active = true")
    await operations.resume(office.db, 1, campaign_id, CAMILA)
    await office.until(campaign_id, State.DONE)
    assert sorted(await office.sent()) == EVERYBODY


async def test_who_opts_out_meanwhile_gets_nothing_and_is_counted(office: Office, small_pages: None) -> None:
    campaign_id = await office.started(FILE, "Oi {nome}")
    await blocks.add(office.db, 1, [SECRETS.number_hmac(5511987654326)], "reply")
    await office.until(campaign_id, State.DONE)
    assert sorted(await office.sent()) == EVERYBODY[:-1]
    assert (9, "blocked", "") in await office.reasons(campaign_id)
    assert (await office.campaign(campaign_id)).refused == 3


async def test_it_waits_for_its_time(office: Office) -> None:
    campaign_id = await office.upload(FILE)
    await office.write(campaign_id)
    await office.start(campaign_id, datetime.now(UTC) + timedelta(hours=1))
    assert not await office.runner.step()
    await office.db.execute("update campaign set start_at = now()")
    await office.until(campaign_id, State.DONE)
    assert len(await office.sent()) == 6


async def test_marketing_waits_for_its_hours_and_says_so(office: Office) -> None:
    day = f"{datetime.now(UTC) + timedelta(days=3):%a}".lower()
    await office.db.execute("update account set marketing_window = $1, class = 1", f"{day} 10:00-11:00")
    campaign_id = await office.started(FILE, message_class=int(MessageClass.MARKETING))
    assert not await office.runner.step()
    assert (await office.campaign(campaign_id)).waits_for == "window"
    assert await office.sent() == []

    await office.db.execute("update account set marketing_window = 'always'")
    await office.until(campaign_id, State.DONE, office.new_runner_of(office.runner))
    assert await office.db.fetchval("select count(*) from queue where class = 2") == 6


async def test_an_id_that_the_customer_used_is_refused_visibly(office: Office) -> None:
    campaign_id = await office.upload(b"Celular\n11987654321\n11987654322\n")
    await office.write(campaign_id)
    await office.db.execute(
        "insert into message_key (account_id, client_ref, message_id, content_hmac, accepted_at)"
        " values (1, $1, 5, '', now())",
        f"campanha-{campaign_id}-2",
    )
    await office.start(campaign_id)
    await office.until(campaign_id, State.DONE)
    assert await office.reasons(campaign_id) == [(2, "refused", "ID duplicado")]


async def test_rows_are_erased_when_their_time_is_over_and_the_figures_stay(office: Office) -> None:
    campaign_id = await office.started(FILE, "Oi {nome}")
    await office.until(campaign_id, State.DONE)
    paused = await office.started(FILE, "Olá {nome}")
    await operations.pause(office.db, 1, paused, CAMILA)
    later = datetime.now(UTC) + timedelta(seconds=1)

    assert await campaign_rows.erase(office.db, 2, later, 3) == 0
    assert await campaign_rows.erase(office.db, 1, datetime.now(UTC) - timedelta(days=1), 3) == 0
    while await campaign_rows.erase(office.db, 1, later, 3):
        pass

    assert await office.db.fetchval("select count(*) from campaign_row") == 0
    campaign = await office.campaign(campaign_id)
    assert (campaign.body, campaign.erased_at is not None) == ("", True)
    assert campaign.outcome == [campaign_rows.Became(0, "", 6, 480, 0)]
    assert (await office.campaign(paused)).state == State.CANCELLED


async def test_a_person_who_asks_for_it_is_forgotten_and_gets_nothing(office: Office) -> None:
    campaign_id = await office.started(FILE, "Oi {nome}")
    for account_id, rows in ((2, 0), (1, 1)):
        async with office.db.transaction() as tx:
            erased = await privacy.erase(tx, privacy.Of.NUMBER, 5511987654321, account_id)
        assert erased["campaign_row"] == rows
    await office.until(campaign_id, State.DONE)
    assert sorted(await office.sent()) == EVERYBODY[1:]
    assert "98765432" + "1" not in str(await office.db.fetch("select * from campaign_row"))


async def test_fifty_thousand_rows_with_bad_ones_among_them(office: Office) -> None:
    lines = [f"Pessoa {n};{11_90000_0000 + n}" if n % 100 else f"Fixo {n};1138{n:06d}" for n in range(50_000)]
    octets = ("Nome;Celular\n" + "\n".join(lines)).encode()
    campaign_id = await office.started(octets, "Oi {nome}")
    await office.until(campaign_id, State.DONE)
    campaign = await office.campaign(campaign_id)
    assert (campaign.row_count, campaign.accepted, campaign.refused) == (50_000, 49_500, 500)
    assert await office.db.fetchval("select count(distinct number) from message") == 49_500
    events = await campaigns.events(office.db, campaign_id)
    assert events[0].detail == "49500 500"
