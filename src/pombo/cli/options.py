"""The options that every command takes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from pombo.config import Config, from_env

if TYPE_CHECKING:
    from pombo.account.secret import Secrets
    from pombo.app import Reached
    from pombo.store.audit import Change
    from pombo.store.database import Database

Flag = Parameter(negative=())  # there is no --no-… of it


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Every:
    data: Annotated[
        Path | None, Parameter(help="Data directory of the platform. Default: POMBO_DATA, or ./data.")
    ] = None
    json: Annotated[bool, Parameter(help="Print one JSON object instead, for programs.", negative=())] = False

    def config(self, **options: Any) -> Config:
        """options: settings by name; None leaves one as it is. Raises PomboError for one that cannot be read."""
        return from_env(data=self.data, **options)

    @asynccontextmanager
    async def reached(self, *, changes: bool = False) -> AsyncIterator["Reached"]:
        """The database, whether a node runs or not; for reading only.

        changes: for what cannot be one transaction (see `changing`), and sees to its records in the audit trail itself.
        """
        from pombo.app import reached  # all stages hang on it: not for --help

        async with reached(self.config(), changes=changes) as doors:
            await _note_access(doors.db)
            yield doors

    @asynccontextmanager
    async def changing(self, action: str) -> AsyncIterator[tuple["Change", "Secrets"]]:
        """What a command changes: one transaction, which has to say what it did (`Change.record`), or nothing is done.

        action: `smsc.set`, for the audit trail.
        """
        from pombo.cli.actor import this_actor
        from pombo.store.audit import changing

        async with self.reached() as (db, secrets), changing(db, this_actor(), action) as change:
            yield change, secrets


async def _note_access(db: "Database") -> None:
    """Whoever runs commands sees what customers must not see of each other."""
    from pombo.cli import actor, program
    from pombo.store import access

    async with db.transaction("begin read write") as tx:
        await access.note(tx, "command", actor.this_actor().name, program.running, actor.this_address())


EVERY = Every()
