"""`queue list|retry|hold|release|discard`: messages that are not sent yet."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import asyncpg
from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Group
from rich.prompt import Confirm
from rich.text import Text

from pombo.cli.actor import this_actor
from pombo.cli.answer import Answer, age, at_terminal, table, waiting
from pombo.cli.options import EVERY, Every, Flag
from pombo.errors import PomboError
from pombo.message import MessageClass, QueueState, State
from pombo.number import masked
from pombo.store import accounts, explain, smscs
from pombo.store import waiting as store
from pombo.store.audit import changing
from pombo.store.database import Database
from pombo.store.waiting import Which

_Page = Callable[[Database, Which, int], Awaitable[tuple[int, int | None]]]
Messages = Annotated[
    str, Parameter(help="The customer's ids of them, or our message ids.", allow_leading_hyphen=True)
]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    smsc: Annotated[str | None, Parameter(help="Those for this connection: name or id.")] = None
    account: Annotated[str | None, Parameter(help="Those of this account: name or id.")] = None
    class_: Annotated[
        Literal["otp", "transactional", "marketing"] | None,
        Parameter(name="--class", help="Those of this class."),
    ] = None
    older_than_min: Annotated[
        float | None,
        Parameter(help="Those accepted more minutes ago than this.", validator=Number(gte=0, lte=525_600)),
    ] = None

    async def which(self, db: Database, given: Sequence[str] = (), state: QueueState | None = None) -> Which:
        """Raises PomboError for a connection, an account or a message that there is not."""
        account_id = None if self.account is None else (await accounts.account(db, self.account))["id"]
        ids = [(await explain.one_message(db, text, account_id))["id"] for text in given]
        return Which(
            message_ids=ids if given else None,
            smsc_id=None if self.smsc is None else (await smscs.named(db, self.smsc)).id,
            account_id=account_id,
            class_=None if self.class_ is None else MessageClass[self.class_.upper()],
            state=state,
            accepted_before=None
            if self.older_than_min is None
            else datetime.now(UTC) - timedelta(minutes=self.older_than_min),
        )


ANY = Filter()
All = Annotated[bool, Parameter(help="All there are.", negative=())]


async def show(
    *,
    filter_: Filter = ANY,
    state: Annotated[
        Literal["waiting", "writing", "held"] | None, Parameter(help="Those that stand so.")
    ] = None,
    limit: Annotated[
        int, Parameter(help="So many of them, the oldest first.", validator=Number(gte=0, lte=10_000))
    ] = 20,
    number: Annotated[bool, Parameter(help="Show whole numbers.", negative=())] = False,
    every: Every = EVERY,
) -> Answer:
    """What waits, is being written, or is held: how many of each, and the oldest of them."""
    async with every.reached() as (db, _):
        which = await filter_.which(db, state=None if state is None else QueueState[state.upper()])
        counts = [_count(row) for row in await store.counted(db, which)]
        messages = [_message(row, whole=number) for row in await store.listed(db, which, limit)]
    shown = Group(
        table(
            "connection", "class", "state", ">messages", ">oldest due",
            rows=((c["smsc"] or "-", c["class"], c["state"], str(c["messages"]), age(c["oldest_due_at"])) for c in counts),
            empty="Nothing is in the queue.",
        ),
        "",
        table(
            ">message", "id", "account", "number", "connection", "state", ">accepted", ">due", ">attempts", ">parts",
            rows=(
                (
                    m["message_id"], m["id"], m["account"], m["number"], m["smsc"] or "-",
                    _state(m), f"{age(m['accepted_at'])} ago", _due(m["due_at"]),
                    str(m["attempts"]), f"{m['parts_taken']}/{m['parts']}",
                )
                for m in messages
            ),
            empty="",
        ),
    )  # fmt: skip
    return Answer({"counts": counts, "messages": messages}, shown)


async def retry(
    *messages: Messages, filter_: Filter = ANY, all_: All = False, every: Every = EVERY
) -> Answer:
    """Try at once what waits for its next try, such as after an operator's temporary refusal."""
    return await _each("queue.retry", store.retry, "tried at once", messages, filter_, all_, every)


async def hold(*messages: Messages, filter_: Filter = ANY, all_: All = False, every: Every = EVERY) -> Answer:
    """Keep waiting messages from being sent until they are released. Their validity does not end meanwhile."""
    return await _each("queue.hold", store.hold, "held", messages, filter_, all_, every)


async def release(
    *messages: Messages, filter_: Filter = ANY, all_: All = False, every: Every = EVERY
) -> Answer:
    """Send held messages. Those whose fate is not known, under the policy `hold`, are sent once more: a handset may get
    them twice. Those whose validity is over end as expired."""
    return await _each("queue.release", store.release, "released", messages, filter_, all_, every)


async def discard(
    *messages: Messages,
    filter_: Filter = ANY,
    all_: All = False,
    yes: Annotated[bool, Flag, Parameter(help="Do not ask.")] = False,
    every: Every = EVERY,
) -> Answer:
    """End waiting and held messages without sending them. Their state is cancelled, or undelivered where the operator
    has some of their parts already; their accounts are called back. It cannot be undone."""
    return await _each(
        "queue.discard", store.discard, "discarded", messages, filter_, all_, every, ask=not yes
    )


async def _each(
    action: str,
    page: _Page,
    done_to: str,
    given: Sequence[str],
    filter_: Filter,
    all_: bool,
    every: Every,
    *,
    ask: bool = False,
) -> Answer:
    """Page by page, with a bar for people; each with its record."""
    if not (given or all_ or filter_ != ANY):
        raise PomboError(
            "Say which: ids of messages, --smsc, --account, --class, --older-than-min, or --all."
        )
    done, after_id = 0, 0
    async with every.reached() as (db, _):
        which = await filter_.which(db, given)
        asked = {key: value for key, value in asdict(filter_).items() if value is not None}
        if which.message_ids is not None:
            asked["message_ids"] = which.message_ids
        total = sum(row["messages"] for row in await store.counted(db, which))
        if ask and (every.json or not at_terminal()):
            raise PomboError(f"{total} message(s) in the queue fit. Discarding cannot be undone: add --yes.")
        if ask and total:
            question = f"{total} message(s) in the queue fit. They will not be sent, which cannot be undone. Discard them?"
            if not Confirm.ask(question, default=False):
                return Answer({"messages": 0}, Text("Nothing was done."))
        with waiting("messages left", total, silent=every.json) as progress:
            following: int | None = 0
            while following is not None:
                after_id = following
                async with changing(db, this_actor(), action) as change:
                    count, following = await page(change.db, which, after_id)
                    change.record("queue", after={**asked, "messages": count}) if count else change.nothing()
                done += count
                progress(total - done)
    return Answer({"messages": done}, Text(f"{done} message(s) {done_to}."))


def _count(row: asyncpg.Record) -> dict[str, Any]:
    return {
        "smsc": row["smsc"], "class": MessageClass(row["class"]).name.lower(),
        "state": QueueState(row["state"]).name.lower(), "messages": row["messages"], "oldest_due_at": row["oldest_due_at"],
    }  # fmt: skip


def _message(row: asyncpg.Record, *, whole: bool) -> dict[str, Any]:
    return {
        "message_id": str(row["message_id"]),
        "id": row["client_ref"],
        "account": row["account"],
        "number": str(row["number"]) if whole else masked(row["number"]),
        "smsc": row["smsc"],
        "class": MessageClass(row["class"]).name.lower(),
        "state": QueueState(row["state"]).name.lower(),
        "held_for": row["held_for"],
        "message_state": State(row["message"]).name.lower(),
        "accepted_at": row["accepted_at"],
        "due_at": row["due_at"],
        "expires_at": row["expires_at"],
        "attempts": row["attempts"],
        "parts": row["parts"],
        "parts_taken": row["parts_taken"].bit_count(),
    }


def _state(m: dict[str, Any]) -> str:
    return f"{m['state']} ({m['held_for']})" if m["held_for"] else str(m["state"])


def _due(at: datetime) -> str:
    """`3 min ago`, or `in 20 s`."""
    ahead = at - datetime.now(UTC)
    return f"in {age(datetime.now(UTC) - ahead)}" if ahead > timedelta() else f"{age(at)} ago"
