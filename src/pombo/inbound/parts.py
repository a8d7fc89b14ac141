"""Joins the parts of one long reply: those of one source, destination, reference and total."""

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import NamedTuple

from pombo.inbound.decode import storable
from pombo.text.incoming import is_ucs2
from pombo.text.national import NO_SHIFT, Shift

Decode = Callable[[bytes, int, Shift], str]  # octets, data_coding


class Part(NamedTuple):
    sequence: int  # 1..total
    data_coding: int
    octets: bytes
    shift: Shift = NO_SHIFT
    session_id: int = 0  # that it came over; says nothing about what it is

    def says_what(self, other: "Part") -> bool:
        return self[:4] == other[:4]


class Assembly:
    """What is known of the parts under one reference, in whatever order and how often they come.

    Handsets use a reference again after 256 long messages, or sooner. So a part that differs from the one in its place
    begins another reply; one that says the same is a repetition by an operator that got no answer. Only of a reply that
    is joined already both may be meant: such a part is remembered (`again`), and is taken for one of the next reply
    where that comes.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.parts: dict[int, Part] = {}  # by sequence
        self.joined = False  # their reply is in the inbox
        self.again: set[int] = set()  # those of a joined reply that came once more

    def add(self, part: Part) -> list[Part]:
        """Returns the parts of a reply that is to be delivered now: it is whole, or another has taken its reference."""
        known = self.parts.get(part.sequence)
        if self.joined:
            if known is not None and known.says_what(part):
                self.again.add(part.sequence)
                return []
            self.parts = {n: self.parts[n] for n in self.again - {part.sequence}}
            self.joined, self.again, known = False, set(), None
        if known is not None and known.says_what(part):
            return []
        given_up: list[Part] = []
        if known is not None:
            given_up, self.parts = self.all_there_is(), {}
        self.parts[part.sequence] = part
        if len(self.parts) < self.total:
            return given_up
        self.joined = True
        return self.all_there_is()

    def give_up(self) -> list[Part]:
        """Their time is over. Returns the parts of what is delivered now, in spite of its gaps."""
        if self.joined:
            return []
        self.joined = True
        return self.all_there_is()

    def all_there_is(self) -> list[Part]:
        return [self.parts[n] for n in sorted(self.parts)]


def joined(parts: Iterable[Part], decode: Decode) -> str:
    """The text of the parts that are there; they are given in order.

    Neighbours of one alphabet are decoded together: senders cut surrogate pairs and escapes in two.
    """
    return storable("".join(_text(run, decode) for run in _runs(list(parts))))


def _runs(parts: list[Part]) -> list[list[Part]]:
    runs = [[part] for part in parts[:1]]
    for before, part in pairwise(parts):
        alike = (part.data_coding, part.shift) == (before.data_coding, before.shift)
        if alike and part.sequence == before.sequence + 1:
            runs[-1].append(part)
        else:
            runs.append([part])
    return runs


def _text(run: list[Part], decode: Decode) -> str:
    octets = b"".join(part.octets for part in run)
    coding, shift = run[0].data_coding, run[0].shift
    if is_ucs2(coding) and len(octets) % 2:  # a stray octet in one part must not shift the others
        return "".join(decode(part.octets, coding, shift) for part in run)
    return decode(octets, coding, shift)
