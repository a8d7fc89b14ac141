"""The process of one API worker: `python -m pombo.app.worker NUMBER`, started by app/workers.py alone."""

import asyncio
import contextlib
import os
import signal
import sys

import structlog

from pombo import logs
from pombo.app import allow_many_sockets, run, web
from pombo.app.node import Node
from pombo.app.workers import READY
from pombo.config import Config, from_env
from pombo.errors import PomboError

log = structlog.get_logger()


async def work(config: Config, number: int) -> None:
    """Until SIGTERM; ends at once when the main process has gone."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_reader(sys.stdin.fileno(), _end_if_alone)
    allow_many_sockets()
    async with contextlib.AsyncExitStack() as stack:
        listener = web.listen(config.host, config.port, shared=True)
        stack.callback(listener.close)
        node = await Node.open(config.database_url, config, worker=number)
        stack.push_async_callback(node.close)
        await node.start()
        stack.push_async_callback(node.stop)
        server = web.Server(node, listener, [])
        await server.start()
        stack.push_async_callback(server.stop)
        os.write(sys.stdout.fileno(), READY)
        log.info("api_worker_ready", worker=number)
        stopping = asyncio.create_task(stop.wait())
        ended = asyncio.create_task(server.ended())
        await asyncio.wait({stopping, ended}, return_when=asyncio.FIRST_COMPLETED)
        node.health.stopping = True
        stopping.cancel()
        ended.cancel()
        if not stop.is_set():
            raise PomboError("the HTTP server ended by itself")


def _end_if_alone() -> None:
    if not os.read(sys.stdin.fileno(), 1):
        log.warning("api_worker_alone", hint="the main process has gone")
        os._exit(1)


def main() -> None:
    config = from_env()
    logs.configure(config.log_level)
    try:
        run(work(config, int(sys.argv[1])))
    except PomboError as error:
        log.error("api_worker_failed", worker=sys.argv[1], error=str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
