"""`account show|set|recharge|adjust|statement`: an account's terms and its money."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

import asyncpg
from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Group
from rich.text import Text

from pombo.account import window as windows
from pombo.account.token import parse_networks
from pombo.cli import limit, money
from pombo.cli.answer import Answer, iso, table
from pombo.cli.options import EVERY, Every
from pombo.cli.token import From
from pombo.errors import PomboError
from pombo.message import MessageClass
from pombo.store import accounts, ledger, schedule
from pombo.store.database import Db

Amount = Parameter(allow_leading_hyphen=True)  # so that a negative one gets its own refusal
Note = Annotated[str, Parameter(help="Why, in a few words; the statement shows it.")]
Reference = Annotated[
    str | None,
    Parameter(
        help="Your own name of the booking, such as an invoice: booked twice under one, it counts once."
    ),
]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """None: stays as it is."""

    class_: Annotated[
        Literal["otp", "transactional", "marketing"] | None,
        Parameter(name="--class", help="What its messages are: codes go first, marketing last."),
    ] = None
    price: Annotated[
        str | None, Amount, Parameter(help="Price of one part in reais, where no other price fits.")
    ] = None
    billing: Annotated[
        Literal["prepaid", "postpaid"] | None,
        Parameter(help="Whether it pays before it sends, or may owe up to its limit."),
    ] = None
    limit: Annotated[
        str | None, Amount, Parameter(help="What it may owe in reais, where it is postpaid.")
    ] = None
    low_balance: Annotated[
        str | None, Amount, Parameter(help="Notice once it may spend less than this, in reais; 0 for none.")
    ] = None
    refund_rejected: Annotated[
        bool | None, Parameter(help="Whether messages that the operator refuses are refunded.")
    ] = None
    refund_undelivered: Annotated[
        bool | None, Parameter(help="Whether messages that were submitted but not delivered are refunded.")
    ] = None
    text_mode: Annotated[
        Literal["ascii", "auto", "unicode"] | None,
        Parameter(
            help="ascii takes accents off, auto keeps them (as UCS-2 where need be), unicode is always UCS-2."
        ),
    ] = None
    from_: From | None = None
    window: Annotated[
        str | None,
        Parameter(help=f"When its marketing goes out, where its recipients are: {windows.FORM}."),
    ] = None
    retention_days: Annotated[
        int | None,
        Parameter(
            help="So many days the texts of its messages and replies are kept.",
            validator=Number(gte=1, lte=3650),
        ),
    ] = None
    time_zone: Annotated[str | None, Parameter(help="Of its dates and days, such as America/Manaus.")] = None

    def columns(self) -> dict[str, Any]:
        """What is to be changed. Raises PomboError for what is no amount and no network."""
        given = {
            "class": None if self.class_ is None else int(MessageClass[self.class_.upper()]),
            "price_milli": None if self.price is None else money.parse_price(self.price),
            "billing": self.billing,
            "limit_milli": None if self.limit is None else money.parse(self.limit),
            "low_balance_milli": None if self.low_balance is None else money.parse(self.low_balance),
            "refund_rejected": self.refund_rejected,
            "refund_undelivered": self.refund_undelivered,
            "text_mode": self.text_mode,
            "networks": None if self.from_ is None else parse_networks(self.from_),
            "marketing_window": None if self.window is None else _a_window(self.window),
            "time_zone": self.time_zone,
            "retention_days": self.retention_days,
        }
        return {column: value for column, value in given.items() if value is not None}


def _a_window(text: str) -> str:
    text = " ".join(text.lower().split())
    try:
        windows.parse(text)
    except ValueError:
        raise PomboError(f"{text!r} is no window: it is {windows.FORM}.") from None
    return text


async def _is_zone(db: Db, name: str) -> bool:
    """Known to us and to the database: both of them tell its hours."""
    return name in available_timezones() and await accounts.knows_zone(db, name)


AS_THEY_ARE = Terms()


async def show(account: str, /, *, every: Every = EVERY) -> Answer:
    """One account: its terms and what it has."""
    async with every.reached() as (db, _):
        row = await accounts.account(db, account)
        used = await limit.used(db, row["id"])
    return Answer({**facts_of(row), **used.facts}, _shown(row, used))


async def change(
    account: str,
    /,
    *,
    terms: Terms = AS_THEY_ARE,
    limits: limit.Limits = limit.AS_THEY_ARE,
    every: Every = EVERY,
) -> Answer:
    """Change an account's terms and limits. They count from the next message on; those that were accepted keep class and
    price.

    A window counts for marketing that waits already, too."""
    changes = {**terms.columns(), **limits.columns()}
    if not changes:
        raise PomboError("Say what is to be changed: `pombo account set --help` shows what there is.")
    async with every.changing("account.set") as (doing, _):
        before = await accounts.account(doing.db, account)
        if terms.time_zone is not None and not await _is_zone(doing.db, terms.time_zone):
            raise PomboError(
                f"{terms.time_zone!r} is no time zone: America/Sao_Paulo and America/Manaus are."
            )
        await accounts.change_account(doing.db, before["id"], changes)
        row = await accounts.account(doing.db, str(before["name"]))
        used = await limit.used(doing.db, row["id"])
        doing.record(f"account {row['id']}", before=_terms_of(before), after=_terms_of(row))
    if (
        "marketing_window" in changes
    ):  # apart, or the account would be locked while a million messages are marked
        async with every.reached(changes=True) as (db, _):
            await schedule.close_windows(db, row["id"])
    return Answer({**facts_of(row), **used.facts}, _shown(row, used))


async def recharge(
    account: str,
    amount: Annotated[str, Amount, Parameter(help="In reais, such as 1000.00 or 1.000,00.")],
    /,
    *,
    note: Note = "",
    reference: Reference = None,
    every: Every = EVERY,
) -> Answer:
    """Add to an account's balance."""
    return await _book("recharge", account, money.parse(amount), note, reference, every)


async def adjust(
    account: str,
    amount: Annotated[str, Amount, Parameter(help="In reais; with a minus it is taken off: -12.50.")],
    /,
    *,
    note: Note,
    reference: Reference = None,
    every: Every = EVERY,
) -> Answer:
    """Correct an account's balance, up or down."""
    return await _book("adjustment", account, money.parse_signed(amount), note, reference, every)


async def _book(
    kind: Literal["recharge", "adjustment"],
    account: str,
    amount_milli: int,
    note: str,
    reference: str | None,
    every: Every,
) -> Answer:
    if not amount_milli:
        raise PomboError("There is nothing to book: the amount is 0.")
    if reference is not None and not reference.strip():
        raise PomboError("The reference is empty: leave it out, or name the booking.")
    async with every.changing(f"account.{'adjust' if kind == 'adjustment' else kind}") as (doing, _):
        row = await accounts.account(doing.db, account)
        booked = await ledger.book(doing.db, row["id"], kind, amount_milli, note=note, reference=reference)
        if booked.again:
            doing.nothing()
        else:
            doing.record(
                f"account {row['id']}",
                before={"balance_milli": booked.balance_milli - amount_milli},
                after={"balance_milli": booked.balance_milli, "entry": booked.entry_id},
            )
    facts = {
        "account": row["id"],
        "entry": booked.entry_id,
        "amount_milli": amount_milli,
        "balance_milli": booked.balance_milli,
        "booked_before": booked.again,
    }
    how = "was booked already under this reference" if booked.again else "booked"
    sentence = f"{money.show(amount_milli)} {how}. {row['name']} has {money.show(booked.balance_milli)}."
    return Answer(facts, Text(sentence))


async def statement(
    account: str,
    /,
    *,
    since: Annotated[
        str | None, Parameter(help="From this day or moment on, in the account's time zone: 2026-11-01.")
    ] = None,
    until: Annotated[
        str | None, Parameter(help="To the end of this day, or up to this moment: 2026-11-30.")
    ] = None,
    entries: Annotated[
        int, Parameter(help="So many entries at the most, the newest.", validator=Number(gte=0, lte=100_000))
    ] = 100,
    every: Every = EVERY,
) -> Answer:
    """What came and went on an account, with the balance after each entry, and the totals of each day."""
    async with every.reached() as (db, _):
        row = await accounts.account(db, account)
        zone = ZoneInfo(row["time_zone"])
        begin, end = _moment(since, zone, end=False), _moment(until, zone, end=True)
        opening_milli, lines = await ledger.statement(db, row["id"], begin, end, entries)
        days = await ledger.days(db, row["id"], begin, end)
    facts = {
        "account": row["id"],
        "opening_milli": opening_milli,
        "closing_milli": days[-1].balance_milli if days else opening_milli,
        "entries": [{**line._asdict(), "at": iso(line.at)} for line in lines],
        "days": [day._asdict() for day in days],
    }
    shown = Group(
        Text(f"{row['name']}: {money.show(opening_milli)} at the beginning."),
        table(
            "at", "", ">messages", ">amount", ">balance", "note",
            rows=(
                (
                    line.at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S"), line.kind, str(line.messages or ""),
                    money.show(line.amount_milli), money.show(line.balance_milli),
                    " ".join(filter(None, (line.note, line.reference and f"[{line.reference}]"))),
                )
                for line in lines
            ),
            empty="No entries.",
        ),
        "",
        table(
            "day", ">messages", ">charged", ">refunded", ">booked", ">balance",
            rows=(
                (
                    day.day, str(day.messages), money.show(day.charged_milli), money.show(day.refunded_milli),
                    money.show(day.booked_milli), money.show(day.balance_milli),
                )
                for day in days
            ),
            empty="",
        ),
    )  # fmt: skip
    return Answer(facts, shown)


def _moment(text: str | None, zone: ZoneInfo, *, end: bool) -> datetime | None:
    """Raises PomboError."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text.strip())
        if end and len(text.strip()) == len("2026-11-30"):
            at += timedelta(days=1)
        return at.replace(tzinfo=at.tzinfo or zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise PomboError(f"{text!r} is no day or moment: write 2026-11-30 or 2026-11-30T18:00.") from None


def _terms_of(row: asyncpg.Record) -> dict[str, Any]:
    """What people set: messages that are accepted meanwhile change the balance, which is nobody's doing here."""
    return {
        name: value
        for name, value in facts_of(row).items()
        if name not in ("balance_milli", "available_milli")
    }


def facts_of(row: asyncpg.Record) -> dict[str, Any]:
    return {
        "account": row["id"],
        "name": row["name"],
        "active": row["active"],
        "balance_milli": row["balance_milli"],
        "available_milli": row["available_milli"],
        "billing": row["billing"],
        "limit_milli": row["limit_milli"],
        "low_balance_milli": row["low_balance_milli"],
        "price_milli": row["price_milli"],
        "refund_rejected": row["refund_rejected"],
        "refund_undelivered": row["refund_undelivered"],
        "class": MessageClass(row["class"]).name.lower(),
        "text_mode": row["text_mode"],
        "addresses": [str(network) for network in row["account_networks"]],
        "window": row["marketing_window"],
        "time_zone": row["time_zone"],
        "retention_days": row["retention_days"],
        **limit.facts_of(row),
        "demo": row["demo"],
    }


def _shown(row: asyncpg.Record, used: limit.Used) -> Any:
    billing = row["billing"]
    if billing == "postpaid":
        billing += f", may owe {money.show(row['limit_milli'])}"
    low = money.show(row["low_balance_milli"]) if row["low_balance_milli"] else "no notice"
    refunds = [word for word in ("rejected", "undelivered") if row[f"refund_{word}"]]
    return table(
        "", "",
        rows=(
            ("account", f"{row['id']}, {row['name']}" + ("" if row["active"] else ", suspended")),
            ("balance", money.show(row["balance_milli"])),
            ("may spend", money.show(row["available_milli"])),
            ("billing", billing),
            ("low balance", low),
            ("per part", money.show_price(row["price_milli"])),
            ("refunds", ", ".join(["never submitted", *refunds])),
            ("class", MessageClass(row["class"]).name.lower()),
            ("texts go as", row["text_mode"]),
            ("tokens from", ", ".join(map(str, row["account_networks"])) or "any address"),
            *limit.shown(row, used),
            ("marketing", row["marketing_window"]),
            ("time zone", row["time_zone"]),
            ("texts are kept", f"{row['retention_days']} days"),
        ),
        empty="",
    )  # fmt: skip
