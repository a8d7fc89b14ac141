"""What comes live: one stream of server-sent events for each tab that is looked at (app.js closes it when it is hidden).

A page that wants to hear of something asks for its fragment again: `hx-trigger="sse:messages from:body"`. The kinds:

    messages   a new one, or one of the newest is in another state
    callbacks  one was made for these, or waits, or has given up
    replies    somebody wrote, or was answered
    unread     how many conversations have something new: the badge beside *Caixa de entrada*
    campaigns  one has moved
    balance    thousandths of a real
    notices    there is something else to look at: the bell
    handset    of a demonstration: a bubble, or a callback that its receiver got

Nothing is told by whoever changes something: that would cost every message. Instead each process asks the database once a
second for each account that has a stream open in it, in one statement.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
import structlog
from litestar.response import Stream

from pombo.errors import Unavailable
from pombo.panel.doors import Handset
from pombo.panel.page import HEADERS, Asked, Page, Person, doors_of, person_of, show
from pombo.store import live, users
from pombo.store.database import Database

log = structlog.get_logger()

_GLANCE_S: Final = 1.0
_HEARTBEAT_S: Final = 15.0  # finds out that nobody listens, and whether the session is over
_MOST_STREAMS: Final = 200  # of an account in a process: the next one is told to come back later
_MOST_OF_PERSON: Final = 40  # of them
_COUNTED: Final = ("unread", "balance")  # whose value is shown; of the others only that they changed

News = dict[str, object]  # by kind; for kinds that are not counted, a value that differs when it changed


class _Watched:
    """An account that somebody looks at."""

    def __init__(self) -> None:
        self.streams: set[_Listener] = set()
        self.last: News = {}
        self.task: asyncio.Task[None] | None = None


class _Listener:
    def __init__(self, person_id: int) -> None:
        self.person_id = person_id
        self.news: News = {}
        self.woken = asyncio.Event()

    def tell(self, news: News) -> None:
        self.news |= news
        self.woken.set()

    async def next(self, timeout_s: float) -> News:
        """What is new since the last call; {} when nothing is for so long."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.woken.wait()
        except TimeoutError:
            return {}
        self.woken.clear()
        news, self.news = self.news, {}
        return news


class Live:
    """The streams of this process."""

    def __init__(self, db: Database, handset: Handset | None = None) -> None:
        self._db = db
        self._handset = handset
        self._watched: dict[int, _Watched] = {}
        self.closed = False

    def close(self) -> None:
        """Ends all streams: the server waits for answers that are under way."""
        self.closed = True
        for watched in self._watched.values():
            for listener in watched.streams:
                listener.woken.set()

    def has_room(self, account_id: int, person_id: int) -> bool:
        """For one more stream of this person."""
        watched = self._watched.get(account_id, _Watched())
        of_person = sum(listener.person_id == person_id for listener in watched.streams)
        return not self.closed and len(watched.streams) < _MOST_STREAMS and of_person < _MOST_OF_PERSON

    def listen(self, account_id: int, person_id: int) -> _Listener:
        """What is known already comes at once."""
        watched = self._watched.setdefault(account_id, _Watched())
        listener = _Listener(person_id)
        watched.streams.add(listener)
        if watched.last:
            listener.tell(watched.last)
        if watched.task is None or watched.task.done():  # a fault that is logged has ended it
            watched.task = asyncio.create_task(self._look(account_id, watched), name="live")
        return listener

    def watches(self, account_id: int) -> int:
        """How many streams the account has open here."""
        watched = self._watched.get(account_id)
        return len(watched.streams) if watched else 0

    def leave(self, account_id: int, listener: _Listener) -> None:
        watched = self._watched[account_id]
        watched.streams.discard(listener)
        if not watched.streams:
            if watched.task is not None:
                watched.task.cancel()
            del self._watched[account_id]

    async def _look(self, account_id: int, watched: _Watched) -> None:
        while not self.closed:
            try:
                row = await live.glance(self._db, account_id)
            except Unavailable as error:
                log.debug("live_glance_failed", error=str(error))
            else:
                now: News = dict(row.items())
                now["balance"] = now.pop("balance_milli")
                if self._handset is not None and self._handset.account_id == account_id:
                    now["handset"] = self._handset.version()
                news = {kind: value for kind, value in now.items() if watched.last.get(kind, ...) != value}
                watched.last = now
                if news:
                    for listener in watched.streams:
                        listener.tell(news)
            await asyncio.sleep(_GLANCE_S)


@show("/eventos")
async def events(request: Asked) -> Stream | Page:
    watching: Live = request.app.state.live
    person = person_of(request)
    if not watching.has_room(person.account.id, person.id):
        return Page(b"", status_code=503, headers={**HEADERS, "Retry-After": "60"})
    return Stream(
        stream(watching, doors_of(request).db, person),
        media_type="text/event-stream",
        headers={**HEADERS, "X-Accel-Buffering": "no"},
    )


async def stream(watching: Live, db: Database, person: Person) -> AsyncIterator[bytes]:
    """It listens from its first octet on, not before: whoever has left by then is not waited for. That the session is not
    over is asked again and again, also of one that always has news."""
    listener = watching.listen(person.account.id, person.id)
    asked_at = time.monotonic()
    try:
        yield b"retry: 3000\n\n"
        while not watching.closed:
            news = await listener.next(_HEARTBEAT_S)
            yield b"".join(_event(kind, value) for kind, value in news.items()) or b": ainda aqui\n\n"
            if not news or time.monotonic() - asked_at >= _HEARTBEAT_S:
                asked_at = time.monotonic()
                if not await _still_signed_in(db, person.session_id):
                    yield b"event: ended\ndata: {}\n\n"
                    return
    finally:
        watching.leave(person.account.id, listener)


def _event(kind: str, value: Any) -> bytes:
    """version: tells a page whether it knows this already."""
    data: dict[str, object] = {"version": str(value)}
    if kind in _COUNTED:
        data["value"] = value
    return f"event: {kind}\ndata: {msgspec.json.encode(data).decode()}\n\n".encode()


async def _still_signed_in(db: Database, session_id: int) -> bool:
    """A stream alone does not keep a session from ending. Without the database nobody is sent away."""
    try:
        return await users.is_open(db, session_id)
    except Unavailable:
        return True


handlers = (events,)
