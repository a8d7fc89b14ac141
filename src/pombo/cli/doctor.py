"""`doctor`: whether everything in the database agrees."""

from rich.console import Group
from rich.text import Text

from pombo.account.secret import Secrets
from pombo.cli.answer import Answer
from pombo.cli.options import EVERY, Every
from pombo.errors import PomboError
from pombo.store import doctor as store
from pombo.store.database import Database
from pombo.store.doctor import Fault


async def doctor(*, every: Every = EVERY) -> Answer:
    """Check the books, the states, the audit trail and the secret; changes nothing, and may be run at any time.

    Ends with 1 when something is wrong.
    """
    async with every.reached() as (db, secrets):
        faults = await store.examine(db)
        faults += await _unopened(db, secrets)
    looks = ["books", *store.LOOKS, "audit", "sealed"]
    facts = {"sound": not faults, "faults": [fault._asdict() for fault in faults], "looks": looks}
    if not faults:
        return Answer(facts, f"Sound: {len(looks)} looks, and everything agrees.")
    lines = [Text(f"! {_line(fault)}", style="bold red") for fault in faults]
    return Answer(facts, Group(*lines), failed=True)


async def _unopened(db: Database, secrets: Secrets) -> list[Fault]:
    found = []
    for what, octets in await store.sealed(db):
        try:
            secrets.unseal(octets)
        except PomboError:
            found.append(Fault("sealed", f"The platform's secret does not open {what}.", 1, []))
    return found


def _line(fault: Fault) -> str:
    if not fault.examples:
        return fault.sentence
    some = ", ".join(fault.examples) + (", …" if fault.found > len(fault.examples) else "")
    return f"{fault.found} {fault.sentence} ({fault.look}: {some})."
