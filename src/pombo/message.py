"""The states of a message and the one table of moves between them.

The database holds the same numbers (`store/migrations`); `tests/test_shape.py` holds the two together.
"""

from enum import IntEnum


class State(IntEnum):
    """Where a message stands. Stored as a number in `message.state`."""

    WAITING = 0  # in our queue, or being written to the operator
    SUBMITTED = 1  # taken by the operator (at least one part), no final receipt yet
    UNCERTAIN = 2  # written to the operator, no answer: held for a person or a receipt
    DELIVERED = 3
    UNDELIVERED = 4  # the operator says undeliverable, expired or deleted
    EXPIRED = 5  # its validity ended in our own queue
    REJECTED = 6  # refused by the operator
    CANCELLED = 7  # taken back before it was sent, or discarded by a person


FINAL = frozenset({State.DELIVERED, State.UNDELIVERED, State.EXPIRED, State.REJECTED, State.CANCELLED})

# A receipt may come before the response to its submit, or settle an attempt whose fate was not known:
# so WAITING and UNCERTAIN may end directly. Final states have no way out.
MOVES: dict[State, frozenset[State]] = {
    State.WAITING: frozenset({State.SUBMITTED, State.UNCERTAIN}) | FINAL,
    State.SUBMITTED: frozenset({State.UNCERTAIN}) | FINAL - {State.CANCELLED},
    State.UNCERTAIN: frozenset({State.WAITING, State.SUBMITTED}) | FINAL,
    State.DELIVERED: frozenset(),
    State.UNDELIVERED: frozenset(),
    State.EXPIRED: frozenset(),
    State.REJECTED: frozenset(),
    State.CANCELLED: frozenset(),
}

# The number that customers see in `dlr.php` and in DLR callbacks.
LEGACY_STATUS: dict[State, str] = {
    State.WAITING: "0",
    State.SUBMITTED: "1",
    State.UNCERTAIN: "1",
    State.DELIVERED: "2",
    State.UNDELIVERED: "3",
    State.EXPIRED: "3",
    State.REJECTED: "4",
    State.CANCELLED: "4",
}


class MessageClass(IntEnum):
    """What is claimed first. Stored in `queue.class`, `message.class` and `account.class`."""

    OTP = 0
    TRANSACTIONAL = 1
    MARKETING = 2


class QueueState(IntEnum):
    """Where a row of `queue` stands. A message leaves the queue when nothing of it is left to submit."""

    WAITING = 0
    WRITING = 1  # claimed by a bind session; committed before its octets go out (invariant 3)
    HELD = 2  # fate not known under the policy `hold`, or stopped by a person


class AttemptState(IntEnum):
    """Where one attempt at one part stands. Stored in `attempt.state`."""

    UNCERTAIN = 0  # written, never answered
    TAKEN = 1  # the operator answered with its id
    DELIVERED = 2
    FAILED = 3  # a receipt says it will not be delivered
    REFUSED = 4  # the operator answered with an error


class CallbackKind(IntEnum):
    DLR = 1
    MO = 2


class CallbackState(IntEnum):
    DUE = 0
    CONFIRMED = 1
    PARKED = 2  # tried for 24 h; kept, and can be replayed
