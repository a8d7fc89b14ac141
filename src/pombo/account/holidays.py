"""National holidays of Brazil."""

from datetime import date
from functools import cache

_YEARS_AHEAD = 2  # a message is scheduled a year ahead at the most


@cache
def national_holidays(year: int) -> frozenset[date]:
    """Those of one year. The first call in a process takes half a second, a later one microseconds: see `prepare`."""
    from holidays import country_holidays  # takes long, and most commands need none

    return frozenset(country_holidays("BR", years=year))


def prepare(year: int) -> None:
    """Work out this year's and the next ones', on a thread: no message need wait for it then."""
    for each in range(year, year + 1 + _YEARS_AHEAD):
        national_holidays(each)
