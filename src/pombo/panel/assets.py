"""The panel's own and vendored files, out of memory: their address holds a hash of all of them, so browsers keep them."""

import gzip
import hashlib
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final, NamedTuple

from litestar import Request, Response, get
from litestar.exceptions import NotFoundException

_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "woff2": "font/woff2",
}
_YEAR: Final = "public, max-age=31536000, immutable"
_SOON: Final = (
    "no-cache"  # of another version: a page from before an update, or from a node that was updated already
)


class _Asset(NamedTuple):
    octets: bytes
    gzipped: bytes | None
    media_type: str


def url(path: str) -> str:
    """`/assets/3fa9…/app.css`. Raises KeyError for a file that is not there."""
    _all()[path]
    return f"/assets/{_digest()}/{path}"


@get("/assets/{digest:str}/{path:path}")
async def asset(request: Request[Any, Any, Any], digest: str, path: str) -> Response[bytes]:
    found = _all().get(path.lstrip("/"))
    if found is None:
        raise NotFoundException
    headers = {
        "Cache-Control": _YEAR if digest == _digest() else _SOON,
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
    }
    octets = found.octets
    if found.gzipped is not None and "gzip" in request.headers.get("accept-encoding", ""):
        octets, headers["Content-Encoding"] = found.gzipped, "gzip"
    return Response(octets, media_type=found.media_type, headers=headers)


@cache
def _all() -> dict[str, _Asset]:
    root = files("pombo.panel") / "assets"
    return {path: _read(file) for path, file in _walk(root, "") if path.rpartition(".")[2] in _TYPES}


@cache
def _digest() -> str:
    digest = hashlib.sha256()
    for path, found in sorted(_all().items()):
        digest.update(b"%s\0%d\0" % (path.encode(), len(found.octets)) + found.octets)
    return digest.hexdigest()[:16]


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, Traversable]]:
    found: list[tuple[str, Traversable]] = []
    for entry in folder.iterdir():
        path = f"{prefix}{entry.name}"
        found += _walk(entry, f"{path}/") if entry.is_dir() else [(path, entry)]
    return found


def _read(file: Traversable) -> _Asset:
    octets, ending = file.read_bytes(), file.name.rpartition(".")[2]
    return _Asset(octets, None if ending == "woff2" else gzip.compress(octets, mtime=0), _TYPES[ending])
