"""The states of a campaign. Stored as a number in `campaign.state`."""

from enum import IntEnum


class State(IntEnum):
    DRAFT = 0  # its columns and its message are being chosen
    CHECKING = 1  # each row is judged, to show what would be sent and what not
    CHECKED = 2  # nothing is sent before somebody confirms it
    RUNNING = 3  # rows become messages, from `start_at` on
    PAUSED = 4
    CANCELLING = 5  # its rows are left alone; what waits in the queue is taken back, where that was asked for
    DONE = 6  # every row has become a message or was refused
    CANCELLED = 7


DRAFTS = frozenset({State.DRAFT, State.CHECKING, State.CHECKED})
AT_WORK = frozenset({State.CHECKING, State.RUNNING, State.CANCELLING})  # a process looks after them
OVER = frozenset({State.DONE, State.CANCELLED})
