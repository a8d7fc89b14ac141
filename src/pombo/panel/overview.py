"""Painel: how an account's traffic stands, the latest messages, and a message to send at once."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from pombo.account.account import Account
from pombo.message import CallbackKind
from pombo.panel import figures, words
from pombo.panel.compose import composer
from pombo.panel.figures import Kept, Totals
from pombo.panel.filters import Filters, of_one
from pombo.panel.messages import connections, has_messages, line
from pombo.panel.page import Asked, Page, Role, doors_of, person_of, render, show
from pombo.panel.words import _, noted
from pombo.store import callbacks, deliveries, listing, traffic
from pombo.store.database import Database
from pombo.store.listing import Which
from pombo.store.traffic import DAY, HOUR, Bucket

_LATEST = 6
_CONNECTIONS = 6
PERIODS = {"hoje": noted("Hoje"), "7d": noted("7 dias"), "30d": noted("30 dias")}

# A figure of a month is worked out of millions of messages, and need not be of this second.
_kept = {"hoje": Kept(5), "7d": Kept(30), "30d": Kept(120)}


class Period(NamedTuple):
    """Figures of a period, and of the one before it, cut off at the same length."""

    since: datetime
    until: datetime
    unit: str
    now: Sequence[Bucket]
    before: Sequence[Bucket]
    median_s: dict[int, float]  # by connection; 0: of all
    median_before_s: float | None
    replies: Sequence[tuple[datetime, int]]
    replies_before: int


@show("/painel")
async def overview(request: Asked) -> Page:
    person, db = person_of(request), doors_of(request).db
    account = person.account
    name = request.query_params.get("periodo", "")
    name = name if name in PERIODS else "hoje"
    if not await has_messages(db, account.id):
        return render(request, "overview_new.html", **await _to_send(request))
    period = await _kept[name].get((db, account.id), lambda: _figures(db, account, name))
    names = await connections(db, account.id)
    return render(
        request,
        "overview.html",
        period_name=name,
        periods={value: _(label) for value, label in PERIODS.items()},
        today=words.long_day(datetime.now(UTC)),
        totals=figures.totals(period.now),
        compared={"hoje": _("vs. ontem"), "7d": _("vs. 7 dias antes"), "30d": _("vs. 30 dias antes")}[name],
        kpis=_kpis(period, account),
        chart=chart(_by_time(period, account), period.unit),
        shares=_shares(period, names),
        rows=await latest(db, account),
        calls=await _calls(db, account.id),
        filters=Filters(),
        **await _to_send(request),
    )


async def _to_send(request: Asked) -> dict[str, Any]:
    """The quick form, for those who may send."""
    if person_of(request).role not in (Role.ADMIN, Role.SENDER):
        return {"may_send": False}
    return {"may_send": True, "results": [], "fault": "", **await composer(request)}


@show("/painel/ultimas")
async def newest(request: Asked) -> Page:
    """The rows of the latest messages, asked for again when something happened to one."""
    rows = await latest(doors_of(request).db, person_of(request).account)
    return render(request, "parts/latest.html", rows=rows, filters=Filters())


async def latest(db: Database, account: Account) -> list[Any]:
    now = datetime.now(UTC)
    page = await listing.page(db, of_one(Which(account.id, now, now)), None, _LATEST)
    return [line(row, None) for row in page.rows]


async def _figures(db: Database, account: Account, name: str) -> Period:
    now = datetime.now(UTC)
    since, until = Filters(period=name).span(account.zone, now)
    unit = HOUR if name == "hoje" else DAY
    length = {"hoje": 1, "7d": 7, "30d": 30}[name]
    before_since = (since.astimezone(account.zone) - timedelta(days=length)).astimezone(UTC)
    before_until = before_since + (until - since)
    zone = account.zone.key
    medians_before = await traffic.receipt_times(db, account.id, before_since, before_until)
    replies = await traffic.replies(db, account.id, since, until, unit, zone)
    replies_before = await traffic.replies(db, account.id, before_since, before_until, DAY, zone)
    return Period(
        since,
        until,
        unit,
        await traffic.buckets(db, account.id, since, until, unit, zone),
        await traffic.buckets(db, account.id, before_since, before_until, DAY, zone),
        await traffic.receipt_times(db, account.id, since, until),
        medians_before.get(0),
        replies,
        sum(count for _at, count in replies_before),
    )


def _by_time(period: Period, account: Account) -> list[tuple[datetime, Totals]]:
    return figures.by_time(period.now, period.since, period.until, period.unit, account.zone)


class Kpi(NamedTuple):
    icon: str
    label: str
    value: str
    change: str  # "": nothing to compare with
    better: bool
    spark: str


def _kpis(period: Period, account: Account) -> list[Kpi]:
    by_time = _by_time(period, account)
    now, before = figures.totals(period.now), figures.totals(period.before)
    replies = sum(count for _at, count in period.replies)
    rates = [of.rate for _at, of in by_time if of.rate is not None]
    median_s = period.median_s.get(0)
    more = figures.change(now.messages, before.messages)
    by_reply = {at.astimezone(account.zone): count for at, count in period.replies}
    return [
        Kpi(
            "send",
            _("Mensagens"),
            words.compact(now.messages),
            "" if more is None else _arrow(more, words.percent(abs(more))),
            (more or 0) >= 0,
            figures.spark([of.messages for _at, of in by_time]),
        ),
        Kpi(
            "checks",
            _("Taxa de entrega"),
            "—" if now.rate is None else words.percent(now.rate),
            _points(now.rate, before.rate),
            (now.rate or 0) >= (before.rate or 0),
            figures.spark(rates),
        ),
        Kpi(
            "clock",
            _("Tempo até o DLR"),
            words.took(median_s) or "—",
            ""
            if median_s is None or period.median_before_s is None
            else _arrow(
                median_s - period.median_before_s, words.took(abs(median_s - period.median_before_s))
            ),
            (median_s or 0) <= (period.median_before_s or 0),
            "",
        ),
        Kpi(
            "message-circle",
            _("Respostas (MO)"),
            words.count(replies),
            _arrow(replies - period.replies_before, words.count(abs(replies - period.replies_before)))
            if period.replies_before
            else "",
            replies >= period.replies_before,
            figures.spark([by_reply.get(at, 0) for at, _of in by_time]),
        ),
    ]


def _points(now: float | None, before: float | None) -> str:
    if now is None or before is None:
        return ""
    points = (now - before) * 100
    return _arrow(points, _("%(n)s p.p.", n=words.decimal(round(abs(points), 1))))


def _arrow(change: float, text: str) -> str:
    """The direction stands in words as well as in colour."""
    return f"{'▲' if change > 0 else '▼' if change < 0 else '='} {text}"


def chart(by_time: Sequence[tuple[datetime, Totals]], unit: str) -> str:
    """As app.js draws it."""
    hours = unit == HOUR
    labels = [f"{at:%H}h" if hours else words.day(at)[:5] for at, _of in by_time]
    data = {
        "x": list(range(len(by_time))),
        "l": labels,
        "every": max(1, -(-len(by_time) // 10)),
        "h": 280,
        "series": [
            {"n": _("Entregues"), "c": "--c1", "v": [of.delivered for _at, of in by_time]},
            {"n": _("Aguardando"), "c": "--c2", "v": [of.waiting for _at, of in by_time]},
            {"n": _("Falhas"), "c": "--c3", "v": [of.failed for _at, of in by_time]},
        ],
    }
    # It stands in a script element, which a closing tag or a comment would end.
    return json.dumps(data, ensure_ascii=True).replace("<", "\\u003c")


class Share(NamedTuple):
    name: str
    of: Totals
    median_s: float | None

    def share(self, part: int) -> float:
        return round(100 * part / self.of.messages, 1) if self.of.messages else 0.0


def _shares(period: Period, names: dict[int, str]) -> list[Share]:
    found = figures.by_connection(period.now)
    return [
        Share(names.get(smsc_id, "—"), of, period.median_s.get(smsc_id))
        for smsc_id, of in list(found.items())[:_CONNECTIONS]
        if of.messages
    ]


class Calls(NamedTuple):
    """How an account's callbacks of one kind go."""

    kind: str
    url: str
    failing: int  # not confirmed after an attempt, or parked, of the last 24 hours
    last: Any  # the latest callback that was tried


async def _calls(db: Database, account_id: int) -> list[Calls]:
    found = []
    since = datetime.now(UTC) - timedelta(days=1)
    for endpoint in await callbacks.endpoints_of(db, account_id):
        which = deliveries.Which(account_id=account_id, kind=endpoint.kind, failed_since=since)
        failing = len(await deliveries.listed(db, which, 100))
        last = await deliveries.listed(db, deliveries.Which(account_id=account_id, kind=endpoint.kind), 1)
        found.append(
            Calls(CallbackKind(endpoint.kind).name, endpoint.url, failing, last[0] if last else None)
        )
    return found


handlers = (overview, newest)
