"""The filters of the page of messages: from its address to what the store is asked, and back."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo

from pombo import country
from pombo.message import MessageClass, State
from pombo.store.listing import Which

_FIELDS = ("q", "periodo", "de", "ate", "situacao", "conexao", "classe", "token")
_OF_CAMPAIGN = re.compile(r"campanha-\d+-", re.ASCII)  # what the ids of a campaign's messages begin with
_MOST_CHARACTERS = 200
_MOST_OCTETS = 2000  # of an address
_MOST_DAYS = 366
_HIGHEST_ID = 2**63 - 1
_WITHOUT_RECEIPT = timedelta(minutes=10)
_FIRST = datetime(2025, 1, 1, tzinfo=UTC)  # before any message (store/ids.py)

FROM_PANEL = "painel"  # and from commands: no program sent it
PERIODS = ("hoje", "hora", "ontem", "7d", "30d", "datas")
CLASSES = {
    "otp": MessageClass.OTP,
    "transacional": MessageClass.TRANSACTIONAL,
    "marketing": MessageClass.MARKETING,
}
STATES: dict[str, tuple[State, ...]] = {
    "na-fila": (State.WAITING,),
    "enviada": (State.SUBMITTED,),
    "incerta": (State.UNCERTAIN,),
    "entregue": (State.DELIVERED,),
    "nao-entregue": (State.UNDELIVERED, State.EXPIRED),
    "rejeitada": (State.REJECTED,),
    "cancelada": (State.CANCELLED,),
    "falhas": (State.UNDELIVERED, State.EXPIRED, State.REJECTED),
    "sem-dlr": (State.SUBMITTED, State.UNCERTAIN),  # for _WITHOUT_RECEIPT and longer
}


class Filters(NamedTuple):
    """As chosen on the page; "" fits all. What the address says and makes no sense is left out."""

    q: str = ""
    period: str = "hoje"
    since_day: date | None = None  # of the period `datas`, both days included
    until_day: date | None = None
    state: str = ""
    connection: str = ""
    message_class: str = ""
    token: str = ""  # its id, or FROM_PANEL

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Filters":
        given = {name: query.get(name, "").replace("\0", "").strip()[:_MOST_CHARACTERS] for name in _FIELDS}
        since_day, until_day = day_of(given["de"]), day_of(given["ate"])
        # Whoever looks for something without saying when does not mean today.
        period = given["periodo"] if given["periodo"] in PERIODS else ("30d" if given["q"] else "hoje")
        if period == "datas":
            since_day = since_day or until_day
            if since_day is None:
                period = "hoje"
            else:
                until_day = min(
                    max(until_day or since_day, since_day), since_day + timedelta(days=_MOST_DAYS)
                )
        if period != "datas":
            since_day = until_day = None
        return cls(
            given["q"],
            period,
            since_day,
            until_day,
            given["situacao"] if given["situacao"] in STATES else "",
            given["conexao"],
            given["classe"] if given["classe"] in CLASSES else "",
            given["token"] if given["token"] == FROM_PANEL or message_id(given["token"]) else "",
        )

    def query(self) -> str:
        """As it stands in the address, without what is so anyway."""
        usual = "30d" if self.q else "hoje"
        given = {
            "q": self.q,
            "periodo": "" if self.period == usual else self.period,
            "de": self.since_day.isoformat() if self.since_day else "",
            "ate": self.until_day.isoformat() if self.until_day else "",
            "situacao": self.state,
            "conexao": self.connection,
            "classe": self.message_class,
            "token": self.token,
        }
        return urlencode({name: value for name, value in given.items() if value})

    def span(self, zone: ZoneInfo, now: datetime) -> tuple[datetime, datetime]:
        """From when until before when."""
        today = now.astimezone(zone).date()
        match self.period:
            case "hora":
                return now - timedelta(hours=1), now
            case "ontem":
                return midnight(today - timedelta(days=1), zone), midnight(today, zone)
            case "7d" | "30d":
                return midnight(today - timedelta(days=int(self.period[:-1]) - 1), zone), now
            case "datas":
                assert self.since_day is not None and self.until_day is not None
                return midnight(self.since_day, zone), midnight(self.until_day + timedelta(days=1), zone)
        return midnight(today, zone), now

    def which(self, account_id: int, zone: ZoneInfo, now: datetime, connections: Mapping[str, int]) -> Which:
        """connections: ids by name."""
        since, until = self.span(zone, now)
        which = Which(
            account_id,
            since,
            until,
            states=STATES.get(self.state, ()),
            # An unknown name fits nothing, rather than everything.
            smsc_id=connections.get(self.connection, 0) if self.connection else None,
            message_class=CLASSES.get(self.message_class),
            token_id=0 if self.token == FROM_PANEL else message_id(self.token),
            sent_before=now - _WITHOUT_RECEIPT if self.state == "sem-dlr" else None,
        )
        if _OF_CAMPAIGN.fullmatch(self.q):
            return which._replace(ref_prefix=self.q)
        wanted = country.normalise(self.q, None) if self.q else None
        return which._replace(number=wanted) if wanted else which._replace(text=self.q)


def of_query(query: str) -> Filters:
    """query: as it stands in an address."""
    return Filters.of(dict(parse_qsl(query[:_MOST_OCTETS])))


def of_one(which: Which, **found: object) -> Which:
    """Of one message that was named: whenever it was accepted, and whatever else is chosen."""
    return Which(which.account_id, _FIRST, which.until + timedelta(days=1), **found)  # type: ignore[arg-type]


def message_id(text: str) -> int | None:
    """Our id, where this can be one."""
    fits = text.isascii() and text.isdigit() and int(text[:20]) <= _HIGHEST_ID
    return int(text) if fits and len(text) < 20 else None


def day_of(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if 2000 < day.year < 2200 else None


def midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
