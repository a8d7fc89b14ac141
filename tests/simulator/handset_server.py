"""The handset's page served as `app.py` does it: Litestar on uvicorn, on a free loopback port."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from esme_client import QUICK, in_time
from litestar import Litestar

from pombo.simulator.handset import handset_routes
from pombo.simulator.script import Script
from pombo.simulator.smsc import Operator

SECRET = "b7Qx-segredo_9"


@asynccontextmanager
async def served(script: Script = QUICK, curl: str = "") -> AsyncIterator[tuple[Operator, int, str]]:
    """The operator, its SMPP port and the page's address."""
    operator = Operator(script=script)
    port = await operator.start()
    app = Litestar([handset_routes(operator, SECRET, curl=curl)], openapi_config=None)
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, log_config=None, access_log=False, lifespan="off", ws="none")
    )
    serving = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(5):
            while not server.started:
                await asyncio.sleep(0)  # uvicorn offers nothing to wait for
        http_port = server.servers[0].sockets[0].getsockname()[1]
        yield operator, port, f"http://127.0.0.1:{http_port}/aparelho/{SECRET}"
    finally:
        await operator.stop()  # ends the live pages, without which uvicorn would wait for them
        server.should_exit = True
        await in_time(serving)
