"""`cancel`: messages that are not sent yet."""

from typing import Annotated

import asyncpg
from cyclopts import Parameter
from rich.text import Text

from pombo.cli.actor import this_actor
from pombo.cli.answer import Answer
from pombo.cli.options import EVERY, Every
from pombo.errors import PomboError
from pombo.message import FINAL, State
from pombo.store import accounts, explain, waiting
from pombo.store.audit import changing
from pombo.store.database import Database


async def cancel(
    message: Annotated[
        str, Parameter(help="The customer's id of it, or our message id.", allow_leading_hyphen=True)
    ],
    /,
    *messages: Annotated[str, Parameter(help="More of them.", allow_leading_hyphen=True)],
    account: Annotated[str | None, Parameter(help="Name or id of the account that they are of.")] = None,
    every: Every = EVERY,
) -> Answer:
    """Take messages back that are not sent yet, such as scheduled ones. Their accounts get the charge back, and are
    called back. What the operator has, or may have, cannot be taken back."""
    async with every.reached() as (db, _):
        account_id = None if account is None else (await accounts.account(db, account))["id"]
        # All of them are looked up before the first one is cancelled: a slip of the pen cancels nothing.
        found = [await explain.one_message(db, given, account_id) for given in (message, *messages)]
        which = waiting.Which(message_ids=[row["id"] for row in found])
        cancelled = 0
        following: int | None = 0
        while following is not None:
            async with changing(db, this_actor(), "message.cancel") as change:
                ids, following = await waiting.cancel(change.db, which, following)
                change.record("queue", after={"message_ids": ids}) if ids else change.nothing()
            cancelled += len(ids)
        stayed = [why for row in found if (why := await _why_not(db, row))]
    if stayed:
        raise PomboError(" ".join([f"{cancelled} message(s) cancelled.", *stayed]))
    return Answer({"cancelled": cancelled}, Text(f"{cancelled} message(s) cancelled."))


async def _why_not(db: Database, row: asyncpg.Record) -> str:
    """ "" for one that is cancelled, now or before."""
    state = State((await explain.one_message(db, str(row["id"]), row["account_id"]))["state"])
    if state is State.CANCELLED:
        return ""
    name = f"{row['client_ref']} cannot be cancelled:"
    if state in FINAL:
        return f"{name} it is {state.name.lower()}."
    if state is State.WAITING and await explain.queue_row(db, row["id"]) is not None:
        return f"{name} it is being written to the operator, or the operator may have it."
    return f"{name} the operator has it."
