"""The figures of a process and of the platform, as Prometheus reads them.

Each is documented in docs/metrics.md. Counters are those of this process, since it started; what is counted in the
database is the whole platform's, the same from every node.
"""

import platform
from collections.abc import Callable, Iterator
from math import inf

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

import pombo
from pombo.accept.intake import IntakeFigures
from pombo.accept.legacy import ApiFigures
from pombo.app.backlog import Backlog
from pombo.app.families import counters, gauge, gauges, histograms
from pombo.send.flow import LinkFigures
from pombo.smpp.status import status_name
from pombo.store.database import Database


class Metrics(Collector):
    """`page` is what a scrape gets."""

    def __init__(
        self,
        db: Database,
        *,
        node: Callable[[], int],
        api: ApiFigures,
        intake: IntakeFigures,
        links: Callable[[], list[LinkFigures]],
    ) -> None:
        self._db = db
        self._node = node
        self._api = api
        self._intake = intake
        self._links = links
        self._process = ProcessCollector(registry=None)
        self._backlog = Backlog(db)
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
        yield from self._send()
        yield from self._backlog.collect()
        yield from self._process.collect()

    def _about(self) -> Iterator[Metric]:
        about = {"version": pombo.__version__, "python": platform.python_version()}
        yield InfoMetricFamily("pombo_build", "What runs.", about)
        yield gauge(
            "pombo_node_number", "Number of this node, which stands in the ids it makes.", self._node()
        )
        use = self._db.use
        yield gauges(
            "pombo_database_connections",
            "Connections of this process to the database, busy and idle.",
            ["state"],
            [(("busy",), use.busy), (("idle",), use.idle)],
        )
        yield gauge("pombo_database_connections_limit", "How many of them there may be.", use.most)

    def _accept(self) -> Iterator[Metric]:
        yield CounterMetricFamily(
            "pombo_accepted_messages", "Messages accepted and stored.", self._intake.accepted
        )
        yield counters(
            "pombo_refused",
            "Messages refused, and requests refused as a whole, by reason.",
            ["reason"],
            (((refusal.name.lower(),), count) for refusal, count in self._api.refused.items()),
        )
        yield counters(
            "pombo_http_requests",
            "Requests to the API by path and status; 499: the client went away.",
            ["path", "status"],
            (((path, str(status)), count) for (path, status), count in self._api.requests.items()),
        )
        yield histograms(
            "pombo_http_request_seconds",
            "From a request's head to the last octet of its answer.",
            ["path"],
            (((path,), histogram) for path, histogram in self._api.request_s.items()),
        )
        yield gauge(
            "pombo_intake_waiting_messages",
            "Messages in memory that wait for a commit.",
            self._intake.waiting,
        )
        yield histograms(
            "pombo_intake_commit_seconds",
            "Time for the commit of a batch of messages.",
            [],
            [((), self._intake.commit_s)],
        )

    def _send(self) -> Iterator[Metric]:
        links = self._links()

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
