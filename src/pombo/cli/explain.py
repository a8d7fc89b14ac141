"""`explain`: one message's whole life, from the stored facts."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, NamedTuple
from zoneinfo import ZoneInfo

import asyncpg
from cyclopts import Parameter
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pombo.cli import money
from pombo.cli.answer import Answer
from pombo.cli.options import EVERY, Every
from pombo.message import LEGACY_STATUS, AttemptState, CallbackKind, CallbackState, QueueState, State
from pombo.number import masked, pretty
from pombo.smpp.status import status_name
from pombo.store import accounts
from pombo.store import explain as life
from pombo.store.database import Database


async def explain(
    message: Annotated[
        str, Parameter(help="The customer's id of it, or our message id.", allow_leading_hyphen=True)
    ],
    /,
    *,
    account: Annotated[str | None, Parameter(help="Name or id, where several accounts used this id.")] = None,
    text: Annotated[
        bool, Parameter(help="Show the texts of the message and of replies.", negative=())
    ] = False,
    number: Annotated[bool, Parameter(help="Show the whole number.", negative=())] = False,
    every: Every = EVERY,
) -> Answer:
    """One message's whole life: accepted, routed, submitted part by part, receipts, callbacks, replies."""
    async with every.reached() as (db, _):
        account_id = None if account is None else (await accounts.account(db, account))["id"]
        row = await life.one_message(db, message, account_id)
        facts = await _facts(db, row, with_text=text, with_number=number)
    return Answer(facts, _shown(facts, ZoneInfo(row["time_zone"])))


async def _facts(db: Database, row: asyncpg.Record, *, with_text: bool, with_number: bool) -> dict[str, Any]:
    state = State(row["state"])
    told = await life.life(db, row)
    facts: dict[str, Any] = {
        "message_id": str(row["id"]),
        "id": row["client_ref"],
        "account": row["account_id"],
        "account_name": row["account_name"],
        "number": pretty(row["number"]) if with_number else masked(row["number"]),
        "parts": row["parts"],
        "alphabet": "ucs2" if row["ucs2"] else "default",
        "price_milli": row["price_milli"],
        "refunded_milli": row["refunded_milli"] or 0,
        "smsc": row["smsc"],
        "state": state.name.lower(),
        "status": LEGACY_STATUS[state],
        "error": row["error"],
        "accepted_at": row["accepted_at"],
        "scheduled_at": row["scheduled_at"],
        "sent_at": row["sent_at"],
        "final_at": row["final_at"],
        "erased_at": row["erased_at"],
        "queue": _queue(told.queue, row["scheduled_at"]),
        "attempts": [_attempt(attempt) for attempt in told.attempts],
        "parked_receipts": [
            {"smsc_message_id": receipt["raw_id"], "received_at": receipt["received_at"]}
            for receipt in told.parked_receipts
        ],
        "replies": [
            {"mo_id": str(reply["id"]), "received_at": reply["received_at"], "read_at": reply["read_at"]}
            for reply in told.replies
        ],
        "callbacks": [_callback(kind, callback) for kind, callback in told.callbacks],
    }
    if with_text:
        erased = row["erased_at"] is not None
        facts["text"] = None if erased else row["body"]
        facts["sent_text"] = None if erased else row["sent_body"] or row["body"]
        for shown, reply in zip(facts["replies"], told.replies, strict=True):
            shown["text"] = None if reply["erased_at"] else reply["body"]
    return facts


def _queue(row: asyncpg.Record | None, scheduled_at: datetime | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {
        "state": QueueState(row["state"]).name.lower(),
        "due_at": row["due_at"],
        "expires_at": row["expires_at"],
        "opens_at": row["opens_at"],
        "closes_at": row["closes_at"],
        "attempts": row["attempts"],
        "parts_taken": row["parts_taken"].bit_count(),
        "waits_for": ("schedule" if row["opens_at"] == scheduled_at else "window")
        if row["waits_to_open"]
        else None,
    }


def _attempt(row: asyncpg.Record) -> dict[str, Any]:
    return {
        "n": row["n"],
        "part": row["part"],
        "smsc": row["smsc"],
        "state": AttemptState(row["state"]).name.lower(),
        # Of a submit that was never answered the column holds 0, which would read as taken.
        "status": None if row["state"] == AttemptState.UNCERTAIN else status_name(row["status"]),
        "smsc_message_id": row["smsc_message_id"],
        "submitted_at": row["submitted_at"],
        "receipt_at": row["receipt_at"],
        "receipt_error": row["receipt_error"],
        "interim": row["interim"],
        "interim_at": row["interim_at"],
    }


def _callback(kind: CallbackKind, row: asyncpg.Record) -> dict[str, Any]:
    return {
        "callback": row["id"],
        "kind": kind.name.lower(),
        "state": CallbackState(row["state"]).name.lower(),
        "attempts": row["attempts"],
        "due_at": row["due_at"] if row["state"] == CallbackState.DUE else None,
        "last_status": row["last_status"],
        "last_error": row["last_error"],
        "created_at": row["created_at"],
    }


class _Event(NamedTuple):
    at: datetime
    what: str
    detail: str
    style: str = ""


def _shown(facts: dict[str, Any], zone: ZoneInfo) -> RenderableType:
    head = Text.assemble(
        (f"Message {facts['message_id']}", "bold"), f"  id {facts['id']}  of {facts['account_name']}\n",
        f"to {facts['number']}  over {facts['smsc']}  {facts['parts']} part(s)  {money.show_price(facts['price_milli'])}\n",
        f"refunded {money.show_price(facts['refunded_milli'])}\n" if facts["refunded_milli"] else "",
        (facts["state"], _STATE_STYLE.get(facts["state"], "yellow")), f"  (status {facts['status']}) {facts['error']}",
    )  # fmt: skip
    if facts["erased_at"]:
        at = facts["erased_at"].astimezone(zone).isoformat(" ", "seconds")[:19]
        head.append(f"\nits text was erased {at}", style="dim")
    elif "text" in facts:
        head.append(f"\n“{facts['text']}”", style="italic")
        if facts["sent_text"] != facts["text"]:
            head.append(f"\nsent as “{facts['sent_text']}”", style="italic")
    lines = Table.grid(padding=(0, 2))
    # Stable: what one commit wrote at one moment stays in the order of _events.
    for event in sorted(_events(facts), key=lambda event: event.at):
        at = event.at.astimezone(zone).isoformat(" ", "milliseconds")[:23]
        lines.add_row(Text(at, style="dim"), Text(event.what, style=event.style), Text(event.detail))
    if facts["queue"] is not None:
        queue = facts["queue"]
        lines.add_row(
            "", Text(f"in the queue: {queue['state']}", style="yellow"), Text(_standing(queue, zone))
        )
    return Group(head, "", lines, f"[dim]Times of {zone.key}.[/]")


_STATE_STYLE = {
    "delivered": "bold green",
    "undelivered": "bold red",
    "expired": "bold red",
    "rejected": "bold red",
}


def _standing(queue: dict[str, Any], zone: ZoneInfo) -> str:
    due = queue["due_at"].astimezone(zone).isoformat(" ", "seconds")[:19]
    why = {"schedule": "scheduled for", "window": "outside the marketing window until"}.get(
        queue["waits_for"], "due"
    )
    until = queue["expires_at"].astimezone(zone).isoformat(" ", "seconds")[:19]
    return f"{why} {due}, kept until {until}, {queue['attempts']} attempt(s), {queue['parts_taken']} part(s) taken"


def _events(facts: dict[str, Any]) -> Iterator[_Event]:
    yield _Event(facts["accepted_at"], "accepted", f"for {facts['smsc']}")
    if facts["scheduled_at"]:
        yield _Event(facts["scheduled_at"], "scheduled", "for this time")
    for attempt in facts["attempts"]:
        yield from _attempt_events(attempt)
    for receipt in facts["parked_receipts"]:
        yield _Event(
            receipt["received_at"],
            "receipt parked",
            f"speaks of {receipt['smsc_message_id']}, which may be this one",
            "yellow",
        )
    if facts["final_at"]:
        yield _Event(facts["final_at"], facts["state"], facts["error"], _STATE_STYLE.get(facts["state"], ""))
    for reply in facts["replies"]:
        yield _Event(reply["received_at"], "reply", reply.get("text") or f"mo_id {reply['mo_id']}", "cyan")
    for callback in facts["callbacks"]:
        yield _Event(
            callback["created_at"],
            f"{callback['kind'].upper()} callback {callback['callback']}",
            _called(callback),
        )


def _attempt_events(attempt: dict[str, Any]) -> Iterator[_Event]:
    outcome = {
        "uncertain": "never answered",
        "refused": f"refused: {attempt['status']}",
    }.get(attempt["state"], f"taken as {attempt['smsc_message_id']}")
    style = {"uncertain": "yellow", "refused": "red"}.get(attempt["state"], "")
    which = f"part {attempt['part']}, attempt {attempt['n']} over {attempt['smsc']}"
    yield _Event(attempt["submitted_at"], "submitted", f"{which}: {outcome}", style)
    if attempt["interim_at"]:
        yield _Event(attempt["interim_at"], "on its way", f"part {attempt['part']}: {attempt['interim']}")
    if attempt["receipt_at"]:
        said = f" ({attempt['receipt_error']})" if attempt["receipt_error"] else ""
        yield _Event(attempt["receipt_at"], "receipt", f"part {attempt['part']}: {attempt['state']}{said}")


def _called(callback: dict[str, Any]) -> str:
    last = f"HTTP {callback['last_status']}" if callback["last_status"] else callback["last_error"]
    tried = f"{callback['state']}, {callback['attempts']} attempt(s)"
    return f"{tried}, last: {last}" if last else tried
