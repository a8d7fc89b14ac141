"""`callback list|show|replay`: what became of callbacks, and making them again."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import asyncpg
from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Group, RenderableType
from rich.text import Text

from pombo.callback.sign import webhook_id
from pombo.cli.actor import this_actor
from pombo.cli.answer import Answer, age, table, waiting
from pombo.cli.options import EVERY, Every
from pombo.cli.words import a_time
from pombo.errors import PomboError
from pombo.message import CallbackKind, CallbackState
from pombo.number import masked
from pombo.store import accounts
from pombo.store import deliveries as store
from pombo.store.audit import changing
from pombo.store.database import Database
from pombo.store.deliveries import Which

# What names a person in the URL of a callback, whatever form it has.
_PERSONAL = re.compile(r"\b(destino|numero|mensagem)=[^&]*")


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    account: Annotated[str | None, Parameter(help="Those of this account: name or id.")] = None
    kind: Annotated[
        Literal["dlr", "mo"] | None,
        Parameter(help="dlr: those of final states of messages. mo: those of replies."),
    ] = None
    since: Annotated[
        str | None, Parameter(help='Those written since then: "2026-11-24 10:00" (UTC), or with its offset.')
    ] = None
    until: Annotated[str | None, Parameter(help="Those written before then.")] = None

    async def which(
        self, db: Database, state: str | None = None, failed_since: datetime | None = None
    ) -> Which:
        """Raises PomboError for an account that there is not, and for what is no time."""
        return Which(
            account_id=None if self.account is None else (await accounts.account(db, self.account))["id"],
            kind=None if self.kind is None else CallbackKind[self.kind.upper()],
            state=None if state is None else CallbackState[state.upper()],
            since=a_time(self.since),
            until=a_time(self.until),
            failed_since=failed_since,
        )


ANY = Filter()
Id = Annotated[int, Parameter(help="Its id, as `pombo callback list` shows it.", validator=Number(gte=1))]


async def show_all(
    *,
    filter_: Filter = ANY,
    state: Annotated[
        Literal["due", "confirmed", "parked"] | None, Parameter(help="Those that stand so.")
    ] = None,
    limit: Annotated[
        int, Parameter(help="So many of them, the newest first.", validator=Number(gte=1, lte=10_000))
    ] = 20,
    number: Annotated[bool, Parameter(help="Show whole numbers.", negative=())] = False,
    every: Every = EVERY,
) -> Answer:
    """Callbacks, the newest first: what each is about, how it stands, and what came of its last attempt."""
    async with every.reached() as (db, _):
        rows = await store.listed(db, await filter_.which(db, state), limit)
    facts = [_facts(row, whole=number) for row in rows]
    shown = table(
        ">callback", "account", "kind", "about", "number", "state", ">attempts", ">written", "next", "last",
        rows=(
            (
                str(c["callback"]), c["account_name"], c["kind"], c["id"] or "-", c["number"] or "-", c["state"],
                str(c["attempts"]), f"{age(c['created_at'])} ago", _next(c), _last(c),
            )
            for c in facts
        ),
        empty="No callback fits.",
    )  # fmt: skip
    return Answer({"callbacks": facts}, shown)


async def show(
    callback: Id,
    /,
    *,
    full: Annotated[
        bool, Parameter(help="Show numbers, texts and answers as they went over the line.", negative=())
    ] = False,
    every: Every = EVERY,
) -> Answer:
    """One callback, with the request and the answer of each attempt."""
    async with every.reached() as (db, _):
        row = await _one(db, callback)
        made = await store.attempts(db, callback)
    facts = _facts(row, whole=full)
    facts["attempts_made"] = [_attempt(callback, attempt, full=full) for attempt in made]
    return Answer(facts, _shown(facts, registered=row["callable"]))


async def replay(
    callback: Id | None = None,
    /,
    *,
    filter_: Filter = ANY,
    state: Annotated[
        Literal["parked", "due"] | None,
        Parameter(help="parked (as if nothing is said): given up on. due: waiting for their next attempt."),
    ] = None,
    failed_since: Annotated[
        str | None,
        Parameter(
            help='Those that are not confirmed and failed since then, "2026-11-24 10:00" (UTC): parked or not.'
        ),
    ] = None,
    every: Every = EVERY,
) -> Answer:
    """Make callbacks again at once, with the whole schedule ahead. Only by its id is one that was confirmed made again."""
    filtered = filter_ != ANY or state is not None or failed_since is not None
    if (callback is None) is not filtered:
        raise PomboError(
            "Say which: the id of one, or --account, --kind, --since, --until, --state or --failed-since."
        )
    since = a_time(failed_since)
    async with every.reached() as (db, _):
        if callback is not None:
            count = await _replay_one(db, callback)
        else:
            which = await filter_.which(db, state or ("parked" if since is None else None), since)
            told = {**asdict(filter_), "state": state, "failed_since": failed_since}
            count = await _replay_all(db, which, told, silent=every.json)
    return Answer({"callbacks": count}, Text(f"{count} callback(s) are due now."))


async def _replay_one(db: Database, callback_id: int) -> int:
    row = await _one(db, callback_id)
    kind = CallbackKind(row["kind"]).name.lower()
    if not row["callable"]:
        raise PomboError(
            f"{row['account']} has no URL registered for {kind}: pombo callback set {row['account']} --kind {kind} --url URL"
        )
    async with changing(db, this_actor(), "callback.replay") as change:
        count = await store.replay(change.db, [callback_id])
        if not count:
            raise PomboError("It is being called right now. Look again in a minute.")
        change.record(f"callback {callback_id}", after={"callbacks": count})
    return count


async def _replay_all(db: Database, which: Which, told: Mapping[str, Any], *, silent: bool) -> int:
    """Page by page, with a bar for people; each with its record. told: what was asked for."""
    asked = {key: value for key, value in told.items() if value is not None}
    total = await store.count_replayable(db, which)
    done = 0
    with waiting("callbacks left", total, silent=silent) as progress:
        following: int | None = 0
        while following is not None:
            async with changing(db, this_actor(), "callback.replay") as change:
                count, following = await store.replay_page(change.db, which, following)
                change.record("callbacks", after={**asked, "callbacks": count}) if count else change.nothing()
            done += count
            progress(max(0, total - done))
    return done


async def _one(db: Database, callback_id: int) -> asyncpg.Record:
    row = await store.one(db, callback_id)
    if row is None:
        raise PomboError(f"There is no callback {callback_id}. `pombo callback list` shows those there are.")
    return row


def _facts(row: asyncpg.Record, *, whole: bool) -> dict[str, Any]:
    number = row["number"]
    if number is not None and not whole:
        number = masked(int(number)) if number.isdecimal() else "…"
    return {
        "callback": row["id"],
        "account": row["account_id"],
        "account_name": row["account"],
        "kind": CallbackKind(row["kind"]).name.lower(),
        "id": row["client_ref"],  # null: the message, or the reply, is no longer kept
        "message_id": _text(row["message_id"]),
        "mo_id": _text(row["mo_id"]),
        "number": number,
        "state": CallbackState(row["state"]).name.lower(),
        "calling": row["calling"],
        "attempts": row["attempts"],
        "created_at": row["created_at"],
        "due_at": row["due_at"] if row["state"] == CallbackState.DUE else None,
        "parked_at": row["due_at"] if row["state"] == CallbackState.PARKED else None,
        "last_status": row["last_status"],
        "last_error": row["last_error"],
    }


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


def _attempt(callback_id: int, row: asyncpg.Record, *, full: bool) -> dict[str, Any]:
    fact = {
        "at": row["at"],
        "url": row["url"] if full else _PERSONAL.sub(r"\1=…", row["url"]),  # '': erased
        "webhook_id": webhook_id(callback_id),
        "webhook_timestamp": int(row["at"].timestamp()),
        "webhook_signature": row["signature"],
        "address": row["address"] or None,
        "status": row["status"],
        "error": row["error"],
        "duration_ms": row["duration_ms"],
        "answer_octets_kept": len(row["answer"]),
    }
    if full:
        fact["answer"] = row["answer"].decode("utf-8", "replace")
    return fact


def _next(fact: dict[str, Any]) -> str:
    if fact["calling"]:
        return "now"
    if fact["due_at"] is None:
        return "-"
    ahead = fact["due_at"] - datetime.now(UTC)
    return f"in {age(datetime.now(UTC) - ahead)}" if ahead > timedelta() else "now"


def _last(fact: dict[str, Any]) -> str:
    return f"HTTP {fact['last_status']}" if fact["last_status"] else fact["last_error"] or "-"


def _shown(facts: dict[str, Any], *, registered: bool) -> RenderableType:
    about = f"of message {facts['id']}" if facts["kind"] == "dlr" else f"of reply {facts['mo_id']}"
    standing = {
        "due": f"next attempt {_next(facts)}",
        "confirmed": "the receiver confirmed it",
        "parked": f"given up on {age(facts['parked_at'])} ago; `pombo callback replay {facts['callback']}` makes it again",
    }[facts["state"]]
    head = Text.assemble(
        (f"Callback {facts['callback']}", "bold"), f", {facts['kind'].upper()} {about}, for {facts['account_name']}\n",
        (facts["state"], "bold"), f": {standing}",
    )  # fmt: skip
    if not registered:
        head.append("\nNo URL is registered for it any more.", style="yellow")
    return Group(head, *(_attempt_shown(attempt) for attempt in facts["attempts_made"]))


def _attempt_shown(fact: dict[str, Any]) -> Text:
    outcome = f"HTTP {fact['status']}" if fact["status"] else fact["error"]
    at = fact["at"].astimezone(UTC).isoformat(" ", "milliseconds")[:23]
    where = f" at {fact['address']}" if fact["address"] else ""
    text = Text.assemble(
        ("\n" + at, "dim"), " UTC  ", (outcome, "bold"), f"{where}, {fact['duration_ms']} ms"
    )
    for line in _request(fact):
        text.append(f"\n  > {line}")
    for line in fact.get("answer", "").splitlines():
        text.append("\n  < " + "".join(char if char.isprintable() else "·" for char in line))
    if "answer" not in fact and fact["answer_octets_kept"]:
        text.append(f"\n  < {fact['answer_octets_kept']} octets kept; --full shows them", style="dim")
    return text


def _request(fact: dict[str, Any]) -> Iterator[str]:
    if not fact["url"]:
        yield "erased with the message's text"
        return
    yield f"GET {fact['url']}"
    for name in ("webhook_id", "webhook_timestamp", "webhook_signature"):
        yield f"{name.replace('_', '-')}: {fact[name]}"
