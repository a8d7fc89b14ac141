"""What a command says: one JSON object for programs, or something rich for people. Errors go to stderr."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table


class Answer(NamedTuple):
    """What a command found or did, in both forms."""

    facts: Mapping[str, Any]
    shown: RenderableType
    failed: bool = False  # the command ends with 1: what it was asked to check is not so


def say(answer: Answer, *, as_json: bool) -> None:
    """On stdout, at once: a program may wait for it while the command goes on."""
    if as_json:
        sys.stdout.write(json.dumps(answer.facts, default=_plain) + "\n")
    else:
        # In a pipe or a file no line is folded for a terminal that is not there.
        Console(highlight=False, width=None if sys.stdout.isatty() else 200).print(answer.shown, crop=False)
    sys.stdout.flush()


def complain(text: str, *, as_json: bool) -> None:
    """One line on stderr; for programs also the one object on stdout."""
    _stderr().print(f"[bold red]error:[/] {escape(text)}", soft_wrap=True)
    if as_json:
        sys.stdout.write(json.dumps({"error": text}) + "\n")
        sys.stdout.flush()


def note(text: str) -> None:
    """Something worth knowing that is no error."""
    _stderr().print(f"[yellow]note:[/] {escape(text)}", soft_wrap=True)


def table(*headings: str, rows: Iterable[Iterable[str]], empty: str) -> RenderableType:
    """Columns of plain text; those whose heading begins with `>` are numbers, to the right."""
    lines = [[escape(cell) for cell in row] for row in rows]
    if not lines:
        return f"[dim]{escape(empty)}[/]"
    grid = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in headings:
        grid.add_column(
            heading.lstrip(">"), justify="right" if heading.startswith(">") else "left", overflow="fold"
        )
    for line in lines:
        grid.add_row(*line)
    return grid


@contextmanager
def waiting(what: str, total: int, *, silent: bool) -> Iterator[Callable[[int], None]]:
    """A bar on stderr while something is counted down to 0: call what it gives with how much is left.

    silent: nothing is drawn, for programs. Nor is it where stderr is no terminal.
    """
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]}"), TimeElapsedColumn(),
        console=_stderr(), transient=True, disable=silent or not sys.stderr.isatty(),
    ) as bars:  # fmt: skip
        bar = bars.add_task(what, total=total, left=total)

        def progress(left: int) -> None:
            most = max(total, left)
            bars.update(bar, total=most, completed=most - left, left=left)

        yield progress


def iso(at: datetime | None) -> str | None:
    """`2026-11-22T13:00:00.123Z`, as programs read it."""
    return (
        None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def age(at: datetime | None) -> str:
    """`3 s`, `12 min`, `5 h`, `2 d`: how long ago; `-` where nothing is due."""
    if at is None:
        return "-"
    seconds = max(0, int((datetime.now(UTC) - at).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def at_terminal() -> bool:
    """Whether somebody is there to be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return iso(value)
    raise TypeError(f"{type(value).__name__} has no place in an answer")


def _stderr() -> Console:
    return Console(stderr=True, highlight=False)
