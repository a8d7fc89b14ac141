"""Carries campaigns on, a page at a time, in turn. On any number of nodes: each campaign is one process's, by a lease.

A page's messages are accepted first, under ids made of campaign and line, and then noted in one commit. After a crash in
between the page is sent again: the intake answers for each id as it did before, so nobody is left out and nobody gets it
twice. Only so many messages wait in the queue at a time; so a pause takes effect at once, and others have their turn.
"""

import asyncio
import contextlib
import time
from datetime import UTC, datetime

import structlog

from pombo.account.account import Account
from pombo.account.window import opening
from pombo.campaign import check, reasons
from pombo.campaign.doors import Doors, Letter, Outcome, client_ref
from pombo.campaign.reasons import Reason
from pombo.campaign.states import State
from pombo.errors import Refusal, Unavailable
from pombo.message import MessageClass
from pombo.store import accounts, campaign_rows, campaigns, intake, waiting
from pombo.store.campaign_rows import Row
from pombo.store.campaigns import Campaign, Work
from pombo.store.database import Database, Within

log = structlog.get_logger()

PAGE = 1000  # rows of one commit
MOST_WAITING = 2000  # messages of a campaign that wait to be written at a time
LEASE_S = 20.0
_IDLE_S = 1.0
_FULL_S = 0.5  # until it is looked again whether the queue has room
_RATE_S, _RATE_MOST_S = 1.0, 60.0
_UNAVAILABLE_S = 2.0
_DRAFT_HOURS = 72.0
_DRAFTS_S = 600.0

# What pauses a campaign until somebody has seen to it.
_STOPS = {Refusal.CREDIT: "credit", Refusal.SUSPENDED: "suspended", Refusal.NO_ROUTE: "no_route"}


class _Pace:
    """What this process knows of a campaign that it carries on."""

    def __init__(self) -> None:
        self.waiting: list[int] | None = None  # messages that were in the queue when it was looked
        self.not_before = 0.0  # by time.monotonic
        self.pause_s = _RATE_S  # after a limit was reached


class Runner:
    """`run` until it is cancelled; `wake` when campaigns have changed."""

    def __init__(self, doors: Doors, *, most_waiting: int = MOST_WAITING, lease_s: float = LEASE_S) -> None:
        self._doors = doors
        self._db: Database = doors.db
        self._most_waiting = most_waiting
        self._lease_s = lease_s
        self._paces: dict[int, _Pace] = {}
        self._more = asyncio.Event()
        self._drafts_at = 0.0

    def wake(self) -> None:
        self._more.set()

    async def run(self) -> None:
        try:
            while True:
                self._more.clear()
                if not await self._step():
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_IDLE_S):
                            await self._more.wait()
        finally:
            await asyncio.shield(self._release())

    async def step(self) -> bool:
        """A page of each campaign that is ours. False when none of them has more to do just now."""
        works = await campaigns.take(self._db, self._doors.holder, self._lease_s)
        self._paces = {work.campaign.id: self._paces.get(work.campaign.id) or _Pace() for work in works}
        busy = False
        for work in works:
            pace = self._paces[work.campaign.id]
            if pace.not_before > time.monotonic():
                continue
            busy = await self._carry_on(work, pace) or busy
        await self._drop_old_drafts()
        return busy

    async def _step(self) -> bool:
        try:
            return await self.step()
        except Unavailable as error:
            log.warning("campaigns_wait", error=str(error))
        except Exception:  # a fault of ours in one step must not end it for good
            log.exception("campaigns_failed")
        return False

    async def _release(self) -> None:
        with contextlib.suppress(Unavailable):  # then the leases run out by themselves
            await campaigns.release(self._db, self._doors.holder)

    async def _drop_old_drafts(self) -> None:
        if time.monotonic() > self._drafts_at:
            await campaigns.drop_old_drafts(self._db, _DRAFT_HOURS)
            self._drafts_at = time.monotonic() + _DRAFTS_S

    async def _carry_on(self, work: Work, pace: _Pace) -> bool:
        campaign = work.campaign
        if work.taken_over and campaign.state == State.RUNNING:
            await campaigns.note(self._db, campaign.id, "taken_over", detail=str(campaign.done_to))
            log.info("campaign_taken_over", campaign=campaign.id, row=campaign.done_to)
        row = await accounts.of_id(self._db, campaign.account_id)
        account = Account.of(row)._replace(message_class=campaign.message_class)
        match campaign.state:
            case State.CHECKING:
                return await self._check(campaign, account)
            case State.RUNNING:
                return await self._send(campaign, account, pace)
            case _:
                return await self._cancel(campaign)

    # A draft

    async def _check(self, campaign: Campaign, account: Account) -> bool:
        rows = await campaign_rows.page(self._db, campaign.id, campaign.done_to, PAGE)
        verdicts = await check.verdicts(self._doors, account, campaign, check.Letters(campaign), rows)
        async with self._db.transaction() as tx:
            if await campaigns.hold(tx, campaign, self._doors.holder) != State.CHECKING:
                return True  # changed meanwhile: from the first row on again
            if verdicts:
                await campaign_rows.write_verdicts(tx, campaign.id, verdicts)
                refused = sum(verdict.refusal != "" for verdict in verdicts)
                await campaigns.advance(tx, campaign.id, rows[-1].n, 0, refused, "")
            if len(rows) < PAGE:
                repeated = await campaign_rows.refuse_repetitions(tx, campaign.id, Reason.DUPLICATE)
                await campaigns.advance(tx, campaign.id, 0, 0, repeated, "")
                await campaigns.move(tx, campaign.id, State.CHECKED)
        return True

    # One that was confirmed

    async def _send(self, campaign: Campaign, account: Account, pace: _Pace) -> bool:
        if self._closed(account):
            return await self._wait(campaign, pace, "window", _IDLE_S)
        room = await self._room(campaign, pace)
        if room <= 0:
            return await self._wait(campaign, pace, "queue", _FULL_S)
        rows = await campaign_rows.unsettled(self._db, campaign.id, campaign.done_to, min(PAGE, room))
        if not rows:
            return await self._done(campaign)
        letters = check.Letters(campaign)
        try:
            outcomes = await self._doors.submit(
                account,
                [
                    Letter(
                        client_ref(campaign.id, row.n),
                        letters.destination(row.cells),
                        letters.text(row.cells),
                    )
                    for row in rows
                ],
                campaign.text_mode,
            )
        except Unavailable:  # perhaps stored, perhaps not: the same ids again will tell
            return await self._wait(campaign, pace, "unavailable", _UNAVAILABLE_S)
        return await self._note(campaign, account, pace, rows, outcomes, letters)

    async def _note(
        self,
        campaign: Campaign,
        account: Account,
        pace: _Pace,
        rows: list[Row],
        outcomes: list[Outcome],
        letters: check.Letters,
    ) -> bool:
        """Commit what became of a page. False when the campaign has to wait."""
        accepted = [
            (row.n, outcome.message_id)
            for row, outcome in zip(rows, outcomes, strict=True)
            if outcome.message_id is not None
        ]
        refused, left = _refused(account, rows, outcomes, letters, someone=bool(accepted))
        done_to = min(left) - 1 if left else rows[-1].n
        stop = next((_STOPS[why] for why in left.values() if why in _STOPS), None)
        waits_for = "rate" if left and stop is None else ""
        async with self._db.transaction() as tx:
            state = await campaigns.hold(tx, campaign, self._doors.holder)
            if state is None:
                return True  # another process has it: it will find the same
            sent, never = await campaign_rows.write_outcome(tx, campaign.id, accepted, refused)
            await campaigns.advance(tx, campaign.id, done_to, sent, never, waits_for)
            if stop is not None and state == State.RUNNING:
                await campaigns.move(tx, campaign.id, State.PAUSED, stop)
                await campaigns.note(tx, campaign.id, "stopped", detail=stop)
                log.warning("campaign_stopped", campaign=campaign.id, reason=stop)
        pace.waiting = [*(pace.waiting or ()), *(message_id for _, message_id in accepted)]
        if waits_for:  # a limit of the day frees nothing for hours, one of the second does soon
            pace.pause_s = _RATE_S if accepted else min(2 * pace.pause_s, _RATE_MOST_S)
            pace.not_before = time.monotonic() + pace.pause_s
        return not left

    async def _done(self, campaign: Campaign) -> bool:
        async with self._db.transaction() as tx:
            if await campaigns.hold(tx, campaign, self._doors.holder) == State.RUNNING:
                await campaigns.end(tx, campaign.id, State.DONE)
                await campaigns.note(tx, campaign.id, "done")
        return True

    async def _room(self, campaign: Campaign, pace: _Pace) -> int:
        if pace.waiting is None:  # another process, or this one before a pause, has sent some of it
            last = await campaign_rows.last_messages(self._db, campaign.id, campaign.done_to, MOST_WAITING)
            pace.waiting = await campaign_rows.waiting(self._db, last)
        if len(pace.waiting) >= self._most_waiting:
            pace.waiting = await campaign_rows.waiting(self._db, pace.waiting)
        return self._most_waiting - len(pace.waiting)

    def _closed(self, account: Account) -> bool:
        """Whether marketing waits, where the account is. Numbers elsewhere wait in the queue for their own hours."""
        window = account.marketing_window
        if account.message_class != MessageClass.MARKETING or window is None:
            return False
        now = datetime.now(UTC)
        return opening(window, (account.zone,), now).opens_at > now

    async def _wait(self, campaign: Campaign, pace: _Pace, waits_for: str, pause_s: float) -> bool:
        pace.not_before = time.monotonic() + pause_s
        await campaigns.wait(self._db, campaign.id, self._doors.holder, waits_for)
        return False

    # One that was cancelled

    async def _cancel(self, campaign: Campaign) -> bool:
        """Nothing more is sent. What waits in the queue is taken back where that was asked for, a page at a time."""
        async with self._db.transaction() as tx:
            if await campaigns.hold(tx, campaign, self._doors.holder) != State.CANCELLING:
                return True
            if campaign.done_to == 0:
                await self._note_the_unknown(Within(tx), campaign)
            page = []
            if campaign.cancel_queued:
                page = await campaign_rows.queued(tx, campaign.id, campaign.done_to, PAGE)
                if page:
                    ids = [row["message_id"] for row in page]
                    await campaigns.advance(tx, campaign.id, page[-1]["n"], 0, 0, "")
                    await waiting.cancel(Within(tx), waiting.Which(message_ids=ids), 0)
            if len(page) < PAGE:
                await campaigns.end(tx, campaign.id, State.CANCELLED)
        return True

    async def _note_the_unknown(self, db: Database, campaign: Campaign) -> None:
        """A page may have been accepted by a process that died before it could say so."""
        async with db.transaction() as tx:
            rows = await campaign_rows.unsettled(tx, campaign.id, 0, PAGE)
            refs = {client_ref(campaign.id, row.n): row.n for row in rows}
            known = await intake.known_keys(tx, [campaign.account_id] * len(refs), list(refs))
            accepted = [(refs[ref], found["message_id"]) for (_, ref), found in known.items()]
            sent, _ = await campaign_rows.write_outcome(tx, campaign.id, accepted, [])
            await campaigns.advance(tx, campaign.id, 0, sent, 0, "")


def _refused(
    account: Account, rows: list[Row], outcomes: list[Outcome], letters: check.Letters, *, someone: bool
) -> tuple[list[tuple[int, str, str]], dict[int, Refusal]]:
    """Rows that will never be sent; and those that are tried again, with what keeps them. someone: of the page is
    accepted: then a number without a route is one of few."""
    refused, left = [], {}
    for row, outcome in zip(rows, outcomes, strict=True):
        if outcome.refusal is None:
            continue
        if outcome.refusal.retryable and not (outcome.refusal is Refusal.NO_ROUTE and someone):
            left[row.n] = outcome.refusal
        else:
            destination = letters.destination(row.cells)
            reason, detail = reasons.of_refusal(outcome.refusal, destination, account.countries)
            refused.append((row.n, str(reason), detail))
    return refused, left
