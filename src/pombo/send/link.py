"""One operator connection: its binds, each a session after the other, with a pause where one failed."""

import asyncio
import contextlib
import random
import ssl

import structlog

from pombo.errors import PomboError, Unavailable
from pombo.send import tls
from pombo.send.bind import Bind
from pombo.send.doors import Doors
from pombo.send.flow import Flow, LinkFigures, Tally
from pombo.send.waiting import wait
from pombo.smpp import pdu
from pombo.smpp.status import Status
from pombo.store import links
from pombo.store.smscs import Smsc

log = structlog.get_logger()

_STOOD_S = 30.0
_SHORT_LIVED_MOST = 2  # an operator that binds and drops is asked again within 4 s at the latest
_CREDENTIALS = frozenset({Status.ESME_RINVPASWD, Status.ESME_RINVSYSID})
_NOTE_AGAIN_S = 10.0  # the net under what is noted when it changes
_MODES: dict[str, tuple[type[pdu.Bind], ...]] = {
    "transceiver": (pdu.BindTransceiver,),
    "pair": (pdu.BindTransmitter, pdu.BindReceiver),
}


class Link:
    """Owns one connection until `stop`. `wake` says that messages were queued for it."""

    def __init__(self, smsc: Smsc, doors: Doors, tally: Tally | None = None) -> None:
        lease = doors.lease(smsc.id)
        assert lease is not None
        self.lease = lease
        self._doors = doors
        self._incoming = doors.incoming(smsc)
        self._log = log.bind(smsc=smsc.name)
        self._loop = asyncio.get_running_loop()
        self._flow = Flow(smsc, lease, tally or Tally(), self._loop.time())
        self._stopping = asyncio.Event()
        self._abandoned = False
        self._binds: set[Bind] = set()
        self._standing: set[Bind] = set()
        self._standing_changed = asyncio.Event()
        self._some_stand = asyncio.Event()  # or we stop
        self._tasks: list[asyncio.Task[None]] = []
        self._noting: asyncio.Task[None] | None = None

    @property
    def smsc(self) -> Smsc:
        return self._flow.smsc

    def start(self) -> None:
        self._noting = asyncio.create_task(self._note_standing(), name=f"link {self.smsc.name} noting")
        for n in range(self.smsc.binds):
            for kind in _MODES[self.smsc.bind_mode]:
                name = f"link {self.smsc.name} {kind.command} {n + 1}"
                self._tasks.append(asyncio.create_task(self._run(kind, leads=n == 0), name=name))

    def follow(self, smsc: Smsc) -> None:
        """Settings that need no new session (flow.needs_new_sessions)."""
        self._flow.follow(smsc, self._loop.time())

    def wake(self) -> None:
        self._flow.turns.news()
        self._flow.work.set()

    def figures(self) -> LinkFigures:
        flow = self._flow
        windows = sum(flow.smsc.window_size for bind in self._standing if bind.submits)
        return LinkFigures(
            smsc_id=flow.smsc.id,
            name=flow.smsc.name,
            bound=len(self._standing),
            binds=len(self._tasks),
            in_flight=sum(len(session.in_flight) for session in flow.sessions),
            window=windows,
            rate_per_s=flow.pace.rate_per_s,
            submitted=flow.tally.submitted,
            throttled=flow.tally.throttled,
            unanswered=flow.tally.unanswered,
            refused=dict(flow.tally.refused),
        )

    async def stop(self) -> None:
        """Stop claiming, wait for responses, commit, unbind."""
        self._stopping.set()
        self._some_stand.set()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._noting is not None:
            self._noting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._noting
            if self._abandoned:
                return
            with contextlib.suppress(Unavailable):  # then its lease says that nobody serves it
                await links.note_bound(self._doors.db, self.smsc.id, 0, down=True)

    def abandon(self) -> None:
        """The lease is lost: another node binds now. No goodbyes; `stop` then closes the books."""
        self._abandoned = True
        self._stopping.set()
        self._some_stand.set()
        for bind in self._binds:
            bind.abandon()

    async def _run(self, kind: type[pdu.Bind], *, leads: bool) -> None:
        """leads: the others wait for one that stands: neither a host that is away nor wrong credentials are tried by
        all of them."""
        failures = 0
        while not self._stopping.is_set():
            if not leads:
                await self._some_stand.wait()
                if self._stopping.is_set():
                    return
            bind = Bind(kind, self._flow, self._doors, self._incoming, self._stopping, self._stands)
            self._binds.add(bind)
            refused = await self._serve(bind)
            self._binds.discard(bind)
            self._stands(bind, False)
            failures = _failures(failures, bind.bound_for_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_pause_s(failures, refused)):
                    await self._stopping.wait()

    async def _serve(self, bind: Bind) -> int | None:
        """One session to its end, whatever that is; the command_status of a refused bind."""
        smsc = self.smsc
        try:
            return await bind.serve()
        except ssl.SSLError as error:
            reason, hint = tls.fault(error, smsc)
            self._log.error("tls_failed", host=smsc.host, port=smsc.port, error=reason, hint=hint)
        except (OSError, TimeoutError) as error:
            reason = str(error) or "no answer in time"
            self._log.warning("smsc_unreachable", host=smsc.host, port=smsc.port, error=reason)
        except (Unavailable, PomboError) as error:
            self._log.error("link_interrupted", error=str(error))
        except Exception as error:  # a fault of ours: this connection tries again, the others go on
            self._log.exception("link_failed", error=type(error).__name__)
        return None

    def _stands(self, bind: Bind, stands: bool) -> None:
        """The operator took a bind, or it is gone."""
        if stands:
            self._standing.add(bind)
        else:
            self._standing.discard(bind)
        if self._standing or self._stopping.is_set():
            self._some_stand.set()
        else:
            self._some_stand.clear()
        self._standing_changed.set()

    async def _note_standing(self) -> None:
        while True:
            down = not any(bind.submits for bind in self._standing)
            if self._abandoned:  # its next owner says how it stands
                return
            try:
                await links.note_bound(self._doors.db, self.smsc.id, len(self._standing), down=down)
            except Exception as error:  # the next look writes it
                self._log.warning("standing_not_noted", error=type(error).__name__)
            await wait(self._standing_changed, _NOTE_AGAIN_S)


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
