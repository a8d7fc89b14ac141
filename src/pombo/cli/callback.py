"""`callback set|endpoints|secret|remove`: where accounts are called."""

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Group
from rich.text import Text

from pombo.callback import endpoints
from pombo.callback.address import check_url, split_url
from pombo.callback.guard import literal_address, may_dial
from pombo.callback.sign import show_secret
from pombo.cli.answer import Answer, note, table
from pombo.cli.options import EVERY, Every
from pombo.errors import PomboError
from pombo.message import CallbackKind
from pombo.store import accounts, callbacks

Account = Annotated[str, Parameter(help="Name or id.")]
Kind = Annotated[Literal["dlr", "mo"], Parameter(help="dlr: final states of messages. mo: replies.")]

_ANYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))


async def register(
    account: Account,
    /,
    *,
    kind: Kind,
    url: Annotated[str, Parameter(help="Called with GET; the parameters are appended.")],
    literal: Annotated[
        bool,
        Parameter(help="Append /status=… without a question mark, as old receivers expect.", negative=()),
    ] = False,
    any_2xx: Annotated[
        bool, Parameter(name="--any-2xx", help="Take any 2xx for a confirmation, not only 200.", negative=())
    ] = False,
    every: Every = EVERY,
) -> Answer:
    """Register where an account is called, or change it. The signing secret stays the same over changes."""
    # Whether an internal address may be dialled is for the node to say: it may run with other settings than this
    # command, and checks the address at every call.
    url = check_url(url, _ANYWHERE)
    address = literal_address(split_url(url).host)
    allowed = every.config().callback_allow
    number = CallbackKind[kind.upper()]
    async with every.changing("callback.set") as (change, secrets):
        row = await accounts.account(change.db, account)
        kept = await endpoints.register(
            change, secrets, row["id"], number, url, _ANYWHERE, literal=literal, any_2xx=any_2xx
        )
    if address is not None and not may_dial(address, allowed):
        note(
            "This address is an internal one: it is called only by a node whose POMBO_CALLBACK_ALLOW covers it."
        )
    secret = show_secret(secrets.unseal(kept.secret_sealed))
    facts = {"account": row["id"], "kind": kind, "url": kept.url, "secret": secret}
    shown = Group(
        Text(f"{row['name']} is called for {kind.upper()} at {kept.url}"),
        Text(f"Signing secret: {secret}", style="bold"),
    )
    return Answer(facts, shown)


async def show(*, every: Every = EVERY) -> Answer:
    """Where accounts are called."""
    async with every.reached() as (db, _):
        names = {row["id"]: row["name"] for row in await accounts.accounts(db)}
        rows = sorted(await callbacks.endpoints(db))
    facts = [
        {
            "account": row.account_id,
            "name": names[row.account_id],
            "kind": CallbackKind(row.kind).name.lower(),
            "url": row.url,
            "literal": row.literal,
            "any_2xx": row.any_2xx,
        }
        for row in rows
    ]
    shown = table(
        "account", "kind", "url", "form", "confirmed by",
        rows=(
            (
                names[row.account_id], CallbackKind(row.kind).name, row.url, "literal" if row.literal else "query",
                "any 2xx" if row.any_2xx else "200",
            )
            for row in rows
        ),
        empty="Nobody is called yet: pombo callback set ACCOUNT --kind dlr --url URL",
    )  # fmt: skip
    return Answer({"endpoints": facts}, shown)


async def secret(
    account: Account,
    /,
    *,
    kind: Kind,
    rotate: Annotated[
        bool, Parameter(help="Make a new one; what is signed from now on needs it.", negative=())
    ] = False,
    every: Every = EVERY,
) -> Answer:
    """The secret that callbacks are signed with, for the receiver to check them by."""
    number = CallbackKind[kind.upper()]
    async with every.changing("callback.secret") as (change, secrets):
        row = await accounts.account(change.db, account)
        with _told_where(row["name"], number):
            text = await endpoints.secret(change, secrets, row["id"], number, rotate=rotate)
    facts = {"account": row["id"], "kind": kind, "secret": text, "rotated": rotate}
    return Answer(facts, Text(f"{'New signing' if rotate else 'Signing'} secret: {text}", style="bold"))


async def remove(account: Account, /, *, kind: Kind, every: Every = EVERY) -> Answer:
    """Call an account no more. What waits for it is parked; its secret is forgotten."""
    number = CallbackKind[kind.upper()]
    async with every.changing("callback.remove") as (change, _):
        row = await accounts.account(change.db, account)
        with _told_where(row["name"], number):
            await endpoints.remove(change, row["id"], number)
    return Answer(
        {"account": row["id"], "kind": kind}, Text(f"{row['name']} is called for {kind.upper()} no more.")
    )


@contextmanager
def _told_where(name: str, kind: CallbackKind) -> Iterator[None]:
    try:
        yield
    except endpoints.NotRegistered:
        raise PomboError(
            f"{name} has no URL registered for {kind.name.lower()}. See `pombo callback endpoints`."
        ) from None
