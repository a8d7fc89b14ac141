"""Which account a token belongs to, and whether it may be used so."""

import asyncio
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from pombo.accept.access import AccessLog
from pombo.accept.caller import Caller
from pombo.accept.guessing import Guessing
from pombo.account.account import Account
from pombo.account.secret import Secrets
from pombo.account.token import Scope, Token
from pombo.errors import Unavailable
from pombo.store import accounts, tokens
from pombo.store.database import Database, in_time

_T = TypeVar("_T")

_MOST_KNOWN = 10_000
_MOST_UNKNOWN = 1_000  # apart from the known ones: who guesses tokens pushes none of those out
_MOST_CHARACTERS = 512
_QUERY_S = 5.0
_NOBODY = (0.0, None)
_TTL_S = 10.0  # the net under NOTIFY, which calls `forget` at once


class _Round:
    """What one statement asks for."""

    def __init__(self) -> None:
        self.hmacs: dict[bytes, None] = {}  # in order
        self.answers: asyncio.Future[dict[bytes, Token]] = asyncio.get_running_loop().create_future()


class Authenticator:
    """Looks tokens up by their HMAC; remembers answers for a short while, also that a token is unknown.

    One statement is under way; the next one asks for all that was looked for meanwhile. So whoever sends unknown
    tokens, however many, keeps one connection to the database busy at the most.
    """

    def __init__(self, db: Database, secrets: Secrets) -> None:
        self._db = db
        self._secrets = secrets
        self._known: dict[bytes, tuple[float, Token]] = {}
        self._unknown: dict[bytes, tuple[float, None]] = {}
        self._generation = 0
        self._next: _Round | None = None
        self._asking: asyncio.Task[None] | None = None
        self._used: dict[int, float] = {}  # by token: when last, by the monotonic clock; not written yet
        self.guessing = Guessing()
        self.access_log = AccessLog(db)

    async def account(self, token: str, caller: Caller, scope: Scope) -> Account | None:
        """None for a token that is unknown, over, or not for this scope or address.

        Raises Unavailable when the database cannot be asked.
        """
        return (await self.accounts([token], caller, scope))[token]

    def at_once(self, token: str, caller: Caller, scope: Scope) -> Account | None:
        """As `account`, of a good token that is remembered; None for all others."""
        if len(token) > _MOST_CHARACTERS:
            return None
        now = time.monotonic()
        until, known = self._known.get(self._secrets.token_hmac(token)) or _NOBODY
        return self._use(known, caller, scope, now, time.time()) if known and until > now else None

    def _use(self, token: Token, caller: Caller, scope: Scope, now: float, today: float) -> Account | None:
        if not token.allows(scope, caller.address, today):
            return None
        self._used[token.id] = now
        self.access_log.note(token, scope, caller.address, today)
        return token.account

    async def accounts(self, given: Iterable[str], caller: Caller, scope: Scope) -> dict[str, Account | None]:
        """As `account`, for all tokens of a request at once."""
        found: dict[str, Token | None] = {}
        asked: dict[bytes, str] = {}
        now = time.monotonic()
        for token in given:
            found[token] = None
            if token and len(token) <= _MOST_CHARACTERS:
                hmac = self._secrets.token_hmac(token)
                until, known = self._known.get(hmac) or self._unknown.get(hmac) or (now, None)
                if until > now:
                    found[token] = known
                else:
                    asked[hmac] = token
        if asked:
            answers = await self._ask(asked.keys())
            found.update((token, answers.get(hmac)) for hmac, token in asked.items())
        return await self._allowed(found, caller, scope, now)

    async def _allowed(
        self, found: dict[str, Token | None], caller: Caller, scope: Scope, now: float
    ) -> dict[str, Account | None]:
        """A request without a single good token waits when too many before it were like that."""
        allowed: dict[str, Account | None] = {}
        refused = []
        today = time.time()
        for token, known in found.items():
            allowed[token] = known and self._use(known, caller, scope, now, today)
            if allowed[token] is None and token and len(token) <= _MOST_CHARACTERS:
                refused.append(token)
        if refused:
            await self.guessing.failed(caller, refused, wait=len(refused) == len(found))
        return allowed

    async def _ask(self, hmacs: Iterable[bytes]) -> dict[bytes, Token]:
        if self._next is None:
            self._next = _Round()
        this = self._next
        this.hmacs.update(dict.fromkeys(hmacs))
        if self._asking is None:
            self._asking = asyncio.create_task(self._rounds(), name="look tokens up")
        await asyncio.wait({this.answers})
        return this.answers.result()

    async def _rounds(self) -> None:
        while self._next is not None:
            this, self._next = self._next, None
            try:
                this.answers.set_result(await self._answers(list(this.hmacs)))
            except Exception as error:
                this.answers.set_exception(error)
        self._asking = None

    async def _answers(self, hmacs: list[bytes]) -> dict[bytes, Token]:
        generation = self._generation
        until = time.monotonic() + _TTL_S
        rows = await in_time(accounts.accounts_of_tokens(self._db, hmacs), _QUERY_S)
        answers = {bytes(row["hmac"]): Token.of(row) for row in rows}
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

    async def write_uses(self) -> None:
        """When tokens were used last, of all that were used since this was called before. Raises Unavailable."""
        used, self._used = self._used, {}
        began_at = datetime.now(UTC) - timedelta(seconds=time.monotonic())
        times = [began_at + timedelta(seconds=at) for at in used.values()]
        try:
            if used:
                await in_time(tokens.used(self._db, list(used), times), _QUERY_S)
        except Unavailable:
            self._used = {**used, **self._used}
            raise


def _remember(cache: dict[bytes, _T], hmac: bytes, answer: _T, most: int) -> None:
    """The oldest one makes room."""
    if len(cache) >= most:
        del cache[next(iter(cache))]
    cache[hmac] = answer
