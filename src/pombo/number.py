"""The Brazilian numbering plan: what customers type, and the one form it is kept in.

A number is kept as the integer of its E.164 digits: 5511999999999 (12 digits for a trunking mobile).
"""

import re
import unicodedata
from typing import NamedTuple

# Area codes, 67 of them.
DDDS = frozenset(
    str(ddd)
    for ddd in (
        *range(11, 20),
        *(21, 22, 24, 27, 28),
        *(31, 32, 33, 34, 35, 37, 38),
        *range(41, 50),
        *(51, 53, 54, 55),
        *range(61, 70),
        *(71, 73, 74, 75, 77, 79),
        *range(81, 90),
        *range(91, 100),
    )
)

# Time zones of the areas (IANA names) that have another one than São Paulo's. An area across a border of zones has both:
# in which of them a handset is cannot be told.
_SAO_PAULO = ("America/Sao_Paulo",)
_ZONES: dict[int, tuple[str, ...]] = {
    63: ("America/Araguaina",),
    **dict.fromkeys((65, 66), ("America/Cuiaba",)),
    67: ("America/Campo_Grande",),
    68: ("America/Rio_Branco",),
    69: ("America/Porto_Velho",),
    **dict.fromkeys((71, 73, 74, 75, 77), ("America/Bahia",)),
    **dict.fromkeys((79, 82), ("America/Maceio",)),
    81: ("America/Recife", "America/Noronha"),  # the islands are of this area
    87: ("America/Recife",),
    **dict.fromkeys((83, 84, 85, 86, 88, 89, 98, 99), ("America/Fortaleza",)),
    **dict.fromkeys((91, 94, 96), ("America/Belem",)),
    92: ("America/Manaus",),
    93: ("America/Santarem",),
    95: ("America/Boa_Vista",),
    97: ("America/Manaus", "America/Eirunepe"),  # the west of Amazonas has the hour of Acre
}

ERASED = 0  # in place of a number that was erased (store/privacy.py); shown as a dash

_DASH = "—"
_COUNTRY = "55"
_BRAZIL = 55_00000000000  # in front of 11 digits
_LONGEST = 64  # characters that anybody needs to type a number

# The first digits of a mobile: as typed with its area code, and with the country in front.
_MOBILE = frozenset(ddd + "9" for ddd in DDDS)
_MOBILE_E164 = frozenset(_COUNTRY + start for start in _MOBILE)

_DIGITS = re.compile("[0-9]+")
_NOT_DIGITS = re.compile("[^0-9]+")
_QUANTITY = re.compile(r"\s*\+?[0-9]+[.,]0{1,2}\s*")


def normalise(text: str) -> int | None:
    """The number a customer means, as E.164 digits; None when it is not a mobile of Brazil.

    Takes punctuation, `+55`, `0055`, `55`, the trunk `0`, `0` and a carrier code, and the 8 digits from
    before the ninth one came (2016). A number that says it is international (`+`, `00`) is one of Brazil or
    refused: `+7 991 …` is no mobile of DDD 79. Digits of other scripts are refused, and so is a trailing
    `.0`, the mark of a spreadsheet that took the number for a quantity.
    """
    length = len(text)
    if length == 11 and text[:3] in _MOBILE and text.isascii() and text.isdigit():
        return _BRAZIL + int(text)
    if length == 13 and text[:5] in _MOBILE_E164 and text.isascii() and text.isdigit():
        return int(text)
    return _typed(text)


def zone_names(number: int) -> tuple[str, ...]:
    """The time zones that a number of Brazil may be in, the one of most people first; none for one of elsewhere."""
    ddd = area_code(number)
    return _ZONES.get(ddd, _SAO_PAULO) if ddd else ()


def area_code(number: int) -> int:
    """The DDD of a number of Brazil; 0 for one of elsewhere."""
    if number // 10**11 == int(_COUNTRY):
        return number // 10**9 % 100
    return number // 10**8 % 100 if number // 10**10 == int(_COUNTRY) else 0


def national(number: int) -> str:
    """`11999999999`: without the country. A number of elsewhere keeps all its digits."""
    return _split(number)[1]


def national_form(handset: str) -> str:
    """An address as an operator or our store writes it, without Brazil's 55; any other one as it is."""
    if len(handset) in (12, 13) and handset.startswith("55") and handset.isdecimal():
        return handset[2:]
    return handset


def pretty(number: int) -> str:
    """`(11) 99999-9999`, for people. A number of elsewhere is `+` and its digits."""
    if number == ERASED:
        return _DASH
    country, digits = _split(number)
    return f"({digits[:2]}) {digits[2:-4]}-{digits[-4:]}" if country else f"+{digits}"


def masked(number: int) -> str:
    """`(11) 9****-9999`, for people who need not see the number."""
    if number == ERASED:
        return _DASH
    country, digits = _split(number)
    if country:
        return f"({digits[:2]}) {digits[2]}{'*' * (len(digits) - 7)}-{digits[-4:]}"
    return f"+{'*' * (len(digits) - 4)}{digits[-4:]}"


class Typed(NamedTuple):
    digits: str  # without the `00` of an international number
    international: bool  # by `+` or `00`


def typed(text: str) -> Typed | None:
    """The digits of what somebody typed as a number; None where it is none in any country."""
    if len(text) > _LONGEST or _QUANTITY.fullmatch(text):
        return None
    if not all(_is_separator(char) for char in _DIGITS.sub("", text)):
        return None
    before = _NOT_DIGITS.match(text)
    digits = _NOT_DIGITS.sub("", text)
    international = digits.startswith("00") or (before is not None and "+" in before[0])
    return Typed(digits.removeprefix("00"), international)


def _typed(text: str) -> int | None:
    """The long way, for whatever is not plain digits of a mobile with its area code."""
    found = typed(text)
    if found is None:
        return None
    digits = found.digits
    if digits.startswith(_COUNTRY) and len(digits) in (12, 13):
        digits = digits[2:]
    elif found.international:
        return None
    return _mobile(_without_trunk(digits))


def _is_separator(char: str) -> bool:
    """Spaces, punctuation, and the invisible marks of direction that address books copy along."""
    if char.isascii():
        return not char.isalnum()
    category = unicodedata.category(char)
    return category[0] in "PZ" or category == "Cf"


def _without_trunk(digits: str) -> str:
    """Drops `0` (10 or 11 digits follow) or `0` and a carrier code (two more), told apart by the length."""
    if digits.startswith("0"):
        if len(digits) in (11, 12):
            return digits[1:]
        if len(digits) in (13, 14):
            return digits[3:]
    return digits


def _mobile(digits: str) -> int | None:
    """The number of 10 or 11 digits with their area code; None for a fixed line or an unknown area."""
    if digits[:2] not in DDDS:
        return None
    match len(digits), digits[2:3]:
        case (11, "9"):
            return _BRAZIL + int(digits)
        case (10, "6" | "8" | "9"):
            return _BRAZIL + int(digits[:2] + "9" + digits[2:])
        case (10, "7"):  # trunking (SME), never widened to nine digits
            return int(_COUNTRY + digits)
    return None


def _split(number: int) -> tuple[str, str]:
    """Country and national digits of a number of Brazil; no country and all digits of another one."""
    digits = str(number)
    if digits.startswith(_COUNTRY) and len(digits) in (12, 13):
        return _COUNTRY, digits[2:]
    return "", digits
