"""Who may send what, and when: the table of SMPP 3.4 §2.3, for requests. Responses go by their request."""

from enum import Enum
from typing import Final

from pombo.smpp.pdu import (
    AlertNotification,
    BindReceiver,
    BindTransceiver,
    BindTransmitter,
    Body,
    CancelSm,
    DataSm,
    DeliverSm,
    EnquireLink,
    Outbind,
    QuerySm,
    ReplaceSm,
    SubmitMulti,
    SubmitSm,
    Unbind,
)


class Role(Enum):
    ESME = "esme"
    SMSC = "smsc"

    @property
    def peer(self) -> "Role":
        return Role.SMSC if self is Role.ESME else Role.ESME


class State(Enum):
    """SMPP 3.4 §2.2. UNBINDING: our unbind is out, responses still come, nothing new is sent."""

    OPEN = "open"
    BOUND_TX = "bound_tx"
    BOUND_RX = "bound_rx"
    BOUND_TRX = "bound_trx"
    UNBINDING = "unbinding"
    CLOSED = "closed"


BOUND: Final = frozenset({State.BOUND_TX, State.BOUND_RX, State.BOUND_TRX})

BOUND_BY: Final = {
    BindTransmitter.command_id: State.BOUND_TX,
    BindReceiver.command_id: State.BOUND_RX,
    BindTransceiver.command_id: State.BOUND_TRX,
}

_LINK: Final = (EnquireLink, Unbind)
_SUBMITTING: Final = (SubmitSm, SubmitMulti, DataSm, QuerySm, CancelSm, ReplaceSm)
_DELIVERING: Final = (DeliverSm, DataSm, AlertNotification)


def _ids(*bodies: type[Body]) -> frozenset[int]:
    return frozenset(body.command_id for body in bodies)


# What each role may send in each state. In UNBINDING it is what may still come from the other side, which
# had not seen our unbind. enquire_link before the bind is allowed since SMPP 5.0, and met in the wild.
SENDS: Final[dict[Role, dict[State, frozenset[int]]]] = {
    Role.ESME: {
        State.OPEN: _ids(BindTransmitter, BindReceiver, BindTransceiver, EnquireLink),
        State.BOUND_TX: _ids(*_SUBMITTING, *_LINK),
        State.BOUND_RX: _ids(*_LINK),
        State.BOUND_TRX: _ids(*_SUBMITTING, *_LINK),
        State.UNBINDING: _ids(*_SUBMITTING, *_LINK),
        State.CLOSED: _ids(),
    },
    Role.SMSC: {
        State.OPEN: _ids(Outbind, EnquireLink),
        State.BOUND_TX: _ids(*_LINK),
        State.BOUND_RX: _ids(*_DELIVERING, *_LINK),
        State.BOUND_TRX: _ids(*_DELIVERING, *_LINK),
        State.UNBINDING: _ids(*_DELIVERING, *_LINK),
        State.CLOSED: _ids(),
    },
}
