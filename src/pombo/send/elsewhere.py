"""Messages that an operator refused, and that another one may take.

A message that was refused for good goes once over each other connection that a rule leads to and that is available;
then the last refusal stands. So does one that was refused for the moment twice; where none is left it stays and is
tried again. Also where the number is refused: an operator that carries its own numbers only says so of ported ones, and
no prefix tells whose a number is. Not where this operator may have a part of the message.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Final

import structlog

from pombo.send.outgoing import Outgoing
from pombo.store import routes
from pombo.store.database import Connection
from pombo.store.smscs import Smsc

log = structlog.get_logger()

# number, account, class, connections that were tried -> an available one that a rule leads to
Elsewhere = Callable[[int, int, int, Collection[int]], int | None]

_REFUSALS_FOR_THE_MOMENT: Final = 2


def nowhere(number: int, account_id: int, message_class: int, tried: Collection[int]) -> None:
    """There is no other connection."""


async def hand_on(tx: Connection, smsc: Smsc, finished: Sequence[Outgoing], elsewhere: Elsewhere) -> set[int]:
    """Returns the connections that got messages.

    Call it when the attempts of `finished` are written, and before they are put back or ended: both leave alone what
    is not being written under its claim any more."""
    refused = {o.claimed.message_id: o for o in finished if _may_go(o)}
    if not refused:
        return set()
    moves = []
    for message in await routes.refused(tx, smsc.id, list(refused)):
        outgoing = refused[message.message_id]
        lasting = outgoing.error is not None or message.refusals >= _REFUSALS_FOR_THE_MOMENT
        if lasting and message.free and message.claims == outgoing.claimed.claim:
            to = elsewhere(message.number, message.account_id, message.message_class, message.tried)
            if to is not None:
                moves.append((message.message_id, message.claims, to))
    if moves:
        await routes.hand_on(tx, moves)
        log.info("refused_and_handed_on", smsc=smsc.name, messages=len(moves))
    return {to for _, _, to in moves}


def _may_go(outgoing: Outgoing) -> bool:
    if outgoing.expired or outgoing.uncertain or not outgoing.tried:
        return False
    for_the_moment = outgoing.retry_delay_s is not None and outgoing.claimed.n >= _REFUSALS_FOR_THE_MOMENT
    return outgoing.error is not None or for_the_moment
