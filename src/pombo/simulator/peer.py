"""One TCP connection of the simulated operator."""

import asyncio
from typing import TYPE_CHECKING, Any, Final, cast

from pombo.simulator.esme import Delivery, Esme
from pombo.smpp.events import Answered, BindRequested, Closed, Event, LateAnswer, Requested, Unanswered
from pombo.smpp.pdu import Response
from pombo.smpp.session import Session
from pombo.smpp.states import State

if TYPE_CHECKING:
    from pombo.simulator.smsc import Operator

_RECEIVING: Final = (State.BOUND_RX, State.BOUND_TRX)


class Peer(asyncio.Protocol):
    """Carries octets between the socket and the session, and events to the operator."""

    def __init__(self, operator: "Operator", session: Session) -> None:
        self.session = session
        self.esme: Esme | None = None
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._operator = operator
        self._transport: asyncio.Transport | None = None

    @property
    def receives(self) -> bool:
        return self.session.state in _RECEIVING

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._operator.joined(self)

    def data_received(self, data: bytes) -> None:
        self._take(self.session.receive(data, self._operator.now()))
        self._operator.has_output(self)  # also without an event: the session answers enquire_link itself
        self._operator.send()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._take(self.session.lost())
        self._operator.left(self)
        if not self.gone.done():
            self.gone.set_result(None)

    # A peer that sends and never reads is not read from either: what we owe it stays bounded.

    def pause_writing(self) -> None:
        if self._transport:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport:
            self._transport.resume_reading()

    def tick(self, now: float) -> None:
        if now >= self.session.deadline():
            self._take(self.session.tick(now))
            self.flush()

    def respond(self, sequence_number: int, body: Response, status: int) -> None:
        self.session.respond(sequence_number, body, status)
        self._operator.has_output(self)

    def unbind(self, now: float) -> None:
        """Politely where it is bound; else the connection just ends."""
        bound = self.session.unbind(now)
        self.flush()
        if not bound:
            self.close()

    def close(self) -> None:
        if self._transport:
            self._transport.close()

    def abort(self) -> None:
        if self._transport:
            self._transport.abort()

    def flush(self) -> None:
        octets = self.session.outgoing()
        if octets and self._transport and not self._transport.is_closing():
            self._transport.write(octets)

    def _take(self, events: list[Event]) -> None:
        for event in events:
            self._take_event(event)

    def _take_event(self, event: Any) -> None:
        match event:
            case Requested():
                self._operator.asked(self, event.body, event.sequence_number)
            case Answered():
                self._answered(event.token, event.status)
            case LateAnswer(status=0):
                event.token.take()
            case Unanswered():
                self._operator.untaken(self, event.token)
            case BindRequested():
                self._operator.judge_bind(self, event.body, event.sequence_number)
            case Closed():
                self.flush()
                self.close()

    def _answered(self, delivery: Delivery, status: int) -> None:
        if status == 0:
            delivery.take()
            self._operator.has_room(self)
        else:
            self._operator.refused(self, delivery)
