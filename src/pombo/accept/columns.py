"""Submissions as the columns of the statement that accepts them."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from pombo.accept.allowance import prefix_of
from pombo.accept.submission import Submission
from pombo.account.window import AT_ONCE, When, when
from pombo.message import MessageClass
from pombo.store.intake import NewMessages


def columns_of(fresh: Sequence[Submission], message_ids: Sequence[int], now: datetime) -> NewMessages:
    """message_ids: one for each. now: when all of them are accepted."""
    costs: dict[int, list[int]] = {}
    prefixes: Counter[tuple[int, int, int]] = Counter()
    kinds: dict[tuple[int, int, int, bool, int, int, int, str, When, int | None], int] = {}
    columns = NewMessages([], [], [], now, *([] for _ in NewMessages._fields[4:-4]))
    columns.message_ids.extend(message_ids)
    for s in fresh:
        account, outgoing, route = s.account, s.outgoing, s.route
        assert account is not None and outgoing is not None and route is not None
        cost = costs.setdefault(account.id, [0, 0])
        cost[0] += s.price_milli
        if not s.ours:
            cost[1] += 1
            if account.messages_per_prefix:
                prefixes[account.id, prefix_of(s.number), account.messages_per_prefix] += 1
        kind = (
            account.id, route.smsc_id, route.validity_s, outgoing.ucs2, outgoing.parts, s.price_milli,
            account.message_class, s.held_for, _when(s, now), account.token_id,
        )  # fmt: skip
        columns.kinds.append(kinds.setdefault(kind, len(kinds) + 1))
        columns.client_refs.append(s.client_ref)
        columns.destinations.append(s.destination)
        columns.numbers.append(s.number)
        columns.bodies.append(s.body)
        columns.sent_bodies.append(None if outgoing.sent == s.body else outgoing.sent)
        columns.content_hmacs.append(s.content_hmac)
    for (
        account_id,
        smsc_id,
        validity_s,
        ucs2,
        parts,
        price_milli,
        message_class,
        held_for,
        at,
        token_id,
    ) in kinds:
        columns.owner_ids.append(account_id)
        columns.smsc_ids.append(smsc_id)
        columns.validities_s.append(validity_s)
        columns.ucs2.append(ucs2)
        columns.parts.append(parts)
        columns.prices_milli.append(price_milli)
        columns.classes.append(message_class)
        columns.held_for.append(held_for)
        columns.scheduled_ats.append(at.scheduled_at)
        columns.opens_ats.append(at.opens_at)
        columns.closes_ats.append(at.closes_at)
        columns.token_ids.append(token_id)
    for account_id in sorted(costs):
        columns.account_ids.append(account_id)
        columns.costs_milli.append(costs[account_id][0])
        columns.counts.append(costs[account_id][1])
    places = sorted(prefixes)
    return columns._replace(
        prefix_account_ids=[account_id for account_id, _, _ in places],
        prefixes=[prefix for _, prefix, _ in places],
        prefix_counts=[prefixes[place] for place in places],
        prefix_mosts=[most for _, _, most in places],
    )


def _when(s: Submission, now: datetime) -> When:
    account = s.account
    assert account is not None
    if s.scheduled_at is None and account.message_class != MessageClass.MARKETING:
        return AT_ONCE
    return when(s.scheduled_at, account.message_class, account.marketing_window, s.number, account.zone, now)
