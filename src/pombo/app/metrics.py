"""The figures of a node and of the platform, as Prometheus reads them.

Each is documented in docs/metrics.md. Counters are those of this process and its API workers, since it
started; what is counted in the database is the whole platform's, the same from every node.
"""

import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

import pombo
from pombo.accept.guessing import GuessingFigures
from pombo.accept.intake import IntakeFigures
from pombo.accept.legacy import ApiFigures
from pombo.app.backlog import Backlog
from pombo.app.families import counters, gauge, gauges, histograms
from pombo.app.sums import Sums
from pombo.callback.figures import Figures as CallbackFigures
from pombo.inbound.replies import Counts as ReplyCounts
from pombo.receipt.figures import ReceiptFigures
from pombo.send.flow import LinkFigures
from pombo.smpp.status import status_name
from pombo.store.database import Database


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What the stages have counted. Of connections: by name, those that this node serves or has served."""

    node: Callable[[], int]
    api: ApiFigures
    guessing: GuessingFigures
    intake: IntakeFigures
    links: Callable[[], list[LinkFigures]]
    receipts: Callable[[], dict[str, ReceiptFigures]]
    replies: Callable[[], dict[str, ReplyCounts]]
    callbacks: Callable[[], CallbackFigures]


class Metrics(Collector):
    """`page` is what a scrape gets."""

    def __init__(self, db: Database, sources: Sources) -> None:
        self._db = db
        self._sources = sources
        self._process = ProcessCollector(registry=None)
        self._backlog = Backlog(db)
        self.workers = Sums()
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    async def page(self, accept: str) -> tuple[bytes, str]:
        """The text, and its type: OpenMetrics for those who ask for it."""
        await self._backlog.refresh()
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def collect(self) -> Iterator[Metric]:
        yield from self._about()
        yield from self.workers.added_to(self.summed())
        yield from self._send()
        yield from self._come_in()
        yield from self._callbacks()
        yield from self._backlog.collect()
        yield from self._process.collect()

    def summed(self) -> Iterator[Metric]:
        """What API workers have, too."""
        yield from self._database()
        yield from self._accept()

    def _about(self) -> Iterator[Metric]:
        about = {"version": pombo.__version__, "python": platform.python_version()}
        yield InfoMetricFamily("pombo_build", "What runs.", about)
        yield gauge(
            "pombo_node_number",
            "Number of this node, which stands in the ids it makes.",
            self._sources.node(),
        )

    def _database(self) -> Iterator[Metric]:
        use = self._db.use
        yield gauges(
            "pombo_database_connections",
            "Connections of this node to the database, busy and idle.",
            ["state"],
            [(("busy",), use.busy), (("idle",), use.idle)],
        )
        yield gauge("pombo_database_connections_limit", "How many of them there may be.", use.most)

    def _accept(self) -> Iterator[Metric]:
        yield CounterMetricFamily(
            "pombo_accepted_messages", "Messages accepted and stored.", self._sources.intake.accepted
        )
        yield counters(
            "pombo_refused",
            "Messages refused, and requests refused as a whole, by reason.",
            ["reason"],
            (((refusal.name.lower(),), count) for refusal, count in self._sources.api.refused.items()),
        )
        yield counters(
            "pombo_limited",
            "Messages and requests refused because their account has reached a limit, by limit.",
            ["limit"],
            (((limit.value,), count) for limit, count in self._sources.api.limited.items()),
        )
        yield counters(
            "pombo_http_requests",
            "Requests to the API by path and status; 499: the client went away.",
            ["path", "status"],
            (((path, str(status)), count) for (path, status), count in self._sources.api.requests.items()),
        )
        yield histograms(
            "pombo_http_request_seconds",
            "From a request's head to the last octet of its answer.",
            ["path"],
            (((path,), histogram) for path, histogram in self._sources.api.request_s.items()),
        )
        yield CounterMetricFamily(
            "pombo_tokens_refused", "Tokens refused, whatever for.", self._sources.guessing.refused
        )
        yield CounterMetricFamily(
            "pombo_tokens_delayed",
            "Requests whose refusal of their token was held back, because too many came before.",
            self._sources.guessing.delayed,
        )
        yield gauge(
            "pombo_intake_waiting_messages",
            "Messages in memory that wait for a commit.",
            self._sources.intake.waiting,
        )
        yield histograms(
            "pombo_intake_commit_seconds",
            "Time for the commit of a batch of messages.",
            [],
            [((), self._sources.intake.commit_s)],
        )

    def _send(self) -> Iterator[Metric]:
        links = self._sources.links()

        def of_each(name: str, what: str, of: Callable[[LinkFigures], float]) -> Metric:
            return gauges(name, what, ["connection"], (((link.name,), of(link)) for link in links))

        def totals(name: str, what: str, of: Callable[[LinkFigures], float]) -> Metric:
            return counters(name, what, ["connection"], (((link.name,), of(link)) for link in links))

        yield of_each("pombo_binds_bound", "Binds that stand.", lambda link: link.bound)
        yield of_each("pombo_binds_wanted", "Binds that there should be.", lambda link: link.binds)
        yield of_each("pombo_window_used", "Submits without a response yet.", lambda link: link.in_flight)
        yield of_each("pombo_window_size", "How many there may be, of all binds.", lambda link: link.window)
        yield of_each(
            "pombo_pace_per_second",
            "Submits per second that are allowed right now; +Inf: no limit.",
            lambda link: inf if link.rate_per_s is None else link.rate_per_s,
        )
        yield totals("pombo_submitted_parts", "Parts of messages written.", lambda link: link.submitted)
        yield totals(
            "pombo_throttled", "Submits refused because they came too fast.", lambda link: link.throttled
        )
        yield totals("pombo_unanswered", "Submits that were never answered.", lambda link: link.unanswered)
        yield counters(
            "pombo_submit_refused",
            "Submits refused, by command_status; throttled ones included.",
            ["connection", "status"],
            (
                ((link.name, status_name(status)), count)
                for link in links
                for status, count in link.refused.items()
            ),
        )

    def _come_in(self) -> Iterator[Metric]:
        receipts, replies = self._sources.receipts(), self._sources.replies()
        yield counters(
            "pombo_receipts",
            "Receipts by what they say.",
            ["connection", "outcome"],
            (
                ((name, outcome), count)
                for name, of_one in receipts.items()
                for outcome, count in of_one.outcomes.items()
            ),
        )
        yield counters(
            "pombo_receipts_parked",
            "Receipts that matched no message when they came.",
            ["connection"],
            (((name,), of_one.parked) for name, of_one in receipts.items()),
        )
        yield counters(
            "pombo_receipts_rematched",
            "Receipts that had been parked and found their message later.",
            ["connection"],
            (((name,), of_one.rematched) for name, of_one in receipts.items()),
        )
        yield histograms(
            "pombo_receipt_seconds",
            "From a submit to its final receipt.",
            ["connection"],
            (((name,), of_one.latency_s) for name, of_one in receipts.items()),
        )
        yield counters(
            "pombo_replies",
            "Replies put into the inbox.",
            ["connection"],
            (((name,), of_one.stored) for name, of_one in replies.items()),
        )

    def _callbacks(self) -> Iterator[Metric]:
        figures = self._sources.callbacks()
        yield counters(
            "pombo_callback_attempts",
            "Attempts at callbacks by outcome.",
            ["outcome"],
            (((cause.value,), count) for cause, count in figures.attempts.items()),
        )
        yield histograms("pombo_callback_seconds", "Time of an attempt.", [], [((), figures.duration_s)])
        yield gauge("pombo_callbacks_in_flight", "Callbacks being made.", figures.in_flight)
        yield gauge("pombo_callbacks_in_memory", "Callbacks that wait in memory.", figures.waiting)
        yield gauge("pombo_callback_endpoints", "Registered URLs.", figures.endpoints)
        yield gauge(
            "pombo_callback_endpoints_broken", "URLs that failed and get one probe at a time.", figures.broken
        )
