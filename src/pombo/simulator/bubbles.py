"""What stands on the handsets' screens: bubbles per number, bounded, and who watches them change."""

import asyncio
from collections import OrderedDict, deque
from datetime import UTC, datetime
from itertools import groupby
from typing import Final, Literal, NamedTuple

from pombo import number as numbers
from pombo.text import incoming

NUMBERS_KEPT: Final = 1000  # the ones that were quiet longest are dropped
BUBBLES_KEPT: Final = 100  # of each number, the newest
CHANGES_KEPT: Final = 500  # that one watcher has not taken yet
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
        *("_settled", "failure", "owner", "place"),
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
        self.place = 0  # among all that were ever shown, from 1: times may be the same
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

    def as_json(self) -> dict[str, object]:
        incoming_ = self.direction == "mt"
        return {
            "id": self.bubble_id,
            "ordem": self.place,
            "de": self.short_code if incoming_ else self.number,
            "para": self.number if incoming_ else self.short_code,
            "texto": self.read(),
            "quando": datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds"),
            "direcao": self.direction,
            "estado": self.state,
            "codigo": self.failure,
            "partes": self.total,
        }


class Watcher:
    """Gathers the bubbles that changed until somebody takes them; of too many only the newest."""

    def __init__(self) -> None:
        self.closed = False
        self._overflowed = False
        self._changed: OrderedDict[str, Bubble] = OrderedDict()
        self._news = asyncio.Event()

    def notice(self, bubble: Bubble) -> None:
        self._changed[bubble.bubble_id] = bubble
        self._changed.move_to_end(bubble.bubble_id)
        if len(self._changed) > CHANGES_KEPT:
            self._changed.popitem(last=False)
            self._overflowed = True
        self._news.set()

    def take_overflow(self) -> bool:
        """Whether changes were lost since the last call."""
        overflowed, self._overflowed = self._overflowed, False
        return overflowed

    def close(self) -> None:
        self.closed = True
        self._news.set()

    async def changes(self, timeout_s: float) -> list[Bubble]:
        """The bubbles that changed since the last call; none after the timeout or when closed."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._news.wait()
        except TimeoutError:
            return []
        if not self.closed:
            self._news.clear()
        taken = list(self._changed.values())
        self._changed.clear()
        return taken


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
        self._watchers: set[Watcher] = set()
        self.shown = 0  # bubbles ever

    def numbers(self) -> list[str]:
        """Those with bubbles, last active first."""
        return list(reversed(self._bubbles))

    def bubbles(self, number: str) -> list[Bubble]:
        """Oldest first; none for an unknown number."""
        return list(self._bubbles.get(number_of(number), ()))

    def newest(self, number: str) -> Bubble | None:
        kept = self._bubbles.get(number_of(number))
        return kept[-1] if kept else None

    def watch(self) -> Watcher:
        """The caller gives it back with `unwatch`."""
        watcher = Watcher()
        self._watchers.add(watcher)
        return watcher

    def unwatch(self, watcher: Watcher) -> None:
        self._watchers.discard(watcher)

    def close(self) -> None:
        for watcher in self._watchers:
            watcher.close()

    def show(self, bubble: Bubble) -> None:
        kept = self._bubbles.get(bubble.number)
        if kept is None:
            if len(self._bubbles) >= NUMBERS_KEPT:
                self._bubbles.popitem(last=False)
            kept = self._bubbles[bubble.number] = deque(maxlen=BUBBLES_KEPT)
        else:
            self._bubbles.move_to_end(bubble.number)
        kept.append(bubble)
        self.shown += 1
        bubble.place = self.shown
        self.changed(bubble)

    def changed(self, bubble: Bubble) -> None:
        for watcher in self._watchers:
            watcher.notice(bubble)

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
            self.changed(begun)
        if len(begun.parts) == begun.total:
            del self._joining[key]
        return begun
