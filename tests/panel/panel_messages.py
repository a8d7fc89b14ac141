"""Messages as an account has them after a while, written at once."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from pombo.message import AttemptState, CallbackState, State
from pombo.store.database import Db
from pombo.store.ids import lowest_at
from pombo.text.outgoing import prepare

HOSTILE = [
    "<script>alert('x')</script>",
    "\"aspas\" 'simples' & {{ 7*7 }} {% raw %}",
    "\u202eesrever \u2066abc",
    "👩‍👩‍👧 emoji",
    "x" * 10_000,
]


async def smsc(db: Db, name: str = "vivo-sp-1") -> int:
    """A connection that is stopped, and its route."""
    smsc_id = await db.fetchval(
        "insert into smsc (name, host, port, system_id, password_sealed, wanted)"
        " values ($1, '127.0.0.1', 1, 'x', '', 'stopped') on conflict (name) do update set name = excluded.name"
        " returning id",
        name,
    )
    await db.execute("insert into route (prefix, smsc_id) values ('', $1) on conflict do nothing", smsc_id)
    return int(smsc_id)


async def message(
    db: Db,
    account_id: int,
    smsc_id: int,
    n: int,
    *,
    state: State = State.DELIVERED,
    body: str = "Seu código é 482 913.",
    number: int = 5511987654321,
    client_ref: str | None = None,
    error: str = "",
    ago_s: float | None = None,
    price_milli: int = 80,
) -> int:
    at = datetime.now(UTC) - timedelta(seconds=n if ago_s is None else ago_s)
    message_id = lowest_at(at) + n
    ref = client_ref or f"pedido-{n}"
    _sent, ucs2, parts = prepare(body, "auto")
    sent_at = None if state is State.WAITING else at + timedelta(milliseconds=85)
    final_at = (
        None if state in (State.WAITING, State.SUBMITTED, State.UNCERTAIN) else at + timedelta(seconds=2)
    )
    await db.execute(
        "insert into message (id, account_id, client_ref, destination, number, body, ucs2, parts, price_milli, state,"
        " error, smsc_id, accepted_at, sent_at, final_at)"
        " values ($1, $2, $3, $4, $5, $6, $14, $15, $7, $8, $9, $10, $11, $12, $13)",
        message_id, account_id, ref, str(number), number, body, price_milli, int(state), error, smsc_id, at, sent_at,
        final_at, ucs2, parts,
    )  # fmt: skip
    await db.execute("insert into message_key values ($1, $2, $3, 'h', $4)", account_id, ref, message_id, at)
    if state is State.WAITING:
        await db.execute(
            "insert into queue (message_id, smsc_id, account_id, due_at, expires_at, parts)"
            " values ($1, $2, $3, now(), now() + interval '1 day', 1)",
            message_id, smsc_id, account_id,
        )  # fmt: skip
    elif state is not State.CANCELLED:
        receipt_at = final_at if state in (State.DELIVERED, State.UNDELIVERED) else None
        attempt = {State.DELIVERED: AttemptState.DELIVERED, State.UNDELIVERED: AttemptState.FAILED}.get(
            state, AttemptState.TAKEN
        )
        await db.execute(
            "insert into attempt (message_id, part, n, smsc_id, session_id, number, smsc_message_id, smsc_key, state,"
            " receipt_error, submitted_at, receipt_at) values ($1, 1, 1, $2, 1, $3, $4, $4, $5, $6, $7, $8)",
            message_id, smsc_id, number, f"7C3A{n:04X}", int(attempt), error, sent_at, receipt_at,
        )  # fmt: skip
    return message_id


async def callback(db: Db, account_id: int, message_id: int, statuses: Sequence[int]) -> int:
    """Called as often as there are statuses; confirmed by a last one of 200."""
    confirmed = bool(statuses) and statuses[-1] == 200
    callback_id = await db.fetchval(
        "insert into callback (account_id, kind, subject_id, state, attempts, last_status) values ($1, 1, $2, $3, $4, $5)"
        " returning id",
        account_id, message_id, int(CallbackState.CONFIRMED if confirmed else CallbackState.PARKED), len(statuses),
        statuses[-1] if statuses else None,
    )  # fmt: skip
    for n, status in enumerate(statuses):
        await db.execute(
            "insert into callback_attempt values"
            " ($1, now() + $2 * interval '1 second', $3, 'v1,abc', '203.0.113.9', $4, '', 84, $5)",
            callback_id, n, "https://api.aurora.example/dlr?status=2&id=a&destino=11987654321", status,
            b"HTTP/1.1 200 OK\r\n\r\n<script>alert(1)</script>",
        )  # fmt: skip
    return int(callback_id)


async def life_of_an_account(db: Db, account_id: int) -> list[int]:
    """Some of everything, the newest first."""
    vivo, claro = await smsc(db), await smsc(db, "claro-1")
    ids = [
        await message(
            db,
            account_id,
            vivo,
            1,
            state=State.SUBMITTED,
            body="Olá, João! Sua consulta com a Dra. Helena Prado está confirmada para amanhã, às 14h30.",
        ),
        await message(db, account_id, claro, 2),
        await message(db, account_id, vivo, 3, state=State.UNDELIVERED, error="027", number=5551996312245),
        await message(
            db, account_id, claro, 4, state=State.WAITING, body="Check-up de fim de ano: agende pelo site"
        ),
        await message(db, account_id, vivo, 5, state=State.REJECTED, error="ESME_RINVDSTADR"),
        await message(db, account_id, vivo, 6, state=State.CANCELLED, error="CANCELLED"),
        await message(db, account_id, vivo, 7, state=State.UNCERTAIN),
        await message(db, account_id, vivo, 8, state=State.EXPIRED, error="EXPIRED"),
    ]
    ids += [await message(db, account_id, claro, 20 + n, body=text) for n, text in enumerate(HOSTILE)]
    ids += [await message(db, account_id, vivo, 100 + n, ago_s=n * 1800) for n in range(60)]
    await callback(db, account_id, ids[1], [503, 200])
    await callback(db, account_id, ids[2], [500])
    return ids
