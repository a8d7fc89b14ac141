"""From receipts to states: each finds the attempt it speaks of, or is parked until that attempt is known."""

from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

import asyncpg
import msgspec
import structlog

from pombo.message import AttemptState
from pombo.number import normalise
from pombo.receipt import identity
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

    def __init__(self, smsc_id: int, learned: str | None = None, name: str = "") -> None:
        """learned: how this connection writes ids in receipts (`smsc.id_form`), where that is known already."""
        self._smsc_id = smsc_id
        self._learned = learned
        self._learned_in: Connection | None = (
            None  # the transaction that writes it, of whose end nothing is known
        )
        self._log = log.bind(smsc=name or smsc_id)

    async def settle(
        self, tx: Connection, arrived: Sequence[Arrived], in_flight: Callable[[int], bool]
    ) -> list[int]:
        """Apply or park; returns the messages that became final.

        in_flight: whether a submit to this handset has no response yet: then a receipt without a match is that
        one's, early, and must not settle an older attempt.
        """
        await self._recall(tx)
        judged = [a for a in arrived if a.receipt.outcome is not None]
        learned = self._learned
        effects, unmatched, ambiguous = await self._match(tx, judged)
        unmatched = await self._settle_uncertain(tx, unmatched, effects, in_flight) + ambiguous
        if unmatched:
            await rows.park(tx, self._smsc_id, [_parked(a) for a in unmatched])
        final = await rows.apply(tx, list(effects.values())) if effects else []
        if self._learned != learned:  # what was ambiguous may be clear now
            final += await self._rematch(tx, await rows.parked_page(tx, self._smsc_id, 0, _SWEEP_PAGE))
        return final

    async def rematch(self, tx: Connection, keys: Sequence[str]) -> list[int]:
        """Ids of the operator's have just been committed: receipts that came before them count now."""
        await self._recall(tx)
        return await self._rematch(tx, await rows.parked_for(tx, self._smsc_id, keys))

    async def sweep(self, db: Database, caused: Caused) -> list[int]:
        """The net under `rematch`: judge every parked receipt of this connection again.

        One that has waited for minutes need no longer wait for an id that may just not be committed yet. Then give
        up attempts that were not answered for days.
        caused: given the messages that became final, in the transaction that made them so.
        """
        final: list[int] = []
        after_id = 0
        while True:
            async with db.transaction(lock_of(self._smsc_id)) as tx:
                await self._recall(tx)
                page = await rows.parked_page(tx, self._smsc_id, after_id, _SWEEP_PAGE)
                now_final = await self._rematch(tx, page)
                await caused(tx, now_final)
            final += now_final
            if len(page) < _SWEEP_PAGE:
                return final + await self._give_up(db, caused)
            after_id = page[-1]["id"]

    async def _give_up(self, db: Database, caused: Caused) -> list[int]:
        """No answer comes any more to attempts of three days ago."""
        final: list[int] = []
        while True:
            async with db.transaction(lock_of(self._smsc_id)) as tx:
                given_up, now_final = await rows.give_up(tx, self._smsc_id, _SWEEP_PAGE)
                await caused(tx, now_final)
            final += now_final
            if given_up < _SWEEP_PAGE:
                return final

    async def _rematch(self, tx: Connection, parked: Sequence[asyncpg.Record]) -> list[int]:
        again = {
            Arrived(msgspec.msgpack.decode(row["body"], type=_BODIES[row["command_id"]])): row
            for row in parked
        }
        if not again:
            return []
        waited = {arrived for arrived, row in again.items() if row["old"]}
        effects, unmatched, ambiguous = await self._match(tx, list(again), waited)
        old = [arrived for arrived in unmatched if arrived in waited]
        unmatched = [arrived for arrived in unmatched if arrived not in waited]
        # A submit that is in flight now has begun after an old receipt came: it cannot be the one.
        came_at = {arrived: again[arrived]["received_at"] for arrived in old}
        unmatched += await self._settle_uncertain(tx, old, effects, lambda number: False, came_at)
        still_parked = {*unmatched, *ambiguous}
        settled = [row["id"] for arrived, row in again.items() if arrived not in still_parked]
        if settled:
            await rows.unpark(tx, settled)
        return await rows.apply(tx, list(effects.values())) if effects else []

    async def _match(
        self, tx: Connection, arrived: Sequence[Arrived], waited: Container[Arrived] = ()
    ) -> tuple[dict[AttemptKey, Effect], list[Arrived], list[Arrived]]:
        """The effect per attempt (of several receipts for one the first counts); who found no attempt; and who found
        too many. waited: those that have been parked long enough."""
        candidates = [
            identity.candidates(a.receipt.raw_id, self._learned, a.receipt.other_id) for a in arrived
        ]
        keys = list({candidate.key for of_one in candidates for candidate in of_one})
        sent: dict[str, list[rows.Sent]] = {}
        for attempt in await rows.attempts_by_key(tx, self._smsc_id, keys) if keys else ():
            sent.setdefault(attempt.smsc_key, []).append(attempt)
        effects: dict[AttemptKey, Effect] = {}
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
            if choice.learned is not None and choice.learned != self._learned:
                await self._learn(tx, choice.learned)
            if choice.attempt is not None:
                effects.setdefault(choice.attempt, _effect(choice.attempt, a.receipt))
            elif choice.ambiguous:
                ambiguous.append(a)
            else:
                unmatched.append(a)
        return effects, unmatched, ambiguous

    async def _learn(self, tx: Connection, form: str) -> None:
        self._log.info("receipt_id_form_learned", form=form, before=self._learned)
        self._learned, self._learned_in = form, tx
        await smscs.learn_form(tx, self._smsc_id, form)

    async def _recall(self, tx: Connection) -> None:
        """What an earlier transaction learned counts if it was committed."""
        if self._learned_in is not None and self._learned_in is not tx:
            self._learned = (await smscs.learned_forms(tx)).get(self._smsc_id)
            self._learned_in = None

    async def _settle_uncertain(
        self,
        tx: Connection,
        unmatched: list[Arrived],
        effects: dict[AttemptKey, Effect],
        in_flight: Callable[[int], bool],
        came_at: Mapping[Arrived, datetime] = MappingProxyType({}),
    ) -> list[Arrived]:
        """A receipt without a match may speak of a submit that was never answered, when its handset has just one.

        came_at: of those that came earlier; they do not speak of what was accepted after them.
        """
        numbers = {
            a: number for a in unmatched if (number := _number(a.body.source_addr)) and not in_flight(number)
        }
        if not numbers:
            return unmatched
        open_attempts = await rows.uncertain_attempts(tx, self._smsc_id, list(set(numbers.values())))
        settled = set()
        for a, number in numbers.items():
            attempts = [
                attempt
                for attempt in open_attempts.get(number, ())
                if attempt not in effects and not _younger(attempt, came_at.get(a))
            ]
            if len(attempts) == 1:
                effects[attempts[0]] = _effect(attempts[0], a.receipt)
                settled.add(a)
        return [a for a in unmatched if a not in settled]


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
    assert receipt.outcome is not None
    return Effect(
        attempt,
        receipt.outcome,
        receipt.final_state
        if receipt.outcome is AttemptState.FAILED and receipt.final_state is not None
        else 0,
        receipt.error if receipt.error.strip("0") else receipt.stat,
        receipt.raw_id,
        identity.key(receipt.raw_id),
    )


def _younger(attempt: AttemptKey, at: datetime | None) -> bool:
    """Its message was accepted after that time, by clocks that agree within a minute."""
    if at is None:
        return False
    accepted_ms = (attempt.message_id >> ID_BITS_BELOW_MS) + EPOCH_MS
    return accepted_ms > (at.timestamp() + _CLOCKS_S) * 1000


def _number(handset: bytes) -> int | None:
    return normalise(handset.decode("latin-1"))
