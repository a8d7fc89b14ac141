"""`status`: what runs, what waits, what is stuck."""

from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from pombo.cli import money
from pombo.cli.answer import Answer, table
from pombo.cli.options import EVERY, Every
from pombo.store import accounts, explain


async def status(*, every: Every = EVERY) -> Answer:
    """What runs, what waits, what is stuck: the database, connections, queue, callbacks and balances."""
    async with every.reached() as (db, _):
        facts: dict[str, Any] = {
            "database": dict(await explain.database(db)),
            "smscs": [dict(row) for row in await explain.connections(db)],
            "callbacks": dict(await explain.callbacks_waiting(db)),
            "accounts": [
                {
                    "account": row["id"],
                    "name": row["name"],
                    "active": row["active"],
                    "balance_milli": row["balance_milli"],
                }
                for row in await accounts.accounts(db)
            ],
        }
    return Answer(facts, _shown(facts))


def _shown(facts: dict[str, Any]) -> RenderableType:
    database, callbacks = facts["database"], facts["callbacks"]
    connections = table(
        "connection", "state", ">waiting", ">writing", ">held", ">oldest due", ">parked receipts",
        rows=(
            (
                line["name"], "bound" if line["bound"] else "down", str(line["waiting"]), str(line["writing"]),
                str(line["held"]), _age(line["oldest_due_at"]), str(line["parked_receipts"]),
            )
            for line in facts["smscs"]
        ),
        empty="No connections.",
    )  # fmt: skip
    balances = table(
        "account", ">balance", "",
        rows=(
            (line["name"], money.show(line["balance_milli"]), "" if line["active"] else "suspended")
            for line in facts["accounts"]
        ),
        empty="No accounts.",
    )  # fmt: skip
    return Group(
        Text.assemble(
            ("Nodes      ", "bold"), f"{database['nodes']} running\n",
            ("Database   ", "bold"),
            f"PostgreSQL {database['version']}, {database['size_octets'] / 1e6:.1f} MB, {database['migrations'][-1]}\n",
            ("Callbacks  ", "bold"),
            f"{callbacks['due']} due, oldest {_age(callbacks['oldest_due_at'])}, {callbacks['parked']} parked\n",
            ("Replies    ", "bold"), f"{database['replies_without_owner']} without an owner\n",
        ),
        connections,
        "",
        balances,
    )  # fmt: skip


def _age(at: datetime | None) -> str:
    """`3 s`, `12 min`, `5 h`, `2 d`: how long ago; `-` where nothing is due."""
    if at is None:
        return "-"
    seconds = max(0, int((datetime.now(UTC) - at).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
