"""How many requests an account makes in a second, in this process."""

from collections import Counter
from collections.abc import Callable

from pombo.accept.parameters import Malformed
from pombo.account.account import Account
from pombo.errors import Refusal


class TooFast(Malformed):
    """The account makes more requests than agreed."""

    refusal = Refusal.RATE


class RequestRates:
    """Each process counts for itself: nobody asks a database before each request, and what this protects is a process."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """clock: seconds, that never go back."""
        self._clock = clock
        self._second = 0
        self._requests: Counter[int] = Counter()  # of this second, by account; of those with a limit

    def over(self, account: Account | None) -> bool:
        """Count one more request; whether it is one too many. None, of an unknown token, has no limit."""
        if account is None or not account.requests_per_s:
            return False
        second = int(self._clock())
        if second != self._second:
            self._second, self._requests = second, Counter()
        self._requests[account.id] += 1
        return self._requests[account.id] > account.requests_per_s
