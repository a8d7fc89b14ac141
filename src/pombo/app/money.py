"""The prices of this moment, and what accounts need somebody for."""

import structlog

from pombo.account.prices import Price, Prices
from pombo.store import notices
from pombo.store import prices as rows
from pombo.store.database import Database

log = structlog.get_logger()


async def prices_now(db: Database) -> Prices:
    return Prices(
        Price(row.prefix, row.price_milli, row.account_id, row.message_class) for row in await rows.prices(db)
    )


class Money:
    """`prices` is the snapshot that messages are accepted with; `reload` on every change."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.prices = Prices()

    async def reload(self) -> None:
        self.prices = await prices_now(self._db)

    async def tell(self) -> None:
        """Log each notice once, on whichever node comes first."""
        for notice in await notices.untold(self._db):
            if notice.kind == "prefix_limit":
                log.warning(
                    "prefix_limit",
                    account=notice.account_id,
                    messages_per_prefix=notice.messages_per_prefix,
                    hint="`pombo account show` says which numbers",
                )
            else:
                log.warning(
                    "balance_low",
                    account=notice.account_id,
                    available_milli=notice.available_milli,
                    low_balance_milli=notice.low_balance_milli,
                )
