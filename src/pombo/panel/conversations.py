"""Caixa de entrada: what handsets write to the account, and what people answer."""

import re
import secrets as random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode

import asyncpg
from litestar.exceptions import NotFoundException

from pombo.accept.submission import judge
from pombo.account import blocking
from pombo.account.blocking import BlockList
from pombo.message import MessageClass, State
from pombo.panel import meaning
from pombo.panel.blocks import ended
from pombo.panel.page import Asked, Page, act, doors_of, form_of, person_of, redirect, show
from pombo.panel.people import EDITS, drawn, known, lately, searched
from pombo.panel.session import actor_of
from pombo.panel.words import _, ngettext, noted, phone, took, when, written
from pombo.store import blocks, conversations, messages, templates
from pombo.store.audit import changing
from pombo.store.conversations import Place, Which
from pombo.text import variables

_PAGE = 30
_BUBBLES, _MOST_BUBBLES = 50, 500
_DAYS = 90
_CHIPS = 3
_FILTERS = {"": noted("Todas"), "nao-lidas": noted("Não lidas"), "sair": noted("SAIR")}
_PLACE = re.compile(r"(\d{1,17})-(\d{1,18})", re.ASCII)
_ONCE = re.compile(r"[\w-]{8,40}", re.ASCII)


class _Line(NamedTuple):
    """A conversation in the list."""

    id: int
    title: str
    at: datetime
    when: str
    unread: int
    ours: bool
    last: str
    block: str  # the reason of the block, `everybody` for one that is the operator's; '' where there is none


class _Talk(NamedTuple):
    """The conversation that is open."""

    id: int
    name: str
    title: str
    sub: str
    number: int | None
    contact_id: int | None
    labels: Sequence[str]
    note: str
    block: str
    blocked_at: datetime | None
    messages: int
    delivered: int


class _Bubble(NamedTuple):
    id: int
    ours: bool
    text: str
    at: datetime
    when: str
    words: Sequence[str]


class _Where(NamedTuple):
    """Which part of the inbox is shown: it stands in the address."""

    mostrar: str
    q: str
    antes: str

    def __call__(self, conversation_id: int | None = None, **changes: str) -> str:
        return self._address(
            "/conversas" if conversation_id is None else f"/conversas/{conversation_id}", changes
        )

    def list(self, open_id: int | None) -> str:
        """The address of the list alone."""
        return self._address("/conversas/lista", {"aberta": str(open_id or "")})

    def _address(self, path: str, changes: dict[str, str]) -> str:
        query = {key: value for key, value in {**self._asdict(), **changes}.items() if value}
        return f"{path}?{urlencode(query)}" if query else path


def _where(mostrar: str, q: str, antes: str) -> _Where:
    return _Where(
        mostrar if mostrar in _FILTERS else "", q.strip()[:100], antes if _PLACE.fullmatch(antes) else ""
    )


@show("/conversas")
async def inbox(request: Asked, mostrar: str = "", q: str = "", antes: str = "") -> Page:
    where = _where(mostrar, q, antes)
    return drawn(request, "conversations.html", talk=None, **await _list(request, where, None))


@show("/conversas/lista")
async def listed(request: Asked, mostrar: str = "", q: str = "", antes: str = "", aberta: int = 0) -> Page:
    """The list alone, as it is now."""
    where = _where(mostrar, q, antes)
    return drawn(request, "parts/conversation_list.html", **await _list(request, where, aberta))


@show("/conversas/{conversation_id:int}")
async def conversation(
    request: Asked, conversation_id: int, mostrar: str = "", q: str = "", antes: str = ""
) -> Page:
    row = await _there(request, conversation_id)
    context = await _open(request, row)
    where = _where(mostrar, q, antes)
    return drawn(request, "conversations.html", **context, **await _list(request, where, conversation_id))


@show("/conversas/{conversation_id:int}/mensagens")
async def bubbles(request: Asked, conversation_id: int, antes: str = "", desde: str = "") -> Page:
    """Older ones, or those from one on as they are now."""
    row = await _there(request, conversation_id)
    if antes:
        return drawn(
            request, "parts/older_bubbles.html", **await _bubbles(request, row, before_id=_id(antes))
        )
    shown = await _bubbles(request, row, from_id=_id(desde) if desde else 0)
    return drawn(request, "parts/again.html", talk=await _talk(request, row), **shown)


@act("/conversas/{conversation_id:int}/lida", *EDITS)
async def seen(request: Asked, conversation_id: int) -> Page:
    """vistas: how many replies there were when the page was made. What has come since stays unread."""
    replies = (await form_of(request)).get("vistas", "")
    await _there(request, conversation_id)
    db, account_id = doors_of(request).db, person_of(request).account.id
    if replies.isascii() and replies.isdigit() and len(replies) < 10:
        await conversations.seen(db, account_id, conversation_id, int(replies))
    return drawn(request, "parts/nothing.html", headers={"HX-Trigger": "people:seen"})


@act("/conversas/{conversation_id:int}/nao-lida", *EDITS)
async def unseen(request: Asked, conversation_id: int) -> Page:
    await _there(request, conversation_id)
    await conversations.mark_unread(doors_of(request).db, person_of(request).account.id, conversation_id)
    return redirect(request, "/conversas", said=_("Marcada como não lida."))


@act("/conversas/{conversation_id:int}/bloquear", *EDITS)
async def block(request: Asked, conversation_id: int) -> Page:
    row, doors = await _there(request, conversation_id), doors_of(request)
    if row["number"] is None:
        raise NotFoundException
    async with changing(doors.db, actor_of(request), "block.add") as change:
        of = BlockList(person_of(request).account.id)
        blocked = await blocking.block(change, doors.secrets, of, row["number"])
    said = _("Número bloqueado: nada mais sai para ele.")
    return redirect(request, f"/conversas/{conversation_id}", said=f"{said} {ended(blocked.ended)}".strip())


@act("/conversas/{conversation_id:int}/responder", *EDITS)
async def answer(request: Asked, conversation_id: int) -> Page:
    row, form = await _there(request, conversation_id), await form_of(request)
    doors, account = doors_of(request), person_of(request).account
    text, once = form.get("texto", "").replace("\r\n", "\n").replace("\0", ""), form.get("unica", "")
    if row["number"] is None or not _ONCE.fullmatch(once):
        raise NotFoundException
    submission = judge(
        account._replace(message_class=_CLASS), f"+{row['number']}", text, f"resposta-{conversation_id}-{once}",
        routes=doors.routes(), prices=doors.prices(), secrets=doors.secrets,
    )  # fmt: skip
    await doors.intake.submit([submission])
    if submission.refusal is not None:
        said = _(meaning.REFUSALS[submission.refusal])
        context = await _reply(request, row, text, once, said)
        if "hx-request" in request.headers:
            return drawn(request, "parts/reply.html", **context)
        return drawn(
            request,
            "conversations.html",
            status=422,
            **{**await _open(request, row), **context},
            **await _list(request, _where("", "", ""), conversation_id),
        )
    message = await messages.message_by_ref(doors.db, account.id, submission.client_ref)
    if message is not None:
        await conversations.answered(doors.db, account.id, conversation_id, message["id"])
    if "hx-request" in request.headers:
        context = await _reply(request, row)
        return drawn(request, "parts/reply.html", headers={"HX-Trigger": "people:answered"}, **context)
    return redirect(request, f"/conversas/{conversation_id}")


_CLASS = int(MessageClass.TRANSACTIONAL)  # who has written is answered at any hour


async def _there(request: Asked, conversation_id: int) -> asyncpg.Record:
    db, account_id = doors_of(request).db, person_of(request).account.id
    found = await conversations.conversation(db, account_id, known(conversation_id))
    if found is None:
        raise NotFoundException
    return found


def _id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise NotFoundException
    return int(text)


async def _list(request: Asked, where: _Where, open_id: int | None) -> dict[str, Any]:
    doors, account = doors_of(request), person_of(request).account
    sought = searched(request, where.q)
    which = Which(
        unread=where.mostrar == "nao-lidas",
        opted_out=where.mostrar == "sair",
        digits=sought.digits,
        name=sought.name,
        handset=str(sought.number or ""),
    )
    rows = await conversations.listed(doors.db, account.id, which, _place(where.antes), _PAGE + 1)
    shown = rows[:_PAGE]
    hmacs = {row["number"]: doors.secrets.number_hmac(row["number"]) for row in shown if row["number"]}
    reasons = await blocks.reasons(doors.db, account.id, list(hmacs.values()))
    lines = [
        _Line(
            row["id"],
            row["name"] or phone(row["handset"]),
            row["last_at"],
            lately(row["last_at"]),
            row["replies"] - row["seen"],
            bool(row["ours"]),
            " ".join(written(row["body"] or "").split())[:200],
            reasons.get(hmacs.get(row["number"], b""), ""),
        )
        for row in shown
    ]
    last = shown[-1] if len(rows) > _PAGE else None
    older = "" if last is None else f"{_micros(last['last_at'])}-{last['id']}"
    return {
        "conversations": lines,
        "where": where,
        "filters": _FILTERS,
        "older_page": where(antes=older) if older else "",
        "open_id": open_id,
    }


def _place(antes: str) -> Place | None:
    found = _PLACE.fullmatch(antes)
    if found is None:
        return None
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(found[1]))
    return at, int(found[2])


def _micros(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


async def _open(request: Asked, row: asyncpg.Record) -> dict[str, Any]:
    context = await _reply(request, row)
    return {**context, **await _bubbles(request, row)}


async def _talk(request: Asked, row: asyncpg.Record) -> _Talk:
    doors, account = doors_of(request), person_of(request).account
    number, figures, reason, since = row["number"], None, "", None
    if number is not None:
        figures = await conversations.figures(doors.db, account.id, number, _DAYS)
        for entry in await blocks.lists_of(doors.db, doors.secrets.number_hmac(number)):
            if entry["account_id"] == account.id:
                reason, since = entry["reason"], entry["created_at"]
            elif entry["account_id"] == blocks.EVERYBODY:
                reason = reason or "everybody"
    return _Talk(
        row["id"],
        row["name"],
        row["name"] or phone(row["handset"]),
        phone(row["handset"]) if row["name"] else _("sem nome nos contatos"),
        number,
        row["contact_id"],
        row["labels"] or (),
        row["note"] or "",
        reason,
        since,
        figures["messages"] if figures else 0,
        figures["delivered"] if figures else 0,
    )


async def _reply(
    request: Asked, row: asyncpg.Record, text: str = "", once: str = "", fault: str = ""
) -> dict[str, Any]:
    """What the box to write in needs. once: with it the same answer twice is one message."""
    doors, account = doors_of(request), person_of(request).account
    talk = await _talk(request, row)
    price_milli = 0 if talk.number is None else doors.prices().of(account, talk.number, _CLASS)
    kept = await templates.listed(doors.db, account.id)
    values = {"nome": row["name"], "numero": phone(row["handset"])} if row["name"] else {}
    return {
        "talk": talk,
        "days": _DAYS,
        "text": text,
        "once": once or random.token_urlsafe(12),
        "fault": fault,
        "price_milli": price_milli,
        "text_mode": account.text_mode,
        "max_parts": account.max_parts,
        "chips": [(one["name"], variables.fill(one["body"], values)) for one in kept[:_CHIPS]],
        "more_templates": len(kept) > _CHIPS,
    }


async def _bubbles(
    request: Asked, row: asyncpg.Record, *, before_id: int | None = None, from_id: int = 0
) -> dict[str, Any]:
    """With what comes before them, where there is more."""
    limit = _MOST_BUBBLES if from_id else _BUBBLES
    limits = {"from_id": from_id} if before_id is None else {"before_id": before_id}
    rows = await conversations.bubbles(
        doors_of(request).db,
        person_of(request).account.id,
        row["handset"],
        row["number"],
        limit + 1,
        **limits,
    )
    shown = [_bubble(one) for one in reversed(rows[:limit])]
    path = f"/conversas/{row['id']}/mensagens"
    first_id = shown[0].id if shown else 0
    return {
        "bubbles": shown,
        "older": f"{path}?antes={first_id}" if len(rows) > limit else "",
        "newest": f"{path}?desde={from_id or first_id}",
        "talk_id": row["id"],
        "replies": row["replies"],
        "unread": row["replies"] - row["seen"],
    }


def _bubble(row: asyncpg.Record) -> _Bubble:
    words: list[str] = []
    if not row["ours"]:
        if row["client_ref"]:
            words.append(_("responde à mensagem %(id)s", id=row["client_ref"]))
    elif row["client_ref"].startswith("descadastro-"):
        words += [_("confirmação automática"), _state(row)]
    else:
        words.append(_state(row))
        if row["parts"] > 1:
            words.append(ngettext("%(num)s segmento", "%(num)s segmentos", row["parts"]))
    return _Bubble(row["id"], row["ours"], row["body"], row["at"], lately(row["at"], with_time=True), words)


def _state(row: asyncpg.Record) -> str:
    state = State(row["state"])
    if state is State.WAITING and row["scheduled_at"] and row["scheduled_at"] > datetime.now(UTC):
        return _("agendada para %(when)s", when=when(row["scheduled_at"]))
    if state is State.DELIVERED and row["final_at"]:
        begun = max(row["at"], row["scheduled_at"] or row["at"])
        return _("entregue em %(time)s", time=took(row["final_at"] - begun))
    return _(meaning.STATES[state].text).lower()


handlers = [inbox, listed, conversation, bubbles, seen, unseen, block, answer]
