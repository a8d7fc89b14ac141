"""What waits and what is stuck, counted in the database now and then, as Prometheus reads it."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import asyncpg
import structlog
from prometheus_client.metrics_core import Metric

from pombo.app.families import gauge, gauges
from pombo.errors import Unavailable
from pombo.message import MessageClass
from pombo.store import backlog
from pombo.store.database import Database, in_time

log = structlog.get_logger()

_COUNT_EVERY_S = 15.0
_COUNT_SHARE = 0.02  # of the time the database may be busy counting, however much there is to count
_COUNT_S = 10.0  # longest time for counting
_SCRAPE_S = 2.0  # a scrape waits so long for it, and shows what was counted before


@dataclass
class _Counted:
    waiting: list[backlog.Waiting] = field(default_factory=list)
    unsettled: list[backlog.Unsettled] = field(default_factory=list)
    owed: backlog.Owed | None = None  # None: the database did not say


class Backlog:
    """What is counted in the database: now and then, and by one at a time."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._counted = _Counted()
        self._counting: asyncio.Task[None] | None = None
        self._next_at = 0.0

    async def refresh(self) -> None:
        if self._counting is None and time.monotonic() >= self._next_at:
            self._counting = asyncio.create_task(self._count(), name="count backlog")
        if self._counting is not None:
            await asyncio.wait({self._counting}, timeout=_SCRAPE_S)

    async def _count(self) -> None:
        begun = time.monotonic()
        try:
            self._counted = await in_time(self._ask(), _COUNT_S)
        except (Unavailable, asyncpg.PostgresError) as error:
            self._counted = _Counted()  # what is not known is not shown
            log.warning("backlog_not_counted", error=type(error).__name__)
        took_s = time.monotonic() - begun if self._counted.owed else 0.0
        self._next_at = begun + max(_COUNT_EVERY_S, took_s / _COUNT_SHARE)
        self._counting = None

    async def _ask(self) -> _Counted:
        return _Counted(
            await backlog.waiting(self._db), await backlog.unsettled(self._db), await backlog.owed(self._db)
        )

    def collect(self) -> Iterator[Metric]:
        counted, owed = self._counted, self._counted.owed
        yield gauge(
            "pombo_database_up", "1 when the database answered when it was last asked.", int(owed is not None)
        )
        yield gauges(
            "pombo_queue_waiting_messages",
            "Messages that are to be sent.",
            ["connection", "class"],
            (((row.smsc, _class(row)), row.messages) for row in counted.waiting),
        )
        yield gauges(
            "pombo_queue_oldest_due_seconds",
            "For how long the oldest message that is due has been so.",
            ["connection", "class"],
            (((row.smsc, _class(row)), row.oldest_due_s) for row in counted.waiting),
        )
        yield gauges(
            "pombo_queue_writing_messages",
            "Messages claimed by a bind and not answered yet.",
            ["connection"],
            (((row.smsc,), row.writing) for row in counted.unsettled),
        )
        yield gauges(
            "pombo_queue_held_messages",
            "Messages held for a receipt or a person.",
            ["connection"],
            (((row.smsc,), row.held) for row in counted.unsettled),
        )
        yield gauges(
            "pombo_parked_receipts",
            "Receipts that match no message yet.",
            ["connection"],
            (((row.smsc,), row.parked_receipts) for row in counted.unsettled),
        )
        if owed is not None:
            at = owed.callback_oldest_due_at
            oldest_due_s = max(0.0, time.time() - at.timestamp()) if at else 0.0
            yield gauge("pombo_callbacks_due", "Callbacks to be made, now or later.", owed.callbacks_due)
            yield gauge(
                "pombo_callbacks_oldest_due_seconds",
                "For how long the oldest callback that is due has been so.",
                oldest_due_s,
            )
            yield gauge("pombo_callbacks_parked", "Callbacks given up on.", owed.callbacks_parked)
            yield gauge(
                "pombo_replies_without_owner", "Replies that no account owns.", owed.replies_without_owner
            )
            yield gauge("pombo_low_balances", "Accounts whose balance is low.", owed.low_balances)
            yield gauge(
                "pombo_prefix_limits",
                "Accounts with more messages to one prefix than they may send.",
                owed.prefix_limits,
            )


def _class(row: backlog.Waiting) -> str:
    return MessageClass(row.message_class).name.lower()
