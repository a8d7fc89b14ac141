"""Rows as the intake writes them, for tests that begin after it."""

from collections.abc import Sequence
from datetime import UTC, datetime

from pombo.account.secret import Secrets
from pombo.message import MessageClass
from pombo.send.turn import Turns
from pombo.store.database import Db
from pombo.store.intake import NewMessages
from pombo.store.queue import Claimed

SECRETS = Secrets(b"a secret for the tests")


def one_message(
    account_id: int,
    message_id: int,
    number: int,
    smsc_id: int,
    *,
    text: str = "oi",
    parts: int = 1,
    cost_milli: int = 80,
    valid_s: int = 3600,
    message_class: int = MessageClass.TRANSACTIONAL,
    opens_at: datetime | None = None,
    closes_at: datetime | None = None,
) -> NewMessages:
    """An accepted message with the id as its client's id."""
    return NewMessages(
        account_ids=[account_id],
        costs_milli=[cost_milli],
        counts=[1],
        accepted_at=datetime.now(UTC),
        message_ids=[message_id],
        kinds=[1],
        owner_ids=[account_id],
        client_refs=[str(message_id)],
        destinations=[str(number)],
        numbers=[number],
        bodies=[text],
        sent_bodies=[None],
        ucs2=[False],
        parts=[parts],
        prices_milli=[cost_milli],
        classes=[message_class],
        held_for=[""],
        smsc_ids=[smsc_id],
        content_hmacs=[b"hash"],
        validities_s=[valid_s],
        scheduled_ats=[None],
        opens_ats=[opens_at],
        closes_ats=[closes_at],
        token_ids=[None],
    )


def many_messages(
    account_id: int, message_ids: Sequence[int], numbers: Sequence[int], smsc_id: int
) -> NewMessages:
    """As `one_message`, one to each number."""
    count = len(message_ids)
    one = one_message(account_id, message_ids[0], numbers[0], smsc_id)
    return one._replace(
        costs_milli=[80 * count],
        counts=[count],
        message_ids=list(message_ids),
        kinds=[1] * count,
        client_refs=[str(message_id) for message_id in message_ids],
        destinations=[str(number) for number in numbers],
        numbers=list(numbers),
        bodies=one.bodies * count,
        sent_bodies=one.sent_bodies * count,
        content_hmacs=one.content_hmacs * count,
    )


async def claim(db: Db, smsc_id: int, session_id: int, room: int) -> list[Claimed]:
    """What a bind that has just begun claims."""
    return (await Turns(smsc_id).claim(db, session_id, room, 0.0)).claimed
