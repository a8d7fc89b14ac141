"""Why a row becomes no message, finer than the refusals of the API: a person can mend the file with them."""

import re
from collections.abc import Collection
from enum import StrEnum

from pombo import country, number
from pombo.errors import Refusal

_MOST_CHARACTERS = 64  # as number.py
_ROUNDED = re.compile(r"\d[.,]\d+E\+?\d+", re.ASCII | re.IGNORECASE)


class Reason(StrEnum):
    """Stored in `campaign_row.refusal`."""

    NO_NUMBER = "no_number"
    NO_DDD = "no_ddd"
    FIXED_LINE = "fixed_line"
    FOREIGN = "foreign"  # of a country that the account does not write to
    ROUNDED = "rounded"  # 1,19876E+10: a spreadsheet took it for a quantity and lost its last digits
    BAD_NUMBER = "bad_number"
    SHIFTED = "shifted"  # more cells than titles: which text belongs where cannot be told
    EMPTY_VARIABLE = "empty_variable"
    EMPTY_TEXT = "empty_text"
    TOO_LONG = "too_long"
    DUPLICATE = "duplicate"
    BLOCKED = "blocked"
    NO_ROUTE = "no_route"
    REFUSED = "refused"  # anything else; `detail` has the API's word for it


_OF_REFUSALS = {
    Refusal.EMPTY: Reason.EMPTY_TEXT,
    Refusal.TOO_LONG: Reason.TOO_LONG,
    Refusal.BLOCKED: Reason.BLOCKED,
    Refusal.NO_ROUTE: Reason.NO_ROUTE,
}


def of_refusal(refusal: Refusal, destination: str, countries: Collection[str]) -> tuple[Reason, str]:
    """The reason, and its detail. countries: those that the account writes to."""
    if refusal is Refusal.DESTINATION:
        return of_number(destination, countries), ""
    known = _OF_REFUSALS.get(refusal)
    return (known, "") if known else (Reason.REFUSED, refusal.text)


def of_number(destination: str, countries: Collection[str]) -> Reason:
    """Why `country.normalise` refuses this."""
    digits = "".join(char for char in destination if char in "0123456789")
    if not destination.strip():
        return Reason.NO_NUMBER
    if len(destination) > _MOST_CHARACTERS or not digits:
        return Reason.BAD_NUMBER
    if _ROUNDED.fullmatch(destination.strip()):
        return Reason.ROUNDED
    if country.normalise(destination, None) is not None:
        return Reason.FOREIGN
    if destination.lstrip().startswith(("+", "00")) and not digits.lstrip("0").startswith("55"):
        return Reason.BAD_NUMBER if any(one != country.BRAZIL for one in countries) else Reason.FOREIGN
    national = digits.lstrip("0")
    if national.startswith("55") and len(national) in (12, 13):
        national = national[2:]
    if len(national) in (8, 9):
        return Reason.NO_DDD
    if len(national) == 10 and national[:2] in number.DDDS and national[2] in "2345":
        return Reason.FIXED_LINE
    return Reason.BAD_NUMBER
