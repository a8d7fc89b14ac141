"""Reading messages, one account at a time."""

import asyncpg

from pombo.store.database import Db


async def message_by_ref(db: Db, account_id: int, client_ref: str) -> asyncpg.Record | None:
    """A message by the customer's own id."""
    return await db.fetchrow(
        "select m.id, m.client_ref, m.destination, m.body, m.state, m.accepted_at, m.sent_at, m.final_at"
        " from message_key k join message m on m.id = k.message_id"
        " where k.account_id = $1 and k.client_ref = $2 and m.account_id = $1",
        account_id, client_ref,
    )  # fmt: skip
