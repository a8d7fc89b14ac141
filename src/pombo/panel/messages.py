"""Mensagens: the list with its filters and views, what leaves it as a table, and one message with its life."""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import asyncpg
from litestar.exceptions import NotFoundException
from litestar.response import Stream

from pombo.account import blocking
from pombo.account.account import Account
from pombo.account.blocking import BlockList
from pombo.message import FINAL, MessageClass, State
from pombo.number import ERASED
from pombo.panel import filters, meaning, samples, saved_views, sheet, timeline, words
from pombo.panel.blocks import ended
from pombo.panel.figures import Kept
from pombo.panel.filters import Filters
from pombo.panel.meaning import Row
from pombo.panel.page import (
    HEADERS,
    Asked,
    Page,
    Role,
    act,
    doors_of,
    person_of,
    redirect,
    render,
    show,
)
from pombo.panel.session import actor_of, base_url, posted
from pombo.panel.words import _, ngettext, noted
from pombo.store import deliveries, explain, listing, tokens, waiting
from pombo.store.audit import changing
from pombo.store.database import Database
from pombo.store.listing import Which
from pombo.text import outgoing

_PAGE = 50
_EXPORT_PAGE = 1000
_NEWER = 1000  # more are "many"
_HIGHEST_ID = 2**63 - 1
_EXAMPLE = {"destino": "11900000001", "msg": "Oi"}  # a number that takes whatever a demonstration sends
_connections = Kept(60)


class Chosen(NamedTuple):
    """What the address asks for, looked up."""

    filters: Filters
    which: Which
    connections: list[str]  # to choose from
    named: bool  # one message was asked for by an id of it


async def chosen(db: Database, account: Account, query: Mapping[str, str]) -> Chosen:
    asked = Filters.of(query)
    known = {name: smsc_id for smsc_id, name in (await connections(db, account.id)).items()}
    which = asked.which(account.id, account.zone, datetime.now(UTC), known)
    found = await _named(db, which, asked.q) if asked.q else None
    return Chosen(asked, found or which, list(known), found is not None)


async def token_names(db: Database, account_id: int) -> dict[int, str]:
    """Of all that an account has or had."""
    rows = await tokens.tokens(db, account_id, over=True)
    return {row["id"]: row["name"] or f"{row['prefix']}…" for row in rows}


async def connections(db: Database, account_id: int) -> dict[int, str]:
    """Names of those that the account's messages went over of late, by their ids."""

    async def asked() -> dict[int, str]:
        return {row["id"]: row["name"] for row in await listing.connections(db, account_id)}

    return await _connections.get((db, account_id), asked)


async def _named(db: Database, which: Which, text: str) -> Which | None:
    if await listing.is_client_ref(db, which.account_id, text):
        return filters.of_one(which, client_ref=text)
    message_id = filters.message_id(text)
    if message_id is not None and await explain.message_of(db, which.account_id, message_id):
        return filters.of_one(which, message_ids=[message_id])
    return None


# The list


@show("/mensagens")
async def listed(request: Asked) -> Page:
    account, db = person_of(request).account, doors_of(request).db
    found = await chosen(db, account, request.query_params)
    before_id = filters.message_id(request.query_params.get("antes", ""))
    page = await listing.page(db, found.which, before_id, _PAGE)
    calls = await listing.callbacks(db, account.id, [row["id"] for row in page.rows])
    count = await listing.count(db, found.which)
    query = found.filters.query()
    return render(
        request,
        "messages.html",
        headers={"HX-Push-Url": f"/mensagens?{query}" if query else "/mensagens"},  # without the empty fields
        filters=found.filters,
        query=query,
        connections=found.connections,
        tokens=[(str(token_id), name) for token_id, name in (await token_names(db, account.id)).items()],
        from_panel=filters.FROM_PANEL,
        views=await saved_views.shown(request),
        rows=[line(row, calls.get(row["id"])) for row in page.rows],
        page=page,
        newest_id=page.rows[0]["id"] if page.rows and before_id is None else None,
        first_page=before_id is None,
        live=before_id is None and not found.named and found.filters.period != "ontem",
        count=count,
        counted=listing.COUNTED,
        is_new=not page.rows and before_id is None and not await has_messages(db, account.id),
        curl=samples.sample("curl", samples.call(base_url(request), "unitario.php", _EXAMPLE)),
        may_cancel=_may_cancel(request),
    )


class Line(NamedTuple):
    """A message in a list."""

    id: int
    number: str
    client_ref: str
    text: str
    state: meaning.Word
    reason: meaning.Reason
    waiting: bool
    connection: str
    parts: int
    callback: meaning.Word | None
    at: datetime


def line(row: Row, call: Row | None) -> Line:
    state = State(row["state"])
    return Line(
        row["id"],
        words.phone(row["number"]),
        row["client_ref"],
        words.written(row["body"]),
        meaning.STATES[state],
        meaning.reason(row),
        state is State.WAITING,
        row["smsc"] or "",
        row["parts"],
        meaning.callback(call),
        row["accepted_at"],
    )


async def has_messages(db: Database, account_id: int) -> bool:
    """Whether this account ever sent one that is still kept."""
    now = datetime.now(UTC)
    page = await listing.page(db, filters.of_one(Which(account_id, now, now)), None, 1, looked=1)
    return bool(page.rows)


@show("/mensagens/novas")
async def newer(request: Asked) -> Page:
    """How many came since the page was made; shown above it, so that no row jumps away from under a hand."""
    account, db = person_of(request).account, doors_of(request).db
    after_id = filters.message_id(request.query_params.get("depois", "")) or 0
    found = await chosen(db, account, request.query_params)
    # The page's period ended when it was made.
    which = found.which._replace(until=datetime.now(UTC) + timedelta(minutes=1))
    return render(
        request,
        "parts/messages_newer.html",
        count=await listing.newer(db, which, after_id, _NEWER),
        most=_NEWER,
        query=found.filters.query(),
    )


# What is done with messages


def _may_cancel(request: Asked) -> bool:
    return person_of(request).role in (Role.ADMIN, Role.SENDER)


@act("/mensagens/cancelar", Role.ADMIN, Role.SENDER)
async def cancel(request: Asked) -> Page:
    """Those that were picked, or the one whose page it is."""
    account, db = person_of(request).account, doors_of(request).db
    form = await posted(request)
    ids = [id_ for given in form.getall("id", []) if (id_ := filters.message_id(str(given))) is not None]
    which = waiting.Which(message_ids=ids[:_PAGE] or [0], account_id=account.id)
    async with changing(db, actor_of(request), "message.cancel") as change:
        cancelled, _next = await waiting.cancel(change.db, which, 0)
        if cancelled:
            change.record("queue", after={"account": account.id, "message_ids": cancelled})
        else:
            change.nothing()
    stayed = len(set(ids)) - len(cancelled)
    said = ngettext("1 mensagem cancelada.", "%(num)s mensagens canceladas.", len(cancelled))
    if stayed:
        said += " " + ngettext(
            "1 ficou: a operadora já a tem, ou ela terminou.",
            "%(num)s ficaram: a operadora já as tem, ou elas terminaram.",
            stayed,
        )
    back = (
        f"/mensagens/{ids[0]}"
        if form.get("pagina") == "mensagem" and ids
        else "/mensagens?" + filters.of_query(str(form.get("filtros", ""))).query()
    )
    return redirect(request, back, said=said)


@act("/mensagens/{message_id:int}/bloquear", Role.ADMIN, Role.SENDER)
async def block(request: Asked, message_id: int) -> Page:
    """The number of a message: nothing more goes to it."""
    account, doors = person_of(request).account, doors_of(request)
    row = await _there(request, message_id)
    if row["number"] == ERASED:
        raise NotFoundException
    async with changing(doors.db, actor_of(request), "block.add") as change:
        blocked = await blocking.block(change, doors.secrets, BlockList(account.id), row["number"])
    said = _("Número bloqueado: nada mais sai para ele.")
    return redirect(request, f"/mensagens/{message_id}", said=f"{said} {ended(blocked.ended)}".strip())


# Tables


@show("/mensagens/exportar")
async def export(request: Asked) -> Stream | Page:
    account, db = person_of(request).account, doors_of(request).db
    kind = request.query_params.get("formato", sheet.CSV)
    if kind not in sheet.CONTENT_TYPES:
        raise NotFoundException
    found = await chosen(db, account, request.query_params)
    which = found.which
    ids = [
        id_
        for given in request.query_params.getall("id", [])
        if (id_ := filters.message_id(given)) is not None
    ]
    if ids:
        which = filters.of_one(which, message_ids=ids[:_PAGE])
    if kind == sheet.XLSX and await listing.newer(db, which, 0, sheet.XLSX_ROWS + 1) > sheet.XLSX_ROWS:
        most = words.count(sheet.XLSX_ROWS)
        said = _("São mais de %(most)s mensagens: escolha um período menor, ou exporte como CSV.", most=most)
        return redirect(request, f"/mensagens?{found.filters.query()}", said=said, bad=True)
    name = f"mensagens-{datetime.now(account.zone):%Y-%m-%d-%H%M}.{kind}"
    return Stream(
        sheet.write(kind, [_(name) for name in _HEAD], _cells(db, account, which)),
        media_type=sheet.CONTENT_TYPES[kind],
        headers={**HEADERS, "Content-Disposition": f'attachment; filename="{name}"'},
    )


_HEAD = (
    noted("Mensagem"), noted("Identificador"), noted("Destino"), noted("Texto"), noted("Situação"), noted("Motivo"),
    noted("Código"), noted("Conexão"), noted("Classe"), noted("Segmentos"), noted("Custo (R$)"), noted("Devolvido (R$)"),
    noted("Aceita em"), noted("Enviada em"), noted("Terminou em"),
)  # fmt: skip


async def _cells(
    db: Database, account: Account, which: Which
) -> AsyncIterator[Sequence[Sequence[sheet.Cell]]]:
    async for rows in listing.pages(db, which, _EXPORT_PAGE):
        yield [_row(account, row) for row in rows]


def _row(account: Account, row: Row) -> list[sheet.Cell]:
    state = State(row["state"])
    why = meaning.reason(row)

    def local(at: datetime | None) -> datetime | None:
        return None if at is None else at.astimezone(account.zone)

    return [
        str(row["id"]),
        row["client_ref"],
        words.phone(row["number"]),
        words.written(row["body"]),
        _(meaning.STATES[state].text),
        _(why.text) if why.text else "",
        why.code,
        row["smsc"] or "",
        _(meaning.CLASSES[MessageClass(row["class"])]),
        row["parts"],
        row["price_milli"] / 1000,
        (row["refunded_milli"] or 0) / 1000,
        local(row["accepted_at"]),
        local(row["sent_at"]),
        local(row["final_at"]),
    ]


# One message


@show("/mensagens/{message_id:int}")
async def one(request: Asked, message_id: int, visto: str = "") -> Page:
    """visto: the version that the page shows already; where nothing has changed since, nothing is drawn again."""
    db, row = doors_of(request).db, await _there(request, message_id)
    life = await explain.life(db, row)
    called = {call["id"]: await deliveries.attempts(db, call["id"]) for _kind, call in life.callbacks}
    sent = row["sent_body"] or row["body"]
    pieces = outgoing.shown(sent, row["ucs2"], row["long_mode"] or "udh8") if sent else []
    state = State(row["state"])
    events = timeline.timeline(row, life, called)
    version = hashlib.blake2s(
        repr((row, events, life.attempts, life.replies)).encode(), digest_size=8
    ).hexdigest()
    if visto == version:
        return Page(b"", status_code=204, headers=HEADERS)
    return render(
        request,
        "message.html",
        version=version,
        row=row,
        state=meaning.STATES[state],
        reason=meaning.reason({**row, "queue_state": None, "opens_at": None, "held_for": ""})
        if state in FINAL and state is not State.DELIVERED
        else None,
        events=events,
        pieces=pieces,
        latest=_latest(life.attempts),
        attempt_words=meaning.ATTEMPTS,
        message_class=meaning.CLASSES[MessageClass(row["class"])],
        accents_parts=outgoing.prepare(row["body"], "auto").parts if row["sent_body"] else None,
        replies=life.replies,
        may_block=_may_cancel(request) and row["number"] != ERASED,
        erased_number=row["number"] == ERASED,
        final=state in FINAL,
        may_cancel=_may_cancel(request) and state is State.WAITING and life.queue is not None,
    )


async def _there(request: Asked, message_id: int) -> asyncpg.Record:
    """Somebody else's is answered as one that is not there."""
    db, account = doors_of(request).db, person_of(request).account
    row = await explain.message_of(db, account.id, message_id) if 0 <= message_id <= _HIGHEST_ID else None
    if row is None:
        raise NotFoundException
    return row


def _latest(attempts: Sequence[Row]) -> dict[int, Row]:
    """The last attempt at each part."""
    return {attempt["part"]: attempt for attempt in attempts}


handlers = (listed, newer, cancel, block, export, one)
