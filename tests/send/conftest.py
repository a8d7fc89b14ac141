"""A real link over a real socket to an operator whose every answer the test decides, on a real database."""

import asyncio
import contextlib
import ssl
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import Any

import asyncpg
import pytest

from pombo.app.stages import Stages, read_id
from pombo.inbound.replies import Replies
from pombo.message import MessageClass
from pombo.receipt.match import Receipts
from pombo.send.doors import Doors
from pombo.send.elsewhere import Elsewhere, nowhere
from pombo.send.link import Link
from pombo.send.owner import Lease, now_s
from pombo.send.settlement import Settlement
from pombo.smpp.events import BindRequested, Event, Requested
from pombo.smpp.pdu import DeliverSm, DeliverSmResp, SubmitSm, SubmitSmResp
from pombo.smpp.session import Session
from pombo.smpp.states import Role
from pombo.store import leases, sessions, smscs
from pombo.store.accounts import Source
from pombo.store.callbacks import Job
from pombo.store.database import Database
from pombo.store.ids import Ids
from pombo.store.intake import accept
from rows import SECRETS, one_message

_WAIT_S = 10.0


async def until(true: Callable[[], Awaitable[Any]]) -> Any:
    """The first true value; polls, since a database cannot wake a test."""
    async with asyncio.timeout(_WAIT_S):
        while not (value := await true()):
            await asyncio.sleep(0.005)
        return value


class Peer(asyncio.Protocol):
    """One session of the operator's side."""

    def __init__(self, operator: "Operator") -> None:
        self.session = Session(Role.SMSC, now=0.0, window=1000)
        self._operator = operator

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        for event in self.session.receive(data, 0.0):
            self._on(event)
        self.flush()

    def flush(self) -> None:
        self.transport.write(self.session.outgoing())

    def answer(self, sequence_number: int, message_id: bytes = b"", status: int = 0) -> None:
        self.session.respond(sequence_number, SubmitSmResp(message_id=message_id), status)
        self.flush()

    def deliver(self, body: DeliverSm) -> None:
        self.session.request(body, 0.0, body)
        self.flush()

    def _on(self, event: Event) -> None:
        operator = self._operator
        match event:
            case BindRequested():
                assert event.body.response is not None
                status = operator.bind_statuses.pop(0) if operator.bind_statuses else 0
                self.session.respond(event.sequence_number, event.body.response(), status)
                operator.binds.append(event.body)
                operator.peer = self
                self.command = event.body.command
                if status == 0:
                    operator.standing.append(self)
            case Requested() if isinstance(event.body, SubmitSm):
                operator.submits.put_nowait((event.body, event.sequence_number, self))
            case _:
                operator.others.append(event)

    def connection_lost(self, exc: Exception | None) -> None:
        self._operator.lost += 1
        if self in self._operator.standing:
            self._operator.standing.remove(self)


class Operator:
    """Takes submits and answers when it is told to."""

    def __init__(self) -> None:
        self.submits: asyncio.Queue[tuple[SubmitSm, int, Peer]] = asyncio.Queue()
        self.others: list[Event] = []
        self.binds: list[Any] = []
        self.bind_statuses: list[int] = []
        self.lost = 0
        self.standing: list[Peer] = []  # bound, in that order
        self.peer: Peer | None = None  # that was bound last
        self.tls: ssl.SSLContext | None = None
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Peer(self), "127.0.0.1", self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.drop()

    def drop(self) -> None:
        """The connections break."""
        for peer in [*self.standing, *([self.peer] if self.peer else [])]:
            peer.transport.abort()

    async def submit(self) -> tuple[SubmitSm, int]:
        """The next submit that comes in."""
        return (await self.submit_and_peer())[:2]

    async def submit_and_peer(self) -> tuple[SubmitSm, int, Peer]:
        """The same, with the session that it came on."""
        async with asyncio.timeout(_WAIT_S):
            return await self.submits.get()

    def answer(self, sequence_number: int, message_id: bytes = b"", status: int = 0) -> None:
        assert self.peer is not None
        self.peer.answer(sequence_number, message_id, status)

    def deliver(self, body: DeliverSm) -> None:
        assert self.peer is not None
        self.peer.deliver(body)

    def receipt(self, message_id: str, number: int, stat: str = "DELIVRD", *, to: Peer | None = None) -> None:
        """to: another session than the one that was bound last."""
        text = f"id:{message_id} sub:001 dlvrd:001 submit date:2611221000 done date:2611221001 stat:{stat} err:000 text:"
        body = DeliverSm(source_addr=b"%d" % number, esm_class=4, short_message=text.encode())
        (to or self.peer).deliver(body)  # type: ignore[union-attr]

    async def stand(self, count: int) -> list[Peer]:
        """Once so many binds stand."""

        async def bound() -> bool:
            return len(self.standing) == count

        await until(bound)
        return list(self.standing)

    async def delivery_answers(self, count: int) -> list[int]:
        """The command_status of our answers to deliver_sm, once so many have come."""

        async def answered() -> list[int]:
            found = [e.status for e in self.others if isinstance(getattr(e, "body", None), DeliverSmResp)]
            return found if len(found) >= count else []

        found: list[int] = await until(answered)
        return found


class Office:
    """A database with one account and one connection, and the link that serves it."""

    def __init__(self, db: Database, operator: Operator) -> None:
        self.db = db
        self.operator = operator
        self.ids = Ids(1)
        self.jobs: list[Job] = []
        self.elsewhere: Elsewhere = nowhere
        self.woken: set[int] = set()  # other connections that got messages
        self.sources: dict[int, Source] = {}
        self.holder = uuid.uuid4()
        self.leases: dict[int, Lease] = {}
        self.left: list[int] = []
        self.link: Link | None = None
        self._taken = 0

    async def furnish(self, **smsc: Any) -> None:
        self.account_id = await self.db.fetchval(
            "insert into account (name, balance_milli) values ('a', 1000000) returning id"
        )
        await smscs.add_smsc(self.db, "op", "127.0.0.1", self.operator.port, "id", b"pw", **smsc)
        (self.smsc,) = await smscs.smscs(self.db)
        await self.own(self.smsc.id)

    async def own(self, smsc_id: int) -> None:
        taken = await leases.take(self.db, smsc_id, self.holder, 3600)
        assert taken is not None
        self.leases[smsc_id] = Lease(taken.epoch, now_s() + 3600)

    async def has_left(self, smsc_id: int) -> None:
        self.left.append(smsc_id)

    async def session(self) -> int:
        """A session of this node's that no link serves."""
        session_id = await sessions.begin_session(
            self.db, self.smsc.id, self.holder, self.leases[self.smsc.id].epoch
        )
        assert session_id is not None
        return session_id

    def doors(self) -> Doors:
        return Doors(
            db=self.db,
            holder=self.holder,
            unseal=lambda sealed: sealed,
            incoming=lambda smsc: Stages(
                smsc.id, Receipts(smsc.id), Replies(self.ids, lambda _: "gsm", SECRETS.number_hmac)
            ),
            source_of=self.sources.get,
            read_id=read_id,
            notify=self.jobs.extend,
            live_sessions=set(),
            elsewhere=self.elsewhere,
            queued=self.woken.update,
            lease=self.leases.get,
            callback_holder=self.holder,
        )

    def start(self) -> None:
        self.link = Link(self.smsc, self.doors())
        self.link.start()

    async def accept(
        self,
        number: int = 5511999999999,
        text: str = "oi",
        *,
        parts: int = 1,
        valid_s: int = 3600,
        sent: str | None = None,
        account_id: int | None = None,
        message_class: int = MessageClass.TRANSACTIONAL,
        opens_at: datetime | None = None,
    ) -> int:
        """One message, committed and due. account_id: the office's own unless another one is given."""
        (message_id,) = self.ids.take(1, time.time())
        new = one_message(
            account_id or self.account_id, message_id, number, self.smsc.id, text=text, parts=parts, valid_s=valid_s,
            message_class=message_class, opens_at=opens_at,
        )  # fmt: skip
        await accept(self.db, new)
        if self.link is not None:
            self.link.wake()
        return message_id

    async def due(self, message_id: int, *, attempts: int) -> None:
        """It waits no longer, after so many attempts."""
        await self.db.execute(
            "update queue set due_at = now(), attempts = $2 where message_id = $1", message_id, attempts
        )
        if self.link is not None:
            self.link.wake()

    async def waits(self, message_id: int, attempts: int) -> asyncpg.Record:
        """Its row, once it waits after so many attempts."""

        async def waiting() -> Any:
            row = await self.queued(message_id)
            return (
                row
                if row and (row["state"], row["attempts"], row["claims"] > 0) == (0, attempts, True)
                else None
            )

        row: asyncpg.Record = await until(waiting)
        return row

    async def accept_many(self, count: int, message_class: int) -> None:
        for message_id in self.ids.take(count, time.time()):
            await accept(
                self.db,
                one_message(
                    self.account_id, message_id, 5511999999999, self.smsc.id, message_class=message_class
                ),
            )

    async def message(self, message_id: int) -> asyncpg.Record:
        row = await self.db.fetchrow("select * from message where id = $1", message_id)
        assert row is not None
        return row

    async def reaches(self, message_id: int, state: int) -> asyncpg.Record:
        async def there() -> Any:
            row = await self.message(message_id)
            return row if row["state"] == state else None

        row: asyncpg.Record = await until(there)
        return row

    async def attempts(self, message_id: int) -> list[tuple[int, int, int]]:
        """(part, n, state), in order."""
        rows = await self.db.fetch(
            "select part, n, state from attempt where message_id = $1 order by n, part", message_id
        )
        return [tuple(row) for row in rows]

    async def queued(self, message_id: int) -> asyncpg.Record | None:
        return await self.db.fetchrow("select * from queue where message_id = $1", message_id)

    async def leaves_the_queue(self, message_id: int) -> None:
        async def gone() -> bool:
            return await self.queued(message_id) is None

        await until(gone)

    until = staticmethod(until)

    def link_in_flight(self) -> bool:
        """Whether our side still waits for a response."""
        assert self.link is not None
        return self.link.figures().in_flight > 0

    def link_settlements(self) -> list[Settlement]:
        """Of the sessions that stand."""
        assert self.link is not None
        return [session._settlement for session in self.link._flow.sessions]

    async def stop(self) -> None:
        if self.link is not None:
            await self.link.stop()
            self.link = None


@pytest.fixture
async def office(database: Database) -> AsyncIterator[Callable[..., Awaitable[Office]]]:
    """Makes an office: `await office(window_size=5)`."""
    operator = Operator()
    await operator.start()
    made: list[Office] = []

    async def make(*, start: bool = True, **smsc: Any) -> Office:
        place = Office(database, operator)
        await place.furnish(**smsc)
        made.append(place)
        if start:
            place.start()
        return place

    yield make
    for place in made:
        with contextlib.suppress(TimeoutError):
            operator.drop()  # so that a stop need not wait for answers that will not come
            await place.stop()
    operator.stop()
