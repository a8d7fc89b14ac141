"""Messages on the real store, moved by the code that moves them in production; only the operator and the clock are ours."""

import itertools
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pombo.accept.intake import Intake
from pombo.accept.submission import Submission, judge
from pombo.account.account import Account
from pombo.account.prices import Prices
from pombo.app.stages import Stages
from pombo.inbound.replies import Replies
from pombo.receipt import identity
from pombo.receipt.match import Receipts
from pombo.route.routes import Route, Routes
from pombo.send.elsewhere import nowhere
from pombo.send.flow import Flow, Tally
from pombo.send.outgoing import Outgoing, Part
from pombo.send.owner import Lease
from pombo.send.settlement import Settlement
from pombo.send.verdict import verdict_of
from pombo.smpp.pdu import DeliverSm
from pombo.store import accounts, endings, leases, ledger, queue, sessions, smscs, waiting
from pombo.store.database import Database
from pombo.store.ids import Ids
from rows import SECRETS

BALANCE_MILLI = 1600
TEXTS = {1: "oi", 2: "a" * 200, 3: "b" * 400}  # by their parts
ROOM = 6


@dataclass(eq=False)
class Sent:
    """One submit of one part, as the operator knows it. outcome: '' while we have no answer, or it was lost."""

    message: "Message"
    part: Part
    outgoing: Outgoing
    id: str
    outcome: str = ""  # 'ok', 'refused'
    has_it: bool = True  # the operator, whatever we know
    kept: bool = False  # the outcome was committed
    lost: bool = False  # given up as uncertain
    final: str = ""  # what its receipts say in the end


@dataclass(eq=False)
class Message:
    ref: str
    number: str
    text: str
    parts: int
    id: int
    accepted_at: datetime
    sent: list[Sent] = field(default_factory=list)
    ended_by_us: bool = False  # discarded, or expired
    released: bool = False


class Life:
    """One account, one connection of one node. What the operator holds survives every crash of ours."""

    def __init__(self, db: Database, policy: str) -> None:
        self.db = db
        self.policy = policy
        self.messages: list[Message] = []
        self.in_flight: list[Sent] = []
        self.unconfirmed: list[DeliverSm] = []  # deliver_sm that we have not answered
        self._pending = 0  # of those, how many were given to the settlement
        self._names = itertools.count(1)
        self._now = 0.0
        self._run = uuid.uuid4().hex[:12]
        self.finals: dict[int, int] = {}

    async def open(self) -> None:
        db = self.db
        self.holder = uuid.uuid4()
        account_id = await db.fetchval("insert into account (name) values ($1) returning id", self._run)
        await ledger.book(db, account_id, "recharge", BALANCE_MILLI)
        self.account = Account.of(await accounts.account(db, self._run))
        await smscs.add_smsc(db, self._run, "127.0.0.1", 1, "id", b"pw", uncertain_policy=self.policy)
        self.smsc = await smscs.named(db, self._run)
        self.routes = Routes([Route("55", self.smsc.id, 86400)])
        self.ids = Ids(1)
        self.intake = Intake(
            db, self.ids, stored=lambda _: None, number_hmac=SECRETS.number_hmac, limit_messages=100, commit_timeout_s=10
        )  # fmt: skip
        self.intake.start()
        await self.begin()

    async def close(self) -> None:
        await self.intake.stop()

    # The customer

    async def accept(self, parts: int, *, again: Message | None = None, text: str = "") -> Submission:
        """again: the same id and number once more; text: another one than the first time."""
        ref = again.ref if again else f"r{next(self._names)}"
        number = again.number if again else f"119{next(self._names):08d}"
        text = text or (again.text if again else TEXTS[parts])
        submission = judge(
            self.account, number, text, ref, routes=self.routes, prices=Prices([]), secrets=SECRETS
        )
        await self.intake.submit([submission])
        if submission.refusal is None and again is None:
            assert submission.accepted_at is not None
            message_id = await self.db.fetchval(
                "select message_id from message_key where account_id = $1 and client_ref = $2", self.account.id, ref
            )  # fmt: skip
            self.messages.append(Message(ref, number, text, parts, message_id, submission.accepted_at))
        return submission

    async def balance(self) -> int:
        return int((await accounts.balance(self.db, self.account.id))["balance_milli"])

    # The connection

    async def begin(self) -> None:
        """A node that starts, or a session that follows a broken one."""
        taken = await leases.take(self.db, self.smsc.id, self.holder, 3600)
        assert taken is not None
        lease = Lease(taken.epoch, time.monotonic() + 3600)
        session_id = await sessions.begin_session(self.db, self.smsc.id, self.holder, taken.epoch)
        assert session_id is not None
        self.session_id = session_id
        self.receipts = Receipts(self.smsc.id)
        incoming = Stages(
            self.smsc.id, self.receipts, Replies(self.ids, lambda _: "gsm", SECRETS.number_hmac)
        )
        self.flow = Flow(self.smsc, lease, Tally(), 0.0)
        self.settlement = Settlement(
            self.db, self.flow, session_id, incoming,
            holder=self.holder, notify=lambda _: None, elsewhere=nowhere, queued=lambda _: None,
        )  # fmt: skip
        self._pending = 0
        for body in self.unconfirmed:  # an operator delivers what nobody has confirmed once more
            self._give(body)

    async def submit(self) -> list[Sent]:
        """Claim and write; each is with the operator then."""
        self._now += 1.0
        taken = await self.flow.turns.claim(self.db, self.session_id, ROOM, self._now)
        of_id = {message.id: message for message in self.messages}
        written = []
        for claimed in taken.claimed:
            outgoing = Outgoing(claimed)
            if claimed.expired:
                outgoing.expire()
                of_id[claimed.message_id].ended_by_us = True
                self.settlement.outcome(None, outgoing)
                continue
            for part, _ in outgoing.submits(self.smsc, self.flow.source):
                message = of_id[claimed.message_id]
                sent = Sent(message, part, outgoing, f"op{self._run}{next(self._names)}")
                message.sent.append(sent)
                written.append(sent)
        self.in_flight += written
        return written

    def answer(self, sent: Sent, status: int) -> None:
        self.in_flight.remove(sent)
        sent.outcome = "refused" if status else "ok"
        sent.has_it = not status
        raw, key = (None, None) if status else (sent.id, identity.key(sent.id))
        row = sent.outgoing.answered(sent.part, status, verdict_of(status, {}), raw, key)
        self.settlement.outcome(row, sent.outgoing)

    def give_up(self, sent: Sent) -> None:
        """No answer within its time."""
        self.in_flight.remove(sent)
        sent.lost = True
        self.settlement.outcome(sent.outgoing.unanswered(sent.part), sent.outgoing)

    def answer_late(self, sent: Sent) -> None:
        sent.outcome = "ok"
        self.settlement.late(sent.outgoing.row(sent.part, 1, 0, sent.id, identity.key(sent.id)))

    def receipt(self, sent: Sent, stat: str) -> None:
        text = f"id:{sent.id} sub:001 dlvrd:001 submit date:2611221000 done date:2611221001 stat:{stat} err:000 text:"
        body = DeliverSm(
            source_addr=f"55{sent.message.number}".encode(), esm_class=4, short_message=text.encode()
        )
        self.unconfirmed.append(body)
        self._give(body)

    def _give(self, body: DeliverSm) -> None:
        self._pending += 1
        self.settlement.delivery(body, self._pending)

    async def settle(self) -> None:
        answers = await self.settlement.commit(
            lambda: {sent.outgoing.claimed.number for sent in self.in_flight} | self.settlement.numbers
        )
        for delivery, status in answers:
            assert status == 0
            self.unconfirmed.remove(delivery.body)
        for message in self.messages:
            for sent in message.sent:
                sent.kept = sent.kept or bool(sent.outcome)

    async def drop(self) -> None:
        """The connection breaks; the node closes its books."""
        for sent in list(self.in_flight):
            self.give_up(sent)
        await self.settle()
        await sessions.end_sessions(self.db, [self.session_id])
        await self.begin()

    async def crash(self) -> None:
        """Nothing is known any more but what was committed."""
        for message in self.messages:
            for sent in message.sent:
                if not sent.kept:
                    sent.lost, sent.outcome = True, ""
        self.in_flight.clear()
        await self.begin()

    # Time, and people

    async def time_passes(self) -> None:
        """Every pause is over."""
        await self.db.execute(
            "update queue set due_at = now() where smsc_id = $1 and due_at > now()", self.smsc.id
        )

    async def expire(self, message: Message) -> None:
        await self.db.execute("update queue set expires_at = now() where message_id = $1", message.id)
        async with self.db.transaction() as tx:
            ended = await queue.expire(tx, 2**62, 100)
            await endings.ended(tx, self.holder, ended)
        message.ended_by_us = message.ended_by_us or message.id in ended

    async def release_held(self) -> None:
        held = await self.db.fetch(
            "select message_id from queue where state = 2 and smsc_id = $1", self.smsc.id
        )
        ids = {row[0] for row in held}
        await waiting.release(self.db, waiting.Which(smsc_id=self.smsc.id), 0)
        for message in self.messages:
            message.released = message.released or message.id in ids

    async def discard(self, message: Message) -> None:
        done, _ = await waiting.discard(self.db, waiting.Which(message_ids=[message.id]), 0)
        message.ended_by_us = message.ended_by_us or bool(done)

    async def rows(self) -> dict[int, Any]:
        return {
            row["id"]: row
            for row in await self.db.fetch("select * from message where account_id = $1", self.account.id)
        }
