"""Campaigns on the real store and through the real intake."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from pombo.accept.intake import Intake
from pombo.account.prices import Prices
from pombo.app import campaigns as wiring
from pombo.campaign import operations, upload
from pombo.campaign.doors import Doors
from pombo.campaign.operations import Message, Totals, Who
from pombo.campaign.runner import Runner
from pombo.campaign.states import State
from pombo.route.routes import Route, Routes
from pombo.store import campaign_rows, campaigns
from pombo.store.audit import Actor
from pombo.store.campaigns import Campaign
from pombo.store.database import Database
from pombo.store.ids import Ids
from rows import SECRETS

CAMILA = Who(Actor("panel:camila@loja", "127.0.0.1"), "Camila")


class Office:
    """An account's campaigns, and the process that carries them on."""

    def __init__(self, db: Database, intake: Intake) -> None:
        self.db = db
        self.intake = intake
        self.routes = [Route("55", 1, 86400)]
        self.prices = Prices()
        self.runner = self.new_runner()

    def doors(self) -> Doors:
        """Of a process that has just begun."""
        return wiring.doors(
            self.db, self.intake, SECRETS, routes=lambda: Routes(self.routes), prices=lambda: self.prices
        )

    def new_runner(self, **options: Any) -> Runner:
        return Runner(self.doors(), **{"most_waiting": 10**9, **options})

    def new_runner_of(self, runner: Runner) -> Runner:
        """The same process, which has forgotten that it was to wait a moment."""
        return Runner(runner._doors, most_waiting=10**9)

    async def upload(self, octets: bytes, name: str = "contatos.csv") -> int:
        async def chunks() -> AsyncIterator[bytes]:
            for start in range(0, len(octets), 1 << 20):
                yield octets[start : start + (1 << 20)]

        return await upload.draft(self.db, 1, name, chunks(), CAMILA.name)

    async def write(self, campaign_id: int, body: str = "oi", **changes: Any) -> None:
        """Say what its rows become, and have them checked."""
        campaign = await self.campaign(campaign_id)
        message = Message(campaign.name, campaign.uses, body, "", 1, True)._replace(**changes)
        await operations.set_message(self.db, 1, campaign_id, message, CAMILA)
        await self.until(campaign_id, State.CHECKED)

    async def start(self, campaign_id: int, start_at: datetime | None = None) -> None:
        sums = await self.totals(campaign_id)
        await operations.start(
            self.db, 1, campaign_id, version=(await self.campaign(campaign_id)).version,
            start_at=start_at, typed=f"{sums.rows:,}", who=CAMILA,
        )  # fmt: skip

    async def started(self, octets: bytes, body: str = "oi", **changes: Any) -> int:
        campaign_id = await self.upload(octets)
        await self.write(campaign_id, body, **changes)
        await self.start(campaign_id)
        return campaign_id

    async def until(self, campaign_id: int, state: State, runner: Runner | None = None) -> None:
        """Step until it is there; it is a fault when there is nothing more to do before."""
        more = True
        while (await self.campaign(campaign_id)).state != state:
            assert more, "nothing more to do"
            more = await (runner or self.runner).step()

    async def campaign(self, campaign_id: int) -> Campaign:
        campaign = await campaigns.one(self.db, 1, campaign_id)
        assert campaign is not None
        return campaign

    async def totals(self, campaign_id: int) -> Totals:
        return await operations.totals(self.db, campaign_id)

    async def reasons(self, campaign_id: int) -> list[tuple[int, str, str]]:
        return [(r.n, r.refusal, r.detail) for r in await campaign_rows.refused(self.db, campaign_id, 0, 100)]

    async def kinds(self, campaign_id: int) -> list[str]:
        return [event.kind for event in await campaigns.events(self.db, campaign_id)]

    async def sent(self) -> list[tuple[int, str]]:
        rows = await self.db.fetch("select number, body from message order by client_ref, id")
        return [(row["number"], row["body"]) for row in rows]


@asynccontextmanager
async def open_office(db: Database) -> AsyncIterator[Office]:
    await db.execute(
        "insert into account (name, balance_milli, text_mode, marketing_window)"
        " values ('loja', 100000000, 'ascii', 'always')"
    )
    await db.execute("insert into ledger (account_id, kind, amount_milli) values (1, 'recharge', 100000000)")
    intake = Intake(
        db, Ids(1), stored=lambda _: None, number_hmac=SECRETS.number_hmac, limit_messages=10**6, commit_timeout_s=30
    )  # fmt: skip
    intake.start()
    try:
        yield Office(db, intake)
    finally:
        await intake.stop()


def numbers(count: int, first: int = 11_90000_0000) -> bytes:
    """A file of so many contacts."""
    lines = "\n".join(f"Pessoa {n};{first + n}" for n in range(count))
    return f"Nome;Celular\n{lines}\n".encode()
