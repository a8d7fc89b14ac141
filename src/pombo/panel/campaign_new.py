"""A new campaign, in four steps: file, columns and message, preview and cost, confirmation. Each step is a page of its own;
what was chosen is kept with the draft, so a reload, or another computer, goes on where it was left."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

from litestar.datastructures import UploadFile

from pombo.account.account import Account
from pombo.campaign import columns, operations, upload
from pombo.campaign.check import Letters
from pombo.campaign.columns import Piece, Use
from pombo.campaign.operations import Message, Wrong
from pombo.campaign.reading import MOST_OCTETS, Unreadable
from pombo.campaign.states import DRAFTS, State
from pombo.message import MessageClass
from pombo.panel import campaign_words as said
from pombo.panel.campaigns import (
    LOOKS,
    SENDS,
    advice_of,
    found,
    reason_of,
    refused_words,
    sentence,
    step_of,
    who,
)
from pombo.panel.page import Asked, Page, act, doors_of, form_of, person_of, redirect, render, show
from pombo.panel.session import posted
from pombo.panel.words import _, count, money
from pombo.store import accounts, campaign_rows
from pombo.store.campaign_rows import Row
from pombo.store.campaigns import Campaign
from pombo.text.outgoing import MODES, Outgoing, prepare
from pombo.text.transliterate import to_plain

_CHUNK_OCTETS = 64 * 1024
_FIRST = 5  # rows that are shown
_REFUSED_SHOWN = 5
_MOST_NAME = 200
_CLASSES = (MessageClass.MARKETING, MessageClass.TRANSACTIONAL)
_LOCAL = "%Y-%m-%dT%H:%M"  # of <input type=datetime-local>


# 1: the file


@show("/campanhas/nova", *SENDS)
async def new(request: Asked) -> Page:
    return render(request, "campaign_new.html", refusal="", most_octets=MOST_OCTETS)


@act("/campanhas/nova", *SENDS, file_octets=MOST_OCTETS)
async def take(request: Asked) -> Page:
    file = (await posted(request)).get("arquivo")
    if not isinstance(file, UploadFile) or not file.filename:
        refusal = _("Escolha um arquivo.")
    else:
        try:
            campaign_id = await upload.draft(
                doors_of(request).db,
                person_of(request).account.id,
                _file_name(file.filename),
                _octets(file),
                person_of(request).called,
            )
            return redirect(request, f"/campanhas/{campaign_id}/mensagem")
        except Unreadable as unreadable:
            refusal = _(said.FAULTS[unreadable.fault], detail=unreadable.detail)
    return render(request, "campaign_new.html", status=422, refusal=refusal, most_octets=MOST_OCTETS)


def _file_name(given: str) -> str:
    """What stands after the last slash, of either kind; browsers of old sent the whole path."""
    name = "".join(char for char in given.replace("\\", "/").rpartition("/")[2] if char.isprintable())
    return name[:_MOST_NAME] or "arquivo"


async def _octets(file: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await file.read(_CHUNK_OCTETS):
        yield chunk


# 2: what each row becomes


async def _draft(request: Asked, campaign_id: int) -> Campaign | Page:
    """A campaign that was started has no steps any more."""
    campaign = await found(request, campaign_id)
    return campaign if campaign.state in DRAFTS else redirect(request, f"/campanhas/{campaign.id}")


@show("/campanhas/{campaign_id:int}/mensagem", *SENDS)
async def message(request: Asked, campaign_id: int) -> Page:
    campaign = await _draft(request, campaign_id)
    return await _message_page(request, campaign) if isinstance(campaign, Campaign) else campaign


async def _message_page(request: Asked, campaign: Campaign, refusal: str = "") -> Page:
    rows = await campaign_rows.page(doors_of(request).db, campaign.id, 0, 1)
    cells = rows[0].cells if rows else [""] * len(campaign.titles)
    return render(
        request,
        "campaign_message.html",
        status=422 if refusal else 200,
        campaign=campaign,
        refusal=refusal,
        columns=[
            {
                "place": place,
                "title": title,
                "name": name,
                "use": use,
                "example": _example(title, cell),
                "is_date": columns.is_date(cell) or use == Use.DAY,
            }
            for place, (title, name, use, cell) in enumerate(
                zip(campaign.titles, columns.variables(campaign.titles), campaign.uses, cells, strict=True)
            )
        ],
        account=person_of(request).account,
        hours=said.hours(person_of(request).account.marketing_window),
        again=False,
        **_example_context(request, campaign, rows),
    )


def _example(title: str, cell: str) -> str:
    return "•" * min(len(cell), 12) if columns.private(title) else cell


@act("/campanhas/{campaign_id:int}/exemplo", *SENDS)
async def example(request: Asked, campaign_id: int) -> Page:
    """The first row's message, as it would arrive with what is in the form just now."""
    campaign = _changed(await found(request, campaign_id), await form_of(request))
    rows = await campaign_rows.page(doors_of(request).db, campaign.id, 0, 1)
    return render(
        request, "parts/campaign_example.html", again=True, **_example_context(request, campaign, rows)
    )


def _example_context(request: Asked, campaign: Campaign, rows: Sequence[Row]) -> dict[str, Any]:
    letters, account = Letters(campaign), person_of(request).account
    cells = rows[0].cells if rows else [""] * len(campaign.titles)
    outgoing = prepare(letters.text(cells), campaign.text_mode or account.text_mode)
    return {
        "line": rows[0].n if rows else 0,
        "names": [
            name
            for name, use in zip(columns.variables(campaign.titles), campaign.uses, strict=True)
            if use not in (Use.NUMBER, Use.IGNORE)
        ],
        "pieces": _arriving(letters, cells, outgoing) if campaign.body else [],
        "outgoing": outgoing,
        "unknown": letters.template.unknown[:1],
        "mode": campaign.text_mode or account.text_mode,
    }


def _changed(campaign: Campaign, form: dict[str, str]) -> Campaign:
    """With what a form says."""
    uses = [form.get(f"uso{place}", use) for place, use in enumerate(campaign.uses)]
    mode = form.get("codificacao", "")
    given_class = form.get("classe", "")
    return campaign._replace(
        name=form.get("nome", campaign.name),
        uses=[use if use in list(Use) else Use.IGNORE for use in uses],
        body=form.get("msg", campaign.body).replace("\r\n", "\n")[: operations.MOST_BODY + 1],
        text_mode=mode if mode in MODES else "",
        message_class=next((c for c in _CLASSES if given_class == str(int(c))), MessageClass.MARKETING),
        empty_refused=form.get("vazias") != "1",
    )


@act("/campanhas/{campaign_id:int}/mensagem", *SENDS)
async def write(request: Asked, campaign_id: int) -> Page:
    draft = await _draft(request, campaign_id)
    if not isinstance(draft, Campaign):
        return draft
    changed = _changed(draft, await form_of(request))
    return await _written(request, changed)


async def _written(request: Asked, changed: Campaign) -> Page:
    what = Message(
        changed.name,
        changed.uses,
        changed.body,
        changed.text_mode,
        changed.message_class,
        changed.empty_refused,
    )
    try:
        await operations.set_message(doors_of(request).db, changed.account_id, changed.id, what, who(request))
    except Wrong as wrong:
        return await _message_page(request, changed, sentence(wrong))
    return redirect(request, f"/campanhas/{changed.id}/previa")


@act("/campanhas/{campaign_id:int}/sem-acentos", *SENDS)
async def without_accents(request: Asked, campaign_id: int) -> Page:
    draft = await _draft(request, campaign_id)
    if not isinstance(draft, Campaign):
        return draft
    return await _written(request, draft._replace(text_mode="ascii"))


# 3: preview and cost


@show("/campanhas/{campaign_id:int}/previa", *LOOKS)
async def preview(request: Asked, campaign_id: int, longas: bool = False) -> Page:
    campaign = await _draft(request, campaign_id)
    if not isinstance(campaign, Campaign):
        return campaign
    if campaign.state == State.DRAFT:
        return redirect(request, step_of(campaign))
    if campaign.state == State.CHECKING:
        return render(request, "campaign_preview.html", campaign=campaign, checking=True)
    db, account = doors_of(request).db, await _account(request, campaign)
    sums = await operations.totals(db, campaign.id)
    letters = Letters(campaign)
    rows = await campaign_rows.sendable(db, campaign.id, 2 if longas else 1, _FIRST)
    return render(
        request,
        "campaign_preview.html",
        campaign=campaign,
        checking=False,
        sums=sums,
        longer_only=longas,
        after_milli=person_of(request).balance_milli - sums.price_milli,
        rows=[_shown(row, letters, campaign.text_mode or account.text_mode) for row in rows],
        refused=[
            (row, letters.destination(row.cells), reason_of(row.refusal, row.detail), advice_of(row.refusal))
            for row in await campaign_rows.refused(db, campaign.id, 0, _REFUSED_SHOWN)
        ],
        refused_count=sum(sums.refused.values()),
        refused_words=refused_words(sums.refused),
        saved_milli=sums.price_milli - sums.plain_price_milli,
        may=person_of(request).role in SENDS,
    )


@show("/campanhas/{campaign_id:int}/conferencia", *LOOKS)
async def checking(request: Asked, campaign_id: int) -> Page:
    """How far the check has come; on to the preview once it is done."""
    campaign = await found(request, campaign_id)
    if campaign.state != State.CHECKING:
        return redirect(request, f"/campanhas/{campaign.id}/previa")
    return render(request, "parts/campaign_checking.html", campaign=campaign)


async def _account(request: Asked, campaign: Campaign) -> Account:
    row = await accounts.of_id(doors_of(request).db, campaign.account_id)
    return Account.of(row)._replace(message_class=campaign.message_class)


def _shown(row: Row, letters: Letters, mode: str) -> dict[str, Any]:
    outgoing = prepare(letters.text(row.cells), mode)
    return {
        "row": row,
        "pieces": _arriving(letters, row.cells, outgoing),
        "letters": len(outgoing.sent),
    }


def _arriving(letters: Letters, cells: Sequence[str], outgoing: Outgoing) -> list[Piece]:
    """The text as it will arrive, what comes from the row apart; in one piece where that cannot be told apart."""
    pieces = letters.template.pieces(cells)
    for form in (lambda text: text, to_plain):
        shown = [Piece(form(piece.text), piece.variable) for piece in pieces]
        if "".join(piece.text for piece in shown) == outgoing.sent:
            return shown
    return [Piece(outgoing.sent, False)]


# 4: confirmation


@show("/campanhas/{campaign_id:int}/confirmar", *SENDS)
async def confirm(request: Asked, campaign_id: int) -> Page:
    campaign = await _draft(request, campaign_id)
    if not isinstance(campaign, Campaign):
        return campaign
    if campaign.state != State.CHECKED:
        return redirect(request, step_of(campaign))
    return await _confirm_page(request, campaign)


async def _confirm_page(
    request: Asked, campaign: Campaign, refusal: str = "", form: dict[str, str] | None = None
) -> Page:
    account, now = await _account(request, campaign), datetime.now(UTC)
    sums = await operations.totals(doors_of(request).db, campaign.id)
    begins_at = operations.begins_at(account, campaign.message_class, None, now)
    return render(
        request,
        "campaign_confirm.html",
        status=422 if refusal else 200,
        campaign=campaign,
        refusal=refusal,
        form=form or {},
        sums=sums,
        typed_from=operations.TYPED_FROM,
        missing_milli=max(sums.price_milli - person_of(request).available_milli, 0),
        after_milli=person_of(request).balance_milli - sums.price_milli,
        waits_until=begins_at if begins_at > now else None,
        suggested=begins_at.astimezone(account.zone).strftime(_LOCAL),
        marketing=campaign.message_class == MessageClass.MARKETING,
        hours=said.hours(account.marketing_window),
        always=account.marketing_window is None,
    )


@act("/campanhas/{campaign_id:int}/confirmar", *SENDS)
async def start(request: Asked, campaign_id: int) -> Page:
    campaign = await _draft(request, campaign_id)
    if not isinstance(campaign, Campaign):
        return campaign
    form = await form_of(request)
    try:
        await operations.start(
            doors_of(request).db,
            campaign.account_id,
            campaign.id,
            version=int(form["versao"])
            if form.get("versao", "").isascii() and form.get("versao", "").isdigit()
            else -1,
            start_at=_start_at(request, form),
            typed=form.get("confirmacao", ""),
            who=who(request),
        )
    except Wrong as wrong:
        if wrong.word in ("started", "changed") or campaign.state != State.CHECKED:
            return redirect(request, f"/campanhas/{campaign.id}", said=sentence(wrong), bad=True)
        return await _confirm_page(request, campaign, _start_sentence(wrong), form)
    return redirect(request, f"/campanhas/{campaign.id}", said=_("Campanha confirmada."))


def _start_at(request: Asked, form: dict[str, str]) -> datetime | None:
    """None: at once. Raises Wrong."""
    if form.get("quando") != "agendar":
        return None
    try:
        local = datetime.strptime(form.get("hora", "")[:16], _LOCAL)
    except ValueError:
        raise Wrong("no_time") from None
    at = local.replace(tzinfo=person_of(request).account.zone).astimezone(UTC)
    if at < datetime.now(UTC):
        raise Wrong("past")
    return at


def _start_sentence(wrong: Wrong) -> str:
    if wrong.word == "credit":
        return _(
            "Faltam %(missing)s de saldo. Recarregue a conta e confirme de novo.",
            missing=money(int(wrong.detail)),
        )
    if wrong.word == "typed":
        return sentence(Wrong("typed", count(int(wrong.detail))))
    return sentence(wrong)


@act("/campanhas/{campaign_id:int}/excluir", *SENDS)
async def drop(request: Asked, campaign_id: int) -> Page:
    campaign = await found(request, campaign_id)
    try:
        await operations.drop(doors_of(request).db, campaign.account_id, campaign.id, who(request))
    except Wrong as wrong:
        return redirect(request, f"/campanhas/{campaign.id}", said=sentence(wrong), bad=True)
    return redirect(request, "/campanhas", said=_("Rascunho excluído, com todas as linhas."))


handlers = (new, take, message, example, write, without_accents, preview, checking, confirm, start, drop)
