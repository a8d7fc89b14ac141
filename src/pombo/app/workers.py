"""API workers: processes that accept messages on the main process's port. Started, watched and stopped by it.

Each has a pipe from the main process as its stdin: when that closes, however the main process ended, the worker ends.
What is said over the pipes stands in app/pipe.py.
"""

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import PIPE, Process

import msgspec
import structlog

from pombo.app.metrics import Metrics
from pombo.app.pipe import LINE_OCTETS, Page, Told
from pombo.config import Config, to_env
from pombo.errors import PomboError

log = structlog.get_logger()

_START_S = 30.0
_STOP_S = 20.0  # answers under way get 10
_PAUSE_MOST_S = 30.0
_STOOD_S = 60.0  # one that stood for so long is started again at once


class Workers:
    """`start`, `stop`; `kill` when there is no time."""

    def __init__(self, config: Config, url: str, port: int, metrics: Metrics) -> None:
        """url: of the database. port: that the main process listens on, shared. metrics: of the main process."""
        others = {name: value for name, value in os.environ.items() if not name.startswith("POMBO_")}
        own = {"POMBO_DATABASE_URL": url, "POMBO_PORT": str(port), "POMBO_ROLES": "api"}
        self._environment = {**others, **to_env(config), **own, "POMBO_API_WORKERS": "0"}
        self._metrics = metrics
        self._count = config.api_workers
        self._listening: dict[int, asyncio.Task[None]] = {}
        self._processes: dict[int, Process] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Raises PomboError unless all of them come up."""
        try:
            async with asyncio.timeout(_START_S):
                up = await asyncio.gather(*(self._spawn(n) for n in range(1, self._count + 1)))
        except TimeoutError:
            up = [False]
        if not all(up):
            await self.stop()
            raise PomboError("An API worker did not start: its lines in the log say why.")
        self._tasks = [asyncio.create_task(self._keep(n), name=f"api worker {n}") for n in self._processes]

    async def stop(self) -> None:
        """Each finishes its answers under way; whoever takes too long is killed, which loses nothing accepted."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        left = [process for process in self._processes.values() if process.returncode is None]
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_S):
                await asyncio.gather(*(process.wait() for process in left))
        self.kill()
        await asyncio.gather(*self._listening.values(), return_exceptions=True)

    def kill(self) -> None:
        for n, process in self._processes.items():
            if process.returncode is None:
                log.warning("api_worker_killed", worker=n)
                with contextlib.suppress(ProcessLookupError):
                    process.kill()

    async def _spawn(self, n: int) -> bool:
        """True once it accepts, False when it ended before that."""
        process = self._processes[n] = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pombo.app.worker", str(n), stdin=PIPE, stdout=PIPE, env=self._environment,
            start_new_session=True,  # a Ctrl-C at the terminal is for the main process
            limit=LINE_OCTETS,
        )  # fmt: skip
        accepts = asyncio.Event()
        listening = self._listening[n] = asyncio.create_task(self._listen(n, process, accepts), name="listen")
        waiting = asyncio.create_task(accepts.wait())
        await asyncio.wait({waiting, listening}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        return accepts.is_set()

    async def _listen(self, n: int, process: Process, accepts: asyncio.Event) -> None:
        """Until it has ended and all that it said is read."""
        assert process.stdin is not None and process.stdout is not None
        try:
            async for line in process.stdout:
                if not line.endswith(b"\n"):
                    break  # cut off by its end
                told = msgspec.json.decode(line, type=Told)
                self._metrics.workers.tell(n, told.families)
                accepts.set()
                if told.ask:
                    text, content_type = await self._metrics.page(told.accept)
                    page = Page(told.ask, text.decode(), content_type)
                    process.stdin.write(msgspec.json.encode(page) + b"\n")
        finally:
            self._metrics.workers.end(n)

    async def _keep(self, n: int) -> None:
        """Start it again whenever it ends; after a pause that grows while it does not stand."""
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            since = loop.time()
            code = await self._processes[n].wait()
            await asyncio.wait({self._listening[n]})
            failures = 0 if loop.time() > since + _STOOD_S else failures + 1
            pause_s = min(_PAUSE_MOST_S, 0.5 * 2**failures)
            if code == 0:  # somebody else stops it, and us too most likely
                log.info("api_worker_stopped", worker=n)
            else:
                log.error("api_worker_ended", worker=n, code=code, hint=f"started again in {pause_s:g} s")
            await asyncio.sleep(pause_s)
            if await self._spawn(n):
                log.info("api_worker_back", worker=n)
