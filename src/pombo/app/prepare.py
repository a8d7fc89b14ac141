"""What has to be true of the database before anything works with it."""

import structlog

from pombo.account import secret
from pombo.account.secret import Secrets
from pombo.config import Config
from pombo.errors import PomboError
from pombo.store import facts
from pombo.store.database import Database
from pombo.store.migrate import migrate

log = structlog.get_logger()


async def prepare(db: Database, config: Config) -> Secrets:
    """Migrate, and make sure that this is the secret the database was made with."""
    for name in await migrate(db):
        log.info("migrated", migration=name)
    secrets = secret.load(config.data, config.secret)
    if await facts.note_fact(db, "secret", secrets.fingerprint) != secrets.fingerprint:
        raise PomboError(
            "The secret is not the one this database was made with: tokens and passwords would not be recognised. "
            "Set POMBO_SECRET, or put the file `secret` of the first node into the data directory."
        )
    return secrets
