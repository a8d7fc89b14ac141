"""What the log says of requests that could not be stored, so that whoever is woken by it knows why and what to do."""

import time
from collections.abc import Callable

import asyncpg
import structlog

from pombo.errors import why

log = structlog.get_logger()

_EVERY_S = 5.0  # a database that is away refuses hundreds of times a second
_DISK = "the database's disk is full: make room on it; messages are accepted again by themselves"
_ELSE = "look at the database; messages are accepted again by themselves once it answers"


class Outage:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """clock: monotonic seconds."""
        self._clock = clock
        self._untold = 0
        self._refused = 0  # in this outage
        self._tell_at = float("-inf")

    def refused(self, requests: int, error: BaseException) -> None:
        """Says so at once, and then every few seconds how many more there were. Never with the error's text: it may
        quote a message."""
        self._untold += requests
        self._refused += requests
        if self._clock() < self._tell_at:
            return
        cause = error.__cause__ or error
        hint = _DISK if isinstance(cause, asyncpg.DiskFullError) else _ELSE
        log.warning("intake_unavailable", requests=self._untold, error=why(error), hint=hint)
        self._untold = 0
        self._tell_at = self._clock() + _EVERY_S

    def over(self) -> None:
        """Something was stored."""
        if self._refused:
            log.warning("intake_back", requests_refused=self._refused)  # wherever its beginning was told
            self._refused = self._untold = 0
