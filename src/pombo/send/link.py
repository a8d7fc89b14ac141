"""One operator connection: a session after the other, with a pause where one failed."""

import asyncio
import contextlib
import random

import structlog

from pombo.errors import PomboError, Unavailable
from pombo.send.bind import Bind
from pombo.send.doors import Doors
from pombo.smpp.status import Status
from pombo.store.smscs import Smsc

log = structlog.get_logger()

_STOOD_S = 30.0
_SHORT_LIVED_MOST = 2  # an operator that binds and drops is asked again within 4 s at the latest
_CREDENTIALS = frozenset({Status.ESME_RINVPASWD, Status.ESME_RINVSYSID})


class Link:
    """Owns one connection until `stop`. `wake` says that messages were queued for it."""

    def __init__(self, smsc: Smsc, doors: Doors) -> None:
        self.smsc = smsc
        self._doors = doors
        self._incoming = doors.incoming(smsc)
        self._log = log.bind(smsc=smsc.name)
        self._work = asyncio.Event()
        self._stopping = asyncio.Event()
        self.bind: Bind | None = None  # the session that is being served, or was last
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"link {self.smsc.name}")

    def wake(self) -> None:
        self._work.set()

    async def stop(self) -> None:
        """Stop claiming, wait for responses, commit, unbind."""
        self._stopping.set()
        self._work.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            self.bind = bind = Bind(self.smsc, self._doors, self._incoming, self._work, self._stopping)
            try:
                refused = await bind.serve()
            except (OSError, TimeoutError) as error:
                reason = str(error) or "no answer in time"
                self._log.warning("smsc_unreachable", host=self.smsc.host, port=self.smsc.port, error=reason)
                refused = None
            except (Unavailable, PomboError) as error:
                self._log.error("link_interrupted", error=str(error))
                refused = None
            except Exception as error:  # a fault of ours: this connection tries again, the others go on
                self._log.exception("link_failed", error=type(error).__name__)
                refused = None
            failures = _failures(failures, bind.bound_for_s)
            pause_s = _pause_s(failures, refused)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stopping.wait()


def _failures(failures: int, bound_for_s: float | None) -> int:
    """After a session: one that stood for a while counts as a success, one that was just bound as half a failure."""
    if bound_for_s is None:
        return failures + 1
    return 0 if bound_for_s >= _STOOD_S else min(failures + 1, _SHORT_LIVED_MOST)


def _pause_s(failures: int, refused: int | None) -> float:
    """Full jitter, 1 to 60 s; a refused bind waits longer, one with wrong credentials longest."""
    if refused in _CREDENTIALS:
        return random.uniform(30, 60)  # noqa: S311 - not a secret
    if refused is not None:
        return random.uniform(5, min(60, 5 * 2 ** min(failures, 6)))  # noqa: S311
    return random.uniform(0, min(60, 2 ** min(failures, 6)))  # noqa: S311
