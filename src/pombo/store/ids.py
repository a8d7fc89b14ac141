"""64-bit ids in order of time: 41 bits of milliseconds since 2025, 8 of node, 14 of sequence.

They sort by time across nodes, so that tables can be partitioned by range of id. They are not in commit order:
nothing pages by `id >`.
"""

from datetime import datetime

EPOCH_MS = 1_735_689_600_000  # 2025-01-01T00:00:00Z
_NODE_BITS, _SEQUENCE_BITS = 8, 14
# The low bits of the sequence go on counting from one millisecond to the next: neighbours differ in them, which is
# what tells long messages to one handset apart. The upper one is the room that each millisecond has at least.
_COUNTING = (1 << (_SEQUENCE_BITS - 1)) - 1
ID_BITS_BELOW_MS = _NODE_BITS + _SEQUENCE_BITS


def lowest_at(at: datetime) -> int:
    """The lowest id of this millisecond; 0 for a time before the first one. Clocks differ: leave room around it."""
    return max(0, int(at.timestamp() * 1000) - EPOCH_MS) << ID_BITS_BELOW_MS


class Ids:
    def __init__(self, node: int, floor: int = 0) -> None:
        """floor: the highest id known; later ones are above it, also when the clock has stepped back."""
        self._node = node << _SEQUENCE_BITS
        self._ms = floor >> ID_BITS_BELOW_MS
        # A whole millisecond is left out after the floor: its ids may be another node's.
        self._sequence = (1 << _SEQUENCE_BITS) - 1

    def renumber(self, node: int) -> None:
        """This node was given another number."""
        self._node = node << _SEQUENCE_BITS

    def take(self, count: int, now_s: float) -> list[int]:
        """The next `count` ids. now_s: wall clock, seconds since 1970."""
        ms = int(now_s * 1000) - EPOCH_MS
        if ms > self._ms:
            self._ms, self._sequence = ms, self._sequence & _COUNTING
        ids = []
        for _ in range(count):
            self._sequence += 1
            if self._sequence >> _SEQUENCE_BITS:
                self._ms, self._sequence = (
                    self._ms + 1,
                    0,
                )  # borrow the next millisecond rather than wait for it
            ids.append(self._ms << ID_BITS_BELOW_MS | self._node | self._sequence)
        return ids
