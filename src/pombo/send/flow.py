"""What the binds of one connection share: its settings, its lease, its pace, the wake-up, whose turn it is to claim."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from pombo.send.owner import Lease
from pombo.send.pace import Pace
from pombo.send.turn import Turns
from pombo.smpp.status import Status
from pombo.store.accounts import Source
from pombo.store.smscs import Smsc

if TYPE_CHECKING:
    from pombo.send.submit import Submitting

# Settings that a session is made with: where they change, it is made anew. All others apply to the next submit. The
# long-message mode is among them since what a broken session leaves open is judged by it (sessions.end_sessions).
_OF_THE_SESSION = (
    "name", "host", "port", "system_id", "password_sealed", "system_type", "window_size", "bind_mode", "binds",
    "tls", "tls_ca", "tls_name", "long_mode", "response_timeout_s", "enquire_link_s",
)  # fmt: skip

_STATUSES_MOST = 100  # different ones that are counted


@dataclass
class Tally:
    """Totals of one connection since this process began."""

    submitted: int = 0
    throttled: int = 0
    unanswered: int = 0
    refused: Counter[int] = field(default_factory=Counter)  # by command_status

    def refuse(self, status: int) -> None:
        """Vendors have statuses of their own; one that invents a new one each time fills no memory."""
        if status not in self.refused and len(self.refused) >= _STATUSES_MOST:
            status = int(Status.ESME_RUNKNOWNERR)
        self.refused[status] += 1


class LinkFigures(NamedTuple):
    """One connection at this moment."""

    smsc_id: int
    name: str
    bound: int  # binds that stand
    binds: int  # that there should be
    in_flight: int
    window: int  # of all binds together that can submit now
    rate_per_s: float | None  # None: no limit
    submitted: int  # totals since the process began
    throttled: int
    unanswered: int
    refused: dict[int, int]  # by command_status; throttled ones included


class Flow:
    """
    work: set while messages may be due. Whoever has room takes its turn, clears it, claims, and sets it again if
    anything may be left: so one wake-up costs one claim, however many binds there are.
    """

    def __init__(self, smsc: Smsc, lease: Lease, tally: Tally, now: float) -> None:
        self.smsc = smsc
        self.lease = lease
        self.tally = tally
        self.pace = Pace(smsc.rate_per_s, now)
        self.work = asyncio.Event()
        self.work.set()  # of what waited before nothing is known
        self.turn = asyncio.Lock()
        # Whoever wants the connection's lock in the database: one of its binds waits there, the others here, where they keep
        # nobody from the pool.
        self.settling = asyncio.Lock()
        self.turns = Turns(smsc.id)
        self.claimed_at = float("-inf")  # monotonic
        self.sessions: list[Submitting] = []  # whose books are open
        self.parked = 0  # receipts that found no attempt, since the process began
        self.source = Source(smsc.source_addr, smsc.source_ton, smsc.source_npi)

    def follow(self, smsc: Smsc, now: float) -> None:
        """smsc: with settings that need no new session."""
        if smsc.rate_per_s != self.smsc.rate_per_s:
            self.pace.limit(smsc.rate_per_s, now)
        self.smsc = smsc
        self.source = Source(smsc.source_addr, smsc.source_ton, smsc.source_npi)

    def open_numbers(self) -> set[int]:
        """Handsets with a submit whose outcome is not known, or not committed, on any session: a receipt comes on any."""
        return set().union(*(session.open_numbers for session in self.sessions))


def needs_new_sessions(old: Smsc, new: Smsc) -> bool:
    return any(getattr(old, field) != getattr(new, field) for field in _OF_THE_SESSION)
