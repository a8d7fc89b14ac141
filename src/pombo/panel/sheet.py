"""Tables that people take along: CSV and XLSX, made while they are read, of any length and with any text in their cells.

A cell that a spreadsheet would take for a formula (it begins with = + - @, a tab or a line end) gets an apostrophe in
front: whoever opens a table of texts that others wrote must not run them. CSV is what Excel in Brazil opens with a double
click: UTF-8 with its mark, and semicolons.
"""

import asyncio
import csv
import io
import tempfile
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import xlsxwriter

Cell = str | int | float | datetime | None  # a datetime is shown as it stands, without its zone
Rows = AsyncIterator[Sequence[Sequence[Cell]]]

XLSX_ROWS = (
    100_000  # measured: 100,000 rows of twelve cells take 8 s of a core. A sheet could hold ten times as many
)
CSV, XLSX = "csv", "xlsx"
CONTENT_TYPES = {
    CSV: "text/csv; charset=utf-8",
    XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_CELL_CHARACTERS = 32_767  # that Excel takes
_CHUNK_OCTETS = 64 * 1024
_AT_A_TIME = 2  # XLSX: the core that one takes is wanted for messages, too; who reads slowly takes no turn
_TIME = "%Y-%m-%d %H:%M:%S"


def harmless(text: str) -> str:
    """The text as a cell that is no formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def write(kind: str, head: Sequence[str], rows: Rows) -> AsyncIterator[bytes]:
    """The octets of the table. kind: CSV or XLSX, which comes when all rows are read: no more than XLSX_ROWS of them."""
    return _csv(head, rows) if kind == CSV else _xlsx(head, rows)


async def _csv(head: Sequence[str], rows: Rows) -> AsyncIterator[bytes]:
    yield b"\xef\xbb\xbf" + _lines([head])
    async for some in rows:
        yield await asyncio.to_thread(_lines, some)


def _lines(rows: Sequence[Sequence[Cell]]) -> bytes:
    written = io.StringIO(newline="")
    csv.writer(written, delimiter=";", lineterminator="\r\n").writerows(
        [_text(cell) for cell in row] for row in rows
    )
    return written.getvalue().encode()


def _text(cell: Cell) -> str:
    if isinstance(cell, str):
        return harmless(cell)
    if isinstance(cell, datetime):
        return cell.strftime(_TIME)
    return "" if cell is None else str(cell).replace(".", ",")


@cache
def _turns(loop: asyncio.AbstractEventLoop) -> asyncio.Semaphore:
    return asyncio.Semaphore(_AT_A_TIME)


async def _xlsx(head: Sequence[str], rows: Rows) -> AsyncIterator[bytes]:
    # What is written on the way there goes into it, too, and with it when nobody reads on.
    with tempfile.TemporaryDirectory(prefix="pombo-") as directory:
        async with _turns(asyncio.get_running_loop()):
            book = _Book(directory, head)
            try:
                async for some in rows:
                    await asyncio.to_thread(book.add, some)
            finally:  # the writer keeps files of its own open until then
                path = await asyncio.to_thread(book.close)
        with path.open("rb") as file:
            while chunk := await asyncio.to_thread(file.read, _CHUNK_OCTETS):
                yield chunk


class _Book:
    """One sheet, a row in memory at a time."""

    def __init__(self, directory: str, head: Sequence[str]) -> None:
        self._path = Path(directory) / "table.xlsx"
        options = {
            "constant_memory": True,
            "tmpdir": directory,
            "strings_to_formulas": False,
            "strings_to_urls": False,
        }
        self._book = xlsxwriter.Workbook(self._path, options)
        self._sheet = self._book.add_worksheet()
        self._at = self._book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        bold = self._book.add_format({"bold": True})
        self._sheet.freeze_panes(1, 0)
        self._sheet.set_column(0, len(head) - 1, 20)
        for column, name in enumerate(head):
            self._sheet.write_string(0, column, name, bold)
        self._row = 0

    def add(self, rows: Sequence[Sequence[Cell]]) -> None:
        for row in rows:
            self._row += 1
            for column, cell in enumerate(row):
                self._write(column, cell)

    def _write(self, column: int, cell: Any) -> None:
        if isinstance(cell, str):
            self._sheet.write_string(self._row, column, harmless(cell)[:_CELL_CHARACTERS])
        elif isinstance(cell, datetime):
            self._sheet.write_datetime(self._row, column, cell.replace(tzinfo=None), self._at)
        elif cell is not None:
            self._sheet.write_number(self._row, column, cell)

    def close(self) -> Path:
        """Where it is."""
        self._book.close()
        return self._path
