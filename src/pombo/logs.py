"""Structured logs on stderr: JSON lines for programs, coloured lines at a terminal.

No token, number or text of a message stands in a log line. Tracebacks therefore show where, not with what: an
exception's message may quote a value.
"""

import contextlib
import logging
import re
import sys
import traceback
from collections import Counter
from collections.abc import MutableMapping
from typing import Any

import structlog

from pombo.errors import PomboError

_TEXTS_MOST = 1000  # different ones that are counted


def configure(level: str) -> None:
    """level: debug, info, warning or error; PomboError for another word."""
    least = logging.getLevelNamesMapping().get(level.upper())
    if least is None:
        raise PomboError(f"log level {level!r} is none of debug, info, warning, error")
    terminal = sys.stderr.isatty()
    renderer: Any = structlog.dev.ConsoleRenderer(exception_formatter=_no_values) if terminal else _json()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _where,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.PrintLoggerFactory(_Stderr()),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,
    )
    # Libraries log through the standard module; only their warnings interest us, and never with values.
    logging.basicConfig(level=logging.WARNING, handlers=[_Bridge()], force=True)


class _Stderr:
    """stderr as it is at the moment. Where nobody reads it any more, a log line is lost, but never a message."""

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


def _json() -> Any:
    return structlog.processors.JSONRenderer()


def _where(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """exc_info becomes the frames and the type of the exception."""
    exc_info = event.pop("exc_info", None)
    error = sys.exc_info()[1] if exc_info is True else exc_info
    if isinstance(error, BaseException):
        frames = traceback.extract_tb(error.__traceback__)
        event["at"] = [
            f"{frame.filename.rpartition('/pombo/')[2]}:{frame.lineno} {frame.name}" for frame in frames
        ]
        event.setdefault("error", type(error).__name__)
    return event


def _no_values(*_: Any) -> None:
    """Nothing is left to format: see _where."""


class _Bridge(logging.Handler):
    """Standard logging into ours: the logger's name and what the message says before any value.

    Whoever is outside can cause some of these at will (`Invalid HTTP request received.`), so repeats are counted:
    the 1st, 10th, 100th … is logged.
    """

    def __init__(self) -> None:
        super().__init__()
        self._times: Counter[tuple[str, str, str]] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        text = _without_values(record)
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
        if len(self._times) > _TEXTS_MOST:
            self._times.clear()
        self._times[record.name, text, error] += 1
        times = self._times[record.name, text, error]
        if str(times).strip("0") == "1":
            structlog.get_logger().log(
                record.levelno,
                "library",
                logger=record.name,
                text=text,
                times=times,
                **({"error": error} if error else {}),
            )


def _without_values(record: logging.LogRecord) -> str:
    """The first line of a message, without its arguments. One that has none may have been put together before:
    `Exception in callback send('5511…')`; such a line ends where a value can begin."""
    line = str(record.msg).partition("\n")[0]
    return (line if record.args else re.split(r"[(<\[{='\"\d]", line, maxsplit=1)[0].rstrip())[:200]
