"""What the running program tells those who run it."""

import http.client
import json
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text_metrics
from story_program import Customer, Program, Unanswered, new_number, running, until
from story_smsc import Smsc

_ROOT = Path(__file__).parent.parent.parent


def _get(program: Program, path: str, **headers: str) -> tuple[int, str, str]:
    """Status, content type and text."""
    connection = http.client.HTTPConnection("127.0.0.1", program.port, timeout=20)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): v for name, v in headers.items()})
        response = connection.getresponse()
        return response.status, response.headers["content-type"], response.read().decode()
    finally:
        connection.close()


def _samples(program: Program) -> dict[str, float]:
    """`name{label="value"}` → value"""
    _, _, text = _get(program, "/metrics")
    return {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if not line.startswith("#")
    }


def _documented() -> set[str]:
    page = (_ROOT / "docs" / "metrics.md").read_text("utf-8")
    return {
        name
        for line in page.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", line.split("|")[1])
    }


def test_what_happens_to_messages_is_counted(program: Program, customer: Customer) -> None:
    before = _samples(program)

    def grown(sample: str) -> float:
        return _samples(program)[sample] - before.get(sample, 0)

    message_id = customer.send(new_number())
    customer.wait_status(message_id, "2")
    refused = customer.form("/api/unitario.php", destino="1", msg="Ola")["envio"][0]
    assert refused["status"] == 0
    customer.form("/api/unitario.php", token="nobody's", destino=new_number(), msg="Ola")
    assert grown("pombo_accepted_messages_total") == 1
    assert grown('pombo_refused_total{reason="destination"}') == 1
    assert grown('pombo_refused_total{reason="token"}') == 1
    assert grown('pombo_http_requests_total{path="/api/unitario.php",status="200"}') == 3
    assert grown('pombo_http_request_seconds_bucket{le="+Inf",path="/api/unitario.php"}') == 3
    assert grown("pombo_intake_commit_seconds_count") == 1
    assert grown('pombo_submitted_parts_total{connection="vivo"}') == 1


def test_refusals_of_the_operator_are_counted_by_status(
    program: Program, customer: Customer, smsc: Smsc
) -> None:
    before = _samples(program)
    number = new_number()
    smsc.plan(number, {"status": 0x58}, {"status": 0x0B})
    customer.wait_status(customer.send(number), "4")
    after = _samples(program)
    of = 'connection="vivo"'
    assert after[f'pombo_submit_refused_total{{{of},status="ESME_RTHROTTLED"}}'] == 1
    assert after[f'pombo_submit_refused_total{{{of},status="ESME_RINVDSTADR"}}'] == 1
    assert after[f"pombo_throttled_total{{{of}}}"] - before[f"pombo_throttled_total{{{of}}}"] == 1


def test_a_connection_shows_its_binds_and_its_window(program: Program) -> None:
    samples = _samples(program)
    of = '{connection="vivo"}'
    assert [samples[f"pombo_{name}{of}"] for name in ("binds_bound", "binds_wanted", "window_size")] == [
        1,
        1,
        20,
    ]


def test_metrics_come_as_text_and_as_openmetrics(program: Program) -> None:
    status, content_type, text = _get(program, "/metrics")
    assert (status, content_type.partition(";")[0]) == (200, "text/plain")
    assert {family.name for family in text_metrics(text)} >= {"pombo_build_info", "process_open_fds"}
    status, content_type, text = _get(
        program, "/metrics", Accept="application/openmetrics-text;version=1.0.0"
    )
    assert (status, content_type.partition(";")[0]) == (200, "application/openmetrics-text")
    assert {family.name for family in openmetrics(text)} >= {"pombo_build", "process_open_fds"}


def test_every_metric_is_documented_and_every_documented_one_is_there(program: Program) -> None:
    _, _, text = _get(program, "/metrics")
    assert set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE)) == _documented()


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_metrics_are_not_served_through_a_proxy(program: Program, header: str) -> None:
    status, _, text = _get(program, "/metrics", **{header: "127.0.0.1"})
    assert status == 403 and "POMBO_METRICS_ALLOW" in text and "pombo_" not in text


def test_a_ready_process_says_so_to_people_and_programs(program: Program) -> None:
    assert _get(program, "/healthz")[::2] == (200, "ok")
    assert _get(program, "/readyz")[::2] == (200, "ok")
    status, content_type, text = _get(program, "/readyz", Accept="application/json")
    assert (status, content_type, json.loads(text)) == (
        200,
        "application/json",
        {"ready": True, "failed": {}},
    )


def test_a_frozen_database_is_told_within_seconds() -> None:
    with running() as program, _operator() as smsc:
        program.add_smsc(smsc)
        customer = program.add_account("loja")
        message_id = customer.send(new_number())
        customer.wait_status(message_id, "2")
        with _frozen(program):
            begun = time.monotonic()
            for path, fields in (("/api/dlr.php", {"id": message_id}), ("/api/mo.php", {})):
                with pytest.raises(Unanswered, match="503"):
                    customer.form(path, **fields)
            assert time.monotonic() - begun < 15
            status, _, text = _get(program, "/readyz")
            assert (status, text) == (503, "database: no answer within 2 s\n")
            assert _get(program, "/healthz")[0] == 200
            until(lambda: _samples(program)["pombo_database_up"] == 0, timeout_s=30)
            assert not [name for name in _samples(program) if name.startswith("pombo_queue")]
        until(lambda: _get(program, "/readyz")[0] == 200, timeout_s=20)
        assert customer.status(message_id) == "2"


@contextmanager
def _frozen(program: Program) -> Iterator[None]:
    """Its PostgreSQL answers nobody, and closes nothing."""
    backends = [
        row["pid"] for row in program.sql("select pid from pg_stat_activity where pid <> pg_backend_pid()")
    ]
    pids = [program.postgres_pid(), *backends]
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@contextmanager
def _operator() -> Iterator[Smsc]:
    """Nobody else is bound to it, so all receipts come here."""
    smsc = Smsc()
    try:
        yield smsc
    finally:
        smsc.stop()
