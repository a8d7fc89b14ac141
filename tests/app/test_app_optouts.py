"""What follows an opt-out, on the real store and through the real intake."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from pombo.accept.intake import Intake
from pombo.app.optouts import OptOuts
from pombo.message import MessageClass, State
from pombo.route.routes import Route, Routes
from pombo.store import audit, blocks
from pombo.store.database import Database
from pombo.store.ids import Ids
from pombo.store.intake import accept
from rows import SECRETS, one_message

pytestmark = pytest.mark.anyio

NUMBER = 5511999999999
HMAC = SECRETS.number_hmac(NUMBER)


class Desk:
    def __init__(self, db: Database, intake: Intake) -> None:
        self.db = db
        self.intake = intake
        self.routes = [Route("55", 1, 86400)]
        self.opt_outs = OptOuts(
            db,
            intake,
            SECRETS,
            routes=lambda: Routes(self.routes),
            holder=None,
            notify=lambda jobs: None,
        )

    async def asked(self, reply_id: int = 1) -> None:
        """The account's reply SAIR has come, as the inbound stage leaves it."""
        await self.db.execute(
            "insert into inbox (id, account_id, smsc_id, source, destination, body, data_coding, body_hash, session_id,"
            " sequence_number) values ($1, 1, 1, $2, '27300', 'SAIR', 0, '', 1, 1)",
            reply_id, str(NUMBER),
        )  # fmt: skip
        await blocks.opt_out(self.db, [blocks.OptOut(1, HMAC, reply_id)])

    async def confirmations(self) -> list[tuple[str, int, int]]:
        rows = await self.db.fetch(
            "select body, price_milli, class from message where client_ref like 'descadastro-%' order by id"
        )
        return [tuple(row) for row in rows]

    async def owed(self) -> int:
        return int(await self.db.fetchval("select count(*) from block where owed_since is not null"))


@pytest.fixture
async def desk(database: Database) -> AsyncIterator[Desk]:
    await database.execute("insert into account (name, class, optout_text) values ('a', 2, 'Ate logo')")
    intake = Intake(
        database,
        Ids(1),
        stored=lambda _: None,
        number_hmac=SECRETS.number_hmac,
        limit_messages=10,
        commit_timeout_s=30,
    )
    intake.start()
    yield Desk(database, intake)
    await intake.stop()


async def test_an_opt_out_is_confirmed_once_free_of_charge_although_the_number_is_blocked(desk: Desk) -> None:
    await desk.asked()

    await desk.opt_outs.step()
    await desk.opt_outs.step()

    assert await desk.confirmations() == [("Ate logo", 0, MessageClass.TRANSACTIONAL)]
    assert await desk.owed() == 0
    assert await desk.db.fetchval("select count(*) from ledger") == 0


async def test_an_opt_out_is_recorded_once_with_the_number_masked(desk: Desk, database_url: str) -> None:
    await desk.asked()
    other = await Database.open(database_url, size=1)
    try:
        twin = OptOuts(
            other,
            desk.intake,
            SECRETS,
            routes=lambda: Routes(desk.routes),
            holder=None,
            notify=lambda jobs: None,
        )
        await asyncio.gather(desk.opt_outs.step(), twin.step())
    finally:
        await other.close()
    await desk.opt_outs.step()

    [record] = await audit.listed(desk.db, audit.Which(), 10)
    assert (record["actor"], record["action"], record["subject"]) == ("reply", "block.add", "account 1")
    after = json.loads(record["after"])
    assert (after["number"], after["reason"], after["reply"]) == ("(11) 9****-9999", "reply", 1)
    assert (await audit.verify(desk.db)).fault is None


async def test_an_opt_out_that_was_taken_back_at_once_is_recorded_by_whoever_took_it_back(desk: Desk) -> None:
    await desk.asked()
    await blocks.remove(desk.db, 1, HMAC)
    await desk.opt_outs.step()
    assert await audit.listed(desk.db, audit.Which(), 10) == []


async def test_a_confirmation_that_was_sent_before_a_crash_is_not_sent_again(desk: Desk) -> None:
    await desk.asked()
    await desk.opt_outs.step()
    await desk.db.execute("update block set owed_since = now()")

    await desk.opt_outs.step()

    assert len(await desk.confirmations()) == 1
    assert await desk.owed() == 0


async def test_a_confirmation_waits_for_a_route_and_is_given_up_after_a_day(desk: Desk) -> None:
    await desk.asked()
    routes, desk.routes = desk.routes, []
    await desk.opt_outs.step()
    assert await desk.owed() == 1

    desk.routes = routes
    await desk.db.execute("update block set owed_since = now() - interval '25 hours'")
    await desk.opt_outs.step()
    assert await desk.confirmations() == []

    await desk.db.execute("update block set owed_since = now() - interval '23 hours'")
    await desk.opt_outs.step()
    assert len(await desk.confirmations()) == 1


async def test_a_suspended_account_confirms_nothing_and_somebody_is_told(desk: Desk) -> None:
    await desk.asked()
    await desk.db.execute("update account set active = false")

    with capture_logs() as logs:
        await desk.opt_outs.step()

    assert [line["event"] for line in logs] == ["opt_out_not_confirmed"]
    assert (await desk.confirmations(), await desk.owed()) == ([], 0)


async def test_marketing_that_waits_for_whoever_opts_out_ends_and_is_refunded(desk: Desk) -> None:
    await desk.db.execute("update account set balance_milli = 160")
    await accept(desk.db, one_message(1, 1, NUMBER, 1, message_class=MessageClass.MARKETING))
    await accept(desk.db, one_message(1, 2, NUMBER, 1))
    await desk.asked()

    await desk.opt_outs.step()

    rows = await desk.db.fetch("select state, error from message where id < 3 order by id")
    assert [tuple(row) for row in rows] == [(State.REJECTED, "BLOCKED"), (State.WAITING, "")]
    assert await desk.db.fetchval("select balance_milli from account") == 80
