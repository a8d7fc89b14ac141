"""The routing table as one immutable snapshot, and the choice it makes."""

from collections.abc import Iterable
from typing import NamedTuple


class Route(NamedTuple):
    """Numbers that begin with `prefix` ('' fits all) go over the connection `smsc_id`."""

    prefix: str
    smsc_id: int
    validity_s: int  # how long that connection keeps trying


class Routes:
    def __init__(self, routes: Iterable[Route] = ()) -> None:
        """routes: in the order in which they were added; of equal prefixes the first one counts."""
        self._by_prefix: dict[str, Route] = {}
        for route in routes:
            self._by_prefix.setdefault(route.prefix, route)
        self._lengths = sorted({len(prefix) for prefix in self._by_prefix}, reverse=True)

    def choose(self, number: int) -> Route | None:
        """The route with the longest prefix that fits; None when no connection can carry the number."""
        digits = str(number)
        for length in self._lengths:
            route = self._by_prefix.get(digits[:length])
            if route is not None:
                return route
        return None
