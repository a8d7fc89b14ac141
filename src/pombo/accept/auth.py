"""Which account a token belongs to."""

import time
from collections.abc import Iterable
from typing import TypeVar

from pombo.account.account import Account
from pombo.account.secret import Secrets
from pombo.store import accounts
from pombo.store.database import Database, in_time

_T = TypeVar("_T")

_MOST_KNOWN = 10_000
_MOST_UNKNOWN = 1_000  # apart from the known ones: who guesses tokens pushes none of those out
_MOST_CHARACTERS = 512
_QUERY_S = 5.0
_TTL_S = 10.0  # the net under NOTIFY, which calls `forget` at once


class Authenticator:
    """Looks tokens up by their HMAC; remembers answers for a short while, also that a token is unknown."""

    def __init__(self, db: Database, secrets: Secrets) -> None:
        self._db = db
        self._secrets = secrets
        self._known: dict[bytes, tuple[float, Account]] = {}
        self._unknown: dict[bytes, tuple[float, None]] = {}
        self._generation = 0

    async def account(self, token: str) -> Account | None:
        """None for an unknown or revoked token. Raises Unavailable when the database cannot be asked."""
        return (await self.accounts([token]))[token]

    async def accounts(self, tokens: Iterable[str]) -> dict[str, Account | None]:
        """As `account`, for all tokens of a request at once."""
        found: dict[str, Account | None] = {}
        asked: dict[bytes, str] = {}
        now = time.monotonic()
        for token in tokens:
            found[token] = None
            if token and len(token) <= _MOST_CHARACTERS:
                hmac = self._secrets.token_hmac(token)
                until, account = self._known.get(hmac) or self._unknown.get(hmac) or (now, None)
                if until > now:
                    found[token] = account
                else:
                    asked[hmac] = token
        if asked:
            answers = await self._ask(list(asked), now + _TTL_S)
            found.update((asked[hmac], account) for hmac, account in answers.items())
        return found

    async def _ask(self, hmacs: list[bytes], until: float) -> dict[bytes, Account]:
        generation = self._generation
        rows = await in_time(accounts.accounts_of_tokens(self._db, hmacs), _QUERY_S)
        answers = {bytes(row["hmac"]): Account.of(row) for row in rows}
        if generation == self._generation:  # else a change was announced while we asked
            for hmac in hmacs:
                self._known.pop(hmac, None)
                self._unknown.pop(hmac, None)
                if hmac in answers:
                    _remember(self._known, hmac, (until, answers[hmac]), _MOST_KNOWN)
                else:
                    _remember(self._unknown, hmac, (until, None), _MOST_UNKNOWN)
        return answers

    def forget(self) -> None:
        """Accounts or tokens have changed."""
        self._generation += 1
        self._known.clear()
        self._unknown.clear()


def _remember(cache: dict[bytes, _T], hmac: bytes, answer: _T, most: int) -> None:
    """The oldest one makes room."""
    if len(cache) >= most:
        del cache[next(iter(cache))]
    cache[hmac] = answer
