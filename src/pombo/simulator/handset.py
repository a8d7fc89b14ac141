"""The virtual handset: a live page with the bubbles of a number, that can answer.

Paths below `/aparelho/<secret>`; with another secret everything is 404:

    GET  (nothing)                 the page
    GET  /mensagens?numero=…       {"numeros": [{"numero", "ultima"}], "mensagens": [bubble]}
    GET  /ao-vivo                  server-sent events: `pronto` (fetch again; what is news has a higher `ordem`),
                                  `mensagens` (bubbles new or changed)
    POST /responder                {"number", "text"} as application/json: the handset answers
"""

import asyncio
import hmac
from collections.abc import AsyncIterator
from html import escape
from importlib.resources import files
from typing import Annotated, Any, Final

import msgspec
from litestar import MediaType, Request, Response, Router, get, post
from litestar.exceptions import NotFoundException
from litestar.response import Stream

from pombo.simulator.bubbles import Bubble
from pombo.simulator.smsc import Operator

TEXT_CHARACTERS: Final = 1000  # of one reply
_BODY_OCTETS: Final = 16 * 1024  # that many characters, escaped
_BREATH_S: Final = 0.05  # between two events, so that a flood of messages reaches the page in gulps
_HEARTBEAT_S: Final = 15.0  # a stream without news says so, to find out that nobody listens

# The address holds a secret: nothing keeps it, nothing sends it on.
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}

Bubbles = list[dict[str, object]]


class _Reply(msgspec.Struct):
    number: Annotated[str, msgspec.Meta(max_length=64)]
    text: Annotated[str, msgspec.Meta(max_length=TEXT_CHARACTERS)]


def handset_routes(operator: Operator, secret: str, *, curl: str = "") -> Router:
    """To be registered with the application.

    curl: the line that sends a first message, as it is shown to be copied; by default one without a token
    """
    page = _page(f"/aparelho/{secret}", curl)

    def check(given: str) -> None:
        if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), secret.encode()):
            raise NotFoundException

    @get("/", media_type=MediaType.HTML)
    async def show(secret: str) -> str:
        check(secret)
        return page

    @get("/aparelho.css", media_type=MediaType.CSS)
    async def style(secret: str) -> str:
        check(secret)
        return _read("aparelho.css")

    @get("/aparelho.js", media_type="text/javascript")
    async def script(secret: str) -> str:
        check(secret)
        return _read("aparelho.js")

    @get("/mensagens")
    async def messages(secret: str, numero: str = "") -> dict[str, Bubbles]:
        check(secret)
        return {"numeros": _numbers(operator), "mensagens": _shown(operator.handsets.bubbles(numero))}

    @get("/ao-vivo")
    async def live(secret: str) -> Stream:
        check(secret)
        return Stream(_events(operator), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    @post("/responder", request_max_body_size=_BODY_OCTETS)
    async def reply(secret: str, request: Request[Any, Any, Any]) -> Response[dict[str, str]]:
        check(secret)
        # A page elsewhere cannot send this type without asking first, and nobody answers that question.
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return _refusal(415, "envie JSON, com Content-Type: application/json")
        return _answer(operator, await request.body())

    return Router(
        "/aparelho/{secret:str}",
        route_handlers=[show, style, script, messages, live, reply],
        response_headers=_HEADERS,
        include_in_schema=False,
    )


def _answer(operator: Operator, body: bytes) -> Response[dict[str, str]]:
    try:
        reply = msgspec.json.decode(body, type=_Reply)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _refusal(
            400, f'esperado {{"number": …, "text": …}}, texto de até {TEXT_CHARACTERS} caracteres'
        )
    if not reply.text.strip():
        return _refusal(400, "texto vazio")
    if not operator.handsets.bubbles(reply.number):
        return _refusal(404, "nenhuma mensagem chegou a esse número ainda")
    operator.reply(reply.number, reply.text)
    return Response({"resultado": "enviada"})


def _refusal(status: int, why: str) -> Response[dict[str, str]]:
    return Response({"erro": why}, status_code=status)


def _numbers(operator: Operator) -> Bubbles:
    newest = [(number, operator.handsets.newest(number)) for number in operator.handsets.numbers()]
    return [{"numero": number, "ultima": bubble.as_json()} for number, bubble in newest if bubble]


def _shown(bubbles: list[Bubble]) -> Bubbles:
    return [bubble.as_json() for bubble in bubbles]


async def _events(operator: Operator) -> AsyncIterator[bytes]:
    watcher = operator.handsets.watch()
    try:
        yield b"retry: 1000\n" + _ready(operator)
        while not watcher.closed:
            changed = await watcher.changes(_HEARTBEAT_S)
            if watcher.take_overflow():
                yield _ready(operator)
            elif changed:
                yield b"event: mensagens\ndata: " + msgspec.json.encode(_shown(changed)) + b"\n\n"
            else:
                yield b": ainda aqui\n\n"
            await asyncio.sleep(_BREATH_S)
    finally:
        operator.handsets.unwatch(watcher)


def _ready(operator: Operator) -> bytes:
    return b'event: pronto\ndata: {"ordem": %d}\n\n' % operator.handsets.shown


def _page(base: str, curl: str) -> str:
    return _read("aparelho.html").replace("{{base}}", escape(base)).replace("{{curl}}", escape(curl))


def _read(name: str) -> str:
    return (files("pombo.simulator") / "pages" / name).read_text("utf-8")
