"""What campaigns are given from outside, and the ids of their messages."""

import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from pombo.account.account import Account
from pombo.errors import Refusal
from pombo.store.database import Database


class Judged(NamedTuple):
    """What the rules of acceptance say of one message, before the store is asked."""

    refusal: Refusal | None
    number: int
    parts: int
    price_milli: int  # of all parts
    sent: str  # the text that goes out
    ucs2: bool


class Letter(NamedTuple):
    client_ref: str
    destination: str  # as it stands in the file
    text: str


class Outcome(NamedTuple):
    message_id: int | None  # None where it is refused
    refusal: Refusal | None


class Doors(NamedTuple):
    db: Database
    holder: uuid.UUID  # this process, until it ends
    # The account with the campaign's class; the destination, the text, the text mode ('': the account's).
    judge: Callable[[Account, str, str, str], Judged]
    # An outcome for each letter, in order. The same id again has the same outcome. Raises Unavailable when it is not
    # known what was stored.
    submit: Callable[[Account, Sequence[Letter], str], Awaitable[list[Outcome]]]
    number_hmac: Callable[[int], bytes]  # as block lists have it


def prefix(campaign_id: int) -> str:
    return f"campanha-{campaign_id}-"


def client_ref(campaign_id: int, n: int) -> str:
    """Of a row's message: made of nothing but the row, so that sending it once more changes nothing."""
    return f"{prefix(campaign_id)}{n}"
