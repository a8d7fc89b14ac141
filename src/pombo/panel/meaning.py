"""What a state and an operator's code mean, in words for people: the words first, the code second.

The words are Portuguese, the panel's source language: whoever shows them says `_(word.text)`.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from pombo.errors import Refusal
from pombo.message import AttemptState, CallbackState, MessageClass, QueueState, State
from pombo.panel.words import _, noted


class Row(Protocol):
    """What the store gives; tests give dicts."""

    def __getitem__(self, column: str, /) -> Any: ...
    def keys(self) -> Iterable[str]: ...


class Word(NamedTuple):
    text: str
    pill: str  # of app.css: ok, info, warn or bad


STATES: Mapping[State, Word] = {
    State.WAITING: Word(noted("Na fila"), "warn"),
    State.SUBMITTED: Word(noted("Enviada"), "info"),
    State.UNCERTAIN: Word(noted("Incerta"), "warn"),
    State.DELIVERED: Word(noted("Entregue"), "ok"),
    State.UNDELIVERED: Word(noted("Não entregue"), "bad"),
    State.EXPIRED: Word(noted("Não entregue"), "bad"),
    State.REJECTED: Word(noted("Rejeitada"), "bad"),
    State.CANCELLED: Word(noted("Cancelada"), "bad"),
}

ATTEMPTS: Mapping[AttemptState, Word] = {
    AttemptState.UNCERTAIN: Word(noted("Sem resposta"), "warn"),
    AttemptState.TAKEN: Word(noted("Enviada"), "info"),
    AttemptState.DELIVERED: Word(noted("Entregue"), "ok"),
    AttemptState.FAILED: Word(noted("Não entregue"), "bad"),
    AttemptState.REFUSED: Word(noted("Recusada"), "bad"),
}

CLASSES: Mapping[MessageClass, str] = {
    MessageClass.OTP: noted("código de acesso"),
    MessageClass.TRANSACTIONAL: noted("transacional"),
    MessageClass.MARKETING: noted("marketing"),
}

# Of `message.error`: what we say ourselves, the words of receipts, and the statuses of answers (SMPP 3.4 §5.1.3).
_REASONS = {
    "CANCELLED": noted("cancelada antes do envio"),
    "DISCARDED": noted("retirada da fila pela operação"),
    "UNDELIV": noted("a operadora não conseguiu entregar"),
    "REJECTD": noted("recusada pela operadora"),
    "DELETED": noted("apagada pela operadora"),
    "SKIPPED": noted("a operadora não enviou"),
    "UNKNOWN": noted("a operadora não sabe o que houve"),
    "ESME_RINVDSTADR": noted("número inválido"),
    "ESME_RINVSRCADR": noted("remetente não aceito pela operadora"),
    "ESME_RINVMSGLEN": noted("texto longo demais para a operadora"),
    "ESME_RSUBMITFAIL": noted("a operadora não aceitou"),
    "ESME_RX_P_APPN": noted("recusada pela operadora"),
    "ESME_RX_R_APPN": noted("recusada pela operadora"),
    "ESME_RX_T_APPN": noted("a operadora não aceitou agora"),
    "ESME_RSYSERR": noted("erro no sistema da operadora"),
    "ESME_RTHROTTLED": noted("a operadora limitou a velocidade"),
    "ESME_RMSGQFUL": noted("fila da operadora cheia"),
}
_OURS = ("CANCELLED", "DISCARDED")
_UNKNOWN = noted("código da operadora")
_EXPIRED = {
    State.EXPIRED: noted("a validade terminou antes do envio"),
    State.UNDELIVERED: noted("o aparelho não foi alcançado a tempo"),
}


class Reason(NamedTuple):
    text: str
    code: str = ""  # the operator's, shown second
    at: datetime | None = None  # of a schedule: shown after the text
    seconds: float | None = None  # of a delivery: shown instead


def reason(row: Row) -> Reason:
    """What stands under the state of a message, as store/listing.py gives its rows."""
    state = State(row["state"])
    match state:
        case State.WAITING:
            return _waiting(row)
        case State.SUBMITTED:
            return Reason(noted("aguarda DLR"))
        case State.UNCERTAIN:
            return Reason(noted("a operadora não respondeu"))
        case State.DELIVERED:
            return Reason("", seconds=(row["final_at"] - row["sent_at"]).total_seconds())
    code = row["error"]
    if code == "EXPIRED":
        return Reason(_EXPIRED.get(state, _EXPIRED[State.UNDELIVERED]))
    known = _REASONS.get(code)
    if known:
        return Reason(known, "" if code in _OURS else code)
    return Reason(_UNKNOWN, code) if code else Reason("")


def of_code(code: str, state: State = State.REJECTED) -> str:
    """In the request's language; a code that we have no words for stands in it."""
    if code == "EXPIRED":
        return _(_EXPIRED.get(state, _EXPIRED[State.UNDELIVERED]))
    known = _REASONS.get(code)
    return _(known) if known else f"{_(_UNKNOWN)} {code}"


def _waiting(row: Row) -> Reason:
    if row["queue_state"] == QueueState.HELD:
        return Reason(
            noted("em análise: o texto tem um link")
            if row["held_for"] == "link"
            else noted("retida pela operação")
        )
    if row["opens_at"] is not None:
        scheduled = row["opens_at"] == row["scheduled_at"]
        return Reason(
            noted("agendada para") if scheduled else noted("espera o horário de marketing,"),
            at=row["opens_at"],
        )
    if row["queue_state"] == QueueState.WRITING:
        return Reason(noted("sendo enviada"))
    return Reason(noted("aguarda a vez"))


def callback(row: Row | None) -> Word | None:
    """Of the latest callback about a message; None where there was none."""
    if row is None:
        return None
    status = str(row["last_status"]) if row["last_status"] else ""
    if row["state"] == CallbackState.CONFIRMED:
        return Word(status or "200", "ok")
    if row["state"] == CallbackState.PARKED:
        return Word(status or noted("sem resposta"), "bad")
    if row["attempts"] == 0:
        return Word(noted("a caminho"), "info")
    return Word(f"{status or noted('sem resposta')} · {row['attempts']}ª", "warn")


REFUSALS: Mapping[Refusal, str] = {
    Refusal.TOKEN: noted("O acesso não vale mais: entre de novo."),
    Refusal.DESTINATION: noted(
        "Este não é um celular do Brasil, nem de outro país combinado para a conta: escreva o DDD e os nove"
        " dígitos, como (11) 98765-4321."
    ),
    Refusal.EMPTY: noted("A mensagem está vazia: escreva o texto."),
    Refusal.TOO_LONG: noted("A mensagem tem mais segmentos do que sua conta permite: encurte o texto."),
    Refusal.ID: noted("O identificador não serve: use até 64 letras, números e sinais, sem espaços."),
    Refusal.ID_DUPLICATE: noted("Este identificador já foi usado para outra mensagem: escolha outro."),
    Refusal.CREDIT: noted("O saldo não basta para esta mensagem: recarregue a conta e envie de novo."),
    Refusal.SUSPENDED: noted("Sua conta está bloqueada: fale com o suporte."),
    Refusal.BLOCKED: noted("Este número pediu para não receber mensagens, ou está na lista de bloqueios."),
    Refusal.NO_ROUTE: noted("Nenhuma operadora conectada leva mensagens a este número: fale com o suporte."),
    Refusal.BATCH_SIZE: noted("São mensagens demais de uma vez: envie como campanha."),
    Refusal.RATE: noted("O limite da sua conta foi alcançado: espere um pouco e envie de novo."),
    Refusal.MALFORMED: noted("Um campo não faz sentido."),
    Refusal.UNAVAILABLE: noted(
        "Não deu para gravar agora, e talvez nada tenha sido enviado. Envie de novo: nada sai duas vezes."
    ),
}

LEDGER = {
    "recharge": Word(noted("Recarga"), "ok"),
    "charge": Word(noted("Envios"), "info"),
    "refund": Word(noted("Devolução"), "ok"),
    "adjustment": Word(noted("Ajuste"), "warn"),
}
