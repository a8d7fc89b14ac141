"""What people do with campaigns. Each is one transaction, with its record in the audit trail and its line of history.

Whoever calls says for which account: a campaign of another one is as unknown as one that never was.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from pombo.account.account import Account
from pombo.account.window import opening
from pombo.campaign.check import Letters
from pombo.campaign.columns import Use
from pombo.campaign.states import DRAFTS, State
from pombo.errors import PomboError
from pombo.message import MessageClass
from pombo.store import accounts, campaign_rows, campaigns
from pombo.store.audit import Actor, Change, changing
from pombo.store.campaigns import Campaign
from pombo.store.database import Database

TYPED_FROM = 1000  # messages; who sends so many types their number
MOST_BODY = 5000
_MOST_NAME = 100
_AHEAD_MOST = timedelta(days=366)


class Wrong(PomboError):
    """What a person asked for cannot be done; `args[0]` is a word that the panel has a sentence for."""

    def __init__(self, word: str, detail: str = "") -> None:
        super().__init__(word)
        self.word = word
        self.detail = detail


class Who(NamedTuple):
    actor: Actor  # for the audit trail
    name: str  # for the campaign's history


class Message(NamedTuple):
    """What each row becomes."""

    name: str
    uses: Sequence[str]
    body: str
    text_mode: str
    message_class: int
    empty_refused: bool


class Totals(NamedTuple):
    """Of a checked campaign."""

    rows: int  # that would be sent
    parts: int
    price_milli: int
    plain_price_milli: int  # without accents
    longer: int  # rows of more than one part
    saved_milli: int  # if these had one
    refused: dict[str, int]  # by reason


async def totals(db: Database, campaign_id: int) -> Totals:
    found = await campaign_rows.totals(db, campaign_id)
    sent = [one for one in found if not one.refusal]
    return Totals(
        rows=sum(one.rows for one in sent),
        parts=sum(one.rows * one.parts for one in sent),
        price_milli=sum(one.price_milli for one in sent),
        plain_price_milli=sum(one.plain_price_milli for one in sent),
        longer=sum(one.rows for one in sent if one.parts > 1),
        saved_milli=sum(one.price_milli - one.price_milli // one.parts for one in sent if one.parts > 1),
        refused={one.refusal: one.rows for one in found if one.refusal},
    )


def begins_at(account: Account, message_class: int, start_at: datetime | None, now: datetime) -> datetime:
    """When the first message may go. Numbers in other time zones have hours of their own."""
    at = now if start_at is None or start_at < now else start_at
    if message_class != MessageClass.MARKETING or account.marketing_window is None:
        return at
    return opening(account.marketing_window, (account.zone,), at).opens_at


async def set_message(db: Database, account_id: int, campaign_id: int, message: Message, who: Who) -> None:
    """What each row of a draft becomes; all of them are checked anew. Raises Wrong."""
    async with _campaign(db, account_id, campaign_id, "campaign.message", who) as (change, campaign):
        if campaign.state not in DRAFTS:
            raise Wrong("started")
        if len(message.uses) != len(campaign.titles) or any(use not in list(Use) for use in message.uses):
            raise Wrong("columns")
        numbers = list(message.uses).count(Use.NUMBER)
        if numbers != 1:
            raise Wrong("no_number_column" if numbers == 0 else "two_number_columns")
        if not message.body.strip():
            raise Wrong("empty_message")
        if len(message.body) > MOST_BODY:
            raise Wrong("long_message")
        name = " ".join(message.name.split())[:_MOST_NAME] or campaign.name
        changed = campaign._replace(uses=list(message.uses), body=message.body)
        if unknown := Letters(changed).template.unknown:
            raise Wrong("unknown_variable", unknown[0])
        async with change.db.transaction() as tx:
            await campaigns.set_message(
                tx,
                campaign_id,
                name=name,
                uses=message.uses,
                body=message.body,
                text_mode=message.text_mode,
                message_class=message.message_class,
                empty_refused=message.empty_refused,
                state=State.CHECKING,
            )
        change.record(
            f"campaign {campaign_id}", after={"name": name, "columns": len(Letters(changed).places)}
        )


async def start(
    db: Database,
    account_id: int,
    campaign_id: int,
    *,
    version: int,
    start_at: datetime | None,
    typed: str,
    who: Who,
) -> None:
    """Confirm a checked campaign. version: that the person saw. typed: the number of messages, where there are many.
    Only what its messages need of the rows is kept from now on. Raises Wrong."""
    async with _campaign(db, account_id, campaign_id, "campaign.start", who) as (change, campaign):
        if campaign.state not in DRAFTS:
            raise Wrong("started")
        if campaign.state != State.CHECKED or campaign.version != version:
            raise Wrong("changed")
        sums = await totals(change.db, campaign_id)
        if sums.rows == 0:
            raise Wrong("nobody")
        if sums.rows >= TYPED_FROM and "".join(char for char in typed if char.isdigit()) != str(sums.rows):
            raise Wrong("typed", str(sums.rows))
        if start_at is not None and start_at - datetime.now(UTC) > _AHEAD_MOST:
            raise Wrong("too_far")
        account = await accounts.of_id(change.db, account_id)
        if not account["active"]:
            raise Wrong("suspended")
        if sums.price_milli > account["available_milli"]:
            raise Wrong("credit", str(sums.price_milli - account["available_milli"]))
        refused = sum(sums.refused.values())
        async with change.db.transaction() as tx:
            await campaign_rows.keep_only(tx, campaign_id, Letters(campaign).places)
            await campaigns.start(tx, campaign_id, State.RUNNING, start_at, refused)
            await campaigns.note(tx, campaign_id, "started", who.name, f"{sums.rows} {refused}")
        change.record(
            f"campaign {campaign_id}",
            after={"messages": sums.rows, "price_milli": sums.price_milli, "start_at": start_at},
        )


async def pause(db: Database, account_id: int, campaign_id: int, who: Who) -> None:
    """Raises Wrong."""
    await _move(db, account_id, campaign_id, who, "pause", State.RUNNING, State.PAUSED)


async def resume(db: Database, account_id: int, campaign_id: int, who: Who) -> None:
    """Raises Wrong."""
    await _move(db, account_id, campaign_id, who, "resume", State.PAUSED, State.RUNNING)


async def cancel(db: Database, account_id: int, campaign_id: int, *, queued: bool, who: Who) -> None:
    """Rows that are no messages yet never will be. queued: messages that wait are cancelled and refunded, too. Raises
    Wrong."""
    async with _campaign(db, account_id, campaign_id, "campaign.cancel", who) as (change, campaign):
        allowed = {State.RUNNING, State.PAUSED, *({State.DONE, State.CANCELLED} if queued else ())}
        if campaign.state not in allowed or campaign.erased_at is not None:
            raise Wrong("not_running")
        async with change.db.transaction() as tx:
            await campaigns.cancel(tx, campaign_id, State.CANCELLING, queued=queued)
            await campaigns.note(tx, campaign_id, "cancelled", who.name, "queued" if queued else "")
        change.record(f"campaign {campaign_id}", after={"cancelled": True, "queued": queued})


async def drop(db: Database, account_id: int, campaign_id: int, who: Who) -> None:
    """Remove a draft with all its rows. Raises Wrong."""
    async with _campaign(db, account_id, campaign_id, "campaign.drop", who) as (change, campaign):
        if campaign.state not in DRAFTS:
            raise Wrong("started")
        async with change.db.transaction() as tx:
            await campaigns.drop_draft(tx, campaign_id)
        change.record(f"campaign {campaign_id}", before={"draft": True, "rows": campaign.row_count})


async def _move(
    db: Database, account_id: int, campaign_id: int, who: Who, what: str, before: State, after: State
) -> None:
    async with _campaign(db, account_id, campaign_id, f"campaign.{what}", who) as (change, campaign):
        if campaign.state != before:
            raise Wrong("not_running" if what == "pause" else "not_paused")
        async with change.db.transaction() as tx:
            await campaigns.move(tx, campaign_id, after)
            await campaigns.note(tx, campaign_id, f"{what}d", who.name)
        change.record(
            f"campaign {campaign_id}",
            before={"state": before.name.lower()},
            after={"state": after.name.lower()},
        )


@asynccontextmanager
async def _campaign(
    db: Database, account_id: int, campaign_id: int, action: str, who: Who
) -> AsyncIterator[tuple[Change, Campaign]]:
    """A change of this campaign, which nobody else changes meanwhile. Raises Wrong where there is none."""
    async with changing(db, who.actor, action) as change:
        async with change.db.transaction() as tx:
            campaign = await campaigns.lock(tx, account_id, campaign_id)
        if campaign is None:
            raise Wrong("unknown")
        yield change, campaign
