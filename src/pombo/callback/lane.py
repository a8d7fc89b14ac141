"""One endpoint's share of the work: what waits for it, how many calls at once, and whether it is alive.

Endpoints are scheduled, not callbacks. No clock and no socket here: time is an argument.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from pombo.callback.address import BadUrl, Place, opening, split_url
from pombo.callback.connection import Connection
from pombo.callback.sign import Signer
from pombo.message import CallbackKind
from pombo.store.callbacks import EndpointRow, Job

BREAK_AFTER_FAILURES = 5
WELL_S = 1.0  # an answer within this time counts towards more calls at once
CLAIM_ROWS = 64  # for each place, asked of the table at a time while the endpoint answers
PROBE_ROWS = 4  # while it does not
LEFT_ROWS = 1000  # that were left to their leases are remembered while it does not answer

_NO_SIGNER = Signer(b"")  # of an endpoint that cannot be called


class Endpoint(NamedTuple):
    """A registered URL, ready to be called."""

    row: EndpointRow
    place: Place | None
    origin: str  # of the URL, what stands before the request target
    opening: str  # request target up to the first parameter
    signer: Signer
    error: str  # why it cannot be called, else ""

    @property
    def host(self) -> str:
        return self.place.host if self.place else ""


def endpoint(row: EndpointRow, unseal: Callable[[bytes], bytes]) -> Endpoint:
    """Never raises: one bad row must not stop the others."""
    try:
        place = split_url(row.url)
    except BadUrl:
        return Endpoint(row, None, "", "", _NO_SIGNER, "URL not valid")
    try:
        secret = unseal(row.secret_sealed)
    except Exception:  # whatever the cipher raises for a secret sealed with another key
        return Endpoint(row, None, "", "", _NO_SIGNER, "secret cannot be unsealed")
    origin = f"http{'s' if place.tls else ''}://{place.authority}"
    return Endpoint(row, place, origin, opening(place.target, literal=row.literal), Signer(secret), "")


class Lane:
    """First attempts and later ones wait, and are counted, apart: a heap of retries never delays news."""

    __slots__ = (
        "again", "again_in_flight", "cap", "cap_max", "cap_min", "endpoint", "failures", "fresh",
        "fresh_in_flight", "good", "idle", "key", "left", "more", "queued",
    )  # fmt: skip

    def __init__(self, key: tuple[int, int], cap_min: int, cap_max: int) -> None:
        self.key = key  # account_id, message.CallbackKind
        self.endpoint: Endpoint | None = None
        self.fresh: deque[tuple[float, Job]] = deque()  # with the loop time at which the lease is too short
        self.again: deque[tuple[float, Job]] = deque()
        self.fresh_in_flight = 0
        self.again_in_flight = 0
        self.cap = self.cap_min = cap_min
        self.cap_max = max(cap_min, cap_max)
        self.good = 0  # good answers since the cap last changed
        self.failures = 0  # in a row
        # Ids that a broken lane did not take, each with the loop time at which its lease may be over.
        self.left: deque[tuple[float, int]] = deque(maxlen=LEFT_ROWS)
        self.more = False  # the table holds rows for this lane that are not here
        self.queued = False  # waits in line for one of the places that all lanes share
        self.idle: list[Connection] = []

    def named(self) -> dict[str, object]:
        """Whose lane it is, for the log."""
        return {"account_id": self.key[0], "kind": CallbackKind(self.key[1]).name.lower()}

    @property
    def host(self) -> str:
        return self.endpoint.host if self.endpoint is not None else ""

    @property
    def waiting(self) -> int:
        return len(self.fresh) + len(self.again)

    @property
    def in_flight(self) -> int:
        return self.fresh_in_flight + self.again_in_flight

    @property
    def broken(self) -> bool:
        """Nothing but one call at a time, as a probe, until one succeeds."""
        return self.failures >= BREAK_AFTER_FAILURES

    def add(self, job: Job, expires: float) -> None:
        """expires: loop time from which the job's lease is too short for an attempt."""
        (self.again if job.attempts else self.fresh).append((expires, job))

    def next(self, now: float) -> Job | None:
        """The next job that has a place in this lane, now in flight; None without a place or a job."""
        if self.broken and self.in_flight:
            return None
        if self.fresh and self.fresh_in_flight < self.cap:
            job = self._unexpired(self.fresh, now)
            if job is not None:
                self.fresh_in_flight += 1
                return job
        if self.again and self.again_in_flight < max(1, self.cap // 4):
            job = self._unexpired(self.again, now)
            if job is not None:
                self.again_in_flight += 1
                return job
        return None

    def has_next(self) -> bool:
        """Whether `next` may give a job."""
        if self.broken and self.in_flight:
            return False
        return bool(
            (self.fresh and self.fresh_in_flight < self.cap)
            or (self.again and self.again_in_flight < max(1, self.cap // 4))
        )

    def _unexpired(self, line: deque[tuple[float, Job]], now: float) -> Job | None:
        while line:
            expires, job = line.popleft()
            if now < expires:
                return job
            self.more = True  # the row's lease ends by itself, and the table gives it out again
        return None

    def ended(self, again: bool, ok: bool, took_s: float) -> None:
        """Counts an attempt that is over."""
        if again:
            self.again_in_flight -= 1
        else:
            self.fresh_in_flight -= 1
        if not ok:
            self.failures += 1
            self.good = 0
            self.cap = max(self.cap_min, self.cap // 2)
            return
        self.failures = 0
        if took_s > WELL_S:
            self.good = 0
            return
        self.good += 1
        if self.good >= self.cap and self.cap < self.cap_max:
            self.cap = min(self.cap * 2, self.cap_max)
            self.good = 0

    def room(self) -> int:
        """How many rows to ask of the table."""
        if self.endpoint is None:
            return 0
        wanted = PROBE_ROWS if self.broken else CLAIM_ROWS * self.cap
        return wanted - self.waiting if self.waiting * 2 <= wanted else 0

    def connection(self, now: float, idle_s: float) -> Connection | None:
        """A kept-alive connection, the one used last; those idle too long are closed."""
        while self.idle:
            connection = self.idle.pop()
            if connection.usable and now - connection.idle_since < idle_s:
                return connection
            connection.close()
        return None

    def close_idle(self, before: float) -> None:
        """Closes the connections that have been idle since `before` (loop time)."""
        kept = []
        for connection in self.idle:
            if connection.usable and connection.idle_since >= before:
                kept.append(connection)
            else:
                connection.close()
        self.idle = kept
