"""The HTTP server: the legacy API on raw ASGI in front of everything else."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Sequence
from typing import Any

import structlog
import uvicorn
from litestar import Litestar
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.types import ControllerRouterHandler

from pombo import panel
from pombo.accept.connection import Connection
from pombo.accept.plain import PlainConnection
from pombo.app.node import Node
from pombo.app.operations import MetricsPage, operations
from pombo.errors import PomboError

log = structlog.get_logger()

_GRACE_S = 10
_KEEP_ALIVE_S = 75
_BACKLOG = 2048


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A listening socket. Raises PomboError, with the reason, when the address cannot be had.

    shared: among the processes of this user that listen so; the kernel spreads new connections over them.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise PomboError(
            f"Cannot listen on {host}:{port}: {reason}. Choose another one with --port."
        ) from None
    return listener


def address(listener: socket.socket) -> str:
    """As it stands in a URL."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - only compared
        host = "127.0.0.1"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Server:
    """uvicorn on our socket, without its signal handlers and its access log: URLs of the old API hold tokens."""

    def __init__(
        self,
        node: Node,
        listener: socket.socket,
        routes: Sequence[ControllerRouterHandler],
        metrics: MetricsPage,
        doors: panel.Doors | None,
    ) -> None:
        """metrics: what /metrics shows. doors: of the panel; None where this process has none."""
        self._listener = listener
        self._state = panel.state(doors) if doors else None
        self._server = _Quiet(
            uvicorn.Config(
                _application(node, routes, metrics, self._state),
                loop="none",
                http=PlainConnection.of(node.legacy.at_once) if node.accepts else Connection,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=_GRACE_S,
                proxy_headers=False,
            )
        )
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._server.serve(sockets=[self._listener]), name="http")
        while not self._server.started:
            if self._task.done():
                await self._task
                raise PomboError("The HTTP server did not start.")
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """End what comes live, finish the answers under way, then close."""
        if self._state is not None:
            self._state["live"].close()
        self._server.should_exit = True
        await self.ended()

    @property
    def live(self) -> panel.Live | None:
        """What the panel tells tabs that are open."""
        return self._state["live"] if self._state else None

    async def ended(self) -> None:
        if self._task is not None:
            await asyncio.wait({self._task})


class _Quiet(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _application(
    node: Node, routes: Sequence[ControllerRouterHandler], metrics: MetricsPage, state: State | None
) -> Any:
    legacy = node.legacy
    paths = legacy.paths if node.accepts else frozenset()
    asked = operations(node.health, metrics, node.metrics_allow)
    pages = Litestar(
        [*asked, *routes, *(panel.pages() if state else [])],
        state=state,
        exception_handlers={HTTPException: panel.told_elsewhere} if state else {},
        openapi_config=None,
        logging_config=None,
        debug=False,
        after_exception=[_after_exception],
    )

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] in paths:
            await legacy(scope, receive, send)
        else:
            await pages(scope, receive, send)

    return application


async def _after_exception(error: Exception, scope: Any) -> None:
    """A fault of ours leaves a trace. Without the path: that of the handset holds a secret."""
    if getattr(error, "status_code", 500) >= 500:
        log.error("page_failed", exc_info=error)
