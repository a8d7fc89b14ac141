"""Relatórios e consumo: what was sent by day, by connection and by token (a cost centre has one of its own), and the
statement of the account's money."""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from litestar.exceptions import NotFoundException
from litestar.response import Stream

from pombo.account.account import Account
from pombo.panel import figures, meaning, sheet
from pombo.panel.figures import Kept, Totals
from pombo.panel.filters import FROM_PANEL, day_of, midnight
from pombo.panel.messages import connections
from pombo.panel.messages import token_names as token_names_of
from pombo.panel.overview import chart
from pombo.panel.page import HEADERS, Asked, Page, doors_of, person_of, render, show
from pombo.panel.words import _, noted
from pombo.store import ledger, traffic
from pombo.store.database import Database
from pombo.store.ledger import Entry
from pombo.store.traffic import DAY, Bucket

MOST_DAYS = 93  # measured: 5 million messages take 3 s
_ENTRIES = 100  # on the page, the newest ones
_TABLE_ENTRIES = 50_000

_kept = Kept(60)


class Span(NamedTuple):
    """Whole days of the account, both included."""

    first: date
    last: date
    since: datetime
    until: datetime
    cut: bool  # a longer one was asked for

    @classmethod
    def of(cls, request: Asked) -> "Span":
        """This month, unless the address says something else."""
        zone = person_of(request).account.zone
        today = datetime.now(zone).date()
        first, last = day_of(request.query_params.get("de", "")), day_of(request.query_params.get("ate", ""))
        if first is None and last is None:
            first, last = today.replace(day=1), today
        first, last = first or last or today, last or first or today
        first, last = min(first, last), max(first, last)
        cut = (last - first).days >= MOST_DAYS
        if cut:
            first = last - timedelta(days=MOST_DAYS - 1)
        return cls(first, last, midnight(first, zone), midnight(last + timedelta(days=1), zone), cut)


class Figured(NamedTuple):
    by_day: Sequence[tuple[date, Totals]]  # the newest first
    by_connection: Sequence[tuple[str, Totals]]
    by_token: Sequence[tuple[str, str, Totals]]  # name, as Mensagens is narrowed to it, figures
    totals: Totals


async def _figured(db: Database, account: Account, span: Span) -> Figured:
    async def asked() -> list[Bucket]:
        return await traffic.buckets(db, account.id, span.since, span.until, DAY, account.zone.key)

    buckets = await _kept.get((db, account.id, span.first, span.last), asked)
    until = min(span.until, datetime.now(UTC))
    by_time = figures.by_time(buckets, span.since, until, DAY, account.zone)
    names = await connections(db, account.id)
    token_names = {0: _("sem token: pelo painel"), **await token_names_of(db, account.id)}
    return Figured(
        [(at.date(), of) for at, of in reversed(by_time)],
        [
            (names.get(smsc_id, "—"), of)
            for smsc_id, of in figures.by_connection(buckets).items()
            if of.messages
        ],
        [
            (token_names.get(token_id, "—"), str(token_id or FROM_PANEL), of)
            for token_id, of in figures.by_token(buckets).items()
            if of.messages
        ],
        figures.totals(buckets),
    )


@show("/relatorios")
async def reports(request: Asked) -> Page:
    account, db = person_of(request).account, doors_of(request).db
    span = Span.of(request)
    figured = await _figured(db, account, span)
    _opening, entries = await ledger.statement(db, account.id, span.since, span.until, _ENTRIES)
    days = [(datetime.combine(day, time(), account.zone), of) for day, of in reversed(figured.by_day)]
    today = datetime.now(account.zone).date()
    last_month = today.replace(day=1) - timedelta(days=1)
    return render(
        request,
        "reports.html",
        span=span,
        most_days=MOST_DAYS,
        figured=figured,
        chart=chart(days, DAY),
        money_days=list(reversed(await ledger.days(db, account.id, span.since, span.until))),
        entries=list(reversed(entries)),
        most_entries=_ENTRIES,
        kinds=meaning.LEDGER,
        months=[
            (_("Este mês"), today.replace(day=1), today),
            (_("Mês passado"), last_month.replace(day=1), last_month),
            (_("7 dias"), today - timedelta(days=6), today),
            (_("90 dias"), today - timedelta(days=89), today),
        ],
    )


_BY_DAY = (
    noted("Dia"), noted("Mensagens"), noted("Segmentos"), noted("Entregues"), noted("Falhas"), noted("Aguardando"),
    noted("Custo (R$)"),
)  # fmt: skip
_STATEMENT = (
    noted("Quando"), noted("Lançamento"), noted("Tipo"), noted("Mensagens"), noted("Valor (R$)"), noted("Saldo (R$)"),
    noted("Referência"), noted("Observação"),
)  # fmt: skip


@show("/relatorios/exportar/{what:str}")
async def export(request: Asked, what: str) -> Stream | Page:
    """The tables of the page, whole."""
    account, db = person_of(request).account, doors_of(request).db
    kind, span = request.query_params.get("formato", sheet.CSV), Span.of(request)
    if kind not in sheet.CONTENT_TYPES:
        raise NotFoundException
    head: Sequence[str]
    rows: Iterable[Sequence[sheet.Cell]]
    match what:
        case "dias":
            figured = await _figured(db, account, span)
            head, rows = _BY_DAY, (_totals(day.isoformat(), of) for day, of in figured.by_day)
        case "conexoes":
            figured = await _figured(db, account, span)
            head, rows = (
                (noted("Conexão"), *_BY_DAY[1:]),
                (_totals(name, of) for name, of in figured.by_connection),
            )
        case "tokens":
            figured = await _figured(db, account, span)
            head, rows = (
                (noted("Token"), *_BY_DAY[1:]),
                (_totals(name, of) for name, _token, of in figured.by_token),
            )
        case "extrato":
            _opening, entries = await ledger.statement(db, account.id, span.since, span.until, _TABLE_ENTRIES)
            head, rows = _STATEMENT, (_entry(account, entry) for entry in entries)
        case _:
            raise NotFoundException
    name = f"{what}-{span.first}-{span.last}.{kind}"
    return Stream(
        sheet.write(kind, [_(title) for title in head], _one_page(list(rows))),
        media_type=sheet.CONTENT_TYPES[kind],
        headers={**HEADERS, "Content-Disposition": f'attachment; filename="{name}"'},
    )


async def _one_page(rows: Sequence[Sequence[sheet.Cell]]) -> AsyncIterator[Sequence[Sequence[sheet.Cell]]]:
    yield rows


def _totals(name: str, of: Totals) -> list[sheet.Cell]:
    return [name, of.messages, of.parts, of.delivered, of.failed, of.waiting, of.cost_milli / 1000]


def _entry(account: Account, entry: Entry) -> list[sheet.Cell]:
    return [
        entry.at.astimezone(account.zone),
        entry.id,
        _(meaning.LEDGER[entry.kind].text),
        entry.messages,
        entry.amount_milli / 1000,
        entry.balance_milli / 1000,
        entry.reference or "",
        entry.note,
    ]


handlers = (reports, export)
