"""What a callback is about, written as the stages write it."""

import uuid
from datetime import UTC, datetime
from typing import Any

from pombo.message import CallbackKind, State
from pombo.store import callbacks as store
from pombo.store.callbacks import Job
from pombo.store.database import Database

NODE = uuid.UUID(int=1)


class Outbox:
    """Writes what a callback is about, as the stages do, and reads what became of it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._next = 1000

    async def account(self, name: str = "loja") -> int:
        row = await self.database.fetchrow("insert into account (name) values ($1) returning id", name)
        assert row is not None
        return int(row["id"])

    async def endpoint(
        self,
        account_id: int,
        url: str,
        kind: int = CallbackKind.DLR,
        *,
        literal: bool = False,
        any_2xx: bool = False,
    ) -> None:
        await store.set_endpoint(
            self.database, account_id, kind, url, literal=literal, any_2xx=any_2xx, secret_sealed=b"k" * 32
        )

    async def delivered(
        self, account_id: int, count: int = 1, leased_by: uuid.UUID | None = None
    ) -> list[Job]:
        """Delivered messages, each with a callback that is due."""
        first = self._next
        self._next += count
        at = datetime(2026, 11, 22, 13, 0, 4, tzinfo=UTC)
        await self.database.execute(
            """
            insert into message (id, account_id, client_ref, destination, number, body, ucs2, parts, price_milli,
                state, smsc_id, accepted_at, final_at)
            select i, $2, 'ref' || i, '11999999999', 5511999999999, 'oi', false, 1, 80, $5, 1, $4, $4
            from generate_series($1::bigint, $3::bigint) i
            """,
            first, account_id, first + count - 1, at, int(State.DELIVERED),
        )  # fmt: skip
        ids = await self._due(account_id, CallbackKind.DLR, range(first, first + count), leased_by)
        return [
            Job(
                callback_id, account_id, CallbackKind.DLR, subject, "2", f"ref{subject}", "11999999999", "", at,
                "America/Sao_Paulo",
            )
            for callback_id, subject in ids
        ]  # fmt: skip

    async def replied(self, account_id: int, text: str = "SIM") -> int:
        """A reply with a callback that is due; returns the id of its row in the inbox."""
        reply_id = self._next
        self._next += 1
        await self.database.execute(
            """
            insert into inbox (id, account_id, smsc_id, source, destination, body, data_coding, client_ref,
                body_hash, session_id, sequence_number, received_at)
            values ($1, $2, 1, '5511999999999', '27182', $3, 0, 'ref7', '', 1, 1, '2026-11-22 13:05:00+00')
            """,
            reply_id, account_id, text,
        )  # fmt: skip
        await self._due(account_id, CallbackKind.MO, [reply_id], None)
        return reply_id

    async def _due(
        self, account_id: int, kind: int, subjects: Any, leased_by: uuid.UUID | None
    ) -> list[tuple[int, int]]:
        rows = await self.database.fetch(
            """
            insert into callback (account_id, kind, subject_id, leased_by, leased_until)
            select $1, $2, s, $4, case when $4::uuid is not null then now() + interval '60 seconds' end
            from unnest($3::bigint[]) s returning id, subject_id
            """,
            account_id, kind, list(subjects), leased_by,
        )  # fmt: skip
        return [(row["id"], row["subject_id"]) for row in rows]

    async def rows(self) -> list[Any]:
        return await self.database.fetch("select * from callback order by id")

    async def row(self) -> Any:
        (row,) = await self.rows()
        return row

    async def attempts(self) -> list[Any]:
        return await self.database.fetch("select * from callback_attempt order by callback_id, at")

    async def age(self, seconds: float) -> None:
        """Lets time pass for every callback."""
        await self.database.execute(
            """
            update callback set due_at = due_at - $1 * interval '1 second',
                created_at = created_at - $1 * interval '1 second',
                replayed_at = replayed_at - $1 * interval '1 second',
                leased_until = leased_until - $1 * interval '1 second'
            """,
            float(seconds),
        )
