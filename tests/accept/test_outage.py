"""What is logged of an outage: enough to know what to do, and no more lines than somebody reads."""

import asyncpg
import pytest
from structlog.testing import capture_logs

from pombo.accept.outage import Outage
from pombo.errors import Unavailable


@pytest.fixture
def now() -> list[float]:
    return [100.0]


@pytest.fixture
def outage(now: list[float]) -> Outage:
    return Outage(lambda: now[0])


def test_an_outage_is_told_at_once_then_every_five_seconds_and_when_it_is_over(
    outage: Outage, now: list[float]
) -> None:
    with capture_logs() as lines:
        for _ in range(24):
            outage.refused(2, ConnectionRefusedError())
            now[0] += 0.25
        outage.over()
        outage.over()

    assert [(line["event"], line.get("requests") or line.get("requests_refused")) for line in lines] == [
        ("intake_unavailable", 2),
        ("intake_unavailable", 40),
        ("intake_back", 48),
    ]


def test_a_full_disk_is_named_and_no_text_is_quoted(outage: Outage) -> None:
    with capture_logs() as lines:
        try:
            raise Unavailable("could not extend: secret") from asyncpg.DiskFullError("secret")
        except Unavailable as error:
            outage.refused(1, error)

    assert lines[0]["error"] == "DiskFullError"
    assert "disk is full: make room" in lines[0]["hint"]
    assert "secret" not in str(lines)
