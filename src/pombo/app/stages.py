"""What a link hands on of what its operator sent: receipts to one stage, replies to the other."""

from collections.abc import Callable, Sequence

from pombo.inbound import replies
from pombo.receipt import identity, match
from pombo.send.settlement import Delivery, Effects
from pombo.store.database import Connection


class Stages:
    """Receipts and replies of one connection, as its link sees them (send.settlement.Incoming)."""

    def __init__(self, smsc_id: int, of_one: match.Receipts, all_replies: replies.Replies) -> None:
        self._smsc_id = smsc_id
        self._receipts = of_one
        self._replies = all_replies

    async def new_ids(self, tx: Connection, keys: Sequence[str]) -> list[int]:
        return await self._receipts.rematch(tx, keys)

    async def receive(
        self, tx: Connection, deliveries: Sequence[Delivery], in_flight: Callable[[int], bool]
    ) -> Effects:
        arrived, written = [], []
        for delivery in deliveries:
            receipt = match.of(delivery.body)
            if receipt is not None:
                arrived.append(receipt)
            else:
                written.append(replies.Arrived(*delivery))
        final, parked = await self._receipts.settle(tx, arrived, in_flight) if arrived else ([], [])
        return Effects(
            final, await self._replies.store(tx, self._smsc_id, written) if written else [], parked
        )


def read_id(octets: bytes) -> tuple[str, str]:
    raw_id = identity.from_octets(octets)
    return raw_id, identity.key(raw_id)
