"""Prometheus' families of samples, from plain figures."""

from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from pombo.figures import Histogram

Labelled = Iterable[tuple[Sequence[str], float]]


def gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(name, what, value)


def gauges(name: str, what: str, labels: Sequence[str], values: Labelled) -> Metric:
    family = GaugeMetricFamily(name, what, labels=labels)
    for of, value in values:
        family.add_metric(of, value)
    return family


def counters(name: str, what: str, labels: Sequence[str], values: Labelled) -> Metric:
    """name: without `_total`, which is added."""
    family = CounterMetricFamily(name, what, labels=labels)
    for of, value in values:
        family.add_metric(of, value)
    return family


def histograms(
    name: str, what: str, labels: Sequence[str], values: Iterable[tuple[Sequence[str], Histogram]]
) -> Metric:
    family = HistogramMetricFamily(name, what, labels=labels)
    for of, histogram in values:
        bounds = [*map(str, histogram.bounds), "+Inf"]
        buckets = list(zip(bounds, accumulate(histogram.counts), strict=True))
        family.add_metric(of, buckets, histogram.total)
    return family
