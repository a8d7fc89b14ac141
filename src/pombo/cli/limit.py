"""What an account may do at the most: the options of `account set`, and how `account show` tells them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import asyncpg
from cyclopts import Parameter

from pombo import country
from pombo.cli import money
from pombo.errors import PomboError
from pombo.store import limits
from pombo.store.database import Db

_DEFAULT_PARTS, _MOST_PARTS = 10, 32
_MOST = 1_000_000_000
_PREFIXES_SHOWN = 10
_WHOLE = re.compile(r"[0-9]{1,10}", re.ASCII)
_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)

Value = Parameter(allow_leading_hyphen=True)  # so that a negative one gets its own refusal


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """None: stays as it is. `0` and `none` take a limit away."""

    requests_per_s: Annotated[
        str | None,
        Value,
        Parameter(help="Requests in a second, to each process that accepts; none for any number."),
    ] = None
    messages_per_s: Annotated[
        str | None, Value, Parameter(help="Messages in a second, over all nodes; none for any number.")
    ] = None
    messages_per_day: Annotated[
        str | None, Value, Parameter(help="Messages in a day of its time zone; none for any number.")
    ] = None
    spend_per_day: Annotated[
        str | None, Value, Parameter(help="What they may cost in a day, in reais; none for any amount.")
    ] = None
    messages_per_prefix: Annotated[
        str | None,
        Value,
        Parameter(
            help="Messages in an hour to numbers that agree in all but their last three digits, against pumping; none for"
            " any number."
        ),
    ] = None
    max_parts: Annotated[
        str | None, Value, Parameter(help=f"Parts of one message; none for {_DEFAULT_PARTS}.")
    ] = None
    countries: Annotated[
        str | None,
        Value,
        Parameter(help="Where it may send to, such as BR,AR,US (ISO 3166); none for Brazil only."),
    ] = None

    def columns(self) -> dict[str, Any]:
        """What is to be changed. Raises PomboError for what is no limit."""
        found = {
            f"{name}": _number(f"--{name.replace('_', '-')}", getattr(self, name))
            for name in ("requests_per_s", "messages_per_s", "messages_per_day", "messages_per_prefix")
        }
        spend, parts, countries = self.spend_per_day, self.max_parts, self.countries
        given = {
            **found,
            "spend_per_day_milli": None if spend is None else 0 if _is_none(spend) else money.parse(spend),
            "max_parts": _parts(parts),
            "countries": None if countries is None else _countries(countries),
        }
        return {column: value for column, value in given.items() if value is not None}


AS_THEY_ARE = Limits()


def _is_none(text: str) -> bool:
    return text.strip().lower() == "none"


def _number(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    if _is_none(text):
        return 0
    if not _WHOLE.fullmatch(text.strip()) or int(text) > _MOST:
        raise PomboError(f"{option} is a whole number up to {_MOST}, or none for no limit; not {text!r}.")
    return int(text)


def _parts(text: str | None) -> int | None:
    number = _number("--max-parts", text)
    if number is not None and number > _MOST_PARTS:
        raise PomboError(f"A message has {_MOST_PARTS} parts at the most, not {text!r}.")
    return _DEFAULT_PARTS if number == 0 else number


def _countries(text: str) -> list[str]:
    if _is_none(text):
        return [country.BRAZIL]
    codes = {part.strip().upper() for part in text.split(",") if part.strip()}
    if not codes:
        raise PomboError("Which countries? For example BR,AR,US, or none for Brazil only.")
    for code in sorted(codes):
        if not _COUNTRY.fullmatch(code) or code not in country.known():
            raise PomboError(f"{code!r} is no country. Write countries as in ISO 3166: BR,AR,US.")
    return sorted(codes, key=lambda code: (code != country.BRAZIL, code))


class Used(NamedTuple):
    """How far an account has used its limits."""

    today: limits.Used
    prefixes: list[limits.Prefix]  # at their limit in this hour or the one before, the worst first

    @property
    def facts(self) -> dict[str, Any]:
        return {
            "used_today": self.today._asdict(),
            "prefixes_at_limit": [
                {"prefix": str(of.prefix), "messages": of.messages, "refused": of.refused}
                for of in self.prefixes
            ],
        }


async def used(db: Db, account_id: int) -> Used:
    return Used(
        await limits.used_today(db, account_id),
        await limits.prefixes_at_limit(db, account_id, _PREFIXES_SHOWN),
    )


def facts_of(row: asyncpg.Record) -> dict[str, Any]:
    """The limits; 0 is none."""
    return {
        "requests_per_s": row["requests_per_s"],
        "messages_per_s": row["messages_per_s"],
        "messages_per_day": row["messages_per_day"],
        "spend_per_day_milli": row["spend_per_day_milli"],
        "messages_per_prefix": row["messages_per_prefix"],
        "max_parts": row["max_parts"],
        "countries": list(row["countries"]),
    }


def shown(row: asyncpg.Record, of: Used) -> Iterator[tuple[str, str]]:
    """Lines of a table."""
    most_milli = row["spend_per_day_milli"]
    spent = money.show(of.today.spent_milli) + (f" of {money.show(most_milli)}" if most_milli else "")
    yield "messages today", f"{of.today.messages}" + _of(row["messages_per_day"])
    yield "spent today", spent
    yield (
        "at the most",
        ", ".join(
            [
                *(
                    f"{row[f'{what}_per_s']} {what} a second"
                    for what in ("requests", "messages")
                    if row[f"{what}_per_s"]
                ),
                f"{row['max_parts']} parts a message",
            ]
        ),
    )
    if row["messages_per_prefix"]:
        yield "to one prefix", f"{row['messages_per_prefix']} messages an hour"
    for at_limit in of.prefixes:
        yield "", f"{at_limit.prefix}…: {at_limit.messages} messages, {at_limit.refused} more refused"
    yield "countries", ", ".join(row["countries"])


def _of(most: int) -> str:
    return f" of {most}" if most else ""
