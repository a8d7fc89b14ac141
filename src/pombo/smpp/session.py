"""One SMPP session without IO: octets and the time in, octets and events out, for both roles.

The owner's loop: feed `receive`, call `tick` at `deadline`, write `outgoing` after either, and after
requests and responses of its own. On Closed, or when the connection breaks: write `outgoing`, close, and
take from `lost` what was in flight. A peer's faults become events and answers; only our own misuse raises,
a LocalError.
"""

from typing import Any, Final

from pombo.smpp import tlv
from pombo.smpp.codec import HEADER, Malformed, decode_body, encode
from pombo.smpp.events import (
    Answered,
    BindRefused,
    BindRequested,
    Bound,
    Closed,
    Event,
    LateAnswer,
    Notice,
    Requested,
    Unanswered,
    Unbound,
)
from pombo.smpp.framing import MOST_OCTETS_BOUND, Framing
from pombo.smpp.pdu import (
    BODIES,
    RESPONSE_BIT,
    Bind,
    Body,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Request,
    Response,
    Unbind,
    UnbindResp,
)
from pombo.smpp.states import BOUND, BOUND_BY, SENDS, Role, State
from pombo.smpp.status import Status, status_name
from pombo.smpp.timers import NEVER, Due, Silence

LAST_SEQUENCE_NUMBER: Final = 0x7FFFFFFF  # SMPP 3.4 §5.1.4
LATE_REMEMBERED: Final = 10_000  # unanswered requests whose token a late response still finds
_LINK_COMMANDS: Final = frozenset({EnquireLink.command_id, Unbind.command_id, *BOUND_BY})


class LocalError(Exception):
    """We asked the session for something the protocol does not allow now. Nothing was sent."""


class StateError(LocalError):
    """This command is not ours to send in this state (SMPP 3.4 §2.3)."""


class WindowFullError(LocalError):
    """As many requests are in flight as the window holds."""


class Session:
    """
    window: requests of ours in flight at the most (binds and link commands do not count)
    bind_timeout_s: SMSC: a bind must have come by then
    bind_answer_s: ESME: the response to its bind must have come by then
    now: monotonic seconds, as in every method
    """

    def __init__(
        self,
        role: Role,
        *,
        now: float,
        window: int = 10,
        enquire_every_s: float = 30.0,
        enquire_answer_s: float = 10.0,
        response_timeout_s: float = 60.0,
        bind_timeout_s: float = 5.0,
        bind_answer_s: float = 30.0,
    ) -> None:
        self.role = role
        self.window = window
        self._enquire_answer_s = enquire_answer_s
        self._response_timeout_s = response_timeout_s
        self._bind_answer_s = bind_answer_s
        self._framing = Framing()
        self._silence = Silence(enquire_every_s, enquire_answer_s, now)
        self._queued: list[bytes] = []
        self._sequence_number = 0
        # sequence_number -> token, sent at, command_id of the response; oldest first
        self._in_flight: dict[int, tuple[Any, float, int]] = {}
        self._late: dict[int, tuple[Any, int]] = {}
        self._bind: tuple[int, Bind] | None = None  # sent and unanswered, or asked and not yet judged
        self._unbind_sequence: int | None = None
        # when OPEN or UNBINDING ends by itself
        self._stage_ends_at = now + bind_timeout_s if role is Role.SMSC else NEVER
        self._enter(State.OPEN)

    def _enter(self, state: State) -> None:
        self.state = state
        self._may_receive = SENDS[self.role.peer][state]
        self._may_send = SENDS[self.role][state] if state is not State.UNBINDING else frozenset()
        if state in BOUND:
            self._framing.most_octets = MOST_OCTETS_BOUND
            self._stage_ends_at = NEVER

    # What the owner asks for

    @property
    def in_flight(self) -> int:
        return len(self._in_flight)

    @property
    def room(self) -> int:
        """Requests the window has place for now; 0 unless bound."""
        return max(0, self.window - len(self._in_flight)) if self.state in BOUND else 0

    def request(self, body: Request, now: float, token: object = None) -> int:
        """Queues the request and returns its sequence_number; `token` comes back with the response.

        Raises StateError, WindowFullError, or EncodeError where a field cannot carry its value. Then nothing
        is sent and no place in the window is taken.
        """
        if body.command_id not in self._may_send:
            raise StateError(f"{self.role.value} cannot send {body.command} while {self.state.value}")
        response = body.response
        if response is None:  # outbind, alert_notification
            return self._queue(body)
        if isinstance(body, Bind):
            return self._request_bind(body, now)
        if isinstance(body, EnquireLink | Unbind):
            raise StateError(f"the session sends {body.command} itself")
        if len(self._in_flight) >= self.window:
            raise WindowFullError(f"{self.window} requests are in flight")
        sequence_number = self._queue(body)
        self._in_flight[sequence_number] = (token, now, response.command_id)
        return sequence_number

    def _request_bind(self, body: Bind, now: float) -> int:
        if self._bind:
            raise StateError("a bind is in flight")
        sequence_number = self._queue(body)
        self._bind = (sequence_number, body)
        self._stage_ends_at = now + self._bind_answer_s
        return sequence_number

    def respond(self, sequence_number: int, body: Response, status: int = 0) -> bool:
        """Queues the answer to a BindRequested or Requested; False when the session has ended meanwhile.

        Raises StateError for a bind taken with another bind's response, EncodeError as in `request`.
        """
        if self.state is State.CLOSED:
            return False
        octets = encode(body, sequence_number, status)
        if self._bind and self.role is Role.SMSC and self._bind[0] == sequence_number:
            self._judge_bind(self._bind[1], body, status)
        self._queued.append(octets)
        return True

    def _judge_bind(self, asked: Bind, body: Response, status: int) -> None:
        if status == 0 and not isinstance(body, asked.response):
            raise StateError(f"{asked.command} is not answered with {body.command}")
        self._bind = None
        if status == 0:
            self._enter(BOUND_BY[asked.command_id])

    def unbind(self, now: float) -> bool:
        """Ends the session politely; Closed comes, answered or not. False: not bound, just close."""
        if self.state not in BOUND:
            return False
        self._unbind_sequence = self._queue(Unbind())
        self._stage_ends_at = now + self._enquire_answer_s
        self._enter(State.UNBINDING)
        return True

    def outgoing(self) -> bytes:
        """All octets queued since the last call, for one write."""
        octets = b"".join(self._queued)
        self._queued.clear()
        return octets

    def lost(self) -> list[Event]:
        """The connection is gone: every request in flight comes back as Unanswered."""
        self._enter(State.CLOSED)
        self._queued.clear()
        events: list[Event] = [Unanswered(token, number) for number, (token, _, _) in self._in_flight.items()]
        self._in_flight.clear()
        return events

    def _queue(self, body: Body) -> int:
        number = self._sequence_number
        while True:
            number = number + 1 if number < LAST_SEQUENCE_NUMBER else 1
            if number not in self._in_flight and number not in self._late:
                break
        self._queued.append(encode(body, number))
        self._sequence_number = number
        return number

    # Time

    def deadline(self) -> float:
        """When `tick` wants to be called next; infinity when closed."""
        if self.state is State.CLOSED:
            return NEVER
        deadline = self._stage_deadline()
        if self._in_flight:
            _, sent_at, _ = next(iter(self._in_flight.values()))
            deadline = min(deadline, sent_at + self._response_timeout_s)
        if self.state in BOUND:
            deadline = min(deadline, self._silence.deadline())
        return deadline

    def tick(self, now: float) -> list[Event]:
        events: list[Event] = []
        if self.state is State.CLOSED:
            return events
        self._give_up(now, events)
        if now >= self._stage_deadline():
            self._close(self._overdue(), events)
        elif self.state in BOUND:
            due = self._silence.due(now)
            if due is Due.ASK:
                self._queue(EnquireLink())
            elif due is Due.DEAD:
                self._close("two enquire_links without a sign of life", events)
        return events

    def _stage_deadline(self) -> float:
        """A bind the owner is judging is not late."""
        return NEVER if self._bind and self.role is Role.SMSC else self._stage_ends_at

    def _overdue(self) -> str:
        if self.state is State.UNBINDING:
            return "the unbind was not answered in time"
        return "no bind came in time" if self.role is Role.SMSC else "the bind was not answered in time"

    def _give_up(self, now: float, events: list[Event]) -> None:
        """Requests without an answer in time leave the window. Sent in order, they expire in order."""
        while self._in_flight:
            number, (token, sent_at, response_id) = next(iter(self._in_flight.items()))
            if now < sent_at + self._response_timeout_s:
                break
            del self._in_flight[number]
            if len(self._late) >= LATE_REMEMBERED:
                del self._late[next(iter(self._late))]
            self._late[number] = (token, response_id)
            events.append(Unanswered(token, number))

    def _close(self, reason: str, events: list[Event]) -> None:
        self._enter(State.CLOSED)
        events.append(Closed(reason))

    # Octets from the peer

    def receive(self, octets: bytes, now: float) -> list[Event]:
        """Takes octets in any pieces. After Closed nothing more is read."""
        events: list[Event] = []
        if self.state is State.CLOSED:
            return events
        heard = False
        for pdu in self._framing.feed(octets):
            heard = True
            _, command_id, status, sequence_number = HEADER.unpack_from(pdu)
            if command_id & RESPONSE_BIT:
                self._take_response(pdu, command_id, status, sequence_number, events)
            else:
                self._take_request(pdu, command_id, sequence_number, events)
            if events and isinstance(events[-1], Closed):
                return events
        if heard:
            self._silence.heard(now)
        if self._framing.lost:
            # SMPP 3.4 §4.3: the sequence_number cannot be decoded, so it is NULL
            self._queued.append(encode(GenericNack(), 0, Status.ESME_RINVCMDLEN))
            self._close(self._framing.lost, events)
        return events

    def _take_response(
        self, pdu: bytes, command_id: int, status: int, number: int, events: list[Event]
    ) -> None:
        in_flight = self._in_flight.get(number)
        if in_flight and in_flight[2] == command_id:
            del self._in_flight[number]
            body = decode_body(command_id, status, pdu)
            if isinstance(body, Malformed):
                events.append(Notice(body.reason, command_id, number, status))
                events.append(Answered(in_flight[0], None, status or body.status, number))
            else:
                events.append(Answered(in_flight[0], body, status, number))
        elif command_id == GenericNack.command_id:
            self._take_nack(status or Status.ESME_RUNKNOWNERR, number, events)
        elif self._bind and self.role is Role.ESME and number == self._bind[0]:
            self._take_bind_response(pdu, command_id, status, events)
        elif command_id == UnbindResp.command_id and number == self._unbind_sequence:
            self._close("unbound", events)
        elif number in self._late and self._late[number][1] == command_id:
            token, _ = self._late.pop(number)
            body = decode_body(command_id, status, pdu)
            if isinstance(body, Malformed):
                events.append(LateAnswer(token, None, status or body.status, number))
            else:
                events.append(LateAnswer(token, body, status, number))
        elif command_id != EnquireLinkResp.command_id:  # that one has done its work by coming
            events.append(Notice("a response nobody waits for", command_id, number, status))

    def _take_bind_response(self, pdu: bytes, command_id: int, status: int, events: list[Event]) -> None:
        assert self._bind
        _, asked = self._bind
        body = decode_body(command_id, status, pdu)
        if not isinstance(body, asked.response):
            events.append(Notice("a response nobody waits for", command_id, self._bind[0], status))
            return
        self._bind = None
        if status:
            self._refuse_bind(status, events)
        else:
            self._enter(BOUND_BY[asked.command_id])
            events.append(Bound(body.system_id, tlv.sc_interface_version(body)))

    def _refuse_bind(self, status: int, events: list[Event]) -> None:
        events.append(BindRefused(status))
        self._close(f"bind refused: {status_name(status)}", events)

    def _take_nack(self, status: int, number: int, events: list[Event]) -> None:
        """The peer did not know what to do with a PDU of ours (SMPP 3.4 §4.3)."""
        in_flight = self._in_flight.pop(number, None)
        late = self._late.pop(number, None)
        if in_flight:
            events.append(Answered(in_flight[0], None, status, number))
        elif late:
            events.append(LateAnswer(late[0], None, status, number))
        elif self._bind and self.role is Role.ESME and number == self._bind[0]:
            self._refuse_bind(status, events)
        elif number == self._unbind_sequence:
            self._close("unbound", events)
        else:
            events.append(Notice("generic_nack", GenericNack.command_id, number, status))

    def _take_request(self, pdu: bytes, command_id: int, number: int, events: list[Event]) -> None:
        if command_id not in self._may_receive:
            self._refuse_command(command_id, number, events)
            return
        body = decode_body(command_id, 0, pdu)
        if isinstance(body, Malformed):
            self._refuse(command_id, body.status, body.reason, number, events)
        elif command_id in _LINK_COMMANDS:
            self._take_link_command(body, number, events)
        else:
            assert isinstance(body, Request)
            events.append(Requested(body, number))

    def _take_link_command(self, body: Body, number: int, events: list[Event]) -> None:
        if isinstance(body, EnquireLink):
            self._queued.append(encode(EnquireLinkResp(), number))
        elif isinstance(body, Unbind):
            self._queued.append(encode(UnbindResp(), number))
            events.append(Unbound())
            self._close("unbound by the peer", events)
        elif isinstance(body, Bind) and self._bind is None:
            self._bind = (number, body)
            events.append(BindRequested(body, number))
        else:
            self._refuse(body.command_id, Status.ESME_RALYBND, "a bind is being judged", number, events)

    def _refuse_command(self, command_id: int, number: int, events: list[Event]) -> None:
        """A command that does not exist, or not in this state."""
        cls = BODIES.get(command_id)
        if cls is None:
            self._refuse(command_id, Status.ESME_RINVCMDID, "unknown command", number, events)
            return
        bound_twice = issubclass(cls, Bind) and self.state in BOUND
        status = Status.ESME_RALYBND if bound_twice else Status.ESME_RINVBNDSTS
        self._refuse(command_id, status, f"{cls.command} while {self.state.value}", number, events)

    def _refuse(self, command_id: int, status: Status, reason: str, number: int, events: list[Event]) -> None:
        """Answers a request the owner will not see, in its own response where it has one."""
        cls = BODIES.get(command_id)
        response = cls.response if cls and issubclass(cls, Request) else None
        self._queued.append(encode(response() if response else GenericNack(), number, status))
        events.append(Notice(reason, command_id, number, status))
