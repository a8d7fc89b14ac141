"""The link's timers (SMPP 3.4 §7.2). Time is an argument: monotonic seconds."""

from enum import Enum
from typing import Final

NEVER: Final = float("inf")


class Due(Enum):
    NOTHING = "nothing"
    ASK = "ask"  # send an enquire_link
    DEAD = "dead"  # two enquire_links went by without a sign of life


class Silence:
    """enquire_link_timer: asks when the peer has been silent, and gives up after two unanswered questions.

    Any whole PDU is a sign of life, not only enquire_link_resp: a peer busy delivering is not dead.
    """

    MISSES: Final = 2

    def __init__(self, every_s: float, answer_s: float, now: float) -> None:
        self._every_s = every_s
        self._answer_s = answer_s
        self._asked = 0
        self._due_at = now + every_s

    def heard(self, now: float) -> None:
        self._asked = 0
        self._due_at = now + self._every_s

    def deadline(self) -> float:
        return self._due_at

    def due(self, now: float) -> Due:
        if now < self._due_at:
            return Due.NOTHING
        if self._asked == self.MISSES:
            return Due.DEAD
        self._asked += 1
        self._due_at = now + self._answer_s
        return Due.ASK
