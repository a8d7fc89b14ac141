"""The routing table of this moment, and what waits for a connection that is down for too long."""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable

import structlog

from pombo.route.availability import Unavailable, unavailable
from pombo.route.operators import OperatorsFile, operators_of
from pombo.route.routes import Route, Routes
from pombo.store import routes as rows
from pombo.store.database import Database

log = structlog.get_logger()

_PAGE = 500
_AWAY_S = 25.0  # the table is read every 10 s while the database is there
_PASS_S = 30.0  # what comes back to a connection that stays down is looked for so often


async def at_this_moment(db: Database, operators_file: str) -> tuple[Routes, dict[int, Unavailable]]:
    """The table, and which connections are passed over: for a command. Raises PomboError for a file that it needs and
    that cannot be read."""
    rules = [Route(*row) for row in await rows.routes(db)]
    found = unavailable(await rows.connections(db))
    asks = any(rule.operator for rule in rules)
    operators = operators_of(operators_file if asks else "")
    return Routes(rules, operator_of=operators.operator_of, unavailable=found), found


class Routing:
    """`routes` is the snapshot that messages are accepted with. `tick` or `look` every second, `reload` on every
    change, `refresh_operators` now and then."""

    def __init__(self, db: Database, operators: OperatorsFile, wake: Callable[[Iterable[int]], None]) -> None:
        """wake: told of connections that get messages of others."""
        self._db = db
        self._operators = operators
        self._wake = wake
        self._started_at = self._read_at = time.monotonic()
        self._rules: list[Route] = []
        self._connections: list[rows.Connection] = []
        self._unavailable: dict[int, Unavailable] = {}
        self._passed_at: dict[
            int, float
        ] = {}  # connections whose waiting messages were looked through, as things are
        self._reading = asyncio.Lock()
        self.routes = Routes()

    async def reload(self) -> None:
        async with self._reading:  # or what was read first might count last
            rules = [Route(*row) for row in await rows.routes(self._db)]
            self._connections = await rows.connections(self._db)
            now = time.monotonic()
            if (
                now > self._read_at + _AWAY_S
            ):  # leases ran out while nobody could renew them: that is no connection down
                self._started_at = now
            self._read_at = now
            self._follow(rules)

    async def refresh_operators(self) -> None:
        if await asyncio.to_thread(self._operators.refresh):
            self._follow(self._rules, anew=True)

    def _follow(self, rules: list[Route], *, anew: bool = False) -> None:
        """A new snapshot, where something has changed that counts."""
        now = time.monotonic()
        found = unavailable(self._connections, later_s=now - self._read_at, watched_s=now - self._started_at)
        if not anew and rules == self._rules and found == self._unavailable:
            return
        for smsc_id in found.keys() - self._unavailable.keys():
            log.warning("smsc_passed_over", smsc=self._name(smsc_id), reason=str(found[smsc_id]))
        for smsc_id in self._unavailable.keys() - found.keys():
            log.info("smsc_available", smsc=self._name(smsc_id))
        self._rules, self._unavailable = rules, found
        self._passed_at.clear()
        self.routes = Routes(rules, operator_of=self._operators.table.operator_of, unavailable=found)

    def _name(self, smsc_id: int) -> str:
        """Its number, once it is removed."""
        return next((c.name for c in self._connections if c.smsc_id == smsc_id), str(smsc_id))

    def elsewhere(
        self, number: int, account_id: int, message_class: int, tried: Collection[int]
    ) -> int | None:
        """Another connection that can carry a message now (Routes.elsewhere, by the snapshot of this moment)."""
        return self.routes.elsewhere(number, account_id, message_class, tried)

    async def look(self) -> None:
        """Patience ends by time alone: for a process that moves no messages, every second."""
        self._follow(self._rules)

    async def tick(self) -> None:
        """Patience ends by time alone. What waits for a connection that is down beyond it goes elsewhere, once; it does
        not come back by itself, so a connection that comes and goes moves nothing to and fro."""
        self._follow(self._rules)
        for smsc_id in self._down():
            if time.monotonic() - self._passed_at.get(smsc_id, -_PASS_S) >= _PASS_S:
                await self._move_from(smsc_id)

    def _down(self) -> list[int]:
        """Connections that are down beyond their patience, where a rule leads to one that is not."""
        if all(rule.smsc_id in self._unavailable for rule in self._rules):
            return []
        return [smsc_id for smsc_id, why in self._unavailable.items() if why.down_since]

    async def _move_from(self, smsc_id: int) -> None:
        moved, after = 0, rows.FIRST
        routes = self.routes
        while routes is self.routes:  # else it may be back
            page = await rows.waiting(self._db, smsc_id, after, _PAGE)
            moves = []
            for message in page:
                place = message.place
                to = message.free and self.elsewhere(
                    message.number, place.account_id, place.message_class, message.tried | {smsc_id}
                )
                if to:
                    moves.append((place.message_id, message.claims, to))
            if moves:
                moved += await rows.move(self._db, smsc_id, moves)
                self._wake({to for _, _, to in moves})
            if len(page) < _PAGE:
                self._passed_at[smsc_id] = time.monotonic()
                break
            after = page[-1].place
        if moved:
            log.warning("messages_moved", smsc=self._name(smsc_id), messages=moved)
