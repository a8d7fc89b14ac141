"""Cutting the stream of octets into PDUs by command_length (SMPP 3.4 §3.2), in whatever pieces it comes."""

from collections.abc import Iterator
from typing import Final

LEAST_OCTETS: Final = 16  # the header itself
MOST_OCTETS_UNBOUND: Final = 512  # a bind with every field at its longest is well below
MOST_OCTETS_BOUND: Final = 65_536  # a message_payload may be that long (§5.3.2.32); no real text comes near


class Framing:
    """Feed it octets, take whole PDUs.

    `lost` is set to the reason when command_length is no SMPP length (another protocol, a broken peer): what
    follows cannot be read. The first 4 octets decide that: a PDU over `most_octets` is never gathered.
    """

    def __init__(self) -> None:
        self.most_octets = MOST_OCTETS_UNBOUND  # may be raised between two PDUs of one read
        self.lost: str | None = None
        self._rest = bytearray()
        self._wanted_octets = 4  # until `_rest` holds as many there is nothing to look at

    def feed(self, octets: bytes) -> Iterator[bytes]:
        """Each whole PDU, its header included. Take them all before feeding again."""
        if self.lost:
            return
        if self._rest:
            self._rest += octets
            if len(self._rest) < self._wanted_octets:
                return  # and no copy: octet by octet, 64 KiB would cost gigabytes of copying
            octets = bytes(self._rest)
            self._rest.clear()
        at, end = 0, len(octets)
        while end - at >= 4:
            length = int.from_bytes(octets[at : at + 4], "big")
            if not LEAST_OCTETS <= length <= self.most_octets:
                self.lost = f"command_length {length} is not between {LEAST_OCTETS} and {self.most_octets}"
                return
            if end - at < length:
                self._wanted_octets = length
                break
            yield octets[at : at + length]
            at += length
        else:
            self._wanted_octets = 4
        if at < end:
            self._rest += octets[at:]
