"""A message's life as people read it: a sentence each, in order of time, and what was said to the letter below it."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

from pombo.callback.sign import webhook_id
from pombo.message import FINAL, AttemptState, CallbackKind, CallbackState, QueueState, State
from pombo.panel import meaning, words
from pombo.panel.meaning import Row
from pombo.panel.words import _, ngettext, noted
from pombo.smpp.status import status_name
from pombo.store.explain import Life


class Event(NamedTuple):
    at: datetime | None  # None: it is still to come
    title: str
    text: str
    dot: str  # ok, info, warn, bad, or todo
    icon: str
    raw: str = ""
    raw_label: str = ""

    def time(self, accepted_at: datetime) -> str:
        """To the millisecond; with the day where it is not that of the acceptance."""
        assert self.at is not None
        zone = words.voice().zone
        local = self.at.astimezone(zone)
        same_day = local.date() == accepted_at.astimezone(zone).date()
        return f"{words.clock(self.at) if same_day else words.moment(self.at)},{local.microsecond // 1000:03}"


def timeline(row: Row, life: Life, called: Mapping[int, Sequence[Row]]) -> list[Event]:
    """called: the attempts at each callback, by its id."""
    # Stable: what one commit wrote at one moment stays in the order of _events.
    events = list(_events(row, life, called))
    return sorted(
        (event for event in events if event.at), key=lambda event: event.at or row["accepted_at"]
    ) + [event for event in events if event.at is None]


def _events(row: Row, life: Life, called: Mapping[int, Sequence[Row]]) -> Iterator[Event]:
    yield Event(
        row["accepted_at"],
        _("Aceita"),
        _("Gravada e cobrada; a rota escolheu a conexão %(smsc)s.", smsc=row["smsc"] or "—"),
        "ok",
        "check",
    )
    if row["scheduled_at"] is not None:
        text = _("O envio foi pedido para %(at)s.", at=words.moment(row["scheduled_at"]))
        yield Event(row["accepted_at"], _("Agendada"), text, "info", "calendar-time")
    for _n, attempts in groupby(life.attempts, key=lambda attempt: attempt["n"]):
        yield from _submitted(row, list(attempts))
    yield from _receipts(row, life.attempts)
    for parked in life.parked_receipts:
        text = _("A operadora falou da mensagem %(id)s, que pode ser esta.", id=parked["raw_id"])
        yield Event(parked["received_at"], _("Recibo guardado à parte"), text, "warn", "clock")
    yield from _ended(row, life.attempts)
    for reply in life.replies:
        yield Event(
            reply["received_at"],
            _("Resposta"),
            f"“{reply['body']}”" if reply["body"] else words.written(""),
            "info",
            "message-circle",
        )
    for kind, callback in life.callbacks:
        yield from _callback(kind, callback, called.get(callback["id"], ()))
    yield from _to_come(row, life)


def _submitted(row: Row, attempts: Sequence[Row]) -> Iterator[Event]:
    """One round: the parts that were written together."""
    by_state = {attempt["state"] for attempt in attempts}
    at = attempts[0]["submitted_at"]
    raw, smsc, parts = "\n".join(map(_submit_line, attempts)), attempts[0]["smsc"] or "—", len(attempts)
    waited = words.took(at - row["accepted_at"])
    label = _("Resposta da operadora")
    if by_state == {AttemptState.REFUSED}:
        why = meaning.of_code(status_name(attempts[0]["status"]))
        text = _("A operadora de %(smsc)s não aceitou: %(why)s.", smsc=smsc, why=why)
        yield Event(at, _("Recusada pela operadora"), text, "bad", "x", raw, label)
    elif by_state == {AttemptState.UNCERTAIN}:
        text = _("Escrita para %(smsc)s, que não respondeu: não se sabe se ficou com ela.", smsc=smsc)
        yield Event(at, _("Sem resposta da operadora"), text, "warn", "alert-triangle", raw, label)
    else:
        text = ngettext(
            "%(smsc)s recebeu a mensagem, %(waited)s depois da aceitação.",
            "%(smsc)s recebeu %(num)s partes, %(waited)s depois da aceitação.",
            parts,
            smsc=smsc,
            waited=waited,
        )
        mixed = by_state & {AttemptState.REFUSED, AttemptState.UNCERTAIN}
        yield Event(at, _("Enviada"), text, "warn" if mixed else "ok", "send", raw, label)


def _submit_line(attempt: Row) -> str:
    told = _(
        "parte %(part)s · tentativa %(n)s · %(smsc)s",
        part=attempt["part"],
        n=attempt["n"],
        smsc=attempt["smsc"],
    )
    if attempt["state"] == AttemptState.UNCERTAIN:
        return f"{told}  submit_sm → " + _("sem resposta")
    status = attempt["status"]
    answer = f"{told}  submit_sm_resp {status_name(status)} (0x{status:08X})"
    return f"{answer}  message_id {attempt['smsc_message_id']}" if attempt["smsc_message_id"] else answer


_RECEIPTS = {
    AttemptState.DELIVERED: (noted("Entregue ao aparelho"), "ok", "checks"),
    AttemptState.FAILED: (noted("Recibo de falha"), "bad", "x"),
}


def _receipts(row: Row, attempts: Sequence[Row]) -> Iterator[Event]:
    for attempt in attempts:
        if attempt["interim_at"] is not None:
            text = _(
                "A operadora diz %(word)s da parte %(part)s.", word=attempt["interim"], part=attempt["part"]
            )
            yield Event(attempt["interim_at"], _("A caminho"), text, "info", "clock")
    for state, (title, dot, icon) in _RECEIPTS.items():
        of_state = [attempt for attempt in attempts if attempt["receipt_at"] and attempt["state"] == state]
        if not of_state:
            continue
        at = max(attempt["receipt_at"] for attempt in of_state)
        first = min(attempt["submitted_at"] for attempt in of_state)
        text = ngettext(
            "Recibo da operadora %(took)s depois do envio.",
            "Recibos das %(num)s partes; o último, %(took)s depois do envio.",
            len(of_state),
            took=words.took(at - first),
        )
        if state == AttemptState.FAILED:
            text += " " + _sentence(meaning.of_code(of_state[0]["receipt_error"], State.UNDELIVERED))
        yield Event(at, _(title), text, dot, icon, "\n".join(map(_receipt_line, of_state)), _("Recibos"))


def _receipt_line(attempt: Row) -> str:
    state = AttemptState(attempt["state"]).name
    said = f"  err:{attempt['receipt_error']}" if attempt["receipt_error"] else ""
    told = _("parte %(part)s", part=attempt["part"])
    return f"{told}  id:{attempt['smsc_message_id']}  {state}{said}  {words.moment(attempt['receipt_at'])}"


def _ended(row: Row, attempts: Sequence[Row]) -> Iterator[Event]:
    """Ends that no receipt tells of."""
    state = State(row["state"])
    if state not in FINAL or any(a["receipt_at"] and a["receipt_at"] == row["final_at"] for a in attempts):
        return
    if state is State.DELIVERED or (state is State.UNDELIVERED and any(a["receipt_at"] for a in attempts)):
        return
    why = meaning.reason({**row, "queue_state": None, "opens_at": None})
    icon = "ban" if state is State.CANCELLED else "x"
    text = _sentence(_(why.text))
    if row["refunded_milli"]:
        text += " " + _("%(amount)s voltou ao saldo.", amount=words.money(row["refunded_milli"]))
    yield Event(row["final_at"], _(meaning.STATES[state].text), text, "bad", icon, why.code, _("Código"))


def _callback(kind: CallbackKind, callback: Row, called: Sequence[Row]) -> Iterator[Event]:
    name = kind.name
    for n, attempt in enumerate(called, 1):
        is_last = n == len(called)
        confirmed = is_last and callback["state"] == CallbackState.CONFIRMED
        title = (
            _("Callback %(kind)s confirmado", kind=name)
            if confirmed
            else _("Callback %(kind)s, %(n)sª tentativa", kind=name, n=n)
        )
        answer = (
            _("não respondeu") if attempt["status"] is None else _("respondeu %(s)s", s=attempt["status"])
        )
        text = _(
            "Seu servidor %(answer)s em %(ms)s ms.", answer=answer, ms=words.count(attempt["duration_ms"])
        )
        dot, icon = ("ok", "check") if confirmed else ("warn", "refresh")
        yield Event(attempt["at"], title, text, dot, icon, call(callback, attempt), _("Chamada e resposta"))
    if callback["state"] == CallbackState.DUE:
        text = _("Tenta em %(at)s.", at=words.moment(callback["due_at"])) if called else _("A caminho.")
        yield Event(None, _("Callback %(kind)s", kind=name), text, "todo", "webhook")
    elif callback["state"] == CallbackState.PARKED:
        text = _("Tentamos por 24 h. Pode ser reenviado em Entregas de callback.")
        yield Event(
            callback["due_at"], _("Callback %(kind)s parado", kind=name), text, "bad", "alert-triangle"
        )


def call(callback: Row, attempt: Row) -> str:
    """Whoever sees numbers masked does not see what was called: the number stands in it."""
    if not attempt["url"]:
        return ""
    url = (
        attempt["url"]
        if words.voice().whole_numbers
        else attempt["url"].split("?")[0].split("/status=")[0] + " …"
    )
    asked = [
        f"GET {url}",
        f"webhook-id: {webhook_id(callback['id'])}",
        f"webhook-timestamp: {int(attempt['at'].timestamp())}",
        f"webhook-signature: {attempt['signature']}",
    ]
    said = str(attempt["status"] or attempt["error"])
    head = " · ".join(filter(None, (said, f"{attempt['duration_ms']} ms", attempt["address"])))
    answer = attempt["answer"].decode("utf-8", "replace") if words.voice().whole_numbers else ""
    return "\n".join([*asked, "", head, answer]).rstrip()


def _to_come(row: Row, life: Life) -> Iterator[Event]:
    state = State(row["state"])
    if state in FINAL:
        if not any(kind is CallbackKind.DLR for kind, _callback in life.callbacks):
            text = _("Nenhuma URL estava registrada quando a mensagem terminou.")
            yield Event(None, _("Sem callback DLR"), text, "todo", "webhook")
        return
    queue = life.queue
    if queue is not None and queue["state"] != QueueState.WRITING:
        opens_at = queue["opens_at"] if queue["waits_to_open"] else None
        why = meaning.reason(
            {
                "state": State.WAITING,
                "queue_state": queue["state"],
                "held_for": queue["held_for"],
                "opens_at": opens_at,
                "scheduled_at": row["scheduled_at"],
            }
        )
        text = _sentence(f"{_(why.text)} {words.moment(why.at)}".strip())
        kept = _("Vale até %(at)s.", at=words.moment(queue["expires_at"]))
        yield Event(None, _("Na fila"), f"{text} {kept}", "todo", "clock")
    elif state is State.SUBMITTED:
        text = _("O aparelho recebe, e a operadora manda o recibo. Algumas nunca mandam.")
        yield Event(None, _("Aguarda o recibo (DLR)"), text, "todo", "clock")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""
