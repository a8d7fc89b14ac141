"""The figures of a process and of the platform, as Prometheus reads them.

Each is documented in docs/metrics.md. Counters are those of this process, since it started; what is counted in the
database is the whole platform's, the same from every node.
"""

import asyncio
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import asyncpg
import structlog
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

import pombo
from pombo.accept.intake import IntakeFigures
from pombo.accept.legacy import ApiFigures
from pombo.errors import Unavailable
from pombo.figures import Histogram
from pombo.message import MessageClass
from pombo.store import backlog
from pombo.store.database import Database, in_time

log = structlog.get_logger()

_COUNT_EVERY_S = 15.0
_COUNT_SHARE = 0.02  # of the time the database may be busy counting, however much there is to count
_COUNT_S = 10.0  # longest time for counting
_SCRAPE_S = 2.0  # a scrape waits so long for it, and shows what was counted before


class Metrics(Collector):
    """`page` is what a scrape gets."""

    def __init__(
        self, db: Database, *, node: Callable[[], int], api: ApiFigures, intake: IntakeFigures
    ) -> None:
        self._db = db
        self._node = node
        self._api = api
        self._intake = intake
        self._process = ProcessCollector(registry=None)
        self._backlog = _Backlog(db)
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    async def page(self, accept: str) -> tuple[bytes, str]:
        """The text, and its type: OpenMetrics for those who ask for it."""
        await self._backlog.refresh()
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def collect(self) -> Iterator[Metric]:
        yield from self._about()
        yield from self._accept()
        yield from self._backlog.collect()
        yield from self._process.collect()

    def _about(self) -> Iterator[Metric]:
        about = {"version": pombo.__version__, "python": platform.python_version()}
        yield InfoMetricFamily("pombo_build", "What runs.", about)
        yield _gauge(
            "pombo_node_number", "Number of this node, which stands in the ids it makes.", self._node()
        )
        use = self._db.use
        yield _gauges(
            "pombo_database_connections",
            "Connections of this process to the database, busy and idle.",
            ["state"],
            [(("busy",), use.busy), (("idle",), use.idle)],
        )
        yield _gauge("pombo_database_connections_limit", "How many of them there may be.", use.most)

    def _accept(self) -> Iterator[Metric]:
        yield CounterMetricFamily(
            "pombo_accepted_messages", "Messages accepted and stored.", self._intake.accepted
        )
        yield _counters(
            "pombo_refused",
            "Messages refused, and requests refused as a whole, by reason.",
            ["reason"],
            (((refusal.name.lower(),), count) for refusal, count in self._api.refused.items()),
        )
        yield _counters(
            "pombo_http_requests",
            "Requests to the API by path and status; 499: the client went away.",
            ["path", "status"],
            (((path, str(status)), count) for (path, status), count in self._api.requests.items()),
        )
        yield _histograms(
            "pombo_http_request_seconds",
            "From a request's head to the last octet of its answer.",
            ["path"],
            (((path,), histogram) for path, histogram in self._api.request_s.items()),
        )
        yield _gauge(
            "pombo_intake_waiting_messages",
            "Messages in memory that wait for a commit.",
            self._intake.waiting,
        )
        yield _histograms(
            "pombo_intake_commit_seconds",
            "Time for the commit of a batch of messages.",
            [],
            [((), self._intake.commit_s)],
        )


@dataclass
class _Counted:
    waiting: list[backlog.Waiting] = field(default_factory=list)
    unsettled: list[backlog.Unsettled] = field(default_factory=list)
    owed: backlog.Owed | None = None  # None: the database did not say


class _Backlog:
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
        yield _gauge(
            "pombo_database_up", "1 when the database answered when it was last asked.", int(owed is not None)
        )
        yield _gauges(
            "pombo_queue_waiting_messages",
            "Messages that are to be sent.",
            ["connection", "class"],
            (((row.smsc, _class(row)), row.messages) for row in counted.waiting),
        )
        yield _gauges(
            "pombo_queue_oldest_due_seconds",
            "For how long the oldest message that is due has been so.",
            ["connection", "class"],
            (((row.smsc, _class(row)), row.oldest_due_s) for row in counted.waiting),
        )
        yield _gauges(
            "pombo_queue_writing_messages",
            "Messages claimed by a bind and not answered yet.",
            ["connection"],
            (((row.smsc,), row.writing) for row in counted.unsettled),
        )
        yield _gauges(
            "pombo_queue_held_messages",
            "Messages held for a receipt or a person.",
            ["connection"],
            (((row.smsc,), row.held) for row in counted.unsettled),
        )
        yield _gauges(
            "pombo_parked_receipts",
            "Receipts that match no message yet.",
            ["connection"],
            (((row.smsc,), row.parked_receipts) for row in counted.unsettled),
        )
        if owed is not None:
            at = owed.callback_oldest_due_at
            oldest_due_s = max(0.0, time.time() - at.timestamp()) if at else 0.0
            yield _gauge("pombo_callbacks_due", "Callbacks to be made, now or later.", owed.callbacks_due)
            yield _gauge(
                "pombo_callbacks_oldest_due_seconds",
                "For how long the oldest callback that is due has been so.",
                oldest_due_s,
            )
            yield _gauge("pombo_callbacks_parked", "Callbacks given up on.", owed.callbacks_parked)
            yield _gauge(
                "pombo_replies_without_owner", "Replies that no account owns.", owed.replies_without_owner
            )


def _class(row: backlog.Waiting) -> str:
    return MessageClass(row.message_class).name.lower()


Labelled = Iterable[tuple[Sequence[str], float]]


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(name, what, value)


def _gauges(name: str, what: str, labels: Sequence[str], values: Labelled) -> Metric:
    family = GaugeMetricFamily(name, what, labels=labels)
    for of, value in values:
        family.add_metric(of, value)
    return family


def _counters(name: str, what: str, labels: Sequence[str], values: Labelled) -> Metric:
    """name: without `_total`, which is added."""
    family = CounterMetricFamily(name, what, labels=labels)
    for of, value in values:
        family.add_metric(of, value)
    return family


def _histograms(
    name: str, what: str, labels: Sequence[str], values: Iterable[tuple[Sequence[str], Histogram]]
) -> Metric:
    family = HistogramMetricFamily(name, what, labels=labels)
    for of, histogram in values:
        bounds = [*map(str, histogram.bounds), "+Inf"]
        buckets = list(zip(bounds, accumulate(histogram.counts), strict=True))
        family.add_metric(of, buckets, histogram.total)
    return family
