"""Enviar SMS: what is written is counted, priced and sent by the rules of the API."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pombo import country
from pombo.accept.submission import Submission, judge
from pombo.account.account import Account
from pombo.account.window import when
from pombo.errors import Refusal
from pombo.panel import meaning, samples
from pombo.panel.doors import Doors
from pombo.panel.draft import MOST_RECIPIENTS, Draft, new_nonce
from pombo.panel.page import Asked, Page, Role, act, doors_of, form_of, person_of, render, show
from pombo.panel.session import base_url
from pombo.panel.words import _
from pombo.store import listing
from pombo.store.accounts import sources

_SHOWN_FAULTS = 5


class Sent(NamedTuple):
    """What became of one recipient's message."""

    recipient: str
    number: int | None
    message_id: int | None  # None: refused
    accepted_at: datetime | None
    again: bool  # it had been sent before, out of the same form
    refusal: str
    code: str


@show("/enviar", Role.ADMIN, Role.SENDER)
async def compose(request: Asked) -> Page:
    query = request.query_params
    draft = Draft.of({"destino": query.get("para", ""), "msg": query.get("texto", "")})
    return render(request, "compose.html", results=[], fault="", **await composer(request, draft))


async def composer(request: Asked, draft: Draft | None = None) -> dict[str, Any]:
    """What parts/composer.html needs; on whatever page it stands."""
    doors, account = doors_of(request), person_of(request).account
    source = (await sources(doors.db)).get(account.id)
    return {
        "draft": draft or Draft(new_nonce(), (), 0, "", "", ""),
        "most_recipients": MOST_RECIPIENTS,
        "sender": source.addr if source else account.name,
        "languages": samples.LANGUAGES,
    }


@act("/enviar", Role.ADMIN, Role.SENDER)
async def send(request: Asked) -> Page:
    """Sent twice, by a double click or a page that is loaded again, it goes out once: the form has the ids."""
    draft = Draft.of(await form_of(request))
    fault = _fault(draft)
    results = [] if fault else await sent_now(request, draft)
    return render(request, "compose.html", results=results, fault=fault, **await composer(request, draft))


async def sent_now(request: Asked, draft: Draft) -> list[Sent]:
    """What became of each of its recipients' messages, which are committed or refused."""
    doors, account, begun = doors_of(request), person_of(request).account, datetime.now(UTC)
    submissions = judged(doors, account, draft)
    await doors.intake.take_in(submissions)
    refs = [s.client_ref for s in submissions if s.refusal is None]
    ids = await listing.ids_of_refs(doors.db, account.id, refs)
    return [_sent(s, ids, begun) for s in submissions]


def judged(doors: Doors, account: Account, draft: Draft) -> list[Submission]:
    routes, prices = doors.routes(), doors.prices()
    return [
        judge(
            account,
            recipient,
            draft.text,
            draft.client_ref(recipient),
            draft.text_mode,
            draft.schedule,
            routes=routes,
            prices=prices,
            secrets=doors.secrets,
        )
        for recipient in draft.recipients
    ]


def _fault(draft: Draft) -> str:
    if not draft.recipients:
        return _("Escreva para quem vai a mensagem.")
    if len(draft.recipients) > MOST_RECIPIENTS:
        return _(
            "São %(n)s destinatários: daqui saem até %(most)s de uma vez. Para mais, use uma campanha.",
            n=len(draft.recipients),
            most=MOST_RECIPIENTS,
        )
    return ""


def _sent(submission: Submission, ids: Mapping[str, int], begun: datetime) -> Sent:
    refusal = submission.refusal
    accepted_at = submission.accepted_at
    return Sent(
        submission.destination,
        submission.number or country.normalise(submission.destination, None),
        ids.get(submission.client_ref) if refusal is None else None,
        accepted_at,
        accepted_at is not None and accepted_at < begun,
        "" if refusal is None else _(meaning.REFUSALS[refusal]),
        "" if refusal is None else code_of(submission),
    )


def code_of(submission: Submission) -> str:
    """As the API says it."""
    assert submission.refusal is not None
    return ": ".join(filter(None, (submission.refusal.text, submission.detail)))


@act("/enviar/conferir", Role.ADMIN, Role.SENDER)
async def check(request: Asked) -> Page:
    """What sending would cost and whom it would not reach; asked for while somebody writes."""
    doors, person = doors_of(request), person_of(request)
    account = person.account
    draft = Draft.of(await form_of(request))
    if len(draft.recipients) > MOST_RECIPIENTS:
        return render(request, "parts/compose_check.html", fault=_fault(draft), faults=[], ready=[])
    submissions = judged(doors, account, draft)
    ready = [s for s in submissions if s.refusal is None]
    # Who has typed nothing yet need not be told so.
    faults = [
        (s.destination, _(meaning.REFUSALS[s.refusal]), code_of(s))
        for s in submissions
        if s.refusal is not None and s.refusal is not Refusal.EMPTY
    ]
    cost_milli = sum(s.price_milli for s in ready)
    part_milli = (
        doors.prices().of(account, ready[0].number, account.message_class) if ready else account.price_milli
    )
    return render(
        request,
        "parts/compose_check.html",
        fault="",
        faults=faults[:_SHOWN_FAULTS],
        more_faults=max(0, len(faults) - _SHOWN_FAULTS),
        repeated=draft.repeated,
        ready=ready,
        parts=sum(s.outgoing.parts for s in ready if s.outgoing),
        part_milli=part_milli,
        same_price=len({s.price_milli for s in ready}) <= 1,
        cost_milli=cost_milli,
        too_dear=cost_milli > person.available_milli,
        opens_at=_opens_at(account, ready),
    )


def _opens_at(account: Account, ready: Sequence[Submission]) -> datetime | None:
    """When the first of them may go, where that is not at once."""
    now = datetime.now(UTC)
    times = [
        when(
            s.scheduled_at, account.message_class, account.marketing_window, s.number, account.zone, now
        ).opens_at
        for s in ready
    ]
    return None if not times or None in times else min(at for at in times if at is not None)


@act("/enviar/codigo", Role.ADMIN, Role.SENDER)
async def code(request: Asked) -> Page:
    """The same message as a program would send it."""
    draft = Draft.of(await form_of(request))
    recipients = draft.recipients[:MOST_RECIPIENTS] or ("11987654321",)
    fields = [
        {
            "destino": recipient,
            "msg": draft.text or _("Sua mensagem"),
            "codificacao": draft.text_mode,
            "agendar": draft.schedule,
        }
        for recipient in recipients
    ]
    url = base_url(request)
    if len(fields) == 1:
        of = samples.call(url, "unitario.php", fields[0])
    else:
        of = samples.call(url, "envio.php", {}, fields)
    codes = {name: samples.sample(name, of) for name in samples.LANGUAGES}
    return render(
        request, "parts/codes.html", codes=codes, languages=samples.LANGUAGES, variable=samples.VARIABLE
    )


handlers = (compose, send, check, code)
