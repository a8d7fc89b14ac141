"""Logs say where and what kind, never with what."""

import io
import json
import logging

import pytest
import structlog

from pombo import logs
from pombo.errors import PomboError

CANARY = "texto-secreto-5511999999999"


@pytest.fixture(autouse=True)
def _restore():
    yield
    structlog.reset_defaults()
    logging.basicConfig(force=True)


def lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_traceback_shows_frames_and_type_but_no_value(capsys):
    logs.configure("info")
    try:
        raise ValueError(CANARY)
    except ValueError:
        structlog.get_logger().exception("failed")
    text = capsys.readouterr().err
    assert CANARY not in text and "ValueError" in text and "test_logs.py" in text


def test_a_librarys_arguments_are_not_logged(capsys):
    logs.configure("info")
    logging.getLogger("uvicorn.error").warning("bad request %s", CANARY)
    text = capsys.readouterr().err
    assert CANARY not in text and "bad request" in text


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (
            f"Task exception was never retrieved\nfuture: <Task> ValueError('Oferta 50% para {CANARY}')",
            "Task exception was never retrieved",
        ),
        (f"Exception in callback send('{CANARY}')", "Exception in callback send"),
        (f"Unknown number {CANARY[-13:]}: 50%", "Unknown number"),
    ],
)
def test_a_message_that_a_library_put_together_ends_before_its_values(capsys, message, shown):
    logs.configure("info")
    logging.getLogger("asyncio").error(message)
    (line,) = lines(capsys)
    assert line["text"] == shown and CANARY[-13:] not in json.dumps(line)


def test_what_a_client_can_repeat_at_will_is_logged_ever_more_rarely(capsys):
    logs.configure("info")
    for _ in range(120):
        logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    assert [line["times"] for line in lines(capsys)] == [1, 10, 100]


def test_a_librarys_exception_shows_its_type_alone(capsys):
    logs.configure("info")
    try:
        raise KeyError(CANARY)
    except KeyError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
    (line,) = lines(capsys)
    assert line["error"] == "KeyError" and CANARY not in json.dumps(line)


def test_below_the_level_nothing_is_written(capsys):
    logs.configure("error")
    structlog.get_logger().warning("quiet")
    assert capsys.readouterr().err == ""


def test_an_unknown_level_is_refused():
    with pytest.raises(PomboError, match="none of"):
        logs.configure("loud")


def test_a_closed_stderr_stops_nobody(monkeypatch):
    """Whoever read the log has gone: a line that cannot be written must not raise in the middle of the work."""
    logs.configure("info")
    gone = io.StringIO()
    gone.close()
    monkeypatch.setattr("sys.stderr", gone)
    structlog.get_logger().warning("nobody reads this")
    logging.getLogger("uvicorn.error").warning("nor this")
