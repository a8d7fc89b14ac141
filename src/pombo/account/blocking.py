"""What people do with block lists, by whatever way they come: commands or pages. Each leaves its record in the trail."""

from collections.abc import Sequence
from typing import NamedTuple

from pombo.account.secret import Secrets
from pombo.number import masked
from pombo.store import blocks, endings
from pombo.store.audit import Actor, Change, changing
from pombo.store.database import Database

PAGE = 5000  # numbers that are blocked in one transaction


class BlockList(NamedTuple):
    account_id: int  # blocks.EVERYBODY: the operator's

    @property
    def subject(self) -> str:
        """In the audit trail."""
        return f"account {self.account_id}" if self.account_id else "everybody"


class Blocked(NamedTuple):
    added: int  # numbers that were not on the list
    ended: int  # marketing messages that waited for them


class NotListed(Exception):
    """The number is not on this list."""


class OptedOut(Exception):
    """The person asked for it by a reply, and nobody has said that they asked to come back."""


async def block(change: Change, secrets: Secrets, of: BlockList, number: int) -> Blocked:
    """From the commit on, messages to the number are refused; marketing that waits for it ends and is refunded."""
    added = await blocks.add(change.db, of.account_id, [secrets.number_hmac(number)], "manual")
    ended = await _end_waiting(change.db, of, [number])
    if added or ended:
        change.record(of.subject, after={"number": number, "added": added, "ended": ended})
    else:
        change.nothing()
    return Blocked(added, ended)


async def unblock(change: Change, secrets: Secrets, of: BlockList, number: int, *, asked_back: bool) -> None:
    """asked_back: whoever does it says that the person asked to come back, which the record keeps.

    Raises NotListed; and OptedOut where a reply asked for the block, and not asked_back (LGPD art. 18 §2: who opposed to
    being written to is written to again at their own wish only).
    """
    number_hmac = secrets.number_hmac(number)
    entry = await blocks.entry(change.db, of.account_id, number_hmac)
    if entry is None:
        raise NotListed(masked(number))
    if entry["reason"] == "reply" and not asked_back:
        raise OptedOut(masked(number))
    await blocks.remove(change.db, of.account_id, number_hmac)
    before = {"number": number, "reason": entry["reason"], "since": entry["created_at"]}
    change.record(of.subject, before=before, after={"asked_back": asked_back})


async def import_page(
    db: Database, actor: Actor, secrets: Secrets, of: BlockList, numbers: Sequence[int]
) -> Blocked:
    """As `block`, for up to PAGE numbers in a transaction of its own, with a record of the page."""
    if not numbers:
        return Blocked(0, 0)
    async with changing(db, actor, "block.import") as change:
        hmacs = [secrets.number_hmac(number) for number in numbers]
        added = await blocks.add(change.db, of.account_id, hmacs, "import")
        ended = await _end_waiting(change.db, of, sorted(set(numbers)))
        if added or ended:
            change.record(of.subject, after={"added": added, "ended": ended})
        else:
            change.nothing()
    return Blocked(added, ended)


async def _end_waiting(db: Database, of: BlockList, numbers: Sequence[int]) -> int:
    async with db.transaction() as tx:
        ended = await blocks.end_waiting(tx, of.account_id, numbers)
        await endings.ended(tx, None, ended)
    return len(ended)
