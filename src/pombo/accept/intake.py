"""The intake: group commit of submissions.

One flush is under way; the next one takes all that has gathered meanwhile. There is no timer: under load flushes
grow by themselves, and without load a message is committed at once. A request is one unit, never split over commits.
"""

import asyncio
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import asyncpg
import structlog

from pombo import crash
from pombo.accept.allowance import Allowance, prefix_of
from pombo.accept.columns import columns_of
from pombo.accept.outage import Outage
from pombo.accept.submission import Submission
from pombo.errors import Limit, Refusal, Unavailable
from pombo.figures import Histogram
from pombo.store import blocks, limits
from pombo.store import intake as rows
from pombo.store.database import LOST, Connection, Database, Db, abandon
from pombo.store.ids import EPOCH_MS, Ids

log = structlog.get_logger()

_FEW_MESSAGES = 20  # not worth a second commit
_FLUSH_MESSAGES = 5000  # a flush takes whole requests until it holds this many


Settled = Callable[[Unavailable | None], None]


class _Request:
    __slots__ = ("settled", "submissions", "until")

    def __init__(self, submissions: list[Submission], settled: Settled, until: float) -> None:
        self.submissions = submissions
        self.settled: Settled | None = settled  # None: it was called
        self.until = until  # by the loop's clock


class IntakeFigures:
    """Since the process started."""

    def __init__(self) -> None:
        self.accepted = 0  # messages committed; a retry that is answered as before is not counted again
        self.commit_s = Histogram()  # of flushes that were committed
        self.waiting = 0  # messages that wait for a flush


class Intake:
    """Give `submit` a request's submissions; when it returns, each is stored or carries its refusal."""

    def __init__(
        self,
        db: Database,
        ids: Ids,
        *,
        stored: Callable[[set[int]], None],
        number_hmac: Callable[[int], bytes],
        limit_messages: int,
        commit_timeout_s: float,
    ) -> None:
        """stored: called after each commit with the connections (smsc ids) that got messages. number_hmac: as block
        lists have it."""
        self._db = db
        self._ids = ids
        self._stored = stored
        self._number_hmac = number_hmac
        self._listed: set[int] = (
            set()
        )  # who (EVERYBODY, too) has a block list; the others are taken to have none
        self._limit_messages = limit_messages
        self._outage = Outage()
        self._commit_timeout_s = commit_timeout_s
        self._waiting: list[_Request] = []
        self.figures = IntakeFigures()
        self._more = asyncio.Event()
        self._closing = False
        self._over = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._used_up: set[int] = set()  # whose credits or limits ended: the quick way would fail once more
        self._reference_offset = random.randrange(4096)  # noqa: S311 - not a secret; keeps two nodes apart
        self._reference = 0

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="intake")

    async def stop(self) -> None:
        """Commit what is waiting, then end."""
        self._closing = True
        self._more.set()
        if self._task is not None:
            await self._over.wait()

    async def submit(self, submissions: list[Submission]) -> None:
        """Raises Unavailable, and changes no submission, when the messages are not known to be stored.

        That takes twice the commit timeout at the most: one flush under way, and its own.
        """
        done = asyncio.get_running_loop().create_future()
        self._enter(submissions, partial(_set, done))
        await done

    async def take_in(self, submissions: list[Submission]) -> bool:
        """As `submit`, of those that may be accepted. False when some are not known to be stored: they carry UNAVAILABLE."""
        open_ones = [s for s in submissions if s.is_open]
        if open_ones:
            try:
                await self.submit(submissions)
            except Unavailable:
                for submission in open_ones:
                    submission.refuse(Refusal.UNAVAILABLE)
                return False
            crash.point("accept.before_answer")
        return True

    def hand_in(self, submission: Submission, told: Callable[[bool], None]) -> None:
        """As `take_in` of one, for who has no task to wait in: `told` is called with the answer, now or later."""

        def settled(error: Unavailable | None) -> None:
            if error is None:
                crash.point("accept.before_answer")
            else:
                submission.refuse(Refusal.UNAVAILABLE)
            told(error is None)

        if not submission.is_open:
            told(True)
            return
        try:
            self._enter([submission], settled)
        except Unavailable as error:
            settled(error)

    def _enter(self, submissions: list[Submission], settled: Settled) -> None:
        """settled: called once, with None or the error. Raises Unavailable, and calls nobody, where no more is taken."""
        if self._closing:
            raise Unavailable("stopping")
        if self._waiting and self.figures.waiting + len(submissions) > self._limit_messages:
            raise Unavailable("the intake is full")
        until = asyncio.get_running_loop().time() + self._commit_timeout_s
        self._waiting.append(_Request(submissions, settled, until))
        self.figures.waiting += len(submissions)
        self._more.set()

    async def _run(self) -> None:
        me = asyncio.current_task()
        try:
            while self._task is me and not (self._closing and not self._waiting):
                await self._more.wait()
                self._more.clear()
                await self._flush_waiting()
        finally:
            if self._task is me:  # else it was given up, and another one runs
                self._over.set()

    async def _flush_waiting(self) -> None:
        me = asyncio.current_task()
        flushed = 0  # messages by the last flush, whose senders may come again
        while self._waiting and self._task is me:
            requests = self._not_late(self._take(flushed))
            flushed = _messages(requests)
            if requests:
                await self._flush_in_time(requests)

    async def _flush_in_time(self, requests: list[_Request]) -> None:
        """Without a task of its own, which would begin after all else that is ready, such as fifty requests to read."""
        late = asyncio.get_running_loop().call_later(self._commit_timeout_s, self._give_up, requests)
        try:
            await self._flush(requests)
        finally:
            late.cancel()

    def _give_up(self, requests: list[_Request]) -> None:
        """The flush is left to itself: a server that is frozen does not even say that a statement is cancelled."""
        late = Unavailable(f"no answer within {self._commit_timeout_s:g} s")
        self._outage.refused(len(requests), late)
        assert self._task is not None
        abandon(self._task)
        self.start()
        self._more.set()  # which the one before may have seen
        _settle(requests, late)

    def _not_late(self, requests: list[_Request]) -> list[_Request]:
        """Those that have not waited too long already; while the database is away, flushes take their time."""
        now = asyncio.get_running_loop().time()
        late = [request for request in requests if request.until < now]
        if late:
            _settle(late, Unavailable("waited too long"))
        return [request for request in requests if request.until >= now] if late else requests

    def _take(self, flushed: int) -> list[_Request]:
        """Half of what is under way, if that is much: the others are read and judged while these are committed. All of
        them in one commit, and the database and this process would wait for each other."""
        most = min(_FLUSH_MESSAGES, max(_FEW_MESSAGES, (flushed + self.figures.waiting + 1) // 2))
        count = messages = 0
        for request in self._waiting:
            if count and messages + len(request.submissions) > most:
                break
            count += 1
            messages += len(request.submissions)
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        self.figures.waiting -= messages
        return taken

    async def _flush(self, requests: list[_Request]) -> None:
        begun = time.perf_counter()
        try:
            await self._store([s for request in requests for s in request.submissions])
        except (Unavailable, *LOST) as error:
            self._outage.refused(len(requests), error)
            _settle(requests, Unavailable("the commit was not confirmed"))
        except asyncpg.PostgresError as error:
            # A value that PostgreSQL will not have: it must harm its own request only.
            if len(requests) == 1:
                log.error(
                    "intake_refused_by_database",
                    sqlstate=error.sqlstate,
                    messages=len(requests[0].submissions),
                )
                _settle(requests, Unavailable("refused by the database"))
            else:
                half = len(requests) // 2
                await self._flush(requests[:half])
                await self._flush(requests[half:])
        except Exception as error:
            # Not foreseen, so a fault of ours: the requests are told the truth, and the intake goes on.
            log.exception("intake_failed", error=type(error).__name__)
            _settle(requests, Unavailable("fault in the intake"))
        else:
            self.figures.commit_s.add(time.perf_counter() - begun)
            self._outage.over()
            if self._waiting:  # the next flush begins first
                asyncio.get_running_loop().call_soon(_settle, requests, None)
            else:
                _settle(requests, None)

    async def _store(self, submissions: list[Submission]) -> None:
        await self._refuse_blocked(submissions)
        fresh = [s for s in submissions if s.refusal is None]
        perhaps_retries = [s for s in submissions if s.may_be_retry]
        if not (
            _apart(fresh, perhaps_retries)
            and self._used_up.isdisjoint(s.account.id for s in fresh if s.account)
        ):
            await self._store_carefully(submissions)
            return
        # Before the others are accepted: what fails then leaves these as they are.
        known = await _known_keys(self._db, perhaps_retries) if perhaps_retries else {}
        if fresh and not await self._store_at_once(fresh):
            await self._store_carefully(submissions)
            return
        for s in perhaps_retries:
            _answer_again(s, known)

    async def _store_at_once(self, fresh: list[Submission]) -> bool:
        """In one statement; False where that has to look closer."""
        new = self._rows(fresh, datetime.now(UTC))
        crash.point("accept.before_commit")
        try:
            if not await rows.accept(self._db, new, list(self._subjects(fresh) - self._listed)):
                return False
        except (asyncpg.UniqueViolationError, asyncpg.CheckViolationError):
            return False  # an id in use, too little credit, or too many to a prefix
        self._accepted(fresh, new)
        return True

    async def _store_carefully(self, submissions: list[Submission]) -> None:
        """The same under a lock on the accounts: who is a retry, whose id clashes, whose credits and limits end where."""
        self._listed |= await blocks.with_lists(self._db, list(self._subjects(submissions)))
        await self._refuse_blocked(submissions)
        judged = [s for s in submissions if s.refusal is None or s.may_be_retry]
        again: list[Submission] = []
        refused: dict[Submission, tuple[Refusal, Limit | None]] = {}
        async with self._db.transaction() as tx:
            allowance = await _allowance(tx, judged)
            for submission in judged:
                if submission.generated:  # the id made for it before may be what clashed
                    submission.client_ref = self._new_reference()
            known = await _known_keys(tx, judged)
            now = datetime.now(UTC)
            fresh = []
            for s in judged:
                assert s.account is not None
                while s.generated and (s.account.id, s.client_ref) in known:
                    s.client_ref = self._new_reference()
                if (s.account.id, s.client_ref) in known:
                    again.append(s)
                elif s.refusal is not None:
                    pass  # no retry of anything: the refusal stands
                elif (why := allowance.take(s)) is not None:
                    refused[s] = why
                else:
                    known[s.account.id, s.client_ref] = (s.content_hmac, now)
                    fresh.append(s)
            new = self._rows(fresh, now)
            if fresh:
                if not await rows.accept(tx, new):
                    raise RuntimeError("what an account may do changed under its lock")
                crash.point("accept.before_commit")
            if allowance.refused_prefixes:
                places = sorted(allowance.refused_prefixes)
                counts = [allowance.refused_prefixes[place] for place in places]
                await limits.refused_by_prefix(tx, [a for a, _ in places], [p for _, p in places], counts)
        for submission in again:
            _answer_again(submission, known)
        for submission, reason in refused.items():
            submission.refuse(*reason)
        self._used_up.difference_update(s.account.id for s in judged if s.account)
        self._used_up.update(
            s.account.id
            for s, (refusal, _) in refused.items()
            if s.account and refusal in (Refusal.CREDIT, Refusal.RATE)
        )
        self._accepted(fresh, new)

    def _subjects(self, submissions: list[Submission]) -> set[int]:
        """Whose block lists count for them."""
        return {blocks.EVERYBODY, *(s.account.id for s in submissions if s.account)}

    async def _refuse_blocked(self, submissions: list[Submission]) -> None:
        """By the lists as they are now, so that a block that was committed before the request counts. An account
        without a list is not asked about: the statement that accepts sees whether it still has none."""
        if not self._listed:
            return
        everybody = blocks.EVERYBODY in self._listed
        asked = [
            (s, s.account.id)
            for s in submissions
            if s.refusal is None and s.account and not s.ours and (everybody or s.account.id in self._listed)
        ]
        if asked:
            hmacs = [self._number_hmac(s.number) for s, _ in asked]
            for place in await blocks.blocked(self._db, [account_id for _, account_id in asked], hmacs):
                asked[place][0].refuse(Refusal.BLOCKED)

    def _accepted(self, submissions: list[Submission], new: rows.NewMessages) -> None:
        crash.point("accept.committed")
        self.figures.accepted += len(submissions)
        for submission in submissions:
            submission.accepted_at = new.accepted_at
        if submissions:
            self._stored(set(new.smsc_ids))

    def _rows(self, fresh: list[Submission], now: datetime) -> rows.NewMessages:
        self._name(fresh)
        return columns_of(fresh, self._ids.take(len(fresh), now.timestamp()), now)

    def _name(self, submissions: list[Submission]) -> None:
        for submission in submissions:
            if not submission.client_ref:
                submission.client_ref = self._new_reference()

    def _new_reference(self) -> str:
        """13 hex digits: 40 bits of milliseconds and a counter, so that they index well.

        Two nodes may hit upon the same one; the database then refuses it, and another one is made.
        """
        now = (int(time.time() * 1000) - EPOCH_MS & 0xFF_FFFF_FFFF) << 12
        self._reference = max(self._reference + 1, now + self._reference_offset)
        return f"{self._reference & 0xF_FFFF_FFFF_FFFF:013x}"


async def _allowance(tx: Connection, judged: list[Submission]) -> Allowance:
    left = await limits.lock(tx, sorted({s.account.id for s in judged if s.account}))
    places = sorted(
        {(s.account.id, prefix_of(s.number)) for s in judged if s.account and s.account.messages_per_prefix}
    )
    asked = [account_id for account_id, _ in places], [prefix for _, prefix in places]
    return Allowance(left, await limits.prefixes(tx, *asked) if places else {})


_Known = dict[
    tuple[int, str], tuple[bytes, datetime]
]  # hmac of the content and time, by account and client's id


async def _known_keys(db: Db, submissions: list[Submission]) -> _Known:
    pairs = sorted({(s.account.id, s.client_ref) for s in submissions if s.account})
    found = await rows.known_keys(db, [account for account, _ in pairs], [ref for _, ref in pairs])
    return {pair: (row["content_hmac"], row["accepted_at"]) for pair, row in found.items()}


def _answer_again(s: Submission, known: _Known) -> None:
    """As the first time, where its id was used before; that outranks whatever it is refused for."""
    first = known.get((s.account.id, s.client_ref)) if s.account else None
    if first is None:
        return
    if first[0] == s.content_hmac:
        s.refusal, s.limit, s.accepted_at = None, None, first[1]
    else:
        s.refuse(Refusal.ID_DUPLICATE)


def _apart(fresh: list[Submission], perhaps_retries: list[Submission]) -> bool:
    """No id stands twice among these, and none of them in those: one statement will do."""
    refs = [(s.account.id, s.client_ref) for s in fresh if s.account and not s.generated]
    distinct = set(refs)
    return len(refs) == len(distinct) and distinct.isdisjoint(
        (s.account.id, s.client_ref) for s in perhaps_retries if s.account
    )


def _messages(requests: list[_Request]) -> int:
    return sum(len(request.submissions) for request in requests)


def _settle(requests: list[_Request], error: Unavailable | None) -> None:
    for request in requests:
        settled, request.settled = request.settled, None
        try:
            if settled is not None:
                settled(error)
        except Exception as fault:  # of ours; the intake goes on
            log.exception("answer_failed", error=type(fault).__name__)


def _set(done: "asyncio.Future[None]", error: Unavailable | None) -> None:
    if done.done():  # its client has gone
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
