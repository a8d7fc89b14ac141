"""Campanhas: all of them, and one on its way."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from litestar.exceptions import NotFoundException
from litestar.response import Stream

from pombo.campaign import operations, progress
from pombo.campaign.check import Letters
from pombo.campaign.doors import prefix
from pombo.campaign.operations import Who, Wrong
from pombo.campaign.progress import Progress
from pombo.campaign.reasons import Reason
from pombo.campaign.states import DRAFTS, OVER, State
from pombo.message import State as MessageState
from pombo.panel import campaign_words as said
from pombo.panel import meaning, sheet
from pombo.panel.page import (
    HEADERS,
    Asked,
    Page,
    Role,
    act,
    doors_of,
    form_of,
    person_of,
    redirect,
    render,
    show,
)
from pombo.panel.session import actor_of
from pombo.panel.words import _, count
from pombo.store import campaign_rows, campaigns
from pombo.store.campaign_rows import Became
from pombo.store.campaigns import Campaign

SENDS: Final = (Role.ADMIN, Role.SENDER)
LOOKS: Final = (Role.ADMIN, Role.SENDER, Role.VIEWER)
_MOST_ID = 2**63 - 1
_MINUTE = timedelta(minutes=1)
_ON_A_PAGE = 20
_EXPORTED = 1000  # rows at a time
_BARS_LEAST, _BARS_MOST = 12, 30  # minutes of the chart
_MOVING: Final = frozenset({State.RUNNING, State.CANCELLING})


async def found(request: Asked, campaign_id: int) -> Campaign:
    """Of the account that asks. Raises NotFoundException for any other."""
    campaign = await campaigns.one(doors_of(request).db, person_of(request).account.id, campaign_id)
    if campaign is None:
        raise NotFoundException
    return campaign


def who(request: Asked) -> Who:
    return Who(actor_of(request), person_of(request).called)


def sentence(wrong: Wrong) -> str:
    return _(said.WRONG[wrong.word], detail=wrong.detail)


def step_of(campaign: Campaign) -> str:
    """Where a draft goes on."""
    return f"/campanhas/{campaign.id}/{'mensagem' if campaign.state == State.DRAFT else 'previa'}"


@show("/campanhas", *LOOKS)
async def listed(request: Asked, antes: int | None = None) -> Page:
    before = antes if antes is not None and 0 < antes <= _MOST_ID else None
    rows = await campaigns.newest(doors_of(request).db, person_of(request).account.id, before, _ON_A_PAGE + 1)
    shown = rows[:_ON_A_PAGE]
    return render(
        request,
        "campaigns.html",
        rows=[(one, await _standing(request, one), one.state in DRAFTS) for one in shown],
        older=f"/campanhas?antes={shown[-1].id}" if len(rows) > _ON_A_PAGE else "",
        newer="/campanhas" if before is not None else "",
        sends=person_of(request).role in SENDS,
    )


async def _standing(request: Asked, campaign: Campaign) -> said.Standing:
    """Whether one whose rows are all in the queue is over is said by its messages, while they still move."""
    moves = campaign.state == State.DONE and campaign.outcome is None
    return said.standing(campaign, await progress.of(doors_of(request).db, campaign) if moves else None)


@show("/campanhas/{campaign_id:int}", *LOOKS)
async def one(request: Asked, campaign_id: int) -> Page:
    campaign = await found(request, campaign_id)
    if campaign.state in DRAFTS:
        return redirect(request, step_of(campaign))
    return render(request, "campaign.html", again=False, **await _shown(request, campaign))


@show("/campanhas/{campaign_id:int}/andamento", *LOOKS)
async def on_its_way(request: Asked, campaign_id: int, estado: str = "") -> Page:
    """What changes while it runs. estado: what the page shows as its state, with its buttons."""
    campaign = await found(request, campaign_id)
    context = await _shown(request, campaign)
    return render(request, "parts/campaign_progress.html", again=context["state_key"] != estado, **context)


async def _shown(request: Asked, campaign: Campaign) -> dict[str, Any]:
    db = doors_of(request).db
    far = await progress.of(db, campaign)
    standing = said.standing(campaign, far)
    sums = await operations.totals(db, campaign.id) if campaign.erased_at is None else None
    role = person_of(request).role
    return {
        "campaign": campaign,
        "far": far,
        "standing": standing,
        "messages": f"/mensagens?q={prefix(campaign.id)}"
        if request.app.state.nav.has("/mensagens", role)
        else "",
        "paused": campaign.state == State.PAUSED,
        "state_key": f"{campaign.state}{standing.word}{far.left > 0}",
        "moving": campaign.state in _MOVING or far.left > 0 or far.taken > 0,
        "bar": _bar(far),
        "bars": _minutes(far),
        "eta_s": far.left / far.per_s if campaign.state == State.RUNNING and far.per_s else None,
        "failures": [_failure(one) for one in far.failures[:10]],
        "events": [
            (event, said.EVENTS[event.kind], said.happened(event.kind, event.detail))
            for event in await campaigns.events(db, campaign.id)
        ],
        "refused": refused_words(sums.refused if sums else {}),
        "may": role in SENDS,
        "may_pause": role in SENDS and campaign.state == State.RUNNING,
        "may_resume": role in SENDS and campaign.state == State.PAUSED and campaign.erased_at is None,
        "may_cancel": role in SENDS and campaign.state in (State.RUNNING, State.PAUSED),
        "may_take_back": role in SENDS
        and campaign.state in OVER
        and far.left > 0
        and campaign.erased_at is None,
        "waits_until": campaign.start_at
        if campaign.start_at and campaign.start_at > datetime.now(UTC)
        else None,
    }


def refused_words(refused: dict[str, int]) -> str:
    """`41 fixos, 23 repetidas`"""
    told = sorted(refused.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{_(said.REASONS[Reason(reason)].many)}: {count(rows)}" for reason, rows in told)


def _bar(far: Progress) -> list[tuple[float, float]]:
    """Where each of delivered, taken and failed begins, and how wide it is: of a hundred."""
    pieces, at = [], 0.0
    for messages in (far.delivered, far.taken, far.failed):
        width = 100 * messages / far.total if far.total else 0.0
        pieces.append((round(at, 3), round(width, 3)))
        at += width
    return pieces


def _minutes(far: Progress) -> list[tuple[datetime, int, float]]:
    """Of each minute up to the last one that had any: when, how many messages, and how high its bar is, of a hundred."""
    if not far.pace:
        return []
    last = far.pace[-1].at
    lasted = (last - far.pace[0].at) // _MINUTE + 1
    shown = min(max(lasted, _BARS_LEAST), _BARS_MOST)
    sent = {minute.at: minute.messages for minute in far.pace}
    most = max(sent.values())
    minutes = [last - n * _MINUTE for n in reversed(range(shown))]
    return [(at, sent.get(at, 0), round(100 * sent.get(at, 0) / most, 1)) for at in minutes]


def _failure(became: Became) -> tuple[str, str, int]:
    told = meaning.reason({"state": became.state, "error": became.error})
    words = _(told.text) if told.text else _(meaning.STATES[MessageState(became.state)].text)
    return words[:1].upper() + words[1:], told.code, became.messages


@act("/campanhas/{campaign_id:int}/pausar", *SENDS)
async def pause(request: Asked, campaign_id: int) -> Page:
    return await _done(request, campaign_id, operations.pause, _("Pausada."))


@act("/campanhas/{campaign_id:int}/continuar", *SENDS)
async def resume(request: Asked, campaign_id: int) -> Page:
    return await _done(request, campaign_id, operations.resume, _("Continuando."))


@act("/campanhas/{campaign_id:int}/cancelar", *SENDS)
async def cancel(request: Asked, campaign_id: int) -> Page:
    queued = (await form_of(request)).get("fila") == "1"
    return await _done(request, campaign_id, operations.cancel, _("Cancelada."), queued=queued)


async def _done(request: Asked, campaign_id: int, what: Any, told: str, **options: Any) -> Page:
    campaign = await found(request, campaign_id)
    try:
        await what(doors_of(request).db, campaign.account_id, campaign.id, who=who(request), **options)
    except Wrong as wrong:
        return redirect(request, f"/campanhas/{campaign.id}", said=sentence(wrong), bad=True)
    return redirect(request, f"/campanhas/{campaign.id}", said=told)


@show("/campanhas/{campaign_id:int}/recusadas.csv", *SENDS)
async def rejected(request: Asked, campaign_id: int) -> Stream:
    """The rows that are not sent, each with its reason."""
    campaign = await found(request, campaign_id)
    letters, db = Letters(campaign), doors_of(request).db
    head = [_("Linha"), _("No arquivo"), _("Motivo"), _("O que fazer")]

    async def rows() -> AsyncIterator[list[list[sheet.Cell]]]:
        after = 0
        while page := await campaign_rows.refused(db, campaign.id, after, _EXPORTED):
            yield [
                [
                    row.n,
                    letters.destination(row.cells),
                    reason_of(row.refusal, row.detail),
                    advice_of(row.refusal),
                ]
                for row in page
            ]
            after = page[-1].n

    name = f"campanha-{campaign.id}-recusadas.csv"
    return Stream(
        sheet.write(sheet.CSV, head, rows()),
        media_type=sheet.CONTENT_TYPES[sheet.CSV],
        headers={**HEADERS, "Content-Disposition": f'attachment; filename="{name}"'},
    )


def reason_of(refusal: str, detail: str) -> str:
    return _(said.REASONS[Reason(refusal)].text, detail=detail)


def advice_of(refusal: str) -> str:
    return _(said.REASONS[Reason(refusal)].advice)


handlers = (listed, one, on_its_way, pause, resume, cancel, rejected)
