"""Who guesses tokens waits longer and longer for each refusal. Good tokens never wait.

Failures are counted by address, and by the first characters of the token, since one guesser may have many addresses.
Neither says anything about a good token: it is looked up all the same and answered at once, so that nobody can lock a
customer out, neither from behind the same router nor by guessing at the customer's prefix.
"""

import ipaddress
import time
from asyncio import sleep
from collections.abc import Callable, Hashable, Iterable

import structlog

from pombo.accept.caller import Caller
from pombo.account.secret import TOKEN_PREFIX
from pombo.account.token import Address

log = structlog.get_logger()

_FREE = 20  # failures in a row whose answers do not wait
_FORGIVEN_PER_S = 1 / 6
_STEP_S = 0.1  # that each further one adds
_LONGEST_S = 5.0
_MOST_LEVEL = _FREE + _LONGEST_S / _STEP_S  # higher ones would only take longer to forgive
_MOST_COUNTED = 10_000  # addresses, and prefixes; the one that failed longest ago makes room
_MOST_HELD = 1000  # answers that wait at a time: further ones are given at once
_MOST_HELD_OF_ONE = 50  # for one address, so that one guesser does not take all places
_MOST_HELD_OCTETS = 32 * 1024 * 1024
_TOLD_EVERY_S = 60.0
_PREFIX = 4  # characters, after the common start of our own tokens


class GuessingFigures:
    """Since the process started."""

    def __init__(self) -> None:
        self.refused = 0  # tokens
        self.delayed = 0  # answers
        self.held = 0  # answers that wait right now


class _Count:
    """Failures, of which one is forgiven every six seconds."""

    __slots__ = ("at", "held", "level", "told_at")

    def __init__(self, now: float) -> None:
        self.level = 0.0
        self.at = now
        self.held = 0
        self.told_at = now - _TOLD_EVERY_S

    def add(self, failures: int, now: float) -> None:
        left = max(0.0, self.level - (now - self.at) * _FORGIVEN_PER_S)
        self.level = min(left + failures, _MOST_LEVEL)
        self.at = now


class Guessing:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._addresses: dict[Hashable, _Count] = {}
        self._prefixes: dict[Hashable, _Count] = {}
        self._held_octets = 0
        self.figures = GuessingFigures()

    async def failed(self, caller: Caller, tokens: Iterable[str], *, wait: bool) -> None:
        """Counts these tokens, and returns when their refusal may be told. wait: False counts only."""
        now = self._clock()
        prefixes: dict[str, int] = {}
        for token in tokens:
            prefix = _prefix(token)
            prefixes[prefix] = prefixes.get(prefix, 0) + 1
        failures = sum(prefixes.values())
        self.figures.refused += failures
        by_address = _counted(self._addresses, _place(caller.address), failures, now)
        level = by_address.level
        if level > _FREE and now - by_address.told_at >= _TOLD_EVERY_S:
            by_address.told_at = now
            log.warning("token_guessing", address=str(caller.address), hint="or an old token in some program")
        for prefix, times in prefixes.items():
            level = max(level, _counted(self._prefixes, prefix, times, now).level)
        if wait and level > _FREE:
            await self._hold(min((level - _FREE) * _STEP_S, _LONGEST_S), by_address, caller.octets)

    async def _hold(self, seconds: float, by_address: _Count, octets: int) -> None:
        if (
            self.figures.held >= _MOST_HELD
            or by_address.held >= _MOST_HELD_OF_ONE
            or self._held_octets + octets > _MOST_HELD_OCTETS
        ):
            return
        self.figures.delayed += 1
        self.figures.held += 1
        by_address.held += 1
        self._held_octets += octets
        try:
            await sleep(seconds)
        finally:
            self.figures.held -= 1
            by_address.held -= 1
            self._held_octets -= octets


def _counted(counts: dict[Hashable, _Count], key: Hashable, failures: int, now: float) -> _Count:
    count = counts.pop(key, None)
    if count is None:
        if len(counts) >= _MOST_COUNTED:
            del counts[next(iter(counts))]
        count = _Count(now)
    counts[key] = count  # now the newest
    count.add(failures, now)
    return count


def _place(address: Address | None) -> Hashable:
    """Of IPv6 the /64: whoever has one address there has them all."""
    if isinstance(address, ipaddress.IPv6Address):
        return int(address) >> 64
    return address


def _prefix(token: str) -> str:
    return token[: len(TOKEN_PREFIX) + _PREFIX] if token.startswith(TOKEN_PREFIX) else token[:_PREFIX]
