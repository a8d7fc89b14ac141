"""Whatever happens in whatever order: no message is lost, none is charged or refunded twice, and none moves from its end.

A hypothesis state machine over the real store; a simple model says what must be so.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from life import BALANCE_MILLI, Life, Message, Sent

from pombo.errors import Refusal
from pombo.message import FINAL, State
from pombo.smpp.status import Status
from pombo.store import doctor, endings, ledger
from pombo.store.database import Database

WHICH = st.integers(0, 7)
REFUSALS = st.sampled_from([Status.ESME_RTHROTTLED, Status.ESME_RSYSERR, Status.ESME_RINVDSTADR])
WORDS = st.sampled_from(["DELIVRD", "DELIVRD", "UNDELIV", "ENROUTE"])


class Machine(RuleBasedStateMachine):
    def __init__(self, url: str, policy: str) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self.policy = policy

        async def open_() -> Life:
            life = Life(await Database.open(url, hot=True, size=4), policy)
            await life.open()
            return life

        self.life = self.runner.run(open_())
        self.charged_milli = 0
        self.finals: dict[int, State] = {}

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def teardown(self) -> None:
        async def close() -> None:
            await self.life.close()
            await self.life.db.close()

        try:
            self.run(self._end())
        finally:
            self.run(close())
            self.runner.close()

    # What customers do

    @rule(parts=st.sampled_from([1, 1, 2, 3]))
    def accept(self, parts: int) -> None:
        balance = self.run(self.life.balance())
        submission = self.run(self.life.accept(parts))
        if submission.price_milli > balance:
            assert submission.refusal is Refusal.CREDIT
        else:
            assert submission.refusal is None
            self.charged_milli += submission.price_milli
        self.books()

    @precondition(lambda self: self.life.messages)
    @rule(which=WHICH, same=st.booleans())
    def same_id_again(self, which: int, same: bool) -> None:
        message = pick(self.life.messages, which)
        again = self.run(self.life.accept(message.parts, again=message, text="" if same else "outro"))
        if same:
            assert (again.refusal, again.accepted_at) == (None, message.accepted_at)
        else:
            assert again.refusal is Refusal.ID_DUPLICATE
        self.books()

    # What the connection does

    @rule()
    def submit(self) -> None:
        self._check(self.run(self.life.submit()))

    def _check(self, sent: list[Sent]) -> None:
        for one in sent:
            assert one.message.id not in self.finals, "it has ended"
            for before in one.message.sent:
                if before is not one and before.part.bits & one.part.bits:
                    self._may_follow(before)

    def _may_follow(self, before: Sent) -> None:
        """A part is submitted again only when its submit was refused, or its fate is not known and the policy says so."""
        if before.outcome == "refused" and before.kept:
            return
        assert before.lost, "it is with the operator already"
        assert before.outcome != "ok" or not before.kept, "its answer came late, and counts"
        assert self.policy == "resend" or before.message.released, "nobody said that it may be sent again"

    @precondition(lambda self: self.life.in_flight)
    @rule(which=WHICH)
    def response(self, which: int) -> None:
        self.life.answer(pick(self.life.in_flight, which), 0)

    @precondition(lambda self: self.life.in_flight)
    @rule(which=WHICH, status=REFUSALS)
    def refusal(self, which: int, status: int) -> None:
        self.life.answer(pick(self.life.in_flight, which), status)

    @precondition(lambda self: self.life.in_flight)
    @rule(which=WHICH)
    def no_response(self, which: int) -> None:
        self.life.give_up(pick(self.life.in_flight, which))

    def _unanswered(self) -> list[Sent]:
        return [s for s in self._sent() if s.lost and s.has_it and not s.outcome]

    @precondition(lambda self: self._unanswered())
    @rule(which=WHICH)
    def late_response(self, which: int) -> None:
        self.life.answer_late(pick(self._unanswered(), which))

    @precondition(lambda self: self._with_operator())
    @rule(which=WHICH, word=WORDS, times=st.integers(1, 2))
    def receipt(self, which: int, word: str, times: int) -> None:
        """Before its response, after it, or without one; once or twice. An operator's last word on a submit stands."""
        sent = pick(self._with_operator(), which)
        if word != "ENROUTE":
            sent.final = sent.final or word
            word = sent.final
        for _ in range(times):
            self.life.receipt(sent, word)

    @rule()
    def settle(self) -> None:
        self.run(self.life.settle())
        self.look()

    @rule()
    def drop(self) -> None:
        self.run(self.life.drop())
        self.look()

    @rule()
    def crash(self) -> None:
        self.run(self.life.crash())
        self.look()

    # What time and people do

    @rule()
    def time_passes(self) -> None:
        self.run(self.life.time_passes())

    @precondition(lambda self: self.life.messages)
    @rule(which=WHICH)
    def expire(self, which: int) -> None:
        self.run(self.life.expire(pick(self.life.messages, which)))
        self.look()

    @precondition(lambda self: self.life.messages)
    @rule(which=WHICH)
    def discard(self, which: int) -> None:
        self.run(self.life.discard(pick(self.life.messages, which)))
        self.look()

    @precondition(lambda self: self.policy == "hold")
    @rule()
    def release(self) -> None:
        self.run(self.life.release_held())

    # What must be so

    def _sent(self) -> list[Sent]:
        return [sent for message in self.life.messages for sent in message.sent]

    def _with_operator(self) -> list[Sent]:
        return [sent for sent in self._sent() if sent.has_it]

    def look(self) -> None:
        self._note(self.run(self.life.rows()))
        self.books()

    def _note(self, rows: dict[int, Any]) -> None:
        assert set(rows) == {message.id for message in self.life.messages}
        for message_id, row in rows.items():
            state = State(row["state"])
            assert self.finals.get(message_id, state) is state, "a final state has moved"
            if state in FINAL:
                self.finals[message_id] = state

    def books(self) -> None:
        rows = self.run(self.life.rows())
        back = sum(row["refunded_milli"] or 0 for row in rows.values())
        assert self.run(self.life.balance()) == BALANCE_MILLI - self.charged_milli + back
        assert self.run(ledger.faults(self.life.db)) == []

    async def _end(self) -> None:
        """Everything has its time: the operator answers, and sends the receipts that it owes."""
        life = self.life
        for _ in range(50):
            for sent in list(life.in_flight):
                life.answer(sent, 0)
            await life.settle()
            self._note(await life.rows())
            await life.time_passes()
            waits = await life.db.fetchval(
                "select exists (select from queue where smsc_id = $1 and state <> 2)", life.smsc.id
            )
            if not waits:
                break
            self._check(await life.submit())
        assert not waits, "something waits for ever"
        for sent in self._with_operator():
            if not sent.final:
                sent.final = "DELIVRD"
                life.receipt(sent, sent.final)
        await life.settle()
        await life.receipts.sweep(life.db, lambda tx, ids: ended(life, tx, ids))
        assert life.unconfirmed == []
        rows = await life.rows()
        for message in life.messages:
            await self._ended(message, rows[message.id])
        assert await doctor.examine(life.db) == []

    async def _ended(self, message: Message, row: Any) -> None:
        state = State(row["state"])
        told = {sent.final for sent in message.sent if sent.has_it}
        if state is State.DELIVERED:
            assert "DELIVRD" in told
        if state is State.UNDELIVERED:  # this account pays for what was submitted
            assert row["refunded_milli"] is None
        if state in (State.EXPIRED, State.CANCELLED) and not message.sent:
            assert row["refunded_milli"] == row["price_milli"]
        if state not in FINAL:
            open_ = await self.life.db.fetchval(
                "select exists (select from queue where message_id = $1 and state = 2) or exists ("
                " select from attempt where message_id = $1 and state = 0 and smsc_key is null)",
                message.id,
            )
            assert open_, "it has no end, and nothing is open"
        if message.ended_by_us or any(sent.outcome == "refused" for sent in message.sent):
            return
        known = [sent for sent in message.sent if sent.outcome == "ok" and sent.kept]
        if told == {"DELIVRD"} and len({sent.part.number for sent in known}) == message.parts:
            assert state is State.DELIVERED, "all its receipts came, and say so"
        if message.parts == len(message.sent) == 1:
            assert state is State.DELIVERED if told == {"DELIVRD"} else State.UNDELIVERED, (
                "there is but one it could mean"
            )


async def ended(life: Life, tx: Any, ids: list[int]) -> None:
    await endings.ended(tx, life.holder, ids)


def pick(some: list[Any], which: int) -> Any:
    return some[which % len(some)]


@pytest.mark.parametrize("policy", ["resend", "hold"])
def test_nothing_is_lost_in_any_order_of_things(database_url: str, policy: str) -> None:
    run_state_machine_as_test(
        lambda: Machine(database_url, policy),
        settings=settings(
            max_examples=25, stateful_step_count=40, deadline=None, derandomize=True, database=None,
            suppress_health_check=list(HealthCheck), phases=[Phase.generate],  # to make a failure shorter takes minutes
        ),
    )  # fmt: skip
