"""Who used the API, gathered in memory and written in bulk: a crash loses the last ten seconds of it."""

from datetime import UTC, datetime

from pombo.account.token import Address, Scope, Token
from pombo.errors import Unavailable
from pombo.store import access
from pombo.store.access import Access
from pombo.store.database import Database, in_time

WRITE_S = 10.0  # `write` is called so often
_QUERY_S = 5.0
_MINUTE_S = 60
_MOST = 100_000  # kept while the database is away, whoever asks meanwhile

_Key = tuple[int, int, int, Scope, Address | None]  # minute since 1970, account, token, scope, address


class AccessLog:
    """Uses of tokens that were good."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._noted: dict[_Key, list[int]] = {}  # how many times, in a list of one: a key is dear to hash

    def note(self, token: Token, scope: Scope, address: Address | None, now_s: float) -> None:
        """now_s: wall clock, seconds since 1970."""
        key = (int(now_s) // _MINUTE_S, token.account.id, token.id, scope, address)
        times = self._noted.get(key)
        if times is None:
            self._noted[key] = [1]
        else:
            times[0] += 1

    async def write(self) -> None:
        """What was noted since this was called before. Raises Unavailable, and keeps it."""
        noted, self._noted = self._noted, {}
        accesses = [
            Access(
                datetime.fromtimestamp(minute * _MINUTE_S, UTC), "api", f"token {token_id}", str(scope),
                "" if address is None else str(address), account_id, times[0],
            )
            for (minute, account_id, token_id, scope, address), times in noted.items()
        ]  # fmt: skip
        try:
            if accesses:
                await in_time(access.add(self._db, accesses), _QUERY_S)
        except Unavailable:
            for key, times in noted.items():
                if key in self._noted:
                    self._noted[key][0] += times[0]
                elif len(self._noted) < _MOST:
                    self._noted[key] = times
            raise
