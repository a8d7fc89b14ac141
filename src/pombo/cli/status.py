"""`status`: what runs, what waits, what is stuck."""

from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from pombo.cli import money
from pombo.cli.answer import Answer, age, table
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
                str(line["held"]), age(line["oldest_due_at"]), str(line["parked_receipts"]),
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
            f"{callbacks['due']} due, oldest {age(callbacks['oldest_due_at'])}, {callbacks['parked']} parked\n",
            ("Replies    ", "bold"), f"{database['replies_without_owner']} without an owner\n",
        ),
        connections,
        "",
        balances,
    )  # fmt: skip
