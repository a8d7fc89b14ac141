"""`link list|add|remove|guard`: where the links in an account's messages may lead."""

from typing import Annotated

from cyclopts import Parameter
from rich.text import Text

from pombo.cli.answer import Answer, table
from pombo.cli.options import EVERY, Every, Flag
from pombo.errors import PomboError
from pombo.store import accounts, allowed_hosts
from pombo.text.links import host_of

Whose = Annotated[str, Parameter(name="--account", help="Of this account: name or id.")]


async def show(
    *,
    account: Annotated[str | None, Parameter(help="Of this account: name or id.")] = None,
    every: Every = EVERY,
) -> Answer:
    """Whose messages are held when their links lead elsewhere, and where they may lead."""
    async with every.reached() as (db, _):
        account_id = None if account is None else (await accounts.account(db, account))["id"]
        found = await allowed_hosts.listed(db, account_id)
    facts = [
        {"account": r["account_id"], "name": r["account"], "guarded": r["guarded"], "hosts": r["hosts"]}
        for r in found
    ]
    shown = table(
        "account", "guarded", "hosts",
        rows=((f["name"], "yes" if f["guarded"] else "no", " ".join(f["hosts"]) or "-") for f in facts),
        empty="Nobody's links are looked at: pombo link guard --account ACCOUNT",
    )  # fmt: skip
    return Answer({"accounts": facts}, shown)


async def add(host: str, /, *, account: Whose, every: Every = EVERY) -> Answer:
    """Let an account's links lead to a host and to what lies below it."""
    wanted = _host(host)
    async with every.changing("link.add") as (doing, _):
        row = await accounts.account(doing.db, account)
        if await allowed_hosts.add(doing.db, row["id"], wanted):
            doing.record(f"account {row['id']}", after={"host": wanted})
        else:
            doing.nothing()
    shown = f"Links of {row['name']} may lead to {wanted}."
    if row["allowed_hosts"] is None:
        shown += " So they may anywhere: `pombo link guard` changes that."
    return Answer({"account": row["id"], "host": wanted}, Text(shown))


async def remove(host: str, /, *, account: Whose, every: Every = EVERY) -> Answer:
    """Let an account's links lead to a host no more. What was accepted before goes."""
    wanted = _host(host)
    async with every.changing("link.remove") as (doing, _):
        row = await accounts.account(doing.db, account)
        if not await allowed_hosts.remove(doing.db, row["id"], wanted):
            raise PomboError(f"{row['name']} has no host {wanted!r}. `pombo link list` shows what it has.")
        doing.record(f"account {row['id']}", before={"host": wanted})
    return Answer({"account": row["id"], "host": wanted, "removed": True}, Text(f"{wanted} is removed."))


async def guard(
    *,
    account: Whose,
    off: Annotated[bool, Flag, Parameter(help="Hold them no more.")] = False,
    every: Every = EVERY,
) -> Answer:
    """Hold an account's messages whose links lead to other hosts than those it may link to, until somebody releases or
    discards them."""
    async with every.changing("link.guard") as (doing, _):
        row = await accounts.account(doing.db, account)
        if (row["allowed_hosts"] is None) is off:
            doing.nothing()
        else:
            await allowed_hosts.guard(doing.db, row["id"], on=not off)
            doing.record(f"account {row['id']}", before={"guarded": off}, after={"guarded": not off})
    shown = "go as all others" if off else "are held: `pombo queue list --state held`"
    return Answer(
        {"account": row["id"], "guarded": not off},
        Text(f"Messages of {row['name']} with links to other hosts {shown}."),
    )


def _host(typed: str) -> str:
    host = host_of(typed)
    if host is None:
        raise PomboError("A host is a name such as loja.com.br.")
    return host
