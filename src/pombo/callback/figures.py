"""What the deliverer has done since the process began, for metrics."""

from collections import Counter
from enum import StrEnum
from typing import NamedTuple

from pombo.figures import Histogram

_BOUNDS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)


class Cause(StrEnum):
    """What came of an attempt."""

    CONFIRMED = "confirmed"
    HTTP_2XX = "http_2xx"  # at an endpoint that takes only 200
    HTTP_3XX = "http_3xx"
    HTTP_4XX = "http_4xx"
    HTTP_5XX = "http_5xx"
    TIMEOUT = "timeout"
    REFUSED = "refused"  # no connection
    NAME = "name"  # not found
    GUARD = "guard"  # an address that may not be dialled
    TLS = "tls"
    BROKEN = "broken"  # the connection ended, or what came was no HTTP or too much


class Figures(NamedTuple):
    attempts: dict[Cause, int]  # all causes
    duration_s: Histogram  # of attempts
    in_flight: int  # calls under way
    waiting: int  # callbacks in memory, leased to this node
    broken: int  # endpoints that get one probe at a time
    endpoints: int


class Tally:
    def __init__(self) -> None:
        self.attempts: Counter[Cause] = Counter()
        self.duration_s = Histogram(_BOUNDS_S)

    def count(self, cause: Cause, took_s: float) -> None:
        self.attempts[cause] += 1
        self.duration_s.add(took_s)


def cause_of(status: int) -> Cause:
    """Of an HTTP status that does not confirm."""
    return _OF_STATUS.get(status // 100, Cause.BROKEN)


_OF_STATUS = {2: Cause.HTTP_2XX, 3: Cause.HTTP_3XX, 4: Cause.HTTP_4XX, 5: Cause.HTTP_5XX}
