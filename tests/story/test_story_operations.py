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
from typing import Any

import pytest
import yaml
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


def _named(promql: str) -> set[str]:
    """The metrics that an expression speaks of: what is neither a function, a keyword, a label nor a value."""
    rest = re.sub(r'"[^"]*"', "", promql)
    rest = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", rest)
    rest = re.sub(r"\b(by|on|without|ignoring) *\([^)]*\)", "", rest)
    rest = re.sub(r"\b(offset +\w+|unless|and|or|bool)\b|[+-]Inf", "", rest)
    return set(re.findall(r"\b([a-zA-Z_]\w*)\b(?! *\()", rest))


def _expressions() -> Iterator[tuple[str, str]]:
    """(where, PromQL) of every panel and every alert."""
    dashboard = json.loads((_ROOT / "ops" / "grafana" / "pombo.json").read_text("utf-8"))
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for rule in _rules():
        yield rule["alert"], rule["expr"]


def _rules() -> list[dict[str, Any]]:
    page = yaml.safe_load((_ROOT / "ops" / "prometheus" / "alerts.yml").read_text("utf-8"))
    return [rule for group in page["groups"] for rule in group["rules"]]


def test_dashboard_and_alerts_speak_of_metrics_that_there_are(program: Program) -> None:
    _, _, text = _get(program, "/metrics")
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))
    for name in [name for name, kind in kinds.items() if kind == "histogram"]:
        kinds |= dict.fromkeys((f"{name}_bucket", f"{name}_sum", f"{name}_count"), "counter")
    for where, promql in _expressions():
        named = _named(promql)
        assert named, where
        assert named - {"up"} <= set(kinds), where
        for name in named:
            if re.search(rf"(rate|increase)\({name}\b", promql):
                assert kinds[name] == "counter", f"{where}: {name} is no counter"


def test_every_alert_has_what_prometheus_needs() -> None:
    rules = _rules()
    assert len({rule["alert"] for rule in rules}) == len(rules) > 10
    for rule in rules:
        assert rule["labels"]["severity"] in ("critical", "warning", "info"), rule["alert"]
        assert rule["annotations"]["summary"] and re.fullmatch(r"\d+[mh]", rule.get("for", "1m"))
        for opening, closing in ("()", "[]", "{}"):
            assert rule["expr"].count(opening) == rule["expr"].count(closing), rule["alert"]


def test_the_dashboard_has_no_panel_upon_another_and_no_source_of_its_own() -> None:
    dashboard = json.loads((_ROOT / "ops" / "grafana" / "pombo.json").read_text("utf-8"))
    assert dashboard["uid"] == "pombo" and dashboard["title"] == "Pombo"
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken and at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells
        for target in panel.get("targets", ()):
            assert target["datasource"]["uid"] == "${datasource}"
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


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
