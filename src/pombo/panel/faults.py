"""What is said when there is no page, or it cannot be shown."""

from typing import Any

from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException, NotAuthorizedException
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from pombo.errors import Unavailable
from pombo.panel import session
from pombo.panel.page import redirect, render
from pombo.panel.session import Asked, BadToken
from pombo.panel.words import _


class _Later(Response[Any]):
    """An answer that has to ask the database first: who it is for."""

    def __init__(self, error: Exception) -> None:
        super().__init__(None)
        self._error = error

    def to_asgi_response(self, app: Any, request: Asked, **_kwargs: Any) -> ASGIResponse:
        return _Answering(request, self._error)


class _Answering(ASGIResponse):
    def __init__(self, request: Asked, error: Exception) -> None:
        super().__init__()
        self._request = request
        self._error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await _answer(self._request, self._error)
        await answer.to_asgi_response(None, self._request)(scope, receive, send)


def told(request: Asked, error: Exception) -> Response[Any]:
    """For pages."""
    return _Later(error)


def told_elsewhere(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """Where no page is: a page says so to people, JSON to programs."""
    if error.status_code == 404 and "text/html" in request.headers.get("accept", ""):
        return _Later(error)
    content = {"status_code": error.status_code, "detail": error.detail}
    return Response(
        content, status_code=error.status_code, media_type=MediaType.JSON, headers=error.headers or {}
    )


async def _answer(request: Asked, error: Exception) -> Response[Any]:
    if isinstance(error, NotAuthorizedException):
        return redirect(request, session.way_to_sign_in(request))
    status = 503 if isinstance(error, Unavailable) else getattr(error, "status_code", 500)
    if "person" not in request.state:
        request.state.person = None
        if status != 503:
            try:
                await session.find(request)
            except Unavailable:
                status = 503
    heading, sentence = _words(error, status)
    if "hx-request" in request.headers:
        return render(request, "parts/nothing.html", status=status, said=f"{heading} {sentence}", bad=True)
    return render(request, "error.html", status=status, heading=heading, sentence=sentence, code=status)


def _words(error: Exception, status: int) -> tuple[str, str]:
    if isinstance(error, BadToken):
        return _("Esta página ficou velha."), _("Abra-a de novo e repita o que fez. Nada foi mudado.")
    if status == 403:
        return _("Você não tem acesso a isto."), _(
            "Peça a um administrador da sua conta, que pode mudar o seu perfil de acesso."
        )
    if status == 404:
        return _("Não há nada aqui."), _("O endereço não existe, ou o que estava nele já foi apagado.")
    if status == 413:
        return _("É grande demais."), _("O que você enviou passa do limite. Nada foi mudado.")
    if status == 503:
        return _("Voltamos já."), _("O banco de dados não respondeu. Tente de novo em alguns segundos.")
    if 400 <= status < 500:
        return _("Não entendemos o pedido."), _("Volte à página e tente de novo.")
    return _("Algo deu errado do nosso lado."), _(
        "Já está registrado. Tente de novo; se continuar, avise o suporte."
    )
