"""What those who run the platform ask a process: does it live, can it take messages, how is it doing."""

import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from litestar import MediaType, Request, Response, get
from litestar.types import ControllerRouterHandler

from pombo.app.health import Health
from pombo.config import Network
from pombo.errors import Unavailable

MetricsPage = Callable[[str], Awaitable[tuple[bytes, str]]]  # the header Accept -> the page and its type

_PROXIED = ("forwarded", "via", "x-forwarded-for", "x-real-ip")
_NO_STORE = {"Cache-Control": "no-store"}


def operations(
    health: Health, page_of: MetricsPage, metrics_allow: Sequence[Network]
) -> list[ControllerRouterHandler]:
    @get("/healthz", media_type=MediaType.TEXT)
    async def healthz() -> str:
        """The process lives."""
        return "ok"

    @get("/readyz")
    async def readyz(request: Request[Any, Any, Any]) -> Response[Any]:
        """Messages can be accepted; else which check failed."""
        failed = await health.failed()
        status = 503 if failed else 200
        if "application/json" in request.headers.get("accept", ""):
            content = {"ready": not failed, "failed": failed}
            return Response(content, status_code=status, media_type=MediaType.JSON, headers=_NO_STORE)
        text = "".join(f"{check}: {what}\n" for check, what in failed.items()) or "ok"
        return Response(text, status_code=status, media_type=MediaType.TEXT, headers=_NO_STORE)

    @get("/metrics")
    async def figures(request: Request[Any, Any, Any]) -> Response[Any]:
        host = request.client.host if request.client else ""
        if not _may_read(host, request, metrics_allow):
            text = "Metrics are served to the networks in POMBO_METRICS_ALLOW, and not through a proxy.\n"
            return Response(text, status_code=403, media_type=MediaType.TEXT)
        try:
            page, content_type = await page_of(request.headers.get("accept", ""))
        except Unavailable as error:
            return Response(f"{error}\n", status_code=503, media_type=MediaType.TEXT, headers=_NO_STORE)
        return Response(page, media_type=content_type, headers=_NO_STORE)

    return [healthz, readyz, figures]


def _may_read(host: str, request: Request[Any, Any, Any], allow: Sequence[Network]) -> bool:
    """A proxy on an allowed address would let everybody in, so what came through one is refused."""
    if any(name in request.headers for name in _PROXIED):
        return False
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return any(mapped in network for network in allow)
