"""Which operator a number is at, from a CSV file. Numbers are ported, so the file names each one: no prefix tells it."""

import bisect
import heapq
import os
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import structlog

from pombo import number as numbering
from pombo.errors import PomboError

log = structlog.get_logger()

_OPERATOR_BITS: Final = (
    10  # a number and its operator's place in `names` share 64 bits; E.164 needs 50 of them
)
_MOST_OPERATORS: Final = 1 << _OPERATOR_BITS
_SORTED_AT_ONCE: Final = 1 << 16
_AROUND: Final = ' \t\r\n"'
_COMPLAINTS_MOST: Final = 10  # lines of one file that are logged one by one


def operator_name(text: str) -> str:
    """`Vivo ` and `VIVO` are one operator."""
    return text.strip().casefold()


class Table:
    """Sorted numbers, eight octets each: a look-up is a search by halves in memory."""

    def __init__(self, names: list[str], rows: "array[int]") -> None:
        self._names = names
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def operator_of(self, number: int) -> str | None:
        wanted = number << _OPERATOR_BITS
        place = bisect.bisect_left(self._rows, wanted)
        if place < len(self._rows) and self._rows[place] >> _OPERATOR_BITS == number:
            return self._names[self._rows[place] & (_MOST_OPERATORS - 1)]
        return None


def read(lines: Iterable[str]) -> Table:
    """Of lines `number,operator` (or `;`); of two lines for one number the later one counts.

    Empty lines, comments (`#`) and a heading are passed over. So is a line that cannot be read, with a warning.
    """
    places: dict[str, int] = {}
    sorted_runs = []
    run: list[int] = []
    for row in _rows(lines, places):
        run.append(row)
        if len(run) == _SORTED_AT_ONCE:
            sorted_runs.append(array("Q", sorted(run, key=_number_of)))
            run = []
    sorted_runs.append(array("Q", sorted(run, key=_number_of)))
    rows = array("Q")
    for row in heapq.merge(*sorted_runs, key=_number_of):  # stable: the later line comes later
        if rows and _number_of(rows[-1]) == _number_of(row):
            rows[-1] = row
        else:
            rows.append(row)
    return Table(list(places), rows)


def _number_of(row: int) -> int:
    return row >> _OPERATOR_BITS


def _rows(lines: Iterable[str], places: dict[str, int]) -> Iterator[int]:
    bad = 0
    for n, line in enumerate(lines, start=1):
        number_text, _, name = line.partition(";" if ";" in line else ",")
        number_text, operator = number_text.strip(_AROUND), operator_name(name.strip(_AROUND))
        if (not number_text and not operator) or number_text.startswith("#"):
            continue
        number = numbering.normalise(number_text)
        place = places.get(operator)
        if number is None or not operator or (place is None and len(places) == _MOST_OPERATORS):
            if n > 1 or any(char.isdigit() for char in number_text):  # else a heading
                bad += 1
                if bad <= _COMPLAINTS_MOST:
                    log.warning("operators_line_skipped", line=n, hint="a line is number,operator")
            continue
        if place is None:
            place = places[operator] = len(places)
        yield number << _OPERATOR_BITS | place
    if bad > _COMPLAINTS_MOST:
        log.warning("operators_lines_skipped", lines=bad)


class OperatorsFile:
    """The look-up of a file, read again when the file has changed. Without a path it knows no number."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None  # of the file as it was read
        self._failed = ""
        self.table = Table([], array("Q"))

    def refresh(self) -> bool:
        """Whether there is a new table. Reads the file where it has changed: seconds for millions of lines, so not on
        the loop. A file that cannot be read changes nothing."""
        if not self._path:
            return False
        try:
            found = Path(self._path).stat()
            stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
            if stamp == self._stamp:
                return False
            with Path(self._path).open(encoding="utf-8-sig", errors="replace") as file:
                self.table = read(file)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            if reason != self._failed:
                log.warning("operators_file_unreadable", reason=reason, kept=len(self.table))
            self._failed = reason
            return False
        self._stamp, self._failed = stamp, ""
        log.info("operators_read", numbers=len(self.table))
        return True


def operators_of(path: str) -> Table:
    """Of the file of this moment, for a command. Raises PomboError for one that cannot be read."""
    if not path:
        return Table([], array("Q"))
    try:
        with Path(path).open(encoding="utf-8-sig", errors="replace") as file:
            return read(file)
    except OSError as error:
        raise PomboError(f"POMBO_OPERATORS_FILE={path} cannot be read: {error.strerror}.") from None
