"""`status`: what runs, what waits, what is stuck."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from pombo.cli import money
from pombo.cli.answer import Answer, age, table
from pombo.cli.options import EVERY, Every
from pombo.message import MessageClass
from pombo.store import accounts, backlog, explain, notices
from pombo.store.database import Db

_LATE_S = {"otp": 30, "transactional": 300, "marketing": 3600}  # as the alerts have it


async def status(*, every: Every = EVERY) -> Answer:
    """What runs, what waits, what is stuck: nodes, connections, queue, callbacks, replies and balances."""
    async with every.reached() as (db, _):
        owed = await backlog.owed(db)
        facts: dict[str, Any] = {
            "database": dict(await explain.database(db)),
            "nodes": [
                {"node": row["number"], "roles": row["roles"]} for row in await explain.running_nodes(db)
            ],
            "smscs": await _connections(db),
            "callbacks": {
                "due": owed.callbacks_due,
                "parked": owed.callbacks_parked,
                "oldest_due_at": owed.callback_oldest_due_at,
            },
            "replies_without_owner": owed.replies_without_owner,
            "accounts": [
                {
                    "account": row["id"],
                    "name": row["name"],
                    "active": row["active"],
                    "balance_milli": row["balance_milli"],
                }
                for row in await accounts.accounts(db)
            ],
            "notices": [notice._asdict() for notice in await notices.open_notices(db)],
        }
    facts["attention"] = list(_attention(facts))
    return Answer(facts, _shown(facts))


async def _connections(db: Db) -> list[dict[str, Any]]:
    waiting: dict[str, dict[str, backlog.Waiting]] = {}
    for row in await backlog.waiting(db):
        waiting.setdefault(row.smsc, {})[MessageClass(row.message_class).name.lower()] = row
    unsettled = {row.smsc: row for row in await backlog.unsettled(db)}
    return [
        {
            **connection,
            "waiting": {name: of_class.messages for name, of_class in waiting[connection["name"]].items()},
            "oldest_due_s": {
                name: round(of_class.oldest_due_s, 1)
                for name, of_class in waiting[connection["name"]].items()
            },
            "writing": unsettled[connection["name"]].writing,
            "held": unsettled[connection["name"]].held,
            "parked_receipts": unsettled[connection["name"]].parked_receipts,
        }
        for connection in map(dict, await explain.connections(db))
        if connection["name"] in waiting and connection["name"] in unsettled  # not added just now
    ]


def _attention(facts: dict[str, Any]) -> Iterator[str]:
    """What somebody should look at, the worst first."""
    if not facts["nodes"]:
        yield "No node runs: nothing is sent, and nothing comes back. Start one with `pombo serve`."
    for line in facts["smscs"]:
        name = line["name"]
        if line["wanted"] != "stopped" and not line["bound"]:
            yield f"{name} is down: the log says why (smsc_unreachable, bind_refused)."
        elif line["wanted"] != "stopped" and line["bound"] < line["binds"]:
            yield f"{name} has {line['bound']} of {line['binds']} binds."
        for of_class, late_s in _LATE_S.items():
            if line["oldest_due_s"][of_class] > late_s:
                since = age(datetime.now(UTC) - timedelta(seconds=line["oldest_due_s"][of_class]))
                yield f"{name}: the oldest {of_class} message has waited {since}."
        if line["held"]:
            yield f"{name}: {line['held']} messages are held for a receipt or a person: `pombo queue list`."
    if facts["callbacks"]["parked"]:
        yield f"{facts['callbacks']['parked']} callbacks were given up on: `pombo callback list`."
    for notice in facts["notices"]:
        if notice["kind"] == "prefix_limit":
            yield f"{notice['account']} has too many messages to numbers in a row: `pombo account show` says which."
        else:
            yield f"{notice['account']} may spend {money.show(notice['available_milli'])} only: `pombo account recharge`."
    if facts["replies_without_owner"]:
        yield f"{facts['replies_without_owner']} replies belong to no account."


def _shown(facts: dict[str, Any]) -> RenderableType:
    database, callbacks = facts["database"], facts["callbacks"]
    connections = table(
        "connection", "state", "node", ">otp", ">transactional", ">marketing", ">oldest due", ">writing", ">held",
        ">unanswered", ">parked receipts",
        rows=(
            (
                line["name"], _state(line), "-" if line["node"] is None else str(line["node"]),
                *(str(count) for count in line["waiting"].values()), _oldest(line), str(line["writing"]),
                str(line["held"]), str(line["unanswered"]), str(line["parked_receipts"]),
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
    nodes = ", ".join(f"{line['node']} ({' '.join(line['roles'])})" for line in facts["nodes"]) or "none runs"
    return Group(
        *(Text(f"! {sentence}", style="bold yellow") for sentence in facts["attention"]),
        Text.assemble(
            ("Nodes      ", "bold"), f"{nodes}\n",
            ("Database   ", "bold"),
            f"PostgreSQL {database['version']}, {database['size_octets'] / 1e6:.1f} MB, {database['migrations'][-1]}\n",
            ("Callbacks  ", "bold"),
            f"{callbacks['due']} due, oldest {age(callbacks['oldest_due_at'])}, {callbacks['parked']} given up on\n",
            ("Replies    ", "bold"), f"{facts['replies_without_owner']} without an owner\n",
        ),
        connections,
        "",
        balances,
    )  # fmt: skip


def _state(line: dict[str, Any]) -> str:
    if line["bound"]:
        word = {"started": "bound", "draining": "draining", "stopped": "stopping"}[line["wanted"]]
        return f"{word} {line['bound']}/{line['binds']}"
    if line["wanted"] == "stopped":
        return "stopped"
    return f"down for {age(line['down_since'])}" if line["down_since"] else "down"


def _oldest(line: dict[str, Any]) -> str:
    oldest_s = max(line["oldest_due_s"].values())
    return age(datetime.now(UTC) - timedelta(seconds=oldest_s)) if oldest_s else "-"
