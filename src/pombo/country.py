"""Numbers of other countries: by the plans of all countries, which the package `phonenumbers` has.

A customer writes such a number with `+` or `00` in front; without it, a number is one of Brazil. Those of Brazil never
come here: they have a table of their own (number.py), two hundred times as fast.
"""

from collections.abc import Collection
from functools import lru_cache

from pombo import number

BRAZIL = "BR"  # ISO 3166, as all countries here

_BRAZIL_CODE = "55"
_LEAST_DIGITS = (
    10  # of an address from an operator that is taken for one of elsewhere: what is shorter lacks its country
)


def normalise(text: str, countries: Collection[str] | None) -> int | None:
    """The mobile number that somebody means, as E.164 digits; None when it is none of these countries.

    countries: None for all there are.
    """
    at_home = number.normalise(text)
    if at_home is not None:
        return at_home if countries is None or BRAZIL in countries else None
    if countries is not None and not any(country != BRAZIL for country in countries):
        return None
    typed = number.typed(text)
    if typed is None or not typed.international:
        return None
    found, country = _abroad(typed.digits)
    return found if countries is None or country in countries else None


def of_address(address: str) -> int | None:
    """The number that an operator means, who writes those of other countries with or without `+`."""
    at_home = number.normalise(address)
    if at_home is not None:
        return at_home
    typed = number.typed(address)
    return None if typed is None or len(typed.digits) < _LEAST_DIGITS else _abroad(typed.digits)[0]


def other_meaning(address: str) -> int | None:
    """What an operator may mean, too, by a number that reads as one of Brazil: one of elsewhere whose `+` was left out
    (Peru's 51 9… is a mobile of DDD 51). None where it reads in one way only."""
    typed = number.typed(address)
    if typed is None or typed.international or number.normalise(address) is None:
        return None
    return _abroad(typed.digits)[0]


def shown(address: str) -> str:
    """An address as customers are told it: one of Brazil without its 55, one of elsewhere as they would write it."""
    form = number.national_form(address)
    if (
        form is not address
        or not address.isdecimal()
        or not address.isascii()
        or len(address) < _LEAST_DIGITS
    ):
        return form
    return f"+{address}" if _abroad(address)[0] is not None else address


def known() -> frozenset[str]:
    """All countries there are."""
    from phonenumbers import (
        SUPPORTED_REGIONS,  # here and below: it takes 50 ms, and most commands need none of it
    )

    return frozenset(SUPPORTED_REGIONS)


@lru_cache(maxsize=4096)
def _abroad(digits: str) -> tuple[int | None, str]:
    """The number, and its country; none where it is no mobile of another country. digits: with the country's code."""
    import phonenumbers

    if digits.startswith(_BRAZIL_CODE):
        return None, ""
    try:
        found = phonenumbers.parse(f"+{digits}")
    except phonenumbers.NumberParseException:
        return None, ""
    mobile = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE)
    if phonenumbers.number_type(found) not in mobile:  # of one that is not valid it is another, too
        return None, ""
    e164 = phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164)
    return int(e164), phonenumbers.region_code_for_number(found) or ""
