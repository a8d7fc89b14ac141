"""`route add|list`."""

from typing import Annotated

from cyclopts import Parameter
from rich.text import Text

from pombo.cli.answer import Answer, note, table
from pombo.cli.options import EVERY, Every
from pombo.number import DDDS
from pombo.store import explain, smscs


async def add(
    *,
    prefix: Annotated[
        str, Parameter(help="First digits with the country: 55, 5511, 5511987. Empty for all numbers.")
    ],
    smsc: Annotated[str, Parameter(help="Name of the connection.")],
    every: Every = EVERY,
) -> Answer:
    """Send numbers that begin with a prefix over a connection. The longest prefix that fits counts."""
    async with every.reached() as (db, _):
        route_id = await smscs.add_route(db, prefix, smsc)
    if not _fits_a_number(prefix):
        note(
            f"No mobile number begins with {prefix}: numbers carry their country, such as 5511 for São Paulo."
        )
    return Answer({"route": route_id}, Text(f"Route {route_id}: {prefix or 'all numbers'} over {smsc}."))


def _fits_a_number(prefix: str) -> bool:
    """Whether a mobile of Brazil may begin so, as E.164 digits."""
    return any(f"55{ddd}".startswith(prefix[:4]) for ddd in DDDS) and len(prefix) <= len("5511999999999")


async def show(*, every: Every = EVERY) -> Answer:
    """All routes. Of those that fit a number the longest prefix counts, then the one added first."""
    async with every.reached() as (db, _):
        rows = await explain.routes(db)
    facts = [{"route": row["id"], "prefix": row["prefix"], "smsc": row["smsc"]} for row in rows]
    shown = table(
        ">id", "prefix", "connection",
        rows=((str(row["id"]), row["prefix"] or "(all)", row["smsc"]) for row in rows),
        empty="No routes yet, so no message can be sent: pombo route add --prefix 55 --smsc NAME",
    )  # fmt: skip
    return Answer({"routes": facts}, shown)
