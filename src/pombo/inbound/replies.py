"""Replies on their way into the inbox: read, joined where they came in parts, and given to whom they answer."""

import hashlib
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import structlog

from pombo import country
from pombo.inbound.decode import Reply, decode_reply, storable
from pombo.inbound.parts import Assembly, Part, joined
from pombo.smpp import tlv
from pombo.smpp.pdu import DataSm, DeliverSm
from pombo.store import blocks
from pombo.store import replies as rows
from pombo.store.database import Connection, Database
from pombo.store.ids import Ids
from pombo.store.queue import lock_of
from pombo.store.replies import NewReply, PartKey, PartRow, Stored
from pombo.text.incoming import decode
from pombo.text.keyword import first_word, only_word
from pombo.text.national import Shift

log = structlog.get_logger()

OPT_OUT_WORDS = frozenset({"sair", "pare", "parar", "cancelar", "stop"})  # as text/keyword.py has them
PARTS_WAIT_S = 600.0  # then a long reply is delivered with the parts that are there
_OVERDUE_PAGE = 100
Caused = Callable[[Connection, list[int]], Awaitable[None]]


class Arrived(NamedTuple):
    """A reply's PDU and where it came in."""

    body: DeliverSm | DataSm
    session_id: int
    sequence_number: int


@dataclass(slots=True)
class Counts:
    """Of one connection, since this process began. What is written again after a lost commit counts again."""

    stored: int = 0
    without_owner: int = 0  # of those
    parts_waiting: int = 0  # for others of their long reply; as the last sweep found it


class Replies:
    """The replies of all connections."""

    def __init__(self, ids: Ids, alphabet: Callable[[int], str], number_hmac: Callable[[int], bytes]) -> None:
        """alphabet: the default one of a connection, by its id. number_hmac: as block lists have it."""
        self._ids = ids
        self._alphabet = alphabet
        self._number_hmac = number_hmac
        self.counts: defaultdict[int, Counts] = defaultdict(Counts)  # by connection

    async def store(self, tx: Connection, smsc_id: int, arrived: Sequence[Arrived]) -> list[int]:
        """Put them into the inbox within the caller's transaction; returns the new ids there.

        The caller holds the connection's lock: its parts may come over several binds at a time.
        """
        whole: list[NewReply] = []
        parts: list[tuple[PartKey, Part]] = []
        for a in arrived:
            reply = _read(a.body)
            source, destination = _address(a.body.source_addr), _address(a.body.destination_addr)
            if reply.reference is None:
                whole.append(self._new(smsc_id, source, destination, reply, a))
            else:
                part = Part(reply.sequence, a.body.data_coding, reply.octets, reply.shift, a.session_id)
                parts.append((PartKey(source, destination, reply.reference, reply.total), part))
        if parts:
            whole += await self._join(tx, smsc_id, parts)
        return await self._store(tx, smsc_id, whole)

    async def sweep(self, db: Database, caused: Caused) -> list[int]:
        """Deliver long replies whose missing parts have had their time; returns the new ids in the inbox.

        caused: given those ids, in the transaction that made them. A connection's lock keeps the part that was
        missing from being joined at the same time.
        """
        stored: list[int] = []
        for smsc_id in await rows.overdue_connections(db, PARTS_WAIT_S):
            more = True
            while more:
                async with db.transaction(lock_of(smsc_id)) as tx:
                    overdue = await rows.overdue_parts(tx, smsc_id, PARTS_WAIT_S, _OVERDUE_PAGE)
                    now_stored = await self._store(tx, smsc_id, await self._give_up(tx, smsc_id, overdue))
                    await caused(tx, now_stored)
                stored += now_stored
                more = bool(overdue)
        await rows.forget_joined(db, PARTS_WAIT_S)
        waiting = await rows.parts_waiting(db)
        for smsc_id in waiting.keys() | self.counts.keys():
            self.counts[smsc_id].parts_waiting = waiting.get(smsc_id, 0)
        return stored

    async def _join(
        self, tx: Connection, smsc_id: int, parts: Sequence[tuple[PartKey, Part]]
    ) -> list[NewReply]:
        assemblies = await _load(tx, smsc_id, list(dict.fromkeys(key for key, _ in parts)))
        before = {key: _rows(key, assembly) for key, assembly in assemblies.items()}
        replies = []
        for key, part in parts:
            ready = assemblies[key].add(part)
            if ready:
                replies.append(self._joined(smsc_id, key, ready))
        await _save(tx, smsc_id, assemblies, before)
        return replies

    async def _give_up(self, tx: Connection, smsc_id: int, keys: Sequence[PartKey]) -> list[NewReply]:
        if not keys:
            return []
        assemblies = await _load(tx, smsc_id, keys)
        before = {key: _rows(key, assembly) for key, assembly in assemblies.items()}
        replies = [self._joined(smsc_id, key, assembly.give_up()) for key, assembly in assemblies.items()]
        await _save(tx, smsc_id, assemblies, before)
        return replies

    async def _store(self, tx: Connection, smsc_id: int, whole: Sequence[NewReply]) -> list[int]:
        if not whole:
            return []
        whole = await rows.meant(tx, whole)
        stored = await rows.store(tx, smsc_id, whole)
        await self._opt_out(tx, whole, stored)
        counts = self.counts[smsc_id]
        counts.stored += len(stored)
        counts.without_owner += sum(reply.account_id is None for reply in stored)
        return [reply.id for reply in stored]

    async def _opt_out(self, tx: Connection, arrived: Sequence[NewReply], stored: Sequence[Stored]) -> None:
        """Whoever asks for it is blocked by the account whose reply it is, in the very commit of the reply."""
        asking = {reply.id: reply.number for reply in arrived if only_word(reply.body) in OPT_OUT_WORDS}
        wishes = []
        for reply_id, account_id in stored if asking else ():
            number = asking.get(reply_id)
            if number and account_id is not None:
                wishes.append(blocks.OptOut(account_id, self._number_hmac(number), reply_id))
            elif number is not None:
                log.warning("opt_out_without_owner", reply=reply_id)
        if wishes:
            first = set(await blocks.opt_out(tx, wishes))
            for wish in wishes:
                log.info(
                    "opted_out",
                    account=wish.account_id,
                    reply=wish.inbox_id,
                    again=wish.inbox_id not in first,
                )

    def _joined(self, smsc_id: int, key: PartKey, parts: Sequence[Part]) -> NewReply:
        alphabet = self._alphabet(smsc_id)

        def read(octets: bytes, coding: int, shift: Shift) -> str:
            return decode(octets, coding, alphabet, shift)

        body_hash = _hash([*key, [part[:4] for part in parts]])
        session_id = max(part.session_id for part in parts)
        # A joined reply has no sequence number of its own; 0 is none that a peer could use.
        return self._make(
            key.source, key.destination, joined(parts, read), parts[0].data_coding, body_hash, session_id, 0
        )

    def _new(self, smsc_id: int, source: str, destination: str, reply: Reply, a: Arrived) -> NewReply:
        coding = a.body.data_coding
        text = storable(decode(reply.octets, coding, self._alphabet(smsc_id), reply.shift))
        return self._make(source, destination, text, coding, _hash(a.body), a.session_id, a.sequence_number)

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
        number = country.of_address(source)
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
            first_word(text),
            country.other_meaning(source),
        )


async def _load(tx: Connection, smsc_id: int, keys: Sequence[PartKey]) -> dict[PartKey, Assembly]:
    assemblies = {key: Assembly(key.total) for key in keys}
    for row in await rows.parts_of(tx, smsc_id, keys):
        assembly = assemblies[row.key]
        assembly.parts[row.sequence] = Part(
            row.sequence, row.data_coding, row.octets, Shift(row.locking, row.single), row.session_id
        )
        assembly.joined = row.joined
        if row.again:
            assembly.again.add(row.sequence)
    return assemblies


async def _save(
    tx: Connection,
    smsc_id: int,
    assemblies: dict[PartKey, Assembly],
    before: dict[PartKey, dict[int, PartRow]],
) -> None:
    """Write what has changed."""
    changed: list[PartRow] = []
    gone: list[PartRow] = []
    for key, assembly in assemblies.items():
        after = _rows(key, assembly)
        changed += [row for n, row in after.items() if row != before[key].get(n)]
        gone += [row for n, row in before[key].items() if n not in after]
    if gone:
        await rows.drop_parts(tx, smsc_id, gone)
    if changed:
        await rows.keep_parts(tx, smsc_id, changed)


def _rows(key: PartKey, assembly: Assembly) -> dict[int, PartRow]:
    """By sequence."""
    return {
        n: PartRow(
            *key, n, part.data_coding, part.octets, *part.shift, part.session_id,
            assembly.joined, n in assembly.again,
        )
        for n, part in assembly.parts.items()
    }  # fmt: skip


def _hash(body: object) -> bytes:
    return hashlib.blake2b(msgspec.msgpack.encode(body), digest_size=16).digest()


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
