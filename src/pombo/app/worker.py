"""The process of one API worker: `python -m pombo.app.worker NUMBER`, started by app/workers.py alone."""

import asyncio
import contextlib
import signal
import sys

import structlog

from pombo import logs
from pombo.app import allow_many_sockets, collect_less, run, web
from pombo.app.node import Node
from pombo.app.pipe import ToMain
from pombo.app.sums import told
from pombo.config import Config, from_env
from pombo.errors import PomboError

log = structlog.get_logger()


async def work(config: Config, number: int) -> None:
    """Until SIGTERM."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    allow_many_sockets()
    async with contextlib.AsyncExitStack() as stack:
        listener = web.listen(config.host, config.port, shared=True)
        stack.callback(listener.close)
        main_process = ToMain(lambda: told(node.metrics.summed()))
        await main_process.open()
        node = await Node.open(config.database_url, config, worker=number)
        stack.push_async_callback(node.close)
        await node.start()
        stack.push_async_callback(node.stop)
        doors = await stack.enter_async_context(node.panel_doors(config))
        server = web.Server(node, listener, [], main_process.page, doors)
        await server.start()
        stack.push_async_callback(server.stop)
        telling = asyncio.create_task(main_process.tell_now_and_then(), name="tell figures")
        collect_less()
        log.info("api_worker_ready", worker=number)
        stopping = asyncio.create_task(stop.wait())
        ended = asyncio.create_task(server.ended())
        await asyncio.wait({stopping, ended}, return_when=asyncio.FIRST_COMPLETED)
        node.health.stopping = True
        for task in (stopping, ended, telling):
            task.cancel()
        if not stop.is_set():
            raise PomboError("the HTTP server ended by itself")


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
