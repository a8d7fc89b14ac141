"""How far a campaign has come: what became of its messages. Counting them costs time in proportion to their number, so
what was counted is kept for a while by whoever looks often."""

import time
from datetime import datetime
from typing import NamedTuple
from weakref import WeakKeyDictionary

from pombo.campaign.doors import prefix
from pombo.campaign.states import OVER, State
from pombo.message import FINAL
from pombo.message import State as MessageState
from pombo.store import campaign_rows, campaigns
from pombo.store.campaign_rows import Became, Minute
from pombo.store.campaigns import Answers, Campaign
from pombo.store.database import Database

_KEPT_S = 1.5
_REST = 20  # times as long as counting took: a large campaign is counted less often
_MOST_KEPT = 500
_MINUTES = 30

_NOT_DELIVERED = (MessageState.UNDELIVERED, MessageState.EXPIRED, MessageState.REJECTED)


class Progress(NamedTuple):
    """All in messages, or rows that are to become some."""

    total: int
    delivered: int
    taken: int  # by operators, without the last word
    failed: int
    cancelled: int  # or never sent, of a campaign that was cancelled
    left: int  # in the queue, or not even there
    price_milli: int  # without what was given back
    failures: list[Became]  # what was not delivered, the commonest first
    pace: list[Minute]  # of each minute that had any
    answers: Answers

    @property
    def sent(self) -> int:
        return self.delivered + self.taken + self.failed

    @property
    def per_s(self) -> float:
        """Taken by operators, in the last ten seconds."""
        return sum(minute.lately for minute in self.pace) / 10


class _Counted(NamedTuple):
    until: float  # by time.monotonic
    changed_at: datetime  # the campaign as it was counted: a pause or a cancellation shows at once
    became: list[Became]
    pace: list[Minute]
    answers: Answers


_kept: "WeakKeyDictionary[Database, dict[int, _Counted]]" = WeakKeyDictionary()


async def of(db: Database, campaign: Campaign) -> Progress:
    """Of a campaign that was confirmed."""
    counted = await _counted(db, campaign)
    by_state = dict.fromkeys(MessageState, 0)
    for one in counted.became:
        by_state[MessageState(one.state)] += one.messages
    total = campaign.row_count - campaign.refused
    rest = max(total - sum(by_state.values()), 0)
    never = rest if campaign.state == State.CANCELLED else 0
    return Progress(
        total=total,
        delivered=by_state[MessageState.DELIVERED],
        taken=by_state[MessageState.SUBMITTED] + by_state[MessageState.UNCERTAIN],
        failed=sum(by_state[state] for state in _NOT_DELIVERED),
        cancelled=by_state[MessageState.CANCELLED] + never,
        left=by_state[MessageState.WAITING] + rest - never,
        price_milli=sum(one.price_milli - one.refunded_milli for one in counted.became),
        failures=[one for one in counted.became if one.state in _NOT_DELIVERED],
        pace=counted.pace,
        answers=counted.answers,
    )


async def _counted(db: Database, campaign: Campaign) -> _Counted:
    kept = _kept.setdefault(db, {})
    found = kept.get(campaign.id)
    if found and found.changed_at == campaign.changed_at and found.until > time.monotonic():
        return found
    began = time.monotonic()
    since = campaign.started_at or campaign.created_at
    answers = await campaigns.answers(db, campaign.account_id, prefix(campaign.id), since)
    if campaign.outcome is None:
        became = await campaign_rows.became(db, campaign.id, since)
        if campaign.state in OVER and all(one.state in FINAL for one in became):
            await campaign_rows.freeze(db, campaign.id, became)
    else:
        became = campaign.outcome
    pace = await campaign_rows.pace(db, campaign.id, since, _MINUTES)
    ended = time.monotonic()
    until = ended + max(_KEPT_S, _REST * (ended - began))
    found = _Counted(until, campaign.changed_at, became, pace, answers)
    kept.pop(campaign.id, None)
    while len(kept) >= _MOST_KEPT:
        del kept[next(iter(kept))]
    kept[campaign.id] = found
    return found
