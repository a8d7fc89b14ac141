"""The only wiring: every stage of one node, put together, started and stopped in order."""

import asyncio
import contextlib
import dataclasses
import gc
import os
import resource
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import structlog
import uvloop

from pombo import logs
from pombo.account.secret import Secrets
from pombo.app.prepare import prepare
from pombo.config import Config, unknown_variables
from pombo.errors import PomboError
from pombo.store import accounts
from pombo.store.backup import is_empty
from pombo.store.database import Database
from pombo.store.embedded import Embedded, expect, hold, patiently, reach

if TYPE_CHECKING:
    from pombo.app import web
    from pombo.app.workers import Workers

log = structlog.get_logger()

T = TypeVar("T")

_SOCKETS = 65_536
_GC_OBJECTS = (
    20_000  # that are new, before the youngest ones are looked at; a batch of 1000 messages makes 5,000
)
_GC_YOUNG = 20  # looks at the youngest before older ones are looked at
_PORT_S = 2.0
_DOUBLE_S = 0.5  # one Ctrl-C may come twice: from the terminal, and from a program that started this one


class Ready(NamedTuple):
    """What a started node has to say. All but the URL under `demo` only."""

    url: str
    token: str | None = None
    second_token: str | None = None
    login_url: str | None = None
    smsc_port: int | None = None


class Reached(NamedTuple):
    """What commands work with."""

    db: Database
    secrets: Secrets


def run(main: Coroutine[Any, Any, T]) -> T:
    """As asyncio.run, on uvloop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


@contextlib.asynccontextmanager
async def reached(config: Config, *, changes: bool = False) -> AsyncIterator[Reached]:
    """The database for a command, whether a node runs or not. Raises PomboError where there is none.

    changes: without it the database refuses whatever changes something, outside of `audit.changing`.
    """
    logs.configure("warning")
    if not config.database_url:
        await expect(config.data)
    async with contextlib.AsyncExitStack() as stack:
        url = config.database_url or await stack.enter_async_context(reach(config.data, config.postgres_bin))
        preparing = await Database.open(url, size=1)
        try:
            if await is_empty(preparing):
                raise PomboError(
                    "There is no platform in this database: POMBO_DATABASE_URL may be mistyped."
                    " `pombo serve` or `pombo migrate` makes a new one there."
                )
            secrets = await prepare(preparing, config)
        finally:
            await preparing.close()
        db = await Database.open(url, size=2, read_only=not changes)
        stack.push_async_callback(db.close)
        yield Reached(db, secrets)


async def serve(config: Config, *, demo: bool = False, ready: Callable[[Ready], None]) -> None:
    """Run a node until SIGINT or SIGTERM, then stop it in order; a second signal ends the process at once.

    Raises PomboError when it cannot start, and when the HTTP server ends by itself.

    demo: with demo accounts, the simulated operator and the virtual handset.
    """
    # The server and all stages, which commands need not wait for.
    from pombo.app import web
    from pombo.app.demo import LOOPBACK, Demo
    from pombo.app.node import Node
    from pombo.app.workers import Workers

    logs.configure(config.log_level)
    for variable in unknown_variables():
        log.warning("unknown_setting", variable=variable, hint="docs/settings.md names those there are")
    allow_many_sockets()
    stop = _Stop()
    if demo:  # whoever tries it has the receiver of callbacks on the same machine
        config = dataclasses.replace(
            config,
            callback_allow=(*config.callback_allow, *LOOPBACK),
            roles="api,send,callback",
            api_workers=0,  # what the handset shows is in this process alone
        )
    async with contextlib.AsyncExitStack() as stack:
        # Bound first: a port in use is the commonest reason not to start, and the quickest to find.
        listener = await _listen(config)
        stack.callback(listener.close)
        url = config.database_url
        if url:
            # Two nodes with one identity would end each other's sessions, wherever their database is.
            await stack.enter_async_context(hold(config.data))
        else:
            url = await _start_postgres(config, stack, stop)
        node = await Node.open(url, config)
        stack.push_async_callback(node.close)
        base_url = f"http://{web.address(listener)}"
        extras = Demo(node, config, base_url, all_of_it=demo) if demo or config.simulator_port else None
        if extras is not None:
            await extras.start()
            stack.push_async_callback(extras.stop)
        elif demo_names := await accounts.demo_names(node.db):
            log.warning(
                "demo_data_found", hint="made by `pombo demo`; not meant for real customers", names=demo_names
            )
        await node.start()
        stack.push_async_callback(node.stop)
        doors = await stack.enter_async_context(
            node.panel_doors(config, extras.handset if extras is not None else None)
        )
        server = web.Server(node, listener, extras.routes if extras else [], node.metrics.page, doors)
        await server.start()
        workers = Workers(config, url, listener.getsockname()[1], node.metrics)
        stop.at_once.append(workers.kill)
        stack.push_async_callback(_stop_accepting, server, workers)
        await workers.start()
        collect_less()
        ready(Ready(base_url, **(await extras.ready() if extras and demo else {})))
        log.info("ready", url=base_url, data=str(config.data))
        await _until(stop.asked, server)
        node.health.stopping = True
        log.info("stopping")
    log.info("stopped")


def collect_less() -> None:
    """To be called once everything has started: what there is by then stays, and is not looked at again by the garbage
    collector; of what comes, requests and messages leave no cycles behind. (By default it took 6 % of the time.)"""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_OBJECTS, _GC_YOUNG, _GC_YOUNG)


def allow_many_sockets() -> None:
    """Keep-alive clients and callbacks under way are a file each; the usual soft limit of 1024 is too little."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _SOCKETS if hard == resource.RLIM_INFINITY else min(_SOCKETS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _listen(config: Config) -> socket.socket:
    """Where workers share the port, nobody else may have it; those of a process that was killed leave in a moment."""
    from pombo.app import web

    if not config.api_workers:
        return web.listen(config.host, config.port)
    until = time.monotonic() + _PORT_S
    while True:
        try:
            web.listen(config.host, config.port).close()
            return web.listen(config.host, config.port, shared=True)
        except PomboError:
            if time.monotonic() > until:
                raise
        await asyncio.sleep(0.1)


async def _stop_accepting(server: "web.Server", workers: "Workers") -> None:
    """Together: each waits for the answers that it has under way."""
    await asyncio.gather(server.stop(), workers.stop())


async def _until(stopping: asyncio.Event, server: "web.Server") -> None:
    """Until a signal comes. Raises PomboError when the HTTP server ends by itself, which it should not."""
    asked = asyncio.create_task(stopping.wait())
    ended = asyncio.create_task(server.ended())
    await asyncio.wait({asked, ended}, return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    ended.cancel()
    if not stopping.is_set():
        log.error("http_ended", hint="the HTTP server ended by itself; start Pombo again")
        raise PomboError("The HTTP server ended by itself. What was accepted is stored; start again.")


class _Stop:
    """What signals ask for: to stop in order, and then at once, which loses nothing: see what a crash does."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.at_once: list[Callable[[], None]] = []  # what must not stay behind
        self._asked_at = 0.0
        self._loop = asyncio.get_running_loop()
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(signal_number, self._signal)

    def _signal(self) -> None:
        if not self.asked.is_set():
            self._asked_at = self._loop.time()
            self.asked.set()
        elif self._loop.time() > self._asked_at + _DOUBLE_S:
            log.warning("stopped_at_once")
            for end in self.at_once:
                end()
            os._exit(130)


async def _start_postgres(config: Config, stack: contextlib.AsyncExitStack, stop: _Stop) -> str:
    embedded = Embedded(config.data, config.postgres_bin)
    stop.at_once.append(embedded.interrupt)
    url = await patiently(embedded.start)
    stack.push_async_callback(embedded.stop)
    watch = asyncio.create_task(_keep_up(embedded), name="postgres watch")

    async def unwatch() -> None:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)

    stack.push_async_callback(unwatch)
    return url


async def _keep_up(embedded: Embedded) -> None:
    """Start PostgreSQL again when it has died; the pools reconnect by themselves."""
    while True:
        await embedded.ended()
        log.error("postgres_ended", hint="starting it again")
        try:
            await embedded.start()
            log.warning("postgres_back")
        except Exception as error:
            log.error("postgres_start_failed", error=str(error))
            await asyncio.sleep(5)
