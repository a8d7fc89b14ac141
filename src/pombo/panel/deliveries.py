"""Entregas de callback: what a customer's own server was told, what it answered, and telling it again."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import asyncpg
from litestar.exceptions import NotFoundException

from pombo.message import CallbackKind, CallbackState
from pombo.panel import timeline
from pombo.panel.meaning import Word, callback
from pombo.panel.page import Asked, Page, Role, act, doors_of, form_of, person_of, redirect, render, show
from pombo.panel.people import known
from pombo.panel.session import actor_of
from pombo.panel.words import _, ngettext, noted
from pombo.store import callbacks
from pombo.store import deliveries as store
from pombo.store.audit import changing
from pombo.store.deliveries import Which

_AGAIN = (Role.ADMIN, Role.DEVELOPER)
_PAGE = 50
PERIODS = {"1": noted("24 horas"), "7": noted("7 dias"), "30": noted("30 dias")}
KINDS = {"": noted("DLR e MO"), "dlr": "DLR", "mo": "MO"}
STATES = {
    "": noted("Todas"),
    "due": noted("Na vez"),
    "confirmed": noted("Confirmadas"),
    "parked": noted("Paradas"),
}
_WHY = {
    "timeout": noted("o servidor não respondeu em tempo"),
    "no connection in time": noted("não deu para conectar em tempo"),
    "connection refused": noted("o servidor recusou a conexão"),
    "connection reset": noted("a conexão caiu no meio"),
    "connection closed without an answer": noted("o servidor fechou a conexão sem responder"),
    "TLS handshake failed": noted("a conexão segura (TLS) não se formou"),
    "name not found": noted("o nome do servidor não existe no DNS"),
    "address not allowed": noted("o endereço é de uma rede interna, que não pode ser chamada"),
    "answer too long": noted("a resposta é longa demais"),
}


class Filters:
    """What the address of the page says."""

    def __init__(self, request: Asked) -> None:
        asked = request.query_params
        self.kind = asked["tipo"] if asked.get("tipo") in KINDS else ""
        self.state = asked["situacao"] if asked.get("situacao") in STATES else ""
        self.days = asked["dias"] if asked.get("dias") in PERIODS else "1"
        self.before = int(asked["antes"][:19]) if asked.get("antes", "").isdecimal() else None

    @property
    def since(self) -> datetime:
        return datetime.now(UTC) - timedelta(days=int(self.days))

    def query(self, before: int | None = None) -> str:
        given = {"tipo": self.kind, "situacao": self.state, "dias": "" if self.days == "1" else self.days}
        return urlencode({k: v for k, v in {**given, "antes": before or ""}.items() if v})


@show("/integracao/callbacks")
async def listed(request: Asked) -> Page:
    db, account_id, filters = doors_of(request).db, person_of(request).account.id, Filters(request)
    rows = await store.of_account(
        db,
        account_id,
        kind=CallbackKind[filters.kind.upper()] if filters.kind else None,
        state=CallbackState[filters.state.upper()] if filters.state else None,
        since=filters.since,
        before=None if filters.before is None else known(filters.before),
        limit=_PAGE + 1,
    )
    again = Which(account_id=account_id, failed_since=filters.since)
    return render(
        request,
        "deliveries.html",
        rows=[(row, _standing(row), in_words(row)) for row in rows[:_PAGE]],
        older=filters.query(rows[_PAGE - 1]["subject_id"]) if len(rows) > _PAGE else "",
        newest=filters.query() if filters.before else "",
        filters=filters,
        kinds=KINDS,
        states=STATES,
        periods=PERIODS,
        registered={endpoint.kind for endpoint in await callbacks.endpoints_of(db, account_id)},
        failed=await store.count_replayable(db, again),
        may_repeat=person_of(request).role in _AGAIN,
    )


@show("/integracao/callbacks/{callback_id:int}")
async def one(request: Asked, callback_id: int) -> Page:
    db = doors_of(request).db
    row = await _own(request, callback_id)
    made = await store.attempts(db, callback_id)
    return render(
        request,
        "delivery.html",
        row=row,
        standing=_standing(row),
        attempts=[(attempt, in_words(attempt), timeline.call(row, attempt)) for attempt in reversed(made)],
        kind=CallbackKind(row["kind"]).name,
        may_repeat=person_of(request).role in _AGAIN,
    )


@act("/integracao/callbacks/{callback_id:int}/repetir", *_AGAIN)
async def repeat(request: Asked, callback_id: int) -> Page:
    row, path = await _own(request, callback_id), f"/integracao/callbacks/{callback_id}"
    if not row["callable"]:
        return redirect(request, path, said=_("Registre antes a URL em Configurações."), bad=True)
    async with changing(doors_of(request).db, actor_of(request), "callback.replay") as change:
        count = await store.replay(change.db, [callback_id])
        change.record(f"callback {callback_id}", after={"callbacks": count}) if count else change.nothing()
    if not count:
        return redirect(
            request, path, said=_("Ela está sendo chamada agora mesmo. Veja de novo em um minuto.")
        )
    return redirect(
        request, path, said=_("Chamada de novo. O seu servidor pode ver o mesmo evento duas vezes.")
    )


@act("/integracao/callbacks/repetir", *_AGAIN)
async def repeat_failed(request: Asked) -> Page:
    """All that failed since a time and are not confirmed, page by page, each with its record."""
    form, account_id = await form_of(request), person_of(request).account.id
    days = form["dias"] if form.get("dias") in PERIODS else "1"
    since = datetime.now(UTC) - timedelta(days=int(days))
    which = Which(account_id=account_id, failed_since=since)
    total = 0
    following: int | None = 0
    while following is not None:
        async with changing(doors_of(request).db, actor_of(request), "callback.replay") as change:
            count, following = await store.replay_page(change.db, which, following)
            after = {"account": account_id, "failed_since": since.isoformat(), "callbacks": count}
            change.record("callbacks", after=after) if count else change.nothing()
        total += count
    said = ngettext("1 entrega vai de novo agora.", "%(num)s entregas vão de novo agora.", total)
    return redirect(request, "/integracao/callbacks", said=said)


async def _own(request: Asked, callback_id: int) -> asyncpg.Record:
    """Of the account of whoever asks; another one's is as good as none."""
    row = await store.one(doors_of(request).db, callback_id, person_of(request).account.id)
    if row is None:
        raise NotFoundException
    return row


def _standing(row: asyncpg.Record) -> Word:
    word = callback(row)
    assert word is not None
    return word


def in_words(row: asyncpg.Record) -> str:
    """Of an attempt, or the last one of a callback: what went wrong; '' where nothing did, or none was made."""
    keys = row.keys()
    status = row["status"] if "status" in keys else row["last_status"]
    error = row["error"] if "error" in keys else row["last_error"]
    if status is not None:
        return "" if status == 200 else _("respondeu %(status)s, e só 200 confirma", status=status)
    known_why = _WHY.get(error)
    return _(known_why) if known_why else error


handlers = [listed, one, repeat, repeat_failed]
