"""One message of a request, and the rules by which it is accepted or refused before the store is asked."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from pombo import country
from pombo.account.account import Account
from pombo.account.prices import Prices
from pombo.account.secret import Secrets
from pombo.errors import Limit, Refusal
from pombo.route.routes import Route, Routes
from pombo.text import links
from pombo.text.outgoing import MODES, Outgoing, prepare

_CLIENT_REF = re.compile(r"[\x21-\x7e]{1,64}")
_NO_MODE = "codificacao deve ser ascii, auto ou unicode"
_SCHEDULE = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d(?::\d\d)?)", re.ASCII)
_SCHEDULE_MOST_CHARACTERS = 19
_SCHEDULE_MOST = timedelta(days=366)
_SCHEDULE_LEAST = timedelta(
    hours=-24
)  # clocks that are wrong, and requests that were held up: it goes at once
_MOST_CHARACTERS_A_PART = 640  # 160 septets, times the most characters that may melt into one when accents go


class Submission:
    """One message of a request on its way into the store, and afterwards what became of it."""

    __slots__ = (
        "accepted_at",
        "account",
        "body",
        "client_ref",
        "content_hmac",
        "destination",
        "detail",
        "generated",
        "held_for",
        "limit",
        "number",
        "ours",
        "outgoing",
        "price_milli",
        "refusal",
        "route",
        "scheduled_at",
    )

    def __init__(
        self, account: Account | None, destination: str, client_ref: str, refusal: Refusal | None = None
    ) -> None:
        self.account = account
        self.destination = destination  # as the customer wrote it
        self.client_ref = client_ref  # "" until the intake makes one
        self.generated = not client_ref
        self.refusal = refusal
        self.detail = ""  # what is wrong with a malformed one
        self.limit: Limit | None = None  # that was reached, where it is refused by Refusal.RATE
        self.number = 0
        self.body = ""
        self.content_hmac = b""
        self.outgoing: Outgoing | None = None
        self.price_milli = 0  # of all parts
        self.route: Route | None = None
        self.held_for = ""  # why a person looks at it before it is sent; "": nobody does
        self.ours = False  # the platform's own word, which no block list and no limit stops
        self.scheduled_at: datetime | None = None  # as the customer asked
        self.accepted_at: datetime | None = None  # set once it is known to be stored

    @property
    def may_be_retry(self) -> bool:
        """Refused by a rule, yet the first answer counts if the same message was accepted before."""
        return self.refusal is not None and bool(self.content_hmac) and not self.generated

    @property
    def is_open(self) -> bool:
        """The store has the last word on it."""
        return self.refusal is None or self.may_be_retry

    def refuse(self, refusal: Refusal, limit: Limit | None = None) -> None:
        """An id that we made is none of the customer's: the answer to a refused message does not show it."""
        self.refusal, self.limit = refusal, limit
        if self.generated:
            self.client_ref = ""


def judge(
    account: Account | None,
    destination: str,
    text: str,
    client_ref: str | None,
    text_mode: str | None = "",
    schedule: str | None = "",
    *,
    routes: Routes,
    prices: Prices,
    secrets: Secrets,
    too_fast: bool = False,
) -> Submission:
    """A submission with its number, text, route and price; or with the refusal of the first rule it breaks.

    client_ref, text_mode, schedule (a local time): "" where the customer gave none, None where what was given cannot be
    one. too_fast: its request is one too many. A refused submission that may be a retry of an accepted one carries what
    the intake needs to find out.
    """
    submission = Submission(account, destination, client_ref or "")
    submission.refusal = _refusal_of_sender(account)
    if account is None or submission.refusal is not None:
        return submission
    if too_fast and not client_ref:  # it can be no retry
        submission.refuse(Refusal.RATE, Limit.REQUESTS_PER_S)
        return submission
    if client_ref is None or (client_ref and not _CLIENT_REF.fullmatch(client_ref)):
        submission.refusal = Refusal.ID
        return submission
    normalised = country.normalise(destination, account.countries)
    if normalised is None:
        submission.refusal = Refusal.DESTINATION
        return submission
    if not text or text.isspace():
        submission.refusal = Refusal.EMPTY
        return submission
    # What comes now may have been otherwise when the message was accepted: it may be a retry.
    submission.content_hmac = secrets.content_hmac(normalised, text)
    if too_fast:
        submission.refuse(Refusal.RATE, Limit.REQUESTS_PER_S)
        return submission
    if len(text) > account.max_parts * _MOST_CHARACTERS_A_PART:
        submission.refusal = Refusal.TOO_LONG
        return submission
    submission.number = normalised
    submission.body = text
    mode = account.text_mode if text_mode == "" else (text_mode or "").strip().lower()
    if mode not in MODES:
        submission.refusal, submission.detail = Refusal.MALFORMED, _NO_MODE
        return submission
    submission.outgoing = prepare(text, mode)
    submission.route = routes.choose(normalised, account.id, account.message_class)
    if submission.outgoing.parts > account.max_parts:
        submission.refusal = Refusal.TOO_LONG
    elif submission.route is None:
        submission.refusal = Refusal.NO_ROUTE
    elif schedule is None or schedule.strip():
        _schedule(submission, schedule, account.zone)
    part_milli = prices.of(account, normalised, account.message_class)
    submission.price_milli = part_milli * submission.outgoing.parts
    if account.allowed_hosts is not None and links.elsewhere(text, account.allowed_hosts):
        submission.held_for = "link"
    return submission


def _schedule(submission: Submission, given: str | None, zone: ZoneInfo) -> None:
    """A time that makes no sense is refused: a message must not go out at another one."""
    given = (given or "").strip()
    at = _scheduled_at(given, zone) if len(given) <= _SCHEDULE_MOST_CHARACTERS else None
    ahead = timedelta() if at is None else at - datetime.now(UTC)
    if at is None:
        detail = "agendar deve ser AAAA-MM-DD HH:MM:SS"
    elif ahead > _SCHEDULE_MOST:
        detail = "agendar deve ser dentro de 366 dias"
    elif ahead < _SCHEDULE_LEAST:
        detail = "agendar ja passou ha mais de 24 horas"
    else:
        submission.scheduled_at = at
        return
    submission.refusal, submission.detail = Refusal.MALFORMED, detail


@lru_cache(maxsize=256)
def _scheduled_at(text: str, zone: ZoneInfo) -> datetime | None:
    """None for what is no time. The messages of a campaign share theirs."""
    found = _SCHEDULE.fullmatch(text)
    if found is None:
        return None
    try:
        return datetime.fromisoformat(" ".join(found.groups())).replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def no_message(account: Account | None, detail: str) -> Submission:
    """Of what stands in a message's place and is none. detail: what is wrong with it."""
    submission = Submission(account, "", "", _refusal_of_sender(account) or Refusal.MALFORMED)
    submission.detail = detail
    return submission


def _refusal_of_sender(account: Account | None) -> Refusal | None:
    if account is None:
        return Refusal.TOKEN
    return None if account.active else Refusal.SUSPENDED
