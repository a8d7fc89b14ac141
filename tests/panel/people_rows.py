"""Replies and messages in the database, as the engine leaves them, for pages that show them."""

import itertools
from datetime import UTC, datetime, timedelta

from panel_server import Panel

from pombo.message import State
from pombo.store import conversations, smscs
from pombo.store.database import Db

ANA, BIA = 5511987654321, 5511999990002
HOSTILE = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "{{ 7 * 7 }} ${7*7} %(text)s \\u0041",
    "\u202eodamall\u202c \u2067مرحبا\u2069",
    "👩‍👩‍👧‍👦🇧🇷 café ﷽",
    "W" * 10_000,
)
_ids = itertools.count(1)


async def reply(
    panel: Panel,
    number: object,
    text: str = "oi",
    *,
    account_id: int | None = None,
    minutes_ago: float = 0,
    client_ref: str = "",
    on: Db | None = None,
) -> int:
    """The id of the reply. on: a transaction that it comes in."""
    reply_id = next(_ids)
    await (on or panel.db).execute(
        "insert into inbox (id, account_id, smsc_id, source, destination, body, data_coding, body_hash, session_id,"
        " sequence_number, client_ref, received_at) values ($1, $2, 1, $3, '27300', $4, 0, '', 1, $1, $5, $6)",
        reply_id, account_id or panel.account_id, str(number), text, client_ref,
        datetime.now(UTC) - timedelta(minutes=minutes_ago),
    )  # fmt: skip
    return reply_id


async def message(
    panel: Panel,
    number: int,
    text: str = "oi",
    *,
    account_id: int | None = None,
    state: State = State.DELIVERED,
    minutes_ago: float = 0,
    parts: int = 1,
    client_ref: str = "",
) -> int:
    """The id of the message, which was delivered in two seconds."""
    message_id = next(_ids)
    at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    final_at = at + timedelta(seconds=2) if state > State.UNCERTAIN else None
    await panel.db.execute(
        "insert into message (id, account_id, client_ref, destination, number, body, ucs2, parts, price_milli, state,"
        " smsc_id, accepted_at, sent_at, final_at) values ($1, $2, $3, '', $4, $5, false, $6, 80, $7, 1, $8, $8, $9)",
        message_id, account_id or panel.account_id, client_ref or str(message_id), number, text, parts, int(state), at,
        final_at,
    )  # fmt: skip
    return message_id


async def conversation_of(panel: Panel, number: int, account_id: int | None = None) -> int:
    found = await conversations.with_number(panel.db, account_id or panel.account_id, number)
    assert found is not None
    return found


async def routed(panel: Panel) -> None:
    """A connection and a route to it, known to the node."""
    smsc_id = await smscs.add_smsc(panel.db, f"op {panel.account_id}", "127.0.0.1", 1, "s", b"")
    await panel.db.execute(
        "insert into route (prefix, smsc_id, account_id) values ('55', $1, $2)", smsc_id, panel.account_id
    )
    await panel.node._routing.reload()
