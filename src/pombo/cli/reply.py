"""`reply list|assign`."""

from datetime import UTC, datetime
from typing import Annotated, Any

import asyncpg
from cyclopts import Parameter
from cyclopts.validators import Number
from rich.text import Text

from pombo.cli.answer import Answer, age, table
from pombo.cli.options import EVERY, Every, Flag
from pombo.errors import PomboError
from pombo.number import ERASED, masked
from pombo.store import accounts, outbox, owners


async def show(
    *,
    unowned: Annotated[bool, Flag, Parameter(help="Those that nobody owns yet.")] = False,
    account: Annotated[str | None, Parameter(help="Those of this account: name or id.")] = None,
    since: Annotated[
        datetime | None,
        Parameter(help="Those received from then on: 2026-11-22, or 2026-11-22T10:00:00; in UTC."),
    ] = None,
    limit: Annotated[
        int, Parameter(help="So many of them, the newest first.", validator=Number(gte=1, lte=10_000))
    ] = 50,
    text: Annotated[bool, Flag, Parameter(help="Show their texts.")] = False,
    number: Annotated[bool, Flag, Parameter(help="Show whole numbers.")] = False,
    every: Every = EVERY,
) -> Answer:
    """The newest replies, and whose they are."""
    if unowned and account is not None:
        raise PomboError("A reply that nobody owns is no account's: say --unowned or --account, not both.")
    if since is not None and since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    async with every.reached() as (db, _):
        account_id = None if account is None else (await accounts.account(db, account))["id"]
        found = await owners.replies(db, unowned=unowned, account_id=account_id, since=since, limit=limit)
        without_owner = await owners.count_unowned(db)
    facts = [_facts(row, with_text=text, whole=number) for row in found]
    shown = table(
        ">reply", ">received", "from", "to", "connection", "account", "answers", *(["text"] if text else []),
        rows=(
            (
                f["reply"], f"{age(f['received_at'])} ago", f["number"], f["destination"], f["smsc"] or "-",
                f["account_name"] or "nobody's", f["id"] or "-", *([_text(f)] if text else []),
            )
            for f in facts
        ),
        empty="Every reply has its owner." if unowned else "No replies.",
    )  # fmt: skip
    return Answer({"without_owner": without_owner, "replies": facts}, shown)


async def assign(
    *replies: Annotated[
        int, Parameter(help="Ids of replies that nobody owns.", validator=Number(gte=1, lt=2**63))
    ],
    account: Annotated[str, Parameter(help="Whose they are from now on: name or id.")],
    every: Every = EVERY,
) -> Answer:
    """Give replies that nobody owns to an account, which is offered them and called back as for new ones. All of them or
    none."""
    if not replies:
        raise PomboError("Say which: ids of replies, as `pombo reply list --unowned` shows them.")
    wanted = sorted(set(replies))
    async with every.changing("reply.assign") as (change, _):
        row = await accounts.account(change.db, account)
        got = await owners.assign(change.db, wanted, row["id"])
        if got != wanted:
            _refuse(set(wanted) - set(got), await owners.owned_by(change.db, wanted))
        await outbox.of_replies(change.db, None, got)
        change.record(f"account {row['id']}", after={"replies": got})
    facts = {"account": row["id"], "replies": [str(reply_id) for reply_id in got]}
    return Answer(facts, Text(f"{len(got)} reply(s) given to {row['name']}."))


def _refuse(left: set[int], there: list[asyncpg.Record]) -> None:
    owned = {row["id"]: row["account"] for row in there}
    first = min(left)
    if first not in owned:
        raise PomboError(f"There is no reply {first}. Nothing was changed.")
    raise PomboError(f"Reply {first} belongs to {owned[first]!r} already. Nothing was changed.")


def _facts(row: asyncpg.Record, *, with_text: bool, whole: bool) -> dict[str, Any]:
    source = row["source"]
    facts = {
        "reply": str(row["id"]),
        "received_at": row["received_at"],
        "number": source if whole and source else _masked(source),
        "destination": row["destination"],
        "smsc": row["smsc"],
        "account": row["account_id"],
        "account_name": row["account"],
        "id": row["client_ref"],
        "data_coding": row["data_coding"],
        "read_at": row["read_at"],
        "erased_at": row["erased_at"],
    }
    return {**facts, "text": None if row["erased_at"] else row["body"]} if with_text else facts


def _masked(source: str) -> str:
    """Of what is no number nothing is shown: who knows what it is. '' was erased."""
    if not source:
        return masked(ERASED)
    return masked(int(source)) if source.isascii() and source.isdigit() else "****"


def _text(facts: dict[str, Any]) -> str:
    return "(erased)" if facts["text"] is None else str(facts["text"])
