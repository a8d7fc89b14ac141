"""One node: the stages wired to each other, and what must happen now and then."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import TypeVar

import structlog

from pombo.accept import access
from pombo.accept.auth import Authenticator
from pombo.accept.intake import Intake
from pombo.accept.legacy import LegacyApi
from pombo.account import holidays
from pombo.account.secret import Secrets
from pombo.app import campaigns, identity, stages
from pombo.app.chores import Chores, every
from pombo.app.erasing import Erasing
from pombo.app.health import Health
from pombo.app.listener import Listener
from pombo.app.metrics import Metrics, Sources
from pombo.app.money import Money
from pombo.app.optouts import OptOuts
from pombo.app.prepare import prepare
from pombo.app.routing import Routing
from pombo.app.upkeep import Upkeep, Vacuum
from pombo.app.wake import Wake
from pombo.callback.deliver import Deliverer
from pombo.campaign.runner import Runner
from pombo.config import Config
from pombo.errors import Unavailable
from pombo.inbound import replies
from pombo.panel.doors import Doors, Handset
from pombo.receipt import match
from pombo.route.operators import OperatorsFile
from pombo.send.doors import Doors as LinkDoors
from pombo.send.links import Links
from pombo.send.owner import LEASE_S, MARGIN_S, Owner
from pombo.store import accounts, nodes, sessions, smscs, wake
from pombo.store.accounts import Source
from pombo.store.callbacks import Job
from pombo.store.database import Database
from pombo.store.ids import Ids
from pombo.store.smscs import Smsc

log = structlog.get_logger()

T = TypeVar("T")

_RELOAD_S = 10.0  # the net under NOTIFY
_RENEW_S = 10.0
_SWEEP_S = 60.0
_UNANSWERED_S = 5.0
_EXPIRE_S = 5.0
_WINDOWS_S = 5.0
_ROUTING_S = 1.0
_UPKEEP_S = 60.0
_VACUUM_S = 1.0
_USES_S = 60.0
_OPT_OUTS_S = 1.0
_POOL, _POOL_API, _POOL_PANEL = 20, 6, 6  # connections to the database


class Node:
    """`open`, `start`, `stop`, `close`. `db` is for the hot path; `legacy` is the ASGI application of the old API."""

    def __init__(
        self,
        url: str,
        config: Config,
        db: Database,
        secrets: Secrets,
        holder: uuid.UUID,
        roles: frozenset[str],
        number: int,
        ids: Ids,
        lease_s: float,
        margin_s: float,
    ) -> None:
        self.db = db
        self.secrets = secrets
        self._url = url
        self._holder = holder
        self._roles = roles
        self._callback_holder = holder if "callback" in roles else None
        self._number = number
        self._ids = ids
        self._smscs: list[Smsc] = []
        self._stopping = False
        self._giving_up: set[int] = set()  # connections that another node is to have
        self._alphabets: dict[int, str] = {}
        self._sources: dict[int, Source] = {}
        self._receipts: dict[int, match.Receipts] = {}
        self._replies = replies.Replies(
            ids, lambda smsc_id: self._alphabets.get(smsc_id, "gsm"), secrets.number_hmac
        )
        self._deliverer = self._a_deliverer(config)
        self._wake = Wake(db)
        self._live_sessions: set[int] = set()
        self._owner = Owner(
            db,
            holder,
            gained=self._gained,
            lost=self._lost,
            give_up=self._give_up,
            served=lambda smsc_id: self._links.has(smsc_id),
            lease_s=lease_s,
            margin_s=margin_s,
        )
        self._links = Links(self._link_doors(), self._left)
        self._chores = Chores(
            db, self._callback_holder, self._receipts, self._replies, lambda: self._smscs, self._notify
        )
        self._money = Money(db)
        self._routing = Routing(db, OperatorsFile(config.operators_file), self._queued)
        self._intake = self._an_intake(config)
        self._opt_outs = OptOuts(
            db,
            self._intake,
            secrets,
            routes=lambda: self._routing.routes,
            holder=self._callback_holder,
            notify=self._notify,
        )
        self._campaigns = Runner(
            campaigns.doors(
                db,
                self._intake,
                secrets,
                routes=lambda: self._routing.routes,
                prices=lambda: self._money.prices,
            )
        )
        self._authenticator = Authenticator(db, secrets)
        self.legacy = self._legacy_api(config)
        self.health = Health(db)
        self.metrics = Metrics(db, self._sources_of_metrics())
        self.metrics_allow = config.metrics_allow
        self._tasks: list[asyncio.Task[None]] = []
        self._renewing: asyncio.Task[None] | None = None
        self._waking: asyncio.Task[None] | None = None

    # Wiring

    def _a_deliverer(self, config: Config) -> Deliverer:
        return Deliverer(
            self.db,
            holder=self._holder,
            unseal=self.secrets.unseal,
            allow=config.callback_allow,
            timeout_s=config.callback_timeout_s,
            in_flight=config.callback_in_flight,
            in_flight_max=config.callback_in_flight_max,
        )

    def _link_doors(self) -> LinkDoors:
        return LinkDoors(
            db=self.db,
            holder=self._holder,
            unseal=self.secrets.unseal,
            incoming=self._stages_of,
            source_of=lambda account_id: self._sources.get(account_id),
            read_id=stages.read_id,
            notify=self._notify,
            live_sessions=self._live_sessions,
            lease=self._owner.owned.get,
            callback_holder=self._callback_holder,
            elsewhere=lambda *asked: self._routing.elsewhere(*asked),
            queued=self._queued,
        )

    def _an_intake(self, config: Config) -> Intake:
        return Intake(
            self.db,
            self._ids,
            stored=self._queued,
            number_hmac=self.secrets.number_hmac,
            limit_messages=config.intake_limit_messages,
            commit_timeout_s=config.commit_timeout_s,
        )

    def _legacy_api(self, config: Config) -> LegacyApi:
        return LegacyApi(
            db=self.db,
            authenticator=self._authenticator,
            intake=self._intake,
            secrets=self.secrets,
            routes=lambda: self._routing.routes,
            prices=lambda: self._money.prices,
            body_limit_octets=config.body_limit_octets,
            body_timeout_s=config.body_timeout_s,
            trusted_proxies=config.trusted_proxies,
        )

    def _sources_of_metrics(self) -> Sources:
        return Sources(
            node=lambda: self._number,
            api=self.legacy.figures,
            guessing=self._authenticator.guessing.figures,
            intake=self._intake.figures,
            links=self._links.figures,
            receipts=lambda: self._named({i: of_one.figures for i, of_one in self._receipts.items()}),
            replies=lambda: self._named(self._replies.counts),
            callbacks=self._deliverer.figures,
        )

    @classmethod
    async def open(
        cls,
        url: str,
        config: Config,
        *,
        worker: int | None = None,
        lease_s: float = LEASE_S,
        margin_s: float = MARGIN_S,
    ) -> "Node":
        """Connect, migrate, lease a node number. Raises PomboError.

        worker: see identity.holder.
        lease_s, margin_s: of connections, see send/owner.py; the same on every node of a platform.
        """
        cold = await Database.open(url, size=1)
        try:
            secrets = await prepare(cold, config)
        finally:
            await cold.close()
        holder = identity.holder(config, worker)
        roles = config.role_names
        db = await Database.open(url, size=_POOL_API if roles == {"api"} else _POOL, hot=True)
        number = await nodes.lease_number(db, holder, sorted(roles))
        ids = Ids(number, await nodes.newest_id(db))
        return cls(url, config, db, secrets, holder, roles, number, ids, lease_s, margin_s)

    async def start(self) -> None:
        """Open every stage of its roles. Taking back its own connections recovers what a crash left."""
        self._intake.start()
        if self._delivers:
            await self._deliverer.start()
        await self._routing.refresh_operators()
        await self._reload()
        if self._sends:
            await self._owner.start()
        self._renewing = asyncio.create_task(every(_RENEW_S, self._renew), name="renew")
        self._tasks = [
            asyncio.create_task(self._listener().run(), name="listen"),
            asyncio.create_task(
                asyncio.to_thread(holidays.prepare, time.localtime().tm_year), name="holidays"
            ),
            asyncio.create_task(every(_RELOAD_S, self._reload), name="reload"),
            asyncio.create_task(every(_RELOAD_S, self._routing.refresh_operators), name="operators"),
            asyncio.create_task(every(_USES_S, self._authenticator.write_uses), name="uses of tokens"),
            asyncio.create_task(
                every(access.WRITE_S, self._authenticator.access_log.write), name="access log"
            ),
        ]
        self._waking = asyncio.create_task(self._wake.run(), name="wake")
        if not self._sends:
            self._tasks.append(asyncio.create_task(every(_ROUTING_S, self._routing.look), name="routing"))
            return
        self._tasks += [
            asyncio.create_task(every(_SWEEP_S, self._chores.sweep), name="sweep"),
            asyncio.create_task(
                every(_UNANSWERED_S, self._chores.settle_unanswered), name="settle unanswered"
            ),
            asyncio.create_task(every(_EXPIRE_S, self._chores.expire), name="expire"),
            asyncio.create_task(every(_WINDOWS_S, self._chores.put_off), name="windows"),
            asyncio.create_task(every(_ROUTING_S, self._routing.tick), name="routing"),
            asyncio.create_task(every(_OPT_OUTS_S, self._opt_outs.step), name="opt-outs"),
            asyncio.create_task(every(_UPKEEP_S, Upkeep(self.db).step), name="upkeep"),
            asyncio.create_task(every(_UPKEEP_S, Erasing(self.db).step), name="erasing"),
            asyncio.create_task(self._campaigns.run(), name="campaigns"),
            asyncio.create_task(every(_VACUUM_S, Vacuum(self.db).step), name="vacuum"),
        ]

    async def stop(self) -> None:
        """Commit what was accepted, drain and unbind the connections, finish callbacks under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._intake.stop()
        with contextlib.suppress(Unavailable):
            await self._authenticator.write_uses()
            await self._authenticator.access_log.write()
        self._stopping = True
        await self._owner.retire()
        with contextlib.suppress(Unavailable):
            await nodes.retire(self.db, self._holder)
        await self._links.stop()
        await self._owner.stop()
        if self._delivers:
            await self._deliverer.stop()
        for last in (self._waking, self._renewing):
            if last is not None:
                last.cancel()
                await asyncio.gather(last, return_exceptions=True)
        with contextlib.suppress(Unavailable):
            await self._wake.tell()

    async def close(self) -> None:
        with contextlib.suppress(Unavailable):  # then the lease runs out by itself
            await nodes.release_number(self.db, self._number, self._holder)
        await self.db.close()

    def _named(self, by_id: Mapping[int, T]) -> dict[str, T]:
        """By the connections' names instead of their ids."""
        return {smsc.name: by_id[smsc.id] for smsc in self._smscs if smsc.id in by_id}

    @contextlib.asynccontextmanager
    async def panel_doors(
        self, config: Config, handset: Handset | None = None
    ) -> AsyncIterator[Doors | None]:
        """What the panel works with, which has a pool of its own; None on a node that takes no messages."""
        if not self.accepts:
            yield None
            return
        db = await Database.open(self._url, size=_POOL_PANEL)
        try:
            yield Doors(
                db=db,
                secrets=self.secrets,
                config=config,
                intake=self._intake,
                routes=lambda: self._routing.routes,
                prices=lambda: self._money.prices,
                handset=handset,
            )
        finally:
            await db.close()

    @property
    def accepts(self) -> bool:
        return "api" in self._roles

    @property
    def _sends(self) -> bool:
        return "send" in self._roles

    @property
    def _delivers(self) -> bool:
        return "callback" in self._roles

    # Work for ourselves, or for others

    def _queued(self, smsc_ids: Iterable[int]) -> None:
        """Messages were committed for these connections."""
        self._links.wake(smsc_ids)
        self._wake.queued(set(smsc_ids) - self._owner.owned.keys())

    def _notify(self, jobs: list[Job]) -> None:
        """Callbacks were committed, leased to this process if it delivers them."""
        if self._delivers:
            self._deliverer.hand_over(jobs)
        elif jobs:
            self._wake.callbacks()

    # Configuration that changes while we run

    async def _reload(self) -> None:
        rows = self._smscs = await smscs.smscs(self.db)
        await self._routing.reload()
        await self._money.reload()
        await self._money.tell()
        self._alphabets = {smsc.id: smsc.alphabet for smsc in rows}
        self._sources = await accounts.sources(self.db)
        for of_one in self._receipts.values():
            of_one.reread()
        self._follow()
        if self._sends:
            self._owner.look()

    # Connections that become ours, and cease to be

    def _follow(self) -> None:
        ours = self._owner.owned.keys() - self._giving_up
        own = [smsc for smsc in self._smscs if smsc.id in ours]
        for smsc in own:
            self._receipts_of(smsc)  # also of one that is stopped: what it sent has its time
        self._links.follow(own)

    async def _gained(self, smsc_ids: list[int]) -> None:
        for smsc_id in smsc_ids:
            self._receipts.pop(smsc_id, None)  # another node may have learned meanwhile
        self._follow()

    def _lost(self, smsc_ids: list[int]) -> None:
        self._links.abandon(smsc_ids)
        self._follow()
        for smsc_id in smsc_ids:
            if not self._links.has(smsc_id):
                self._receipts.pop(smsc_id, None)

    async def _give_up(self, smsc_id: int) -> None:
        self._giving_up.add(smsc_id)
        self._follow()
        if not self._links.has(smsc_id):  # it is stopped: there is nothing to leave
            await self._left(smsc_id)

    async def _left(self, smsc_id: int) -> None:
        if self._stopping or smsc_id in self._giving_up:
            await self._owner.release(smsc_id)
            self._giving_up.discard(smsc_id)
        if smsc_id not in self._owner.owned:
            self._receipts.pop(smsc_id, None)  # whoever owns it looks after them

    def _listener(self) -> Listener:
        told: dict[str, Callable[[str], None]] = {}
        if self._sends:
            told[wake.QUEUE] = lambda said: self._links.wake(wake.smsc_ids(said))
        if self._delivers:
            told[wake.CALLBACKS] = lambda _: self._deliverer.wake()
        return Listener(self._url, told=told, everything=self._read_everything, changed=self._changed)

    async def _read_everything(self) -> None:
        self._authenticator.forget()
        self._deliverer.endpoints_changed()
        await self._reload()

    async def _changed(self, table: str) -> None:
        if table in ("account", "token", "allowed_host"):
            self._authenticator.forget()
            self._sources = await accounts.sources(self.db)
        elif table == "smsc":
            await self._reload()
        elif table in ("route", "link"):
            await self._routing.reload()
        elif table == "price":
            await self._money.reload()
        elif table == "notice":
            await self._money.tell()
        elif table == "endpoint":
            self._deliverer.endpoints_changed()
        elif table == "queue":
            self._links.wake(self._alphabets)
        elif table == "lease":
            self._owner.look()
        elif table == "campaign":
            self._campaigns.wake()

    # Now and then

    async def _renew(self) -> None:
        if not await nodes.renew_number(self.db, self._number, self._holder):
            log.error(
                "node_number_lost", number=self._number, hint="this node did not reach the database in time"
            )
            self._number = await nodes.lease_number(self.db, self._holder, sorted(self._roles))
            self._ids.renumber(self._number)
        forgotten = await sessions.forgotten_sessions(self.db, self._holder, list(self._live_sessions))
        recovered = await sessions.end_sessions(self.db, forgotten)
        if recovered:
            log.warning("recovered_uncertain", messages=recovered)

    def _receipts_of(self, smsc: Smsc) -> match.Receipts:
        of_one = self._receipts.get(smsc.id)
        if of_one is None:
            of_one = self._receipts[smsc.id] = match.Receipts(smsc.id, smsc.name)
        return of_one

    def _stages_of(self, smsc: Smsc) -> stages.Stages:
        return stages.Stages(smsc.id, self._receipts_of(smsc), self._replies)
