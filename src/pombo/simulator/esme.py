"""One customer of the operator: its sessions, and what is kept for it until it takes it."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from pombo.smpp.fields import EncodeError
from pombo.smpp.pdu import DeliverSm

if TYPE_CHECKING:
    from pombo.simulator.peer import Peer

KEPT: Final = 100_000  # receipts and replies for one system_id; of more the oldest are dropped


class Delivery:
    """A deliver_sm that is sent until it is answered with ESME_ROK."""

    __slots__ = ("body", "on_taken", "taken")

    def __init__(self, body: DeliverSm, on_taken: Callable[[], None] | None = None) -> None:
        self.body = body
        self.on_taken = on_taken
        self.taken = False

    def take(self) -> None:
        if not self.taken:
            self.taken = True
            if self.on_taken:
                self.on_taken()


class Esme:
    def __init__(self, system_id: bytes) -> None:
        self.system_id = system_id
        self.sessions: list[Peer] = []
        self.dropped = 0
        self._waiting: deque[Delivery] = deque()
        self._second = 0
        self._submits = 0  # in that second

    @property
    def idle(self) -> bool:
        return not self.sessions and not self._waiting

    @property
    def waiting(self) -> int:
        """Deliveries kept that are not in flight."""
        return len(self._waiting)

    def within(self, most_per_s: int, now: float) -> bool:
        """Counts a submit; False when this second has had its share. 0: no limit"""
        if not most_per_s:
            return True
        if int(now) != self._second:
            self._second, self._submits = int(now), 0
        self._submits += 1
        return self._submits <= most_per_s

    def keep(self, delivery: Delivery, *, first: bool = False) -> None:
        """first: it was out before, and goes before the others again."""
        if len(self._waiting) >= KEPT:
            self._waiting.popleft()
            self.dropped += 1
        if first:
            self._waiting.appendleft(delivery)
        else:
            self._waiting.append(delivery)

    def pump(self, now: float) -> Iterator["Peer"]:
        """Queues what the windows have room for, turn by turn; yields each session that has something to write."""
        receivers = [peer for peer in self.sessions if peer.receives]
        while self._waiting and receivers:
            for peer in list(receivers):
                if not self._waiting:
                    return
                if peer.session.room <= 0:
                    receivers.remove(peer)
                    continue
                delivery = self._waiting.popleft()
                if delivery.taken:  # by a response that came late
                    continue
                try:
                    peer.session.request(delivery.body, now, delivery)
                except EncodeError:  # an address that data_sm carries and deliver_sm cannot
                    self.dropped += 1
                yield peer
