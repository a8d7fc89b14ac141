"""Cutting a text into the parts of a long message: an escape or a surrogate pair is never cut in half.

`single` is the room of a message in one part, `part` that of each of several, in septets or UTF-16 code
units: 140 octets, less 6 for a header with an 8-bit reference (3GPP TS 23.040 §9.2.3.24.1). A header with a
16-bit reference (§9.2.3.24.8) takes one octet more: 152 septets, 66 code units. `part` is 2 or more.

An empty text is one part, an empty one.
"""

from pombo.text import gsm7, ucs2

GSM_SINGLE, GSM_PART = 160, 153
UCS2_SINGLE, UCS2_PART = 70, 67


def split_gsm(text: str, single: int = GSM_SINGLE, part: int = GSM_PART) -> list[str]:
    """ValueError when the GSM alphabet lacks a character of the text."""
    octets = gsm7.encode(text)
    if octets is None:
        raise ValueError("a character is not in the GSM alphabet")
    return [gsm7.decode(piece) for piece in cut_gsm(octets, single, part)]


def split_ucs2(text: str, single: int = UCS2_SINGLE, part: int = UCS2_PART) -> list[str]:
    """A lone surrogate comes back as U+FFFD."""
    return [piece.decode("utf-16-be") for piece in cut_ucs2(ucs2.encode(text), single, part)]


def cut_gsm(octets: bytes, single: int = GSM_SINGLE, part: int = GSM_PART) -> list[bytes]:
    """The same for unpacked septets, as `gsm7.encode` gives them."""
    return [octets] if len(octets) <= single else _slices(octets, _gsm_starts(octets, part))


def cut_ucs2(octets: bytes, single: int = UCS2_SINGLE, part: int = UCS2_PART) -> list[bytes]:
    """The same for UTF-16BE, as `ucs2.encode` gives it."""
    return [octets] if len(octets) <= 2 * single else _slices(octets, _ucs2_starts(octets, part))


def count_gsm(text: str, single: int = GSM_SINGLE, part: int = GSM_PART) -> int | None:
    """How many parts `split_gsm` makes, without making them; None when the alphabet lacks a character."""
    if text.isascii() and not text.encode().translate(None, gsm7.ONE_SEPTET):
        length = len(text)
        return 1 if length <= single else -(-length // part)
    octets = gsm7.encode(text)
    if octets is None:
        return None
    return 1 if len(octets) <= single else len(_gsm_starts(octets, part))


def count_ucs2(text: str, single: int = UCS2_SINGLE, part: int = UCS2_PART) -> int:
    """How many parts `split_ucs2` makes, without making them."""
    octets = ucs2.encode(text)
    return 1 if len(octets) <= 2 * single else len(_ucs2_starts(octets, part))


def _gsm_starts(octets: bytes, part: int) -> list[int]:
    """Where each part begins. Whole characters only: an escape never stands last in `octets`."""
    starts = []
    start = 0
    while start < len(octets):
        starts.append(start)
        start += part
        if octets[start - 1 : start] == b"\x1b":
            start -= 1
    return starts


def _ucs2_starts(octets: bytes, part: int) -> list[int]:
    starts = []
    start = 0
    while start < len(octets):
        starts.append(start)
        start += 2 * part
        if b"\xd8" <= octets[start - 2 : start - 1] <= b"\xdb":  # the first half of a pair
            start -= 2
    return starts


def _slices(octets: bytes, starts: list[int]) -> list[bytes]:
    return [octets[start:end] for start, end in zip(starts, [*starts[1:], len(octets)], strict=True)]
