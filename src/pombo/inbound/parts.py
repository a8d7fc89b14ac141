"""Joins the parts of one long reply: those of one source, destination, reference and total."""

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import NamedTuple

from pombo.inbound.decode import storable

Decode = Callable[[bytes, int], str]  # octets, data_coding


class Part(NamedTuple):
    sequence: int  # 1..total
    data_coding: int
    octets: bytes


def complete(parts: Iterable[Part], total: int) -> bool:
    """In any order, and however often each came."""
    return {part.sequence for part in parts} >= set(range(1, total + 1))


def joined(parts: Iterable[Part], decode: Decode) -> str:
    """The text of the parts that are there, in order; of duplicates the first counts.

    Neighbours of one data_coding are decoded together: senders cut surrogate pairs and escapes in two.
    """
    first: dict[int, Part] = {}
    for part in parts:
        first.setdefault(part.sequence, part)
    return storable("".join(_text(run, decode) for run in _runs([first[n] for n in sorted(first)])))


def _runs(parts: list[Part]) -> list[list[Part]]:
    runs = [[part] for part in parts[:1]]
    for before, part in pairwise(parts):
        if part.sequence == before.sequence + 1 and part.data_coding == before.data_coding:
            runs[-1].append(part)
        else:
            runs.append([part])
    return runs


def _text(run: list[Part], decode: Decode) -> str:
    octets = b"".join(part.octets for part in run)
    ucs2 = run[0].data_coding & 0x0C == 0x08
    if ucs2 and len(octets) % 2:  # a stray octet in one part must not shift the others
        return "".join(decode(part.octets, part.data_coding) for part in run)
    return decode(octets, run[0].data_coding)
