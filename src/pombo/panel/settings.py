"""MEU PERFIL > CONFIGURAÇÕES > call-back DLR / callback MO: where the account is called, how, and whether it works."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import asyncpg
from litestar.exceptions import NotFoundException
from markupsafe import Markup

from pombo.callback import endpoints, trial
from pombo.callback.address import BadUrl, Wrong, check_url
from pombo.callback.figures import Cause
from pombo.callback.schedule import PAUSES_S
from pombo.callback.sign import new_secret
from pombo.callback.trial import Trial
from pombo.message import CallbackKind
from pombo.panel.page import Asked, Page, Role, act, doors_of, form_of, person_of, redirect, render, show
from pombo.panel.session import actor_of
from pombo.panel.words import _, ngettext, noted, took, voice, when
from pombo.store import callbacks as store
from pombo.store import calls
from pombo.store.audit import changing
from pombo.store.callbacks import EndpointRow

_PATH: Final = "/perfil/configuracoes"
_WHO: Final = (Role.ADMIN, Role.DEVELOPER)
# The headings are required to the letter.
_HEADINGS: Final = {CallbackKind.DLR: "call-back DLR", CallbackKind.MO: "callback MO"}
_ABOUT: Final = {
    CallbackKind.DLR: noted("Avisamos quando a mensagem termina: entregue, não entregue ou rejeitada."),
    CallbackKind.MO: noted("Avisamos quando alguém responde. A resposta também fica na Caixa de entrada."),
}
_WRONG: Final = {
    Wrong.EMPTY: noted("Informe a URL."),
    Wrong.LONG: noted("A URL é muito longa: no máximo 2000 caracteres."),
    Wrong.BLANKS: noted("A URL contém espaços ou caracteres de controle. Use %20 no lugar de um espaço."),
    Wrong.SCHEME: noted("A URL deve começar com http:// ou https://."),
    Wrong.CREDENTIALS: noted(
        "A URL não pode conter usuário e senha. Ponha um token nos parâmetros, por exemplo ?token=…."
    ),
    Wrong.ADDRESS: noted("A URL não é válida: confira o endereço e a porta."),
    Wrong.NO_HOST: noted("A URL não tem um endereço, por exemplo https://www.exemplo.com.br/dlr."),
    Wrong.IPV6: noted("O endereço IPv6 da URL não é válido."),
    Wrong.HOST: noted("O endereço da URL não é válido: confira o nome depois de http:// ou https://."),
    Wrong.INTERNAL: noted(
        "A URL aponta para uma rede interna, que não pode ser chamada. Use um endereço público."
    ),
}
_MEANS: Final = {
    Cause.CONFIRMED: noted("Seu sistema confirmou. É isto que esperamos de cada entrega."),
    Cause.HTTP_2XX: noted(
        "Seu sistema respondeu, mas não com 200. Responda 200, ou aceite qualquer 2xx aqui ao lado."
    ),
    Cause.HTTP_3XX: noted(
        "Seu servidor mandou para outro endereço, e nós não seguimos. Use aqui o endereço final."
    ),
    Cause.HTTP_4XX: noted(
        "Seu servidor recusou o pedido. Confira o caminho da URL e se ela exige uma senha."
    ),
    Cause.HTTP_5XX: noted(
        "Seu servidor falhou ao atender, ou está fora do ar. Nada se perde: repetimos mais tarde."
    ),
    Cause.TIMEOUT: noted("Seu servidor não respondeu em tempo. Responda primeiro, e processe depois."),
    Cause.REFUSED: noted(
        "Não deu para conectar. Confira se o servidor está no ar e se o firewall deixa passar."
    ),
    Cause.NAME: noted("O nome do servidor não existe no DNS. Confira como ele está escrito."),
    Cause.GUARD: noted(
        "O endereço é de uma rede interna, que não pode ser chamada. Use um endereço público."
    ),
    Cause.TLS: noted("A conexão segura (TLS) não se formou: o certificado venceu, ou é de outro nome."),
    Cause.BROKEN: noted("A conexão caiu antes de uma resposta HTTP completa."),
}
_testing: set[int] = set()  # accounts with a test under way: one at a time


class Section(NamedTuple):
    """One of the two, as the page shows it."""

    kind: CallbackKind
    heading: str
    about: str
    url: str
    literal: bool
    any_2xx: bool
    there: bool  # it is registered
    saved_at: datetime | None
    preview: str
    day: asyncpg.Record
    chart: Markup
    refusal: str

    @property
    def slug(self) -> str:
        return self.kind.name.lower()


@show(_PATH, *_WHO)
async def settings(request: Asked) -> Page:
    return await _page(request)


@act(f"{_PATH}/{{kind:str}}", *_WHO)
async def save(request: Asked, kind: str) -> Page:
    wanted, doors, form = _kind(kind), doors_of(request), await form_of(request)
    account_id = person_of(request).account.id
    try:
        async with changing(doors.db, actor_of(request), "callback.set") as change:
            await endpoints.register(
                change, doors.secrets, account_id, wanted, form.get("url", "").strip(), doors.config.callback_allow,
                literal=_literal(form), any_2xx=_any_2xx(form),
            )  # fmt: skip
    except BadUrl as bad:
        return await _page(request, wanted, form, _(_WRONG[bad.wrong]))
    return redirect(request, f"{_PATH}#{kind}", said=_("Salvo. Vale a partir da próxima chamada."))


@act(f"{_PATH}/{{kind:str}}/previa", *_WHO)
async def preview(request: Asked, kind: str) -> Page:
    """While somebody types: what will arrive, octet for octet, or why nothing would."""
    row, refusal = _given(request, _kind(kind), await form_of(request))
    url = _arrives(request, row) if row else ""
    return render(request, "parts/callback_preview.html", url=url, refusal=refusal)


@act(f"{_PATH}/{{kind:str}}/teste", *_WHO)
async def test(request: Asked, kind: str) -> Page:
    """Calls what the form says, saved or not."""
    wanted, doors, account = _kind(kind), doors_of(request), person_of(request).account
    row, refusal = _given(request, wanted, await form_of(request))
    if row is None:
        return _tested(request, refusal=refusal)
    if account.id in _testing:
        return _tested(request, refusal=_("Já há um teste em andamento. Espere ele terminar."))
    _testing.add(account.id)
    try:
        kept = await endpoints.registered(doors.db, account.id, wanted)
        sealed = kept.secret_sealed if kept else doors.secrets.seal(new_secret())
        done = await trial.call(
            row._replace(secret_sealed=sealed), doors.secrets.unseal, datetime.now(UTC), account.zone.key,
            allow=doors.config.callback_allow, timeout_s=doors.config.callback_timeout_s,
        )  # fmt: skip
    finally:
        _testing.discard(account.id)
    return _tested(request, done=done)


@act(f"{_PATH}/{{kind:str}}/segredo", *_WHO)
async def secret(request: Asked, kind: str) -> Page:
    """Shows it; with `novo`, makes another one first. Who looked is recorded."""
    wanted, doors, form = _kind(kind), doors_of(request), await form_of(request)
    rotate = "novo" in form
    try:
        async with changing(doors.db, actor_of(request), "callback.secret") as change:
            text = await endpoints.secret(
                change, doors.secrets, person_of(request).account.id, wanted, rotate=rotate
            )
    except endpoints.NotRegistered:
        raise NotFoundException from None
    return render(request, "parts/callback_secret.html", kind=kind, secret=text, rotated=rotate)


@act(f"{_PATH}/{{kind:str}}/remover", *_WHO)
async def remove(request: Asked, kind: str) -> Page:
    try:
        async with changing(doors_of(request).db, actor_of(request), "callback.remove") as change:
            await endpoints.remove(change, person_of(request).account.id, _kind(kind))
    except endpoints.NotRegistered:
        raise NotFoundException from None
    return redirect(request, f"{_PATH}#{kind}", said=_("Removido. Não chamamos mais esta URL."))


def _kind(text: str) -> CallbackKind:
    if text not in ("dlr", "mo"):
        raise NotFoundException
    return CallbackKind[text.upper()]


def _literal(form: dict[str, str]) -> bool:
    return form.get("formato") == "literal"


def _any_2xx(form: dict[str, str]) -> bool:
    return form.get("aceita") == "2xx"


def _given(request: Asked, kind: CallbackKind, form: dict[str, str]) -> tuple[EndpointRow | None, str]:
    """What a form describes, without its secret; or why it cannot be called."""
    try:
        url = check_url(form.get("url", "").strip(), doors_of(request).config.callback_allow)
    except BadUrl as bad:
        return None, _(_WRONG[bad.wrong])
    account_id = person_of(request).account.id
    return EndpointRow(account_id, kind, url, _literal(form), _any_2xx(form), b""), ""


def _arrives(request: Asked, row: EndpointRow) -> str:
    return trial.as_it_will_arrive(row, datetime.now(UTC), person_of(request).account.zone.key)


def _tested(request: Asked, *, done: Trial | None = None, refusal: str = "") -> Page:
    return render(
        request,
        "parts/callback_test.html",
        done=done,
        refusal=refusal,
        means=_(_MEANS[done.cause]) if done else "",
        confirmed=done is not None and done.cause is Cause.CONFIRMED,
        answer=_shown(done.answer) if done else "",
        now=when(datetime.now(UTC)),
    )


def _shown(octets: bytes) -> str:
    """What a receiver answered, as text: whatever it is, it is shown and nothing more."""
    text = octets.decode("utf-8", "replace").replace("\r\n", "\n")
    return "".join(
        char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text
    )


async def _page(
    request: Asked, refused: CallbackKind | None = None, form: dict[str, str] | None = None, refusal: str = ""
) -> Page:
    doors, account_id = doors_of(request), person_of(request).account.id
    rows = {row.kind: row for row in await store.endpoints_of(doors.db, account_id)}
    saved = await store.saved_at(doors.db, account_id)
    sections = []
    for kind in CallbackKind:
        row = rows.get(kind)
        is_refused = kind is refused and form is not None
        url = form.get("url", "") if is_refused and form else row.url if row else ""
        literal = _literal(form) if is_refused and form else bool(row and row.literal)
        any_2xx = _any_2xx(form) if is_refused and form else bool(row and row.any_2xx)
        shown = EndpointRow(account_id, kind, url or "https://", literal, any_2xx, b"")
        arrives = _arrives(request, shown) if url and not is_refused else ""
        day = await calls.last_day(doors.db, account_id, kind)
        sections.append(
            Section(
                kind, _HEADINGS[kind], _(_ABOUT[kind]), url, literal, any_2xx, row is not None, saved.get(kind),
                arrives, day, _chart(day), refusal if is_refused else "",
            )
        )  # fmt: skip
    return render(
        request,
        "settings.html",
        status=422 if refused else 200,
        sections=sections,
        timeout=took(doors.config.callback_timeout_s),
        failing=failing,
        pauses=[took(pause) for pause in PAUSES_S[1:]],
        most=calls.MOST,
    )


def _chart(day: asyncpg.Record) -> Markup:
    """For app.js: the last 24 hours, an hour a bar."""
    found = {h: (confirmed, failed) for h, confirmed, failed in day["hours"] or []}
    now = datetime.now(UTC).astimezone(voice().zone)
    data: dict[str, Any] = {
        "x": list(range(24)),
        "l": [f"{now - timedelta(hours=23 - h):%-H}h" for h in range(24)],
        "every": 4,
        "h": 176,
        "series": [
            {"n": _("Confirmadas"), "c": "--c1", "v": [found.get(h, (0, 0))[0] for h in range(24)]},
            {"n": _("Falhas"), "c": "--c3", "v": [found.get(h, (0, 0))[1] for h in range(24)]},
        ],
    }
    return Markup(json.dumps(data).replace("<", "\\u003c"))  # noqa: S704 - numbers and words of ours, `<` escaped


def failing(day: asyncpg.Record) -> str:
    """`3 falhas desde 16:20`, or "" where all goes well."""
    count = day["waiting"] + day["parked"]
    return (
        ngettext(
            "%(num)s falha desde %(at)s", "%(num)s falhas desde %(at)s", count, at=when(day["failing_since"])
        )
        if count
        else ""
    )


handlers = (settings, save, preview, test, secret, remove)
