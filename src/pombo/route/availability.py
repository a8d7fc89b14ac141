"""Which connections new messages are not given to, and why."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from pombo.store.routes import Connection


class Unavailable(NamedTuple):
    """Why a connection is passed over while another one can carry the message."""

    wanted: str  # 'draining' or 'stopped'; 'started' where only its being down counts
    down_since: (
        datetime | None
    )  # of one that is down for longer than its patience; what waits for it may move

    def __str__(self) -> str:
        down = f"down since {self.down_since:%Y-%m-%d %H:%M:%S} UTC" if self.down_since else ""
        return " and ".join(filter(None, ("" if self.wanted == "started" else self.wanted, down)))


def unavailable(
    connections: Iterable[Connection], *, later_s: float = 0.0, watched_s: float = float("inf")
) -> dict[int, Unavailable]:
    """By the connection's id.

    later_s: since the connections were read. watched_s: since this node runs: what was down because nothing ran is
    given its patience from there, or every start would give its messages away.
    """
    found = {}
    for connection in connections:
        down_s = connection.down_s
        down = down_s is not None and min(down_s + later_s, watched_s) > connection.patience_s
        if down or connection.wanted != "started":
            found[connection.smsc_id] = Unavailable(
                connection.wanted, connection.down_since if down else None
            )
    return found
