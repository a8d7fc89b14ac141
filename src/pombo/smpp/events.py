"""What a `Session` tells its owner."""

from typing import Any

import msgspec

from pombo.smpp.pdu import Bind, Body, Request


class Bound(msgspec.Struct):
    """Our bind was taken. `interface_version` is None where the SMSC does not say (SMPP 3.4 §5.3.2.25)."""

    system_id: bytes
    interface_version: int | None


class BindRefused(msgspec.Struct):
    """Our bind was not taken; Closed follows."""

    status: int


class BindRequested(msgspec.Struct):
    """Judge it, then `respond(sequence_number, body.response(system_id=...), status)`."""

    body: Bind
    sequence_number: int


class Requested(msgspec.Struct):
    """The peer asks. Answer with `respond` once the effect is stored, never if `body.response` is None."""

    body: Request
    sequence_number: int


class Answered(msgspec.Struct):
    """A request of ours has its response.

    `body` is None after a generic_nack or a response nobody can read; the status is then never 0.
    """

    token: Any
    body: Body | None
    status: int
    sequence_number: int


class Unanswered(msgspec.Struct):
    """No response in time, or the session ended first: what became of the request is not known."""

    token: Any
    sequence_number: int


class LateAnswer(msgspec.Struct):
    """The response to a request already reported as Unanswered."""

    token: Any
    body: Body | None
    status: int
    sequence_number: int


class Unbound(msgspec.Struct):
    """The peer ended the session; unbind_resp is queued and Closed follows."""


class Notice(msgspec.Struct):
    """Something to count or to log; the session deals with it. Holds no text and no password."""

    text: str
    command_id: int
    sequence_number: int
    status: int = 0


class Closed(msgspec.Struct):
    """Write what `outgoing()` still holds, close the socket, then call `lost()`. Nothing else will come."""

    reason: str


Event = (
    Bound
    | BindRefused
    | BindRequested
    | Requested
    | Answered
    | Unanswered
    | LateAnswer
    | Unbound
    | Notice
    | Closed
)
