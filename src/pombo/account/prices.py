"""What a part of a message costs, as a snapshot.

An account's own prices come before those for all accounts; of each, the longer prefix of the number first, then the one
that names the class. Where none fits, the account's default price counts.
"""

from collections.abc import Iterable
from typing import NamedTuple

from pombo.account.account import Account


class Price(NamedTuple):
    """Of one part, where all conditions fit. A condition that is None fits all."""

    prefix: str  # first digits of the number, with the country; '' fits all
    price_milli: int
    account_id: int | None = None
    message_class: int | None = None  # message.MessageClass


_Table = list[tuple[int, dict[str, int]]]  # by length of the prefix, the longest first: prices by prefix


class Prices:
    """What is the same for many messages is worked out once: a price is a few dict look-ups."""

    def __init__(self, prices: Iterable[Price] = ()) -> None:
        self._prices = list(prices)
        self._owners = {price.account_id for price in self._prices}
        self._tables: dict[tuple[int | None, int], _Table] = {}

    def of(self, account: Account, number: int, message_class: int) -> int:
        """In thousandths of a real. number: E.164 digits."""
        if not self._owners:
            return account.price_milli
        digits = str(number)
        for owner in (account.id, None):
            if owner in self._owners:
                for length, by_prefix in self._table(owner, message_class):
                    found = by_prefix.get(digits[:length])
                    if found is not None:
                        return found
        return account.price_milli

    def _table(self, owner: int | None, message_class: int) -> _Table:
        table = self._tables.get((owner, message_class))
        if table is None:
            by_length: dict[int, dict[str, int]] = {}
            # Those without a class first, so that those with it take their place.
            for price in sorted(self._prices, key=lambda price: price.message_class is not None):
                if price.account_id == owner and price.message_class in (None, message_class):
                    by_length.setdefault(len(price.prefix), {})[price.prefix] = price.price_milli
            table = self._tables[owner, message_class] = sorted(by_length.items(), reverse=True)
        return table
