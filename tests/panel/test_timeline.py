"""A message's life in sentences: in order, each once, and nothing of what its reader may not see."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pombo.message import AttemptState, CallbackKind, CallbackState, QueueState, State
from pombo.panel import words
from pombo.panel.timeline import Event, timeline
from pombo.panel.words import Voice
from pombo.store.explain import Life

_AT = datetime(2026, 11, 22, 20, 42, 8, 104000, tzinfo=UTC)
_ZONE = ZoneInfo("America/Sao_Paulo")


@pytest.fixture(autouse=True)
def _whole_numbers() -> None:
    words.speak(Voice("pt", _ZONE, whole_numbers=True))


def after(ms: int) -> datetime:
    return _AT + timedelta(milliseconds=ms)


def message(state: State, **columns: Any) -> dict[str, Any]:
    row = {
        "state": state, "smsc": "vivo", "accepted_at": _AT, "scheduled_at": None, "sent_at": None, "final_at": None,
        "error": "", "refunded_milli": None,
    }  # fmt: skip
    return {**row, **columns}


def attempt(
    part: int, state: AttemptState, *, n: int = 1, sent_ms: int = 85, **columns: Any
) -> dict[str, Any]:
    row = {
        "n": n, "part": part, "state": state, "status": 0, "smsc_message_id": f"7C{n}{part}", "receipt_error": "",
        "submitted_at": after(sent_ms), "receipt_at": None, "interim": "", "interim_at": None, "smsc": "vivo",
    }  # fmt: skip
    return {**row, **columns}


def call(at_ms: int, status: int | None, error: str = "") -> dict[str, Any]:
    return {
        "at": after(at_ms), "url": "https://a.example/dlr?status=2&id=a&destino=11987654321&entrega=x",
        "signature": "v1,abc", "address": "198.51.100.7", "status": status, "error": error, "duration_ms": 1204,
        "answer": b"HTTP/1.1 503 Service Unavailable\r\n\r\nmais tarde \xff",
    }  # fmt: skip


def life(**parts: Any) -> Life:
    nothing: dict[str, Any] = {
        "queue": None, "attempts": [], "parked_receipts": [], "replies": [], "callbacks": [],
    }  # fmt: skip
    return Life(**{**nothing, **parts})


def told(events: list[Event]) -> list[str]:
    return [event.title for event in events]


def test_a_delivered_message_is_told_from_acceptance_to_its_confirmed_callback() -> None:
    row = message(State.DELIVERED, sent_at=after(85), final_at=after(2110))
    callback = {"id": 7, "state": CallbackState.CONFIRMED, "due_at": _AT, "attempts": 2}
    events = timeline(
        row,
        life(
            attempts=[
                attempt(1, AttemptState.DELIVERED, receipt_at=after(2000)),
                attempt(2, AttemptState.DELIVERED, receipt_at=after(2110)),
            ],
            callbacks=[(CallbackKind.DLR, callback)],
            replies=[{"received_at": after(60_000), "body": "SIM"}],
        ),
        {7: [call(2200, 503), call(7200, 200)]},
    )
    assert told(events) == [
        "Aceita",
        "Enviada",
        "Entregue ao aparelho",
        "Callback DLR, 1ª tentativa",
        "Callback DLR confirmado",
        "Resposta",
    ]
    sent, delivered, failed = events[1:4]
    assert sent.text == "vivo recebeu 2 partes, 85 ms depois da aceitação."
    assert "submit_sm_resp ESME_ROK (0x00000000)  message_id 7C11" in sent.raw
    assert delivered.text == "Recibos das 2 partes; o último, 2 s depois do envio."
    assert "respondeu 503 em 1.204 ms" in failed.text
    assert (
        "destino=11987654321" in failed.raw
        and "webhook-id: cb_7" in failed.raw
        and "mais tarde" in failed.raw
    )
    assert sent.time(_AT) == "17:42:08,189"
    assert Event(after(86_400_000), "", "", "", "").time(_AT) == "23/11/2026 17:42:08,104"


def test_a_refusal_that_was_tried_again_is_told_as_two_rounds() -> None:
    row = message(State.SUBMITTED, sent_at=after(6000))
    events = timeline(
        row,
        life(
            attempts=[
                attempt(1, AttemptState.REFUSED, status=0x64, smsc_message_id=None),
                attempt(1, AttemptState.TAKEN, n=2, sent_ms=6000),
            ]
        ),
        {},
    )
    assert told(events) == ["Aceita", "Recusada pela operadora", "Enviada", "Aguarda o recibo (DLR)"]
    assert "a operadora não aceitou agora" in events[1].text
    assert "ESME_RX_T_APPN (0x00000064)" in events[1].raw
    assert events[-1].at is None


def test_ends_without_a_receipt_say_why_and_what_came_back() -> None:
    cancelled = message(State.CANCELLED, error="CANCELLED", final_at=after(500), refunded_milli=80)
    [_accepted, ended, no_callback] = timeline(cancelled, life(), {})
    assert (ended.title, ended.raw) == ("Cancelada", "")
    assert ended.text == "Cancelada antes do envio. R$\xa00,08 voltou ao saldo."
    assert no_callback.title == "Sem callback DLR"

    rejected = message(State.REJECTED, error="ESME_RINVDSTADR", final_at=after(90))
    refused = attempt(1, AttemptState.REFUSED, status=0x0B, smsc_message_id=None)
    events = timeline(rejected, life(attempts=[refused]), {})
    assert told(events) == ["Aceita", "Recusada pela operadora", "Rejeitada", "Sem callback DLR"]
    assert (events[2].text, events[2].raw) == ("Número inválido.", "ESME_RINVDSTADR")


def test_a_failed_receipt_says_what_the_operator_said() -> None:
    row = message(State.UNDELIVERED, sent_at=after(85), final_at=after(900), error="027")
    failed = attempt(1, AttemptState.FAILED, receipt_at=after(900), receipt_error="027")
    events = timeline(row, life(attempts=[failed]), {})
    assert told(events) == ["Aceita", "Enviada", "Recibo de falha", "Sem callback DLR"]
    assert events[2].text.endswith("Código da operadora 027.")


@pytest.mark.parametrize(
    ("queue", "text"),
    [
        ({"state": QueueState.WAITING}, "Aguarda a vez."),
        ({"state": QueueState.HELD, "held_for": "link"}, "Em análise: o texto tem um link."),
        ({"state": QueueState.HELD}, "Retida pela operação."),
        (
            {"state": QueueState.WAITING, "waits_to_open": True},
            "Espera o horário de marketing, 22/11/2026 18:42:08.",
        ),
    ],
)
def test_what_waits_says_for_what(queue: dict[str, Any], text: str) -> None:
    row = {
        "held_for": "", "waits_to_open": False, "opens_at": after(3_600_000), "expires_at": after(86_400_000), **queue,
    }  # fmt: skip
    events = timeline(message(State.WAITING), life(queue=row), {})
    assert events[-1].text == f"{text} Vale até 23/11/2026 17:42:08."


def test_whoever_sees_numbers_masked_sees_none_in_what_was_called() -> None:
    words.speak(Voice("pt", _ZONE, whole_numbers=False))
    callback = {"id": 7, "state": CallbackState.PARKED, "due_at": after(9000), "attempts": 1}
    row = message(State.DELIVERED, sent_at=after(85), final_at=after(2110))
    events = timeline(
        row, life(callbacks=[(CallbackKind.DLR, callback)]), {7: [call(2200, None, "não respondeu")]}
    )
    assert "98765" not in "".join(event.text + event.raw for event in events)
    assert any("https://a.example/dlr …" in event.raw for event in events)
