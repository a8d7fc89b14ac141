"""A clinic that does not exist, as its account stands after two busy weeks: for pictures, and for trying pages out.

All names are put together at random (always the same ones), and all numbers begin with 90000, which nobody has.
"""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import asyncpg

from pombo.account import contacts, templates
from pombo.message import AttemptState, CallbackState, State
from pombo.store.audit import Actor
from pombo.store.contacts import Contact
from pombo.store.database import Database
from pombo.store.ids import lowest_at
from pombo.store.templates import Template
from pombo.text.outgoing import prepare

NAME = "Clínica Aurora"
SYSTEM = "https://sistema.aurora.example"
_DAYS = 14
_A_DAY = 620  # messages of a working day
_PRICE_MILLI = 80
_RECHARGE_MILLI = 2_000_000
_ACTOR = Actor("made up", "")
_FIRST = (
    "Ana", "Bruno", "Camila", "Davi", "Elisa", "Fábio", "Gisele", "Heitor", "Inês", "João", "Karina", "Lucas", "Marina",
    "Nelson", "Olívia", "Paulo", "Renata", "Sérgio", "Tânia", "Vítor",
)  # fmt: skip
_LAST = (
    "Alencar",
    "Bastos",
    "Cardoso",
    "Duarte",
    "Esteves",
    "Freitas",
    "Guimarães",
    "Lacerda",
    "Moura",
    "Prado",
)
_DDDS = (11, 11, 11, 19, 21, 31, 41, 51, 61, 71, 81, 85)
_TEXTS = (
    "Olá, {nome}! Sua consulta com a Dra. Helena está confirmada para amanhã, às {hora}. Responda SIM ou NÃO.",
    "{nome}, o resultado do seu exame está pronto. Retire na recepção ou no site da Clínica Aurora.",
    "Clínica Aurora: seu código de acesso é {codigo}. Vale por 10 minutos.",
    "{nome}, lembramos do seu retorno nesta semana. Para remarcar, responda REMARCAR.",
)
_ERRORS = ("001", "027", "001", "069")
_TALKS = (
    ("SIM", "Perfeito! Chegue 15 minutos antes, com um documento.", "obrigada 😊"),
    ("Posso ir às 16h?", "Temos 16h20 livre. Serve?", "serve sim"),
    ("REMARCAR",),
    ("Preciso ir em jejum?", "Sim, de 8 horas. Água pode."),
    ("NÃO vou poder, me desculpem",),
    ("Qual o endereço?", "Rua das Acácias, 100, 2º andar.", "já achei, obrigado"),
    ("SAIR",),
)
_OF_MESSAGES = (
    "id", "account_id", "client_ref", "destination", "number", "body", "sent_body", "ucs2", "parts", "price_milli", "state",
    "smsc_id", "error", "parts_delivered", "accepted_at", "sent_at", "final_at",
)  # fmt: skip
_OF_ATTEMPTS = (
    "message_id", "part", "n", "smsc_id", "session_id", "number", "smsc_message_id", "smsc_key", "state", "receipt_error",
    "submitted_at", "receipt_at",
)  # fmt: skip
_CONNECTIONS = (("vivo-sp-1", 5), ("claro-1", 4), ("tim-sp-1", 3))


def people(count: int, seed: int = 7) -> list[tuple[str, int]]:
    """Names and E.164 numbers, each number once."""
    chosen = random.Random(seed)
    return [
        (
            f"{chosen.choice(_FIRST)} {chosen.choice(_LAST)}",
            int(f"55{chosen.choice(_DDDS)}90000{1000 + n:04d}"),
        )
        for n in range(count)
    ]


def campaign_file(count: int) -> bytes:
    """Of so many people, and of rows as people really have them."""
    rows = [
        f"{name};({number // 10**9 % 100}) 90000-{number % 10000:04d};{8 + n % 9}h{n % 2 * 30:02d}"
        for n, (name, number) in enumerate(people(count, seed=11))
    ]
    rows[4:4] = ["Rosa Duarte;(11) 3000-1234;9h00", "Ivo Prado;90000-1234;9h30"]
    rows[9:9] = [rows[2], "Lia Moura;;10h00"]
    return "\n".join(["Nome;Celular;Hora", *rows, ""]).encode()


async def move_endpoints(db: Database, account_id: int, base_url: str) -> str:
    """To `/dlr` and `/mo` below this one; returns where they were."""
    before = await db.fetchval("select url from endpoint where account_id = $1 and kind = 1", account_id)
    await db.execute(
        "update endpoint set url = $2 || case kind when 1 then '/dlr' else '/mo' end where account_id = $1",
        account_id, base_url,
    )  # fmt: skip
    return str(before).removesuffix("/dlr")


async def fill(db: Database, account_id: int) -> None:
    known = people(180)
    await _messages(db, account_id, known)
    for n, (name, number) in enumerate(known[:40]):
        label = ("paciente", "convênio", "retorno")[n % 3]
        await contacts.add(db, _ACTOR, account_id, Contact(number, name, [label]))
    for name, body in (
        ("Confirmação de consulta", _TEXTS[0]),
        ("Exame pronto", _TEXTS[1]),
        ("Retorno", _TEXTS[3]),
    ):
        await templates.add(db, _ACTOR, account_id, Template(name, body))
    await _talks(db, account_id, known)


async def _messages(db: Database, account_id: int, known: Sequence[tuple[str, int]]) -> None:
    smscs = [
        await db.fetchval(
            "insert into smsc (name, host, port, system_id, password_sealed, wanted)"
            " values ($1, '127.0.0.1', 1, 'x', '', 'stopped') on conflict (name) do update set name = excluded.name"
            " returning id",
            name,
        )
        for name, _share in _CONNECTIONS
    ]
    chosen, now = random.Random(3), datetime.now(UTC)
    times = sorted(
        now - timedelta(days=day, seconds=min(abs(chosen.gauss(0, 4.2)), 17) * 3600 + chosen.random() * 60)
        for day in range(_DAYS)
        for _ in range(_A_DAY // (1 if day % 7 else 2) + 9 * (day % 4))
    )
    messages, attempts, callbacks = [], [], []
    for n, at in enumerate(times):
        name, number = chosen.choice(known)
        text = chosen.choice(_TEXTS).format(
            nome=name.split()[0],
            hora=f"{8 + n % 10}h{n % 2 * 30:02d}",
            codigo=f"{100000 + n * 7919 % 900000}",
        )
        (smsc_id,) = chosen.choices(smscs, [share for _name, share in _CONNECTIONS])
        fails = chosen.random() < 0.028
        fresh = n >= len(times) - 3
        state = State.SUBMITTED if fresh else State.UNDELIVERED if fails else State.DELIVERED
        error = chosen.choice(_ERRORS) if state is State.UNDELIVERED else ""
        sent, ucs2, parts = prepare(text, "ascii")
        sent_at, took = at + timedelta(milliseconds=40 + n % 90), timedelta(seconds=1.2 + chosen.random() * 3)
        final_at = None if fresh else sent_at + took
        message_id = lowest_at(at) + n % 16_384
        ref = f"consulta-{48210 + n}"
        messages.append((
            message_id, account_id, ref, str(number)[2:], number, text, None if sent == text else sent, ucs2, parts,
            _PRICE_MILLI * parts, int(state), smsc_id, error, 2**parts - 1 if state is State.DELIVERED else 0,
            at, sent_at, final_at,
        ))  # fmt: skip
        ends = {State.DELIVERED: AttemptState.DELIVERED, State.UNDELIVERED: AttemptState.FAILED}
        attempt = int(ends.get(state, AttemptState.TAKEN))
        for part in range(1, parts + 1):
            smsc_ref = f"7C3A{n * 4 + part:06X}"
            attempts.append(
                (
                    message_id,
                    part,
                    1,
                    smsc_id,
                    1,
                    number,
                    smsc_ref,
                    smsc_ref,
                    attempt,
                    error,
                    sent_at,
                    final_at,
                )
            )
        if final_at is not None and n >= len(times) - 400:
            callbacks.append((message_id, final_at, n % 97 == 0))
    await _copied(db, account_id, messages, attempts, callbacks)


async def _copied(
    db: Database, account_id: int, messages: list[tuple[object, ...]], attempts: list[tuple[object, ...]],
    callbacks: list[tuple[int, datetime, bool]],
) -> None:  # fmt: skip
    async with db.transaction() as tx:
        await tx.copy_records_to_table("message", columns=_OF_MESSAGES, records=messages)
        await tx.copy_records_to_table("attempt", columns=_OF_ATTEMPTS, records=attempts)
        await tx.execute(
            "insert into message_key (account_id, client_ref, message_id, content_hmac, accepted_at)"
            " select account_id, client_ref, id, ''::bytea, accepted_at from message where account_id = $1"
            " on conflict do nothing",
            account_id,
        )
        for message_id, at, parked in callbacks:
            await _called(tx, account_id, message_id, at, parked=parked)
        await tx.execute(
            "insert into ledger (account_id, kind, amount_milli, note, at)"
            " values ($1, 'recharge', $2, 'Pix', now() - make_interval(days => $3))",
            account_id, _RECHARGE_MILLI, _DAYS,
        )  # fmt: skip
        await tx.execute(
            "insert into ledger (account_id, kind, amount_milli, messages, at)"
            " select account_id, 'charge', -sum(price_milli), count(*), max(accepted_at) from message"
            " where account_id = $1 and client_ref like 'consulta-%' group by 1, accepted_at::date order by 5",
            account_id,
        )
        await tx.execute(
            "update account set balance_milli = (select sum(amount_milli) from ledger where account_id = $1) where id = $1",
            account_id,
        )


async def _called(
    tx: asyncpg.Connection, account_id: int, message_id: int, at: datetime, *, parked: bool
) -> None:
    """Of its end: confirmed at once, or given up on."""
    callback_id = await tx.fetchval(
        "insert into callback (account_id, kind, subject_id, state, attempts, last_status, due_at, created_at)"
        " values ($1, 1, $2, $3, $4, $5, $6, $6) returning id",
        account_id, message_id, int(CallbackState.PARKED if parked else CallbackState.CONFIRMED),
        12 if parked else 1, 503 if parked else 200, at,
    )  # fmt: skip
    await tx.execute(
        "insert into callback_attempt values ($1, $2, $3, 'v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=',"
        " '203.0.113.9', $4, '', 84, $5)",
        callback_id, at + timedelta(milliseconds=30), f"{SYSTEM}/dlr?status=2&id=consulta", 503 if parked else 200,
        b"HTTP/1.1 503 Service Unavailable\r\n\r\n" if parked else b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    )  # fmt: skip


async def _talks(db: Database, account_id: int, known: Sequence[tuple[str, int]]) -> None:
    """People who answer, and are answered; the first one just now."""
    now = datetime.now(UTC)
    for n, talk in enumerate(_TALKS):
        number, begun = known[n * 3][1], now - timedelta(minutes=4 + n * n * 17)
        for step, text in enumerate(talk):
            at = begun - timedelta(seconds=100 * (len(talk) - step))
            if step % 2 == 0:
                await db.execute(
                    "insert into inbox (id, account_id, smsc_id, source, destination, body, data_coding, body_hash,"
                    " session_id, sequence_number, received_at) values ($1, $2, 1, $3, '27301', $4, 0, '', 1, $1, $5)",
                    lowest_at(at) + n, account_id, str(number), text, at,
                )  # fmt: skip
            else:
                await db.execute(
                    "insert into message (id, account_id, client_ref, destination, number, body, ucs2, parts, price_milli,"
                    " state, smsc_id, accepted_at, sent_at, final_at)"
                    " values ($1, $2, $3, '', $4, $5, false, 1, 80, 3, 1, $6, $6, $7)",
                    lowest_at(at) + n, account_id, f"resposta-{n}-{step}", number, text, at,
                    at + timedelta(seconds=2),
                )  # fmt: skip
    await db.execute(
        "update conversation set seen = replies where account_id = $1 and id not in"
        " (select id from conversation where account_id = $1 order by last_at desc limit 2)",
        account_id,
    )
