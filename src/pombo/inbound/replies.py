"""Replies on their way into the inbox: read, joined where they came in parts, and given to whom they answer."""

import hashlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import msgspec

from pombo.inbound.decode import Reply, decode_reply, storable
from pombo.inbound.parts import Part, complete, joined
from pombo.number import normalise
from pombo.smpp import tlv
from pombo.smpp.pdu import DataSm, DeliverSm
from pombo.store import replies as rows
from pombo.store.database import Connection, Database
from pombo.store.ids import Ids
from pombo.store.queue import lock_of
from pombo.store.replies import NewPart, NewReply
from pombo.text.incoming import decode

PARTS_WAIT_S = 600.0  # then a long reply is delivered with the parts that are there
_OVERDUE_PAGE = 100
Caused = Callable[[Connection, list[int]], Awaitable[None]]


class Arrived(NamedTuple):
    """A reply's PDU and where it came in."""

    body: DeliverSm | DataSm
    session_id: int
    sequence_number: int


class Replies:
    """The replies of all connections. alphabet: the default one of a connection, by its id."""

    def __init__(self, ids: Ids, alphabet: Callable[[int], str]) -> None:
        self._ids = ids
        self._alphabet = alphabet

    async def store(self, tx: Connection, smsc_id: int, arrived: Sequence[Arrived]) -> list[int]:
        """Put them into the inbox within the caller's transaction; returns the new ids there."""
        whole: list[NewReply] = []
        parts: list[NewPart] = []
        for a in arrived:
            reply = _read(a.body)
            source, destination = _address(a.body.source_addr), _address(a.body.destination_addr)
            if reply.reference is None:
                text = storable(decode(reply.octets, a.body.data_coding, self._alphabet(smsc_id)))
                whole.append(self._new(source, destination, text, a))
            else:
                parts.append(
                    NewPart(
                        source, destination, reply.reference, reply.total, reply.sequence,
                        a.body.data_coding, reply.octets, a.session_id,
                    )
                )  # fmt: skip
        if parts:
            await rows.keep_parts(tx, smsc_id, parts)
            for of_one in {(p.source, p.destination, p.reference, p.total): p for p in parts}.values():
                reply_now = await self._join(tx, smsc_id, of_one, only_complete=True)
                whole += [reply_now] if reply_now else []
        return await rows.store(tx, smsc_id, whole) if whole else []

    async def sweep(self, db: Database, caused: Caused) -> list[int]:
        """Deliver long replies whose missing parts have had their time; returns the new ids in the inbox.

        caused: given those ids, in the transaction that made them. A connection's lock keeps the part that was
        missing from being joined at the same time.
        """
        stored: list[int] = []
        for smsc_id in await rows.overdue_connections(db, PARTS_WAIT_S):
            async with db.transaction(lock_of(smsc_id)) as tx:
                now_stored = await self._store_overdue(tx, smsc_id)
                await caused(tx, now_stored)
            stored += now_stored
        await rows.forget_joined(db, PARTS_WAIT_S)
        return stored

    async def _store_overdue(self, tx: Connection, smsc_id: int) -> list[int]:
        stored: list[int] = []
        for row in await rows.overdue_parts(tx, smsc_id, PARTS_WAIT_S, _OVERDUE_PAGE):
            of_one = NewPart(
                row["source"],
                row["destination"],
                row["reference"],
                row["total"],
                0,
                0,
                b"",
                row["session_id"],
            )
            reply = await self._join(tx, smsc_id, of_one, only_complete=False)
            if reply:
                stored += await rows.store(tx, smsc_id, [reply])
        return stored

    async def _join(
        self, tx: Connection, smsc_id: int, of_one: NewPart, *, only_complete: bool
    ) -> NewReply | None:
        key = (of_one.source, of_one.destination, of_one.reference, of_one.total)
        parts = [Part(*row) for row in await rows.parts_of(tx, smsc_id, *key)]
        if not parts or (only_complete and not complete(parts, of_one.total)):
            return None
        alphabet = self._alphabet(smsc_id)
        text = joined(parts, lambda octets, coding: decode(octets, coding, alphabet))
        await rows.mark_joined(tx, smsc_id, *key)
        body_hash = hashlib.blake2b(msgspec.msgpack.encode([*key, parts]), digest_size=16).digest()
        # A joined reply has no sequence number of its own; 0 is none that a peer could use.
        return self._make(
            of_one.source, of_one.destination, text, parts[0].data_coding, body_hash, of_one.session_id, 0
        )

    def _new(self, source: str, destination: str, text: str, a: Arrived) -> NewReply:
        body_hash = hashlib.blake2b(msgspec.msgpack.encode(a.body), digest_size=16).digest()
        return self._make(
            source, destination, text, a.body.data_coding, body_hash, a.session_id, a.sequence_number
        )

    def _make(
        self,
        source: str,
        destination: str,
        text: str,
        coding: int,
        body_hash: bytes,
        session_id: int,
        sequence: int,
    ) -> NewReply:
        number = normalise(source)
        return NewReply(
            self._ids.take(1, time.time())[0],
            str(number) if number else source,
            number or 0,
            destination,
            text,
            coding,
            body_hash,
            session_id,
            sequence,
        )


def _read(body: DeliverSm | DataSm) -> Reply:
    return decode_reply(
        body.esm_class,
        body.short_message if isinstance(body, DeliverSm) else b"",
        tlv.message_payload(body),
        tlv.sar_msg_ref_num(body),
        tlv.sar_total_segments(body),
        tlv.sar_segment_seqnum(body),
    )


def _address(octets: bytes) -> str:
    return storable(octets.decode("latin-1"))[:64]
