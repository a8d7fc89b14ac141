"""Numbered migrations, applied in order under a lock, each in a transaction of its own."""

import hashlib
from functools import cache
from importlib import resources
from typing import NamedTuple

from pombo.errors import PomboError
from pombo.store.database import Database

_LOCK = 0x506F6D626F  # "Pombo"


class Migration(NamedTuple):
    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """Those of this version, in order."""
    folder = resources.files("pombo.store") / "migrations"
    found = []
    for file in folder.iterdir():
        number, _, name = file.name.removesuffix(".sql").partition("_")
        if file.name.endswith(".sql"):
            found.append(Migration(int(number), name, file.read_text(encoding="utf-8")))
    return sorted(found)


async def migrate(database: Database) -> list[str]:
    """Bring the schema up to this version; returns the names of what was applied.

    Raises PomboError when the database belongs to a newer version, or a migration was edited after it was applied.
    """
    applied_now = []
    async with database.transaction(f"begin; select pg_advisory_xact_lock({_LOCK})") as lock:
        await lock.execute(
            "create table if not exists migration (number integer primary key, name text not null,"
            " sha256 text not null, applied_at timestamptz not null default now())"
        )
        applied = {
            row["number"]: row for row in await lock.fetch("select number, name, sha256 from migration")
        }
        known = {migration.number: migration for migration in migrations()}
        if newer := set(applied) - set(known):
            raise PomboError(
                f"The database has migration {max(newer)}, which this version of Pombo does not know: "
                "it was used by a newer version. Start that version, or restore a backup from before."
            )
        for number, migration in known.items():
            if number in applied:
                if applied[number]["sha256"] != migration.sha256:
                    raise PomboError(
                        f"Migration {number:04} was changed after it had been applied to this database."
                    )
                continue
            await lock.execute(migration.sql)
            await lock.execute(
                "insert into migration (number, name, sha256) values ($1, $2, $3)",
                number,
                migration.name,
                migration.sha256,
            )
            applied_now.append(f"{number:04}_{migration.name}")
    return applied_now


async def missing(db: Database) -> list[str]:
    """Migrations of this version that the database does not have: after it was restored from an older backup, say.

    Those of a newer version do not count: while nodes are upgraded one after the other, the older ones go on.
    """
    applied = {row["number"] for row in await db.fetch("select number from migration")}
    return [
        f"{migration.number:04}_{migration.name}" for migration in _known() if migration.number not in applied
    ]


@cache
def _known() -> list[Migration]:
    return migrations()
