"""Aparelho virtual: the first minute of a demonstration, from a first message to one's own program.

What is shown is what happened: the bubbles are those of the simulated handset, the callbacks those that its receiver got,
and each tick is a fact in the database. Outside of `demo` the page says what it is, and how to come by it.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from litestar.exceptions import NotFoundException

from pombo import number as numbers
from pombo.errors import Refusal
from pombo.message import State
from pombo.panel import meaning, samples
from pombo.panel.compose import sent_now
from pombo.panel.doors import Bubble, Handset
from pombo.panel.draft import Draft, new_nonce
from pombo.panel.page import Asked, Page, Role, act, doors_of, form_of, person_of, redirect, render, show
from pombo.panel.session import base_url
from pombo.panel.words import _, noted
from pombo.store import conversations, listing, steps
from pombo.store.accounts import accounts_of_tokens, sources
from pombo.store.steps import Steps

_PATH: Final = "/integracao/aparelho"
_PROGRAMS: Final = (Role.ADMIN, Role.DEVELOPER)
_SENDS: Final = (Role.ADMIN, Role.SENDER)
# What the simulated operator does with numbers that end so, in any area code (docs/commands.md, `pombo demo`).
FATES: Final = {
    "900000001": noted("sempre entrega"),
    "900000002": noted("sempre falha"),
    "900000003": noted("expira"),
    "900000004": noted("fica em silêncio"),
}
_AREA: Final = "11"
_MOST_NUMBERS = 8
_MOST_CHARACTERS = 1000  # of a reply
_FIRST_TEXT = noted(
    "Olá, João! Sua consulta está confirmada para amanhã, 14h30. Responda SIM para confirmar ou NÃO para remarcar."
)
_QUICK = ("SIM", "NÃO", "SAIR")
_REAL = """export POMBO_DATA=producao POMBO_PORT=8090
.venv/bin/pombo serve &
.venv/bin/pombo account add minha-empresa --balance 100.00
.venv/bin/pombo smsc add operadora --host HOST --port 2775 \\
  --system-id USUARIO --password SENHA
.venv/bin/pombo route add --prefix 55 --smsc operadora
.venv/bin/pombo user add minha-empresa voce@exemplo.com.br"""


class _Bubble(NamedTuple):
    id: int
    mine: bool  # of whoever holds the handset
    text: str
    at: datetime
    word: str  # how it fares
    is_new: bool  # since what the page has already


class _Seen(NamedTuple):
    """What a page has already: of Bubble.changed, and of Received.number."""

    bubbles: int
    calls: int

    @classmethod
    def of(cls, given: Mapping[str, str]) -> "_Seen":
        return cls(_count(given.get("tela", "")), _count(given.get("chamada", "")))


@show(_PATH)
async def handset(request: Asked) -> Page:
    ours = _ours(request)
    if ours is None:
        theirs = doors_of(request).handset is not None
        return render(request, "handset_none.html", fates=_fates(), theirs=theirs)
    number = _number(request.query_params.get("numero", ""))
    doors, role = doors_of(request), person_of(request).role
    # Whoever has revoked it puts another one into the environment.
    is_live = bool(await accounts_of_tokens(doors.db, [doors.secrets.token_hmac(ours.token)]))
    curl = samples.call(
        base_url(request), "unitario.php", {"destino": number, "msg": _("Olá do terminal!")},
        token=ours.token if is_live else None,
    )  # fmt: skip
    return render(
        request,
        "handset.html",
        curl=samples.sample("curl", curl) if role in _PROGRAMS else "",
        variable="" if is_live else samples.VARIABLE,
        text=_(_FIRST_TEXT),
        quick=_QUICK,
        may_send=role in _SENDS,
        most_characters=_MOST_CHARACTERS,
        real=_REAL,
        now=datetime.now(UTC),
        **await _now(request, ours, number, _Seen(0, 0)),
    )


@show(f"{_PATH}/agora")
async def now(request: Asked) -> Page:
    """What has changed since what the page says it has."""
    ours = _ours(request)
    if ours is None:
        raise NotFoundException
    return await _changed(request, ours, dict(request.query_params))


@act(f"{_PATH}/enviar", *_SENDS)
async def send(request: Asked) -> Page:
    """By the rules of the API, and once: the form has the id."""
    ours, form = _ours(request), await form_of(request)
    if ours is None:
        raise NotFoundException
    number = _number(form.get("numero", ""))
    (sent,) = await sent_now(request, Draft.of({**form, "destino": number, "agendar": "", "codificacao": ""}))
    if "hx-request" not in request.headers:
        return redirect(request, f"{_PATH}?numero={number}", said=sent.refusal, bad=True)
    is_blocked = sent.code == Refusal.BLOCKED.text
    return await _changed(request, ours, form, fault=sent.refusal, blocked=is_blocked, sent=not sent.refusal)


@act(f"{_PATH}/responder")
async def reply(request: Asked) -> Page:
    """The handset answers, whoever of the account holds it."""
    ours, form = _ours(request), await form_of(request)
    if ours is None:
        raise NotFoundException
    number, text = _number(form.get("numero", "")), form.get("texto", "").replace("\0", "").strip()
    said = ""
    try:
        if text:
            ours.reply(number, text[:_MOST_CHARACTERS])
    except LookupError:
        said = _("Nenhuma mensagem chegou a este aparelho ainda: envie a primeira, e então responda.")
    if "hx-request" not in request.headers:
        return redirect(request, f"{_PATH}?numero={number}", said=said, bad=True)
    return await _changed(request, ours, form, said=said)


def _ours(request: Asked) -> Handset | None:
    """The handset, for people of the account that it belongs to."""
    there = doors_of(request).handset
    return there if there is not None and there.account_id == person_of(request).account.id else None


async def _changed(
    request: Asked, ours: Handset, given: Mapping[str, str], said: str = "", **context: Any
) -> Page:
    now = await _now(request, ours, _number(given.get("numero", "")), _Seen.of(given))
    return render(
        request, "parts/handset_now.html", said=said, bad=bool(said), **{**now, "again": True, **context}
    )


async def _now(request: Asked, ours: Handset, number: str, seen: _Seen) -> dict[str, Any]:
    db, account = doors_of(request).db, person_of(request).account
    source = (await sources(db)).get(account.id)
    bubbles, calls = ours.bubbles(number), ours.calls()
    to = numbers.normalise(number)
    assert to is not None
    return {
        "number": number,
        "fate": _(FATES.get(number[2:], "")) if number[2:] in FATES else "",
        "fates": _fates(),
        "others": [n for n in ours.numbers() if n[4:] not in FATES and n[2:] != number][:_MOST_NUMBERS],
        "sender": source.addr if source else account.name,
        "nonce": new_nonce(),
        "bubbles": [_bubble(b, seen) for b in bubbles if b.changed > seen.bubbles],
        "is_empty": not bubbles,
        "calls": [call for call in reversed(calls) if call.number > seen.calls],
        "seen": _Seen(
            max((b.changed for b in bubbles), default=seen.bubbles), calls[-1].number if calls else seen.calls
        ),
        "ticks": _ticks(await steps.taken(db, account.id)),
        "life": await _life(request, to),
        "conversation_id": await conversations.with_number(db, account.id, to),
        "fault": "",
        "again": False,
    }


def _bubble(bubble: Bubble, seen: _Seen) -> _Bubble:
    word = {"enviada": _("a caminho"), "entregue": _("entregue"), "falhou": _("falhou")}[bubble.state]
    return _Bubble(
        bubble.shown,
        bubble.direction == "mo",
        bubble.read(),
        datetime.fromtimestamp(bubble.at, UTC),
        f"{word} · {bubble.failure}" if bubble.failure else word,
        bubble.shown > seen.bubbles,
    )


def _ticks(taken: Steps) -> list[bool]:
    """In the order of the page."""
    return [taken.delivered, taken.called, taken.replied, taken.by_api, taken.connected]


async def _life(request: Asked, number: int) -> list[tuple[str, str, int]]:
    """The newest message to a number: its steps in words, the colour of each, and its id; [] where there is none."""
    account_id, at = person_of(request).account.id, datetime.now(UTC)
    which = listing.Which(account_id, at - timedelta(days=1), at + timedelta(hours=1), number=number)
    rows = (await listing.page(doors_of(request).db, which, None, 1)).rows
    if not rows:
        return []
    state, message_id = State(rows[0]["state"]), rows[0]["id"]
    taken = rows[0]["sent_at"] is not None
    ended = state not in (State.WAITING, State.SUBMITTED, State.UNCERTAIN)
    word = meaning.STATES[state]
    return [
        (_("aceita"), "ok", message_id),
        (_("enviada"), "ok" if taken else "", message_id),
        (_(word.text).lower() if ended else _("entregue"), word.pill if ended else "", message_id),
    ]


def _fates() -> Sequence[tuple[str, str, str]]:
    """The numbers with a fate of their own: as the address has them, as they are written, and what becomes of them."""
    return [(f"{_AREA}{local}", f"{local[:5]}-{local[5:]}", _(fate)) for local, fate in FATES.items()]


def _number(typed: str) -> str:
    """With its area code; the one that always delivers where nothing better was given."""
    given = numbers.normalise(typed)
    return str(given)[2:] if given is not None else f"{_AREA}{next(iter(FATES))}"


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else 0


handlers = (handset, now, send, reply)
