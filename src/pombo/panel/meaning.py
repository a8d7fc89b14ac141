"""What a state and an operator's code mean, in words for people: the words first, the code second.

The words are Portuguese, the panel's source language; whoever shows them has them translated (`words.py`).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from pombo.errors import Refusal
from pombo.message import CallbackState, MessageClass, QueueState, State


def N_(text: str) -> str:  # noqa: N802
    """Marks a text that is translated where it is shown."""
    return text


class Word(NamedTuple):
    text: str
    pill: str  # of app.css: ok, info, warn or bad


STATES: Mapping[State, Word] = {
    State.WAITING: Word(N_("Na fila"), "warn"),
    State.SUBMITTED: Word(N_("Enviada"), "info"),
    State.UNCERTAIN: Word(N_("Incerta"), "warn"),
    State.DELIVERED: Word(N_("Entregue"), "ok"),
    State.UNDELIVERED: Word(N_("Não entregue"), "bad"),
    State.EXPIRED: Word(N_("Não entregue"), "bad"),
    State.REJECTED: Word(N_("Rejeitada"), "bad"),
    State.CANCELLED: Word(N_("Cancelada"), "bad"),
}

CLASSES: Mapping[MessageClass, str] = {
    MessageClass.OTP: N_("código de acesso"),
    MessageClass.TRANSACTIONAL: N_("transacional"),
    MessageClass.MARKETING: N_("marketing"),
}

# Of `message.error`: what we say ourselves, the words of receipts, and the statuses of answers (SMPP 3.4 §5.1.3).
_REASONS = {
    "CANCELLED": N_("cancelada antes do envio"),
    "DISCARDED": N_("retirada da fila pela operação"),
    "UNDELIV": N_("a operadora não conseguiu entregar"),
    "REJECTD": N_("recusada pela operadora"),
    "DELETED": N_("apagada pela operadora"),
    "SKIPPED": N_("a operadora não enviou"),
    "UNKNOWN": N_("a operadora não sabe o que houve"),
    "ESME_RINVDSTADR": N_("número inválido"),
    "ESME_RINVSRCADR": N_("remetente não aceito pela operadora"),
    "ESME_RINVMSGLEN": N_("texto longo demais para a operadora"),
    "ESME_RSUBMITFAIL": N_("a operadora não aceitou"),
    "ESME_RX_P_APPN": N_("recusada pela operadora"),
    "ESME_RX_R_APPN": N_("recusada pela operadora"),
    "ESME_RX_T_APPN": N_("a operadora não aceitou agora"),
    "ESME_RSYSERR": N_("erro no sistema da operadora"),
    "ESME_RTHROTTLED": N_("a operadora limitou a velocidade"),
    "ESME_RMSGQFUL": N_("fila da operadora cheia"),
}
_EXPIRED = {
    State.EXPIRED: N_("a validade terminou antes do envio"),
    State.UNDELIVERED: N_("o aparelho não foi alcançado a tempo"),
}


class Reason(NamedTuple):
    text: str
    code: str = ""  # the operator's, shown second
    at: datetime | None = None  # of a schedule: shown after the text
    seconds: float | None = None  # of a delivery: shown instead


def reason(row: Mapping[str, Any]) -> Reason:
    """What stands under the state of a message, as store/listing.py gives its rows."""
    state = State(row["state"])
    match state:
        case State.WAITING:
            return _waiting(row)
        case State.SUBMITTED:
            return Reason(N_("aguarda DLR"))
        case State.UNCERTAIN:
            return Reason(N_("a operadora não respondeu"))
        case State.DELIVERED:
            return Reason("", seconds=(row["final_at"] - row["sent_at"]).total_seconds())
    code = row["error"]
    if code == "EXPIRED":
        return Reason(_EXPIRED.get(state, _EXPIRED[State.UNDELIVERED]))
    known = _REASONS.get(code)
    if known:
        return Reason(known, "" if code in ("CANCELLED", "DISCARDED") else code)
    return Reason(N_("código da operadora"), code) if code else Reason("")


def _waiting(row: Mapping[str, Any]) -> Reason:
    if row["queue_state"] == QueueState.HELD:
        return Reason(
            N_("em análise: o texto tem um link") if row["held_for"] == "link" else N_("retida pela operação")
        )
    if row["opens_at"] is not None:
        scheduled = row["opens_at"] == row["scheduled_at"]
        return Reason(
            N_("agendada para") if scheduled else N_("espera o horário de marketing,"), at=row["opens_at"]
        )
    if row["queue_state"] == QueueState.WRITING:
        return Reason(N_("sendo enviada"))
    return Reason(N_("aguarda a vez"))


def callback(row: Mapping[str, Any] | None) -> Word | None:
    """Of the latest callback about a message; None where there was none."""
    if row is None:
        return None
    status = str(row["last_status"]) if row["last_status"] else ""
    if row["state"] == CallbackState.CONFIRMED:
        return Word(status or "200", "ok")
    if row["state"] == CallbackState.PARKED:
        return Word(status or N_("sem resposta"), "bad")
    if row["attempts"] == 0:
        return Word(N_("a caminho"), "info")
    return Word(f"{status or N_('sem resposta')} · {row['attempts']}ª", "warn")


REFUSALS: Mapping[Refusal, str] = {
    Refusal.TOKEN: N_("O acesso não vale mais: entre de novo."),
    Refusal.DESTINATION: N_(
        "Este não é um celular do Brasil: escreva o DDD e os nove dígitos, como (11) 98765-4321."
    ),
    Refusal.EMPTY: N_("A mensagem está vazia: escreva o texto."),
    Refusal.TOO_LONG: N_("A mensagem tem mais segmentos do que sua conta permite: encurte o texto."),
    Refusal.ID: N_("O identificador não serve: use até 64 letras, números e sinais, sem espaços."),
    Refusal.ID_DUPLICATE: N_("Este identificador já foi usado para outra mensagem: escolha outro."),
    Refusal.CREDIT: N_("O saldo não basta para esta mensagem: recarregue a conta e envie de novo."),
    Refusal.SUSPENDED: N_("Sua conta está bloqueada: fale com o suporte."),
    Refusal.BLOCKED: N_("Este número pediu para não receber mensagens, ou está na lista de bloqueios."),
    Refusal.NO_ROUTE: N_("Nenhuma operadora conectada leva mensagens a este número: fale com o suporte."),
    Refusal.BATCH_SIZE: N_("São mensagens demais de uma vez: envie como campanha."),
    Refusal.RATE: N_("O limite da sua conta foi alcançado: espere um pouco e envie de novo."),
    Refusal.MALFORMED: N_("Um campo não faz sentido."),
    Refusal.UNAVAILABLE: N_(
        "Não deu para gravar agora, e talvez nada tenha sido enviado. Envie de novo: nada sai duas vezes."
    ),
}

LEDGER = {
    "recharge": Word(N_("Recarga"), "ok"),
    "charge": Word(N_("Envios"), "info"),
    "refund": Word(N_("Devolução"), "ok"),
    "adjustment": Word(N_("Ajuste"), "warn"),
}
