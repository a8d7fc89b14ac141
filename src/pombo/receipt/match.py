"""From receipts to states: each finds the attempt it speaks of, or is parked until that attempt is known."""

from collections import Counter
from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

import asyncpg
import msgspec
import structlog

from pombo import country
from pombo.message import AttemptState
from pombo.receipt import identity
from pombo.receipt.figures import ReceiptFigures
from pombo.receipt.parse import Receipt, is_intermediate, is_receipt, parse
from pombo.smpp import tlv
from pombo.smpp.pdu import DataSm, DeliverSm
from pombo.store import receipts as rows
from pombo.store import smscs
from pombo.store.database import Connection, Database
from pombo.store.ids import EPOCH_MS, ID_BITS_BELOW_MS
from pombo.store.queue import lock_of
from pombo.store.receipts import AttemptKey, Effect, Parked

log = structlog.get_logger()

_SWEEP_PAGE = 500
_CLOCKS_S = 60.0
Caused = Callable[[Connection, list[int]], Awaitable[None]]
_BODIES: dict[int, type[DeliverSm] | type[DataSm]] = {body.command_id: body for body in (DeliverSm, DataSm)}


class Arrived:
    """A receipt as it came, and as it reads."""

    __slots__ = ("body", "receipt")

    def __init__(self, body: DeliverSm | DataSm) -> None:
        self.body = body
        self.receipt = parse(
            _text(body),
            tlv.receipted_message_id(body),
            tlv.message_state(body),
            body.tlvs.get(tlv.network_error_code.tag),  # parse reads it in other widths, too
            is_intermediate(body.esm_class),
        )


def of(body: DeliverSm | DataSm) -> Arrived | None:
    """None for what is no receipt but somebody's reply."""
    if not is_receipt(body.esm_class, tlv.receipted_message_id.tag in body.tlvs, _text(body)):
        return None
    return Arrived(body)


def _text(body: DeliverSm | DataSm) -> bytes:
    short_message = body.short_message if isinstance(body, DeliverSm) else b""
    return short_message or tlv.message_payload(body) or b""


class Receipts:
    """The receipts of one connection. Everything happens inside the caller's transaction, which holds the
    connection's lock: results and receipts of a connection never pass each other unseen."""

    def __init__(self, smsc_id: int, name: str = "") -> None:
        self.figures = ReceiptFigures()
        self._smsc_id = smsc_id
        self._fixed: identity.Form | None = (
            None  # how this connection writes ids in receipts, by a person's word
        )
        self._learned: str | None = None  # the same, fixed or learned
        self._known = False
        self._learned_in: Connection | None = (
            None  # the transaction that writes it, of whose end nothing is known
        )
        self._log = log.bind(smsc=name or smsc_id)

    def reread(self) -> None:
        """The connection may have been changed: the next transaction reads how it writes ids."""
        self._known = False

    async def settle(
        self, tx: Connection, arrived: Sequence[Arrived], in_flight: Callable[[int], bool]
    ) -> tuple[list[int], list[str]]:
        """Apply or park; returns the messages that became final, and the ids that parked receipts speak of.

        in_flight: whether a submit to this handset had no committed response when this transaction began: then a receipt
        without a match is that one's, early, and must not settle an older attempt.
        """
        await self._recall(tx)
        learned = self._learned
        effects, unmatched, ambiguous = await self._match(tx, arrived)
        ambiguous = await self._match_all_the_same(tx, ambiguous, effects, in_flight)
        matched = len(arrived) - len(unmatched) - len(ambiguous)
        unmatched, answered = await self._settle_uncertain(tx, unmatched, effects, in_flight)
        parked = [_parked(a) for a in unmatched + ambiguous]
        if parked:
            await rows.park(tx, self._smsc_id, parked)
        self.figures.matched += matched + len(answered)
        self.figures.parked += len(parked)
        for outcome, count in Counter([a.receipt.outcome for a in arrived]).items():
            self.figures.outcomes["interim" if outcome is None else outcome.name.lower()] += count
        final = await self._apply(tx, effects, answered)
        if self._learned != learned:  # what was ambiguous may be clear now
            final += await self.rematch_these(tx, await rows.parked_page(tx, self._smsc_id, 0, _SWEEP_PAGE))
        elif answered and unmatched:  # other receipts of the same attempt
            final += await self.rematch(tx, [effect.key for effect in answered])
        return final, [key for receipt in parked for key in receipt.keys]

    async def rematch(self, tx: Connection, keys: Sequence[str]) -> list[int]:
        """Ids of the operator's have just been committed: receipts that came before them count now."""
        await self._recall(tx)
        return await self._rematch(tx, await rows.parked_for(tx, self._smsc_id, keys))

    async def rematch_these(self, tx: Connection, parked_ids: Sequence[int]) -> list[int]:
        await self._recall(tx)
        return await self._rematch(tx, await rows.parked_by_id(tx, self._smsc_id, parked_ids))

    async def assign(self, tx: Connection, parked_id: int, attempt: AttemptKey) -> list[int]:
        """By hand: this parked receipt speaks of that attempt. Teaches no form."""
        [row] = await rows.parked_by_id(tx, self._smsc_id, [parked_id])
        effect = _effect(attempt, _again(row).receipt)
        await rows.unpark(tx, [parked_id])
        return await self._apply(tx, {attempt: effect}, [effect])

    async def settle_unanswered(self, db: Database, caused: Caused) -> list[int]:
        """Soon after a break: what it left unanswered may have its receipt already, which came before the break."""
        return await self._judge(db, await rows.parked_for_unanswered(db, self._smsc_id, _SWEEP_PAGE), caused)

    async def sweep(self, db: Database, caused: Caused) -> list[int]:
        """The net under `rematch`: judge every parked receipt of this connection again.

        One that has waited for minutes need no longer wait for an id that may just not be committed yet. Then give
        up attempts that were not answered for days.
        caused: given the messages that became final, in the transaction that made them so.
        """
        final: list[int] = []
        after_id = 0
        while True:
            page = await rows.parked_page(db, self._smsc_id, after_id, _SWEEP_PAGE)
            final += await self._judge(db, page, caused)
            if len(page) < _SWEEP_PAGE:
                return final + await self._give_up(db, caused)
            after_id = page[-1]

    async def _judge(self, db: Database, parked_ids: Sequence[int], caused: Caused) -> list[int]:
        """They were looked for without the connection's lock, which keeps results and receipts waiting; what else has
        happened to them meanwhile counts."""
        if not parked_ids:
            return []
        async with db.transaction(lock_of(self._smsc_id)) as tx:
            final = await self.rematch_these(tx, parked_ids)
            await caused(tx, final)
        return final

    async def _give_up(self, db: Database, caused: Caused) -> list[int]:
        """No answer comes any more to attempts of three days ago."""
        final: list[int] = []
        while await rows.unanswered_long_ago(db, self._smsc_id):
            async with db.transaction(lock_of(self._smsc_id)) as tx:
                given_up, now_final = await rows.give_up(tx, self._smsc_id, _SWEEP_PAGE)
                await caused(tx, now_final)
            final += now_final
            if given_up < _SWEEP_PAGE:
                break
        return final

    async def _rematch(self, tx: Connection, parked: Sequence[asyncpg.Record]) -> list[int]:
        again = {_again(row): row for row in parked}
        if not again:
            return []
        waited = {arrived for arrived, row in again.items() if row["old"]}
        # Every submit without a committed response stands in the queue as being written. Looked at first: a result that
        # is committed meanwhile, without the connection's lock, is then found by the match, or its handset is here.
        written = await rows.being_written(tx, self._smsc_id)
        effects, unmatched, ambiguous = await self._match(tx, list(again), waited)
        answered: list[Effect] = []
        if unmatched or ambiguous:
            ambiguous = await self._match_all_the_same(tx, ambiguous, effects, written.__contains__)
            came_at = {arrived: again[arrived]["received_at"] for arrived in unmatched}
            unmatched, answered = await self._settle_uncertain(
                tx, unmatched, effects, written.__contains__, came_at
            )
        still_parked = {*unmatched, *ambiguous}
        settled = [row["id"] for arrived, row in again.items() if arrived not in still_parked]
        if settled:
            self.figures.rematched += len(settled)
            await rows.unpark(tx, settled)
        return await self._apply(tx, effects, answered)

    async def _apply(
        self, tx: Connection, effects: Mapping[AttemptKey, Effect], answered: Sequence[Effect]
    ) -> list[int]:
        """answered: those among them whose attempts the operator never answered."""
        if not effects:
            return []
        applied = await rows.apply(tx, list(effects.values()))
        self.figures.took(applied.took_s)
        taken = [effect for effect in answered if effect.state != AttemptState.FAILED]
        if taken:
            await rows.note_taken(tx, taken)
        return applied.final

    async def _match(
        self, tx: Connection, arrived: Sequence[Arrived], waited: Container[Arrived] = ()
    ) -> tuple[dict[AttemptKey, Effect], list[Arrived], list[Arrived]]:
        """The effect per attempt; who found no attempt; and who found too many. waited: those for which nothing better
        can come."""
        effects: dict[AttemptKey, Effect] = {}
        arrived = await self._match_as_learned(tx, arrived, effects)
        candidates = [
            identity.candidates(a.receipt.raw_id, self._learned, a.receipt.other_id) for a in arrived
        ]
        if self._fixed is not None:
            candidates = [identity.only(of_one, self._fixed) for of_one in candidates]
        sent = await self._sent(tx, {candidate.key for of_one in candidates for candidate in of_one})
        unmatched: list[Arrived] = []
        ambiguous: list[Arrived] = []
        for a, forms in zip(arrived, candidates, strict=True):
            found = [
                identity.Found(
                    form, s.smsc_message_id, identity.same_handset(a.body.source_addr, s.number), s.attempt
                )
                for form, key in forms
                for s in sent.get(key, ())
            ]
            choice = identity.choose(a.receipt.raw_id, found, self._learned, waited=a in waited)
            if self._fixed is None and choice.learned is not None and choice.learned != self._learned:
                await self._learn(tx, choice.learned)
            if choice.attempt is not None:
                _add(effects, _effect(choice.attempt, a.receipt))
            elif choice.ambiguous:
                ambiguous.append(a)
            else:
                unmatched.append(a)
        return effects, unmatched, ambiguous

    async def _match_as_learned(
        self, tx: Connection, arrived: Sequence[Arrived], effects: dict[AttemptKey, Effect]
    ) -> Sequence[Arrived]:
        """Most receipts by far have an id of the form that was learned, which decides; returns the others."""
        if self._learned is None:
            return arrived
        keys = [identity.learned_key(a.receipt.raw_id, self._learned) for a in arrived]
        sent = await self._sent(tx, {key for key in keys if key})
        others = []
        for a, key in zip(arrived, keys, strict=True):
            handset = a.body.source_addr
            agreeing = [s for s in sent.get(key, ()) if identity.same_handset(handset, s.number) is not False]
            if agreeing:
                best = next((s for s in agreeing if s.smsc_message_id == a.receipt.raw_id), agreeing[0])
                _add(effects, _effect(best.attempt, a.receipt))
            else:
                others.append(a)
        return others

    async def _sent(self, tx: Connection, keys: set[str]) -> dict[str, list[rows.Sent]]:
        """Attempts by key, the newest first."""
        sent: dict[str, list[rows.Sent]] = {}
        for attempt in await rows.attempts_by_key(tx, self._smsc_id, list(keys)) if keys else ():
            sent.setdefault(attempt.smsc_key, []).append(attempt)
        return sent

    async def _match_all_the_same(
        self,
        tx: Connection,
        ambiguous: list[Arrived],
        effects: dict[AttemptKey, Effect],
        in_flight: Callable[[int], bool],
    ) -> list[Arrived]:
        """An id in another form than the learned one need not wait where every submit to its handset was answered:
        nothing better can come. Returns those that still are ambiguous."""
        numbers = {a: n for a in ambiguous if (n := _number(a.body.source_addr)) and not in_flight(n)}
        if not numbers:
            return ambiguous
        unanswered = await rows.uncertain_attempts(tx, self._smsc_id, list(set(numbers.values())))
        sure = [a for a, number in numbers.items() if not unanswered.get(number)]
        found, _, still_ambiguous = await self._match(tx, sure, waited=sure)
        for effect in found.values():
            _add(effects, effect)
        return [a for a in ambiguous if a not in sure or a in still_ambiguous]

    async def _learn(self, tx: Connection, form: str) -> None:
        self._log.info("receipt_id_form_learned", form=form, before=self._learned)
        self._learned, self._learned_in = form, tx
        await smscs.learn_form(tx, self._smsc_id, form)

    async def _recall(self, tx: Connection) -> None:
        """What an earlier transaction learned counts if it was committed; what a person says counts before it."""
        if self._known and (self._learned_in is None or self._learned_in is tx):
            return
        receipt_ids, learned = await smscs.id_form(tx, self._smsc_id)
        self._fixed = identity.FIXED.get(receipt_ids)
        self._learned = self._fixed or learned
        self._known, self._learned_in = True, None

    async def _settle_uncertain(
        self,
        tx: Connection,
        unmatched: list[Arrived],
        effects: dict[AttemptKey, Effect],
        in_flight: Callable[[int], bool],
        came_at: Mapping[Arrived, datetime] = MappingProxyType({}),
    ) -> tuple[list[Arrived], list[Effect]]:
        """A receipt without a match may speak of a submit that was never answered, when its handset has just one.

        Returns those that still have none, and the effects of the others. What is final goes first: it says all.
        One that is not must bring the id that its last word will have.
        came_at: of those that came earlier; they do not speak of what was accepted after them.
        """
        numbers = {
            a: number
            for a in sorted(unmatched, key=lambda a: a.receipt.outcome is None)
            if (a.receipt.outcome is not None or (a.receipt.raw_id and a.receipt.stat))
            and (number := _number(a.body.source_addr))
            and not in_flight(number)
        }
        if not numbers:
            return unmatched, []
        open_attempts = await rows.uncertain_attempts(tx, self._smsc_id, list(set(numbers.values())))
        settled: dict[Arrived, Effect] = {}
        for a, number in numbers.items():
            attempts = [
                attempt
                for attempt in open_attempts.get(number, ())
                if attempt not in effects and not _younger(attempt, came_at.get(a))
            ]
            if len(attempts) == 1:
                settled[a] = effects[attempts[0]] = _effect(attempts[0], a.receipt)
        return [a for a in unmatched if a not in settled], list(settled.values())


def _again(row: asyncpg.Record) -> Arrived:
    return Arrived(msgspec.msgpack.decode(row["body"], type=_BODIES[row["command_id"]]))


def _parked(arrived: Arrived) -> Parked:
    forms = identity.candidates(arrived.receipt.raw_id, None, arrived.receipt.other_id)
    body = arrived.body
    return Parked(
        arrived.receipt.raw_id,
        [form.key for form in forms],
        body.command_id,
        msgspec.msgpack.encode(body),
        _number(body.source_addr),
    )


def _effect(attempt: AttemptKey, receipt: Receipt) -> Effect:
    error = receipt.error if receipt.error.strip("0") else receipt.stat
    return Effect(
        attempt,
        AttemptState.TAKEN if receipt.outcome is None else receipt.outcome,
        receipt.final_state
        if receipt.outcome is AttemptState.FAILED and receipt.final_state is not None
        else 0,
        receipt.stat if receipt.outcome is None else error,
        receipt.raw_id,
        identity.key(receipt.raw_id),
    )


def _add(effects: dict[AttemptKey, Effect], effect: Effect) -> None:
    """Of several receipts for one attempt the first that is final counts, else the last."""
    before = effects.get(effect.attempt)
    if before is None or before.state == AttemptState.TAKEN:
        effects[effect.attempt] = effect


def _younger(attempt: AttemptKey, at: datetime | None) -> bool:
    """Its message was accepted after that time, by clocks that agree within a minute."""
    if at is None:
        return False
    accepted_ms = (attempt.message_id >> ID_BITS_BELOW_MS) + EPOCH_MS
    return accepted_ms > (at.timestamp() + _CLOCKS_S) * 1000


def _number(handset: bytes) -> int | None:
    return country.of_address(handset.decode("latin-1"))
