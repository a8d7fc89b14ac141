"""The simulated operator: an SMSC on a port of its own, that behaves as its script says."""

import asyncio
import time
from collections import OrderedDict
from functools import partial
from itertools import count
from random import Random
from typing import Final

from pombo.simulator.bubbles import Bubble, Handsets, number_of
from pombo.simulator.esme import Delivery, Esme
from pombo.simulator.messages import (
    ENROUTE,
    MESSAGE_STATES,
    Message,
    absolute_time,
    content,
    receipt,
    text_begin,
)
from pombo.simulator.peer import Peer
from pombo.simulator.script import DELIVERED, Script, judge
from pombo.simulator.timetable import Timetable
from pombo.smpp.pdu import (
    Bind,
    CancelSm,
    DataSm,
    DataSmResp,
    DeliverSm,
    GenericNack,
    QuerySm,
    QuerySmResp,
    Request,
    Response,
    SubmitSm,
    SubmitSmResp,
)
from pombo.smpp.session import Session
from pombo.smpp.states import Role
from pombo.smpp.status import Status
from pombo.text import outgoing

SYSTEM_ID: Final = b"pombo-sim"
MOST_UNSETTLED: Final = 500_000  # messages on their way; more are answered ESME_RMSGQFUL
MOST_ESMES: Final = 1000  # different system_ids
MESSAGES_KEPT: Final = 20_000  # the newest, for query_sm and cancel_sm
RETRY_S: Final = 2.0  # until a delivery that was refused is sent again
_SWEEP_S: Final = 0.5  # how often the sessions' timers are looked at
_STOP_S: Final = 2.0  # that the peers have for their unbind_resp


class Operator:
    """
    port: 0 takes a free one; `start` returns it
    script: may be replaced at any time: `operator.script = Script(refused=0.1)`
    system_id, password: the only ones that may bind; empty takes any
    alphabet: what data_coding 0 means here: gsm, latin1 or ascii
    window: deliver_sm in flight on one session
    answer_timeout_s: after which a deliver_sm without its response is sent again
    seed: makes chance repeatable
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        script: Script | None = None,
        system_id: str = "",
        password: str = "",
        alphabet: str = "gsm",
        window: int = 100,
        answer_timeout_s: float = 30.0,
        seed: int | None = None,
    ) -> None:
        self.script = script or Script()
        self.handsets = Handsets()
        self._host = host
        self._port = port
        self._system_id = system_id.encode()
        self._password = password.encode()
        self._alphabet = alphabet
        self._window = window
        self._answer_timeout_s = answer_timeout_s
        self._dice = Random(seed)  # noqa: S311 (chance, not a secret)
        self._timetable = Timetable(self.send)
        self._server: asyncio.Server | None = None
        self._peers: set[Peer] = set()
        self._esmes: dict[bytes, Esme] = {}
        self._messages: OrderedDict[bytes, Message] = OrderedDict()
        # Ids go on where an earlier run cannot have been: a gateway keeps them for days.
        self._ids = count(time.time_ns() // 1000)
        self._reply_ids = count(1)
        self._outputs: set[Peer] = set()
        self._to_pump: set[Esme] = set()

    async def start(self) -> int:
        """Listens, and returns the port. Raises OSError when it is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._peer, self._host, self._port)
        self._timetable.after(_SWEEP_S, self._sweep, None)
        self._port = int(self._server.sockets[0].getsockname()[1])
        return self._port

    async def stop(self) -> None:
        """Unbinds the peers and closes. What was not settled or taken is forgotten."""
        if self._server is None:
            return
        self._server.close()
        self._timetable.clear()
        peers = list(self._peers)
        for peer in peers:
            peer.unbind(self.now())
        if peers:
            _, late = await asyncio.wait([peer.gone for peer in peers], timeout=_STOP_S)
            if late:
                for peer in list(self._peers):
                    peer.abort()
                await asyncio.wait(late, timeout=_STOP_S)
        await self._server.wait_closed()
        self._server = None

    def reply(self, number: str, text: str, to: str | None = None) -> None:
        """Sends a text from a handset, kept until its receiver has acknowledged it.

        to: the short code; by default the one that wrote to the handset last. LookupError when there is none,
        or nobody whose it could be. ValueError for a text of more than 255 parts.
        """
        number = number_of(number)
        newest = next(reversed(self.handsets.bubbles(number, to)), None)
        short_code = to or (newest.short_code if newest else None)
        esme = self._esmes.get(newest.owner) if newest else None
        esme = esme or next(reversed(self._esmes.values()), None)
        if short_code is None or esme is None:
            raise LookupError(f"nobody has written to {number} yet")
        reply_id = next(self._reply_ids)
        prepared = outgoing.prepare(text, "auto")
        segments = outgoing.segments(prepared.sent, prepared.ucs2, self._alphabet, reply_id)
        bubble = Bubble(f"r{reply_id}", number, short_code, "mo", time.time(), esme.system_id, len(segments))
        bubble.text = prepared.sent
        self.handsets.show(bubble)
        international = number.isdigit()
        for sequence, segment in enumerate(segments, start=1):
            body = DeliverSm(
                source_addr_ton=1 if international else 0,
                source_addr_npi=1 if international else 0,
                source_addr=number.encode("latin-1", "replace"),
                destination_addr=short_code.encode("latin-1", "replace"),
                esm_class=segment.esm_class,
                data_coding=segment.data_coding,
                short_message=segment.octets,
            )
            esme.keep(Delivery(body, partial(self._settle_part, bubble, sequence)))
        self._to_pump.add(esme)
        self.send()

    # What a peer calls

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def joined(self, peer: Peer) -> None:
        self._peers.add(peer)

    def left(self, peer: Peer) -> None:
        self._peers.discard(peer)
        self._outputs.discard(peer)
        esme = peer.esme
        if esme is None:
            return
        esme.sessions.remove(peer)
        self._to_pump.add(esme)
        self.send()
        if esme.idle:
            self._forget_idle()

    def has_output(self, peer: Peer) -> None:
        self._outputs.add(peer)

    def has_room(self, peer: Peer) -> None:
        if peer.esme and peer.esme.waiting:
            self._to_pump.add(peer.esme)

    def send(self) -> None:
        """Fills the windows that have room, and writes what there is: once after each batch of events."""
        if self._to_pump:
            now = self.now()
            for esme in self._to_pump:
                self._outputs.update(esme.pump(now))
            self._to_pump.clear()
        while self._outputs:
            self._outputs.pop().flush()

    def judge_bind(self, peer: Peer, body: Bind, sequence_number: int) -> None:
        status = self._bind_status(body)
        peer.respond(sequence_number, body.response(system_id=SYSTEM_ID), status)
        if status == 0:
            peer.esme = esme = self._esme(body.system_id)
            esme.sessions.append(peer)
            self._to_pump.add(esme)

    def asked(self, peer: Peer, body: Request, sequence_number: int) -> None:
        """One request of a bound session, answered now or, as the script wants it, later."""
        response: Response
        match body:
            case SubmitSm():
                status, message_id = self._submit(peer, body)
                response = SubmitSmResp() if status else SubmitSmResp(message_id)
            case DataSm():
                status, message_id = self._submit(peer, body)
                response = DataSmResp() if status else DataSmResp(message_id)
            case QuerySm():
                status, response = self._query(peer, body)
            case CancelSm():
                status, response = self._cancel(peer, body), body.response()
            case _:
                refused = body.response or GenericNack
                status, response = Status.ESME_RINVCMDID, refused()
        delay_s = self.script.response_delay_s
        if delay_s > 0:
            self._timetable.after(delay_s, self._respond, (peer, sequence_number, response, status))
        else:
            peer.respond(sequence_number, response, status)

    def untaken(self, peer: Peer, delivery: Delivery) -> None:
        """No answer, or none any more: it goes out again, before the others."""
        if peer.esme:
            peer.esme.keep(delivery, first=True)
            self._to_pump.add(peer.esme)

    def refused(self, peer: Peer, delivery: Delivery) -> None:
        if peer.esme:
            self._timetable.after(RETRY_S, self._keep_again, (peer.esme.system_id, delivery))
        self.has_room(peer)

    # Inside

    def _peer(self) -> Peer:
        session = Session(
            Role.SMSC, now=self.now(), window=self._window, response_timeout_s=self._answer_timeout_s
        )
        return Peer(self, session)

    def _esme(self, system_id: bytes) -> Esme:
        esme = self._esmes.get(system_id)
        if esme is None:
            esme = self._esmes[system_id] = Esme(system_id)
        return esme

    def _bind_status(self, body: Bind) -> int:
        if self._system_id and body.system_id != self._system_id:
            return Status.ESME_RINVSYSID
        if self._password and body.password != self._password:
            return Status.ESME_RINVPASWD
        if body.system_id not in self._esmes and len(self._esmes) >= MOST_ESMES:
            return Status.ESME_RBINDFAIL
        return Status.ESME_ROK

    def _submit(self, peer: Peer, body: SubmitSm | DataSm) -> tuple[int, bytes]:
        """(command_status, message_id)"""
        assert peer.esme
        script = self.script
        if not body.destination_addr:
            return Status.ESME_RINVDSTADR, b""
        if not peer.esme.within(script.most_per_s, self.now()):
            return Status.ESME_RTHROTTLED, b""
        if len(self._timetable) >= MOST_UNSETTLED:
            return Status.ESME_RMSGQFUL, b""
        verdict = judge(script, body.destination_addr, self._dice)
        if verdict.status:
            return verdict.status, b""
        message = self._message(peer.esme.system_id, body, verdict.stat)
        self._messages[message.message_id] = message
        if len(self._messages) > MESSAGES_KEPT:
            self._messages.popitem(last=False)
        if verdict.stat is not None:
            self._timetable.after(verdict.receipt_delay_s, self._settle, message)
        return Status.ESME_ROK, message.message_id

    def _message(self, system_id: bytes, body: SubmitSm | DataSm, stat: str | None) -> Message:
        number = next(self._ids)
        message_id = _written(number, self.script.id_form)
        part, place = content(body)
        at = time.time()
        bubble = Bubble(
            message_id.decode(),
            number_of(body.destination_addr.decode("latin-1").removeprefix("+")),
            body.source_addr.decode("latin-1"),
            "mt",
            at,
            system_id,
        )
        bubble.alphabet = self._alphabet
        return Message(
            number=number,
            message_id=message_id,
            system_id=system_id,
            source_addr=body.source_addr,
            source_addr_ton=body.source_addr_ton,
            source_addr_npi=body.source_addr_npi,
            destination_addr=body.destination_addr,
            dest_addr_ton=body.dest_addr_ton,
            dest_addr_npi=body.dest_addr_npi,
            registered_delivery=body.registered_delivery,
            text=text_begin(part),
            submitted_at=at,
            bubble=self.handsets.arrived(bubble, part, place),
            sequence=place.sequence if place else 1,
            stat=stat,
        )

    def _settle(self, message: Message) -> None:
        """The message has reached its end; its receipt goes out, where one is wanted."""
        stat = message.stat
        if message.done_at or stat is None:  # cancelled meanwhile
            return
        message.done_at = time.time()
        if stat == DELIVERED:
            self._settle_part(message.bubble, message.sequence)
        else:
            message.bubble.failure = message.bubble.failure or stat
            self.handsets.change(message.bubble)
        if not message.wants_receipt:
            return
        form = self.script.receipt_id_form
        receipt_id = message.message_id if form == "same" else _written(message.number, form)
        esme = self._esme(message.system_id)
        esme.keep(Delivery(receipt(message, receipt_id, stat, message.done_at)))
        self._to_pump.add(esme)

    def _settle_part(self, bubble: Bubble, sequence: int) -> None:
        bubble.settle(sequence)
        self.handsets.change(bubble)

    def _query(self, peer: Peer, body: QuerySm) -> tuple[int, QuerySmResp]:
        message = self._own(peer, body.message_id)
        if message is None:
            return Status.ESME_RQUERYFAIL, QuerySmResp(body.message_id)
        final_date = absolute_time(message.done_at) if message.done_at else b""
        error_code = 0 if message.state in (ENROUTE, MESSAGE_STATES[DELIVERED]) else 1
        return Status.ESME_ROK, QuerySmResp(body.message_id, final_date, message.state, error_code)

    def _cancel(self, peer: Peer, body: CancelSm) -> int:
        message = self._own(peer, body.message_id)
        if message is None or message.done_at:
            return Status.ESME_RCANCELFAIL
        message.stat = "DELETED"
        self._settle(message)
        return Status.ESME_ROK

    def _own(self, peer: Peer, message_id: bytes) -> Message | None:
        message = self._messages.get(message_id)
        return message if message and peer.esme and message.system_id == peer.esme.system_id else None

    def _respond(self, later: tuple[Peer, int, Response, int]) -> None:
        peer, sequence_number, response, status = later
        peer.respond(sequence_number, response, status)

    def _keep_again(self, later: tuple[bytes, Delivery]) -> None:
        system_id, delivery = later
        esme = self._esme(system_id)
        esme.keep(delivery, first=True)
        self._to_pump.add(esme)

    def _sweep(self, nothing: None) -> None:
        now = self.now()
        for peer in list(self._peers):
            peer.tick(now)
        self._timetable.after(_SWEEP_S, self._sweep, None)

    def _forget_idle(self) -> None:
        """Only as far as it must be: an idle one still is whom a handset answers."""
        excess = len(self._esmes) - MOST_ESMES // 2
        for system_id in [s for s, esme in self._esmes.items() if esme.idle][: max(excess, 0)]:
            del self._esmes[system_id]


def _written(number: int, form: str) -> bytes:
    return b"%X" % number if form == "hex" else b"%d" % number
