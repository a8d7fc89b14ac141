"""Reads a file of contacts: `python -m pombo.campaign.reading`, a process of its own, with limits on its memory and time.

A spreadsheet can be made so that it takes all memory, or ends the program that opens it. Here that harms nobody: the file
comes in on stdin, rows go out on stdout, each a line of JSON:

    ["Nome", "Celular"]              the titles
    [2, ["Ana", "11987654321"], false]   a row: its line; its cells, as many as titles; whether it had more of them
    {"end": 2}                       the number of the last line; without this the reader did not survive the file
    {"refused": "empty", "detail": ""}   in place of anything else: see Fault
"""

import csv
import datetime
import io
import re
import resource
import sys
from collections.abc import Iterable, Iterator
from enum import StrEnum

import msgspec
from python_calamine import CalamineError, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from pombo import country

MOST_OCTETS = 50 * 1024 * 1024
MOST_ROWS = 200_000
MOST_COLUMNS = 100
MOST_CHARACTERS = 5000  # of a cell; what is longer fits no message, so cutting it changes nothing
_MOST_TITLE = 60
_MOST_LINES = 50  # in one cell: a quotation mark that was never closed takes all that follows
_MEMORY_OCTETS = 1536 * 1024 * 1024
_CPU_S = 90
_LOOKED_AT = 30  # rows from which the separator is guessed
_SEPARATORS = ";,\t|"
_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)  # Excel's
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f]")


class Fault(StrEnum):
    """Why a file cannot be used."""

    EMPTY = "empty"
    NO_ROWS = "no_rows"  # titles and nothing else
    TOO_MANY_ROWS = "too_many_rows"
    TOO_MANY_COLUMNS = "too_many_columns"
    NO_TEXT = "no_text"  # a picture, a PDF, a program
    OLD_EXCEL = "old_excel"  # .xls, or a workbook with a password
    NO_SHEET = "no_sheet"
    OPEN_QUOTE = "open_quote"  # detail: the line in which it opens
    BROKEN = "broken"
    TOO_LARGE = "too_large"


class Unreadable(Exception):
    def __init__(self, fault: Fault, detail: str = "") -> None:
        super().__init__(fault)
        self.fault = fault
        self.detail = detail


def read(octets: bytes) -> Iterator[object]:
    """What goes out, in order. Raises Unreadable."""
    if not octets.strip(b"\0 \t\r\n"):
        raise Unreadable(Fault.EMPTY)
    if octets.startswith(_OLE):
        raise Unreadable(Fault.OLD_EXCEL)
    yield from _framed(_of_workbook(octets) if octets.startswith(_ZIP) else _of_csv(octets))


def _framed(rows: Iterator[list[str]]) -> Iterator[object]:
    """rows: all of them from line 1 on, blank ones too."""
    titles: list[str] = []
    line = found = 0
    for line, cells in enumerate(rows, 1):
        while cells and not cells[-1]:
            cells.pop()
        if not cells:
            continue
        if not titles:
            headless = any(country.normalise(cell, None) is not None for cell in cells)
            titles = [_title(place, "" if headless else cell) for place, cell in enumerate(cells)]
            if len(titles) > MOST_COLUMNS:
                raise Unreadable(Fault.TOO_MANY_COLUMNS)
            yield titles
            if not headless:
                continue
        found += 1
        if found > MOST_ROWS:
            raise Unreadable(Fault.TOO_MANY_ROWS)
        kept = cells[: len(titles)]
        yield [line, kept + [""] * (len(titles) - len(kept)), len(cells) > len(titles)]
    if not titles:
        raise Unreadable(Fault.EMPTY)
    if not found:
        raise Unreadable(Fault.NO_ROWS)
    yield {"end": line}


def _title(place: int, cell: str) -> str:
    letters, rest = "", place + 1
    while rest:
        rest, letter = divmod(rest - 1, 26)
        letters = chr(65 + letter) + letters
    return " ".join(cell.split())[:_MOST_TITLE] or f"Coluna {letters}"


def _of_csv(octets: bytes) -> Iterator[list[str]]:
    text = _text(octets)
    said = _SEPARATOR_LINE.match(text)
    if said:
        yield []  # so that the lines are those of the file
        text = text[said.end() :]
    csv.field_size_limit(MOST_OCTETS)
    separator = said[1] if said else _separator(text)
    line = 1 if said else 0
    for cells in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
        line += 1
        for cell in cells:
            if len(cell) > MOST_CHARACTERS and cell.count("\n") > _MOST_LINES:
                raise Unreadable(Fault.OPEN_QUOTE, str(line))
        yield [_cell(cell) for cell in cells]


def _text(octets: bytes) -> str:
    """In UTF-8 or UTF-16 where it says so or is so, else in cp1252, as Excel writes it."""
    if octets.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = octets.decode("utf-16", "replace")
    else:
        try:
            text = octets.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = octets.decode("cp1252", "replace")
    head = text[:4096]
    if len(_CONTROLS.findall(head)) > len(head) // 50 + 1:
        raise Unreadable(Fault.NO_TEXT)
    return text.replace("\0", "")


def _separator(text: str) -> str:
    """The one by which the first rows have the same number of cells, and the most of them."""
    head = "".join(text[:200_000].splitlines(keepends=True)[:_LOOKED_AT])

    def score(separator: str) -> tuple[float, int]:
        widths = [len(row) for row in csv.reader(io.StringIO(head, newline=""), delimiter=separator) if row]
        if not widths or widths[0] == 1:
            return 0.0, 0
        return sum(width == widths[0] for width in widths) / len(widths), widths[0]

    csv.field_size_limit(MOST_OCTETS)
    return max(_SEPARATORS, key=score)


def _of_workbook(octets: bytes) -> Iterator[list[str]]:
    """The first sheet that is not hidden."""
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(octets))
        shown = [
            sheet.name
            for sheet in workbook.sheets_metadata
            if sheet.typ == SheetTypeEnum.WorkSheet and sheet.visible == SheetVisibleEnum.Visible
        ]
        if not shown:
            raise Unreadable(Fault.NO_SHEET)
        sheet = workbook.get_sheet_by_name(shown[0])
    except CalamineError:
        raise Unreadable(Fault.BROKEN) from None
    if sheet.start is None:
        raise Unreadable(Fault.EMPTY)
    for row in sheet.iter_rows():
        yield [_cell(_shown(value)) for value in row]


def _shown(value: object) -> str:
    """As it would be read in Brazil."""
    match value:
        case str():
            return value
        case bool():
            return "sim" if value else "não"
        case int():
            return str(value)
        case float():
            return str(int(value)) if value.is_integer() else f"{value:.10g}".replace(".", ",")
        case datetime.datetime():
            day = value.strftime("%d/%m/%Y")
            return day if value.time() == datetime.time() else f"{day} {value:%H:%M}"
        case datetime.date():
            return value.strftime("%d/%m/%Y")
        case datetime.time():
            return value.strftime("%H:%M")
        case _:
            return str(value)


def _cell(text: str) -> str:
    """Without what PostgreSQL and JSON cannot hold; blanks around it are hardly meant."""
    text = text[: MOST_CHARACTERS + 1].replace("\0", "").strip()
    try:
        text.encode()
    except UnicodeEncodeError:  # lone surrogates
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_OCTETS, _MEMORY_OCTETS))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _lines(octets: bytes) -> Iterable[bytes]:
    encoder = msgspec.json.Encoder()
    try:
        for frame in read(octets):
            yield encoder.encode(frame)
    except Unreadable as unreadable:
        yield encoder.encode({"refused": unreadable.fault, "detail": unreadable.detail})
    except MemoryError:
        yield encoder.encode({"refused": Fault.TOO_LARGE, "detail": ""})


def main() -> None:
    _limited()
    out = sys.stdout.buffer
    for line in _lines(sys.stdin.buffer.read(MOST_OCTETS + 1)):
        out.write(line + b"\n")


if __name__ == "__main__":
    main()
