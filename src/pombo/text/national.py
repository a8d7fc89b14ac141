"""Reading the GSM alphabet with the Portuguese tables, which a reply's header names (3GPP TS 23.038 §6.2.1.2, annex A).

Only reading: not every handset knows them, so nothing is sent in them.
"""

import codecs
import re
from typing import NamedTuple

from pombo.text import gsm7


class Shift(NamedTuple):
    """The languages that a header names, 3GPP TS 23.038 §6.2.1.2.4; 0: the tables that everybody has."""

    locking: int = 0
    single: int = 0


NO_SHIFT = Shift()
PORTUGUESE = 3

# A.3.3. 0x1B is the escape.
_PORTUGUESE_LOCKING = (
    "@£$¥êéúíóç\nÔô\rÁáΔ_ªÇÀ∞^\\€Ó|\x1bÂâÊÉ"
    " !\"#º%&'()*+,-./0123456789:;<=>?"
    "ÍABCDEFGHIJKLMNOPQRSTUVWXYZÃÕÚÜ§"
    "~abcdefghijklmnopqrstuvwxyzãõ`üà"
)
# A.2.3: what a septet means after an escape.
_PORTUGUESE_SINGLE = {
    0x05: "ê", 0x09: "ç", 0x0A: "\f", 0x0B: "Ô", 0x0C: "ô", 0x0E: "Á", 0x0F: "á",
    0x12: "Φ", 0x13: "Γ", 0x14: "^", 0x15: "Ω", 0x16: "Π", 0x17: "Ψ", 0x18: "Σ", 0x19: "Θ", 0x1F: "Ê",
    0x28: "{", 0x29: "}", 0x2F: "\\", 0x3C: "[", 0x3D: "~", 0x3E: "]",
    0x40: "|", 0x41: "À", 0x49: "Í", 0x4F: "Ó", 0x55: "Ú", 0x5B: "Ã", 0x5C: "Õ",
    0x61: "Â", 0x65: "€", 0x69: "í", 0x6F: "ó", 0x75: "ú", 0x7B: "ã", 0x7C: "õ", 0x7F: "â",
}  # fmt: skip

_LOCKING = {PORTUGUESE: _PORTUGUESE_LOCKING + gsm7.DECODING[0x80:]}
_DEFAULT_SINGLE = {gsm7.BASIC.index(basic): char for char, basic in gsm7.EXTENSION.items()}
_SINGLE = {PORTUGUESE: _PORTUGUESE_SINGLE}
_ESCAPES = re.compile(b"\x1b(.?)|[^\x1b]+", re.DOTALL)


def decode(octets: bytes, shift: Shift) -> str:
    """As gsm7.decode, with the tables of these languages; a language that is not known has the usual ones."""
    basic = _LOCKING.get(shift.locking, gsm7.DECODING)
    single = _SINGLE.get(shift.single, _DEFAULT_SINGLE)
    return "".join(_piece(match, basic, single) for match in _ESCAPES.finditer(octets))


def _piece(match: re.Match[bytes], basic: str, single: dict[int, str]) -> str:
    escaped = match[1]
    if escaped is None:
        return codecs.charmap_decode(match[0], "strict", basic)[0]
    if escaped in (b"", b"\x1b"):
        return " "
    return single.get(escaped[0], basic[escaped[0]])
