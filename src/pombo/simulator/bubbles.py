"""What stands on the handsets' screens: bubbles per number, bounded."""

import time
from collections import OrderedDict, deque
from itertools import groupby
from typing import Final, Literal, NamedTuple

from pombo import number as numbers
from pombo.text import incoming

NUMBERS_KEPT: Final = 1000  # the ones that were quiet longest are dropped
BUBBLES_KEPT: Final = 100  # of each number, the newest
JOINING_KEPT: Final = 1000  # long messages of which parts are missing
JOINING_S: Final = 60.0  # parts that come later than this begin a message of their own

Direction = Literal["mt", "mo"]  # to the handset, from the handset


class Part(NamedTuple):
    octets: bytes
    data_coding: int


class Place(NamedTuple):
    """Where a part stands in its message: `reference` is the sender's, `sequence` 1..total."""

    reference: int
    total: int
    sequence: int


class Bubble:
    """One message on the screen, all its parts together."""

    __slots__ = (
        *("bubble_id", "number", "short_code", "direction", "at", "text", "alphabet", "total", "parts"),
        *("_settled", "failure", "owner", "shown", "changed"),
    )

    def __init__(
        self,
        bubble_id: str,
        number: str,
        short_code: str,
        direction: Direction,
        at: float,
        owner: bytes,
        total: int = 1,
    ) -> None:
        self.bubble_id = bubble_id
        self.number = number
        self.short_code = short_code
        self.direction: Direction = direction
        self.at = at  # seconds since 1970
        self.owner = owner  # system_id of the customer at the other end
        self.total = total
        self.parts: dict[int, Part] = {}
        self.alphabet = "gsm"
        self.text: str | None = None  # None: to be decoded from the parts, when somebody looks
        self._settled = 0  # a bit for each part delivered (mt) or acknowledged by the receiver (mo)
        self.shown = self.changed = (
            0  # Handsets.changes when it came, and when something about it changed last
        )
        self.failure = ""  # the `stat` of the first part that failed

    def settle(self, sequence: int) -> None:
        self._settled |= 1 << sequence

    @property
    def state(self) -> str:
        if self.failure:
            return "falhou"
        return "entregue" if self._settled.bit_count() >= self.total else "enviada"

    def read(self) -> str:
        """The text; "…" stands for parts that are not there."""
        if self.text is not None:
            return self.text
        pieces = []
        runs = groupby(
            range(1, self.total + 1), key=lambda n: self.parts[n].data_coding if n in self.parts else -1
        )
        for coding, places in runs:
            if coding < 0:
                pieces.append("…")
            else:
                # together: senders cut surrogate pairs and escapes in two
                octets = b"".join(self.parts[n].octets for n in places)
                pieces.append(incoming.decode(octets, coding, self.alphabet))
        text = "".join(pieces)
        if len(self.parts) == self.total:
            self.text = text
            self.parts = {}
        return text


def number_of(address: str) -> str:
    """`5511900000001` for any way to write it; what is no Brazilian mobile stays as it is."""
    if len(address) == 13 and address.startswith("55") and address.isdigit():
        return address
    normalised = numbers.normalise(address)
    return address if normalised is None else str(normalised)


class Handsets:
    def __init__(self) -> None:
        self._bubbles: OrderedDict[str, deque[Bubble]] = OrderedDict()  # last active at the end
        self._joining: OrderedDict[tuple[object, ...], Bubble] = OrderedDict()
        # Counts what changes, from where an earlier run cannot have been: a page that was open then goes on with this one.
        self.changes = time.time_ns() // 1_000_000

    def numbers(self, short_code: str) -> list[str]:
        """Those that have a talk with this short code, last active first."""
        return [
            n for n, kept in reversed(self._bubbles.items()) if any(b.short_code == short_code for b in kept)
        ]

    def bubbles(self, number: str, short_code: str | None = None) -> list[Bubble]:
        """Oldest first; none for an unknown number. short_code: only the talk with this one, as handsets show it."""
        kept = self._bubbles.get(number_of(number), ())
        return [bubble for bubble in kept if short_code in (None, bubble.short_code)]

    def show(self, bubble: Bubble) -> None:
        kept = self._bubbles.get(bubble.number)
        if kept is None:
            if len(self._bubbles) >= NUMBERS_KEPT:
                self._bubbles.popitem(last=False)
            kept = self._bubbles[bubble.number] = deque(maxlen=BUBBLES_KEPT)
        else:
            self._bubbles.move_to_end(bubble.number)
        kept.append(bubble)
        self.change(bubble)
        bubble.shown = self.changes

    def change(self, bubble: Bubble) -> None:
        """Something about it is not as it was."""
        self.changes += 1
        bubble.changed = self.changes

    def arrived(self, bubble: Bubble, part: Part, place: Place | None) -> Bubble:
        """Takes a part to a handset: the bubble it belongs to, which is `bubble` unless other parts came before."""
        if place is None:
            bubble.parts[1] = part
            self.show(bubble)
            return bubble
        key = (bubble.owner, bubble.short_code, bubble.number, place.reference, place.total)
        begun = self._joining.get(key)
        if begun is None or bubble.at - begun.at > JOINING_S:
            begun = bubble
            begun.total = place.total
            self._joining[key] = begun
            if len(self._joining) > JOINING_KEPT:
                self._joining.popitem(last=False)
            begun.parts[place.sequence] = part
            self.show(begun)
        else:
            begun.parts[place.sequence] = part
            self.change(begun)
        if len(begun.parts) == begun.total:
            del self._joining[key]
        return begun
