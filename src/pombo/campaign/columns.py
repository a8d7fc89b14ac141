"""The columns of a file, what they are used for, and texts with variables."""

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from pombo import country
from pombo.text.keyword import folded
from pombo.text.variables import key, split

_DATE = re.compile(r"[0-3]\d/[01]\d/\d{4}", re.ASCII)
_NOT_NAME = re.compile(r"[^\w-]+")
_MOST_NAME = 30
# Titles of a column of numbers, and of columns that hardly belong into a message.
_OF_NUMBERS = re.compile(r"cel|fone|whats|mobile|phone|msisdn|destino|numero|\btel")
_PRIVATE = re.compile(r"cpf|cnpj|\brg\b|senha|password|cartao|e-?mail|nascimento|saude|cid\b")


class Use(StrEnum):
    """Stored in `campaign.uses`, one for each column."""

    NUMBER = "number"
    TEXT = "text"
    FIRST_WORD = "first_word"
    DAY = "day"  # of a date: its day and month
    IGNORE = "ignore"


def is_date(cell: str) -> bool:
    """Whether it is a date as reading.py writes those of spreadsheets, and as most people type them."""
    return _DATE.fullmatch(cell) is not None


def private(title: str) -> bool:
    """Whether the example of such a column is better not shown."""
    return _PRIVATE.search(folded(title)) is not None


def variables(titles: Sequence[str]) -> list[str]:
    """A name for each column, as text/variables.py knows names, all of them different: `valor r` of `Valor (R$)`."""
    names: list[str] = []
    for place, title in enumerate(titles, 1):
        name = (
            _NOT_NAME.sub(" ", key(title)).lstrip("_- 0123456789")[:_MOST_NAME].rstrip("_- ")
            or f"coluna {place}"
        )
        found, again = name, 2
        while found in names:
            found, again = f"{name} {again}", again + 1
        names.append(found)
    return names


def guess(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[Use]:
    """rows: the first ones. The column with the most mobile numbers is that of the numbers; where there is none, the one
    whose title says so."""
    best, best_score = -1, 0.0
    for place, title in enumerate(titles):
        cells = [row[place] for row in rows if row[place]]
        good = sum(country.normalise(cell, None) is not None for cell in cells) / len(cells) if cells else 0.0
        score = good + (0.5 if _OF_NUMBERS.search(folded(title)) else 0.0)
        if score > best_score and score >= 0.5:
            best, best_score = place, score
    return [
        Use.NUMBER if place == best else Use.IGNORE if private(title) else Use.TEXT
        for place, title in enumerate(titles)
    ]


class Piece(NamedTuple):
    text: str
    variable: bool


class Template:
    """A text with variables, ready for many rows. Values are put in once: braces in a cell are just braces."""

    def __init__(self, body: str, titles: Sequence[str], uses: Sequence[str]) -> None:
        names = variables(titles)
        places = {
            name: place
            for place, (name, use) in enumerate(zip(names, uses, strict=True))
            if use not in (Use.NUMBER, Use.IGNORE)
        }
        self.unknown: list[str] = []  # variables that no column gives
        self._literals = [""]
        self._places: list[int] = []
        self._names = names
        self._uses = list(uses)
        for literal, name in split(body):
            self._literals[-1] += literal
            if name in places:
                self._places.append(places[name])
                self._literals.append("")
            elif name:
                self.unknown.append(name)
                self._literals[-1] += f"{{{name}}}"

    @property
    def used(self) -> frozenset[int]:
        """The places of the columns that it needs."""
        return frozenset(self._places)

    def compose(self, cells: Sequence[str]) -> str:
        return "".join([
            part
            for literal, place in zip(self._literals, self._places, strict=False)
            for part in (literal, self._value(cells, place))
        ]) + self._literals[-1]  # fmt: skip

    def pieces(self, cells: Sequence[str]) -> list[Piece]:
        """As `compose`, with what comes from the cells apart."""
        found = []
        for literal, place in zip(self._literals, self._places, strict=False):
            found += [Piece(literal, False), Piece(self._value(cells, place), True)]
        return [piece for piece in (*found, Piece(self._literals[-1], False)) if piece.text]

    def empty(self, cells: Sequence[str]) -> str:
        """The name of a variable that this row leaves empty; '' where there is none."""
        return next((self._names[place] for place in self._places if not cells[place]), "")

    def _value(self, cells: Sequence[str], place: int) -> str:
        cell = cells[place]
        match self._uses[place]:
            case Use.FIRST_WORD:
                return (cell.split(maxsplit=1) or [""])[0]
            case Use.DAY if is_date(cell):
                return cell[:5]
        return cell
