"""An account as the hot path sees it: a snapshot, a second or two old at most."""

from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import asyncpg

from pombo.account import window
from pombo.account.window import Window


class Account(NamedTuple):
    id: int
    name: str
    active: bool
    price_milli: int  # per part
    max_parts: int
    text_mode: str  # 'ascii', 'auto' or 'unicode'
    zone: ZoneInfo
    message_class: int = 1  # message.MessageClass, of messages that say nothing else
    marketing_window: Window | None = window.parse(window.DEFAULT)  # None: at any hour
    allowed_hosts: frozenset[str] | None = None  # that its links may lead to; None: nobody minds
    requests_per_s: int = 0  # of each process; 0: no limit
    messages_per_prefix: int = 0  # in an hour, see accept/allowance.py; 0: no limit
    countries: frozenset[str] = frozenset({"BR"})  # where it may send to: ISO 3166 codes
    token_id: int | None = None  # that the request came with; None: a person asks

    @classmethod
    def of(cls, row: asyncpg.Record) -> "Account":
        return cls(
            row["id"],
            row["name"],
            row["active"],
            row["price_milli"],
            row["max_parts"],
            row["text_mode"],
            ZoneInfo(row["time_zone"]),
            row["class"],
            window.parse(row["marketing_window"]),
            None if row["allowed_hosts"] is None else frozenset(row["allowed_hosts"]),
            row["requests_per_s"],
            row["messages_per_prefix"],
            frozenset(row["countries"]),
        )

    def local(self, at: datetime | None) -> str:
        """`YYYY-MM-DD HH:MM:SS` in the account's time zone; "" for a time that is not there yet."""
        return "" if at is None else at.astimezone(self.zone).strftime("%Y-%m-%d %H:%M:%S")
