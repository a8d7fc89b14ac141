"""A page put together: its template, what stands around it, and what it is answered with."""

import json
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Any, Final
from urllib.parse import quote, unquote

import jinja2
from litestar import MediaType, Response, get, post
from litestar.datastructures import Cookie
from litestar.handlers import HTTPRouteHandler
from markupsafe import Markup

from pombo.account.people import Role
from pombo.panel import assets, words
from pombo.panel.session import (
    MOST_FORM_OCTETS,
    MOST_PUBLIC_FORM_OCTETS,
    Asked,
    Person,
    cookie,
    csrf_of,
    doors_of,
    fresh_cookies,
    person_of,
    posted,
    somebody,
)
from pombo.panel.words import _

__all__ = ["Asked", "Person", "Role", "act", "doors_of", "form_of", "person_of", "redirect", "render", "show"]

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
}
_SAID: Final = "pombo_aviso"  # what the next page tells, once
_MOST_SAID = 300  # characters
_BAD = "!"  # in front of one that tells of an error; quoted texts have none

Page = Response[Any]
_Registers = Callable[[Callable[..., Awaitable[Page]]], HTTPRouteHandler]


def show(path: str, *roles: Role, **options: Any) -> _Registers:
    """A page or a fragment of one, for people with one of these roles; for all of them where none is named."""
    return get(path, opt=_opt(roles), **options)


def act(path: str, *roles: Role, file_octets: int = 0) -> _Registers:
    """Something that changes something: the token against requests from elsewhere is checked already.

    file_octets: of files that come with it, at the most.
    """
    opt = {**_opt(roles), "files": bool(file_octets)}
    return post(path, opt=opt, status_code=200, request_max_body_size=MOST_FORM_OCTETS + file_octets)


def act_public(path: str) -> _Registers:
    """As `act`, for whoever comes."""
    return post(path, opt={"public": True}, status_code=200, request_max_body_size=MOST_PUBLIC_FORM_OCTETS)


def _opt(roles: tuple[Role, ...]) -> dict[str, Any]:
    return {"roles": frozenset(roles or Role)}


def render(
    request: Asked,
    template: str,
    *,
    status: int = 200,
    said: str = "",
    bad: bool = False,
    cookies: list[Cookie] | None = None,
    headers: Mapping[str, str] | None = None,
    **context: Any,
) -> Page:
    """said: what a toast on it says, in a fragment too. bad: it tells of an error, and stays."""
    person, is_fragment = somebody(request), "hx-request" in request.headers
    told, forgotten = _told(request, is_fragment=is_fragment)
    if said:
        told = {"text": said, "bad": bad}
    around: dict[str, Any] = {
        "asked": request.url.path,
        "csrf": csrf_of(request),
        "person": person,
        "nav": request.app.state.nav,
        "locale": words.voice().locale,
        "told": None if is_fragment else told,
        "role_names": words.role_names() if person else {},
    }
    html = _environment().get_template(template).render(**around, **context)
    answer: Page = Response(
        html,
        status_code=status,
        media_type=MediaType.HTML,
        headers={**HEADERS, **(headers or {})},
        cookies=[*fresh_cookies(request), *forgotten, *(cookies or [])],
    )
    if is_fragment and told:
        answer.headers["HX-Trigger"] = json.dumps({"toast": told})
    return answer


def redirect(
    request: Asked, path: str, *, said: str = "", bad: bool = False, cookies: list[Cookie] | None = None
) -> Page:
    """On to another page, after something was done. said: what a toast there says. bad: as `render` has it."""
    given = list(cookies or [])
    if said:
        given.append(cookie(request, _SAID, (_BAD if bad else "") + quote(said[:_MOST_SAID]), 60))
    if "hx-request" in request.headers:
        return Response("", headers={**HEADERS, "HX-Redirect": path}, cookies=given)
    return Response("", status_code=303, headers={**HEADERS, "Location": path}, cookies=given)


async def form_of(request: Asked) -> dict[str, str]:
    """The fields of a form, each once, without NUL, which the database does not take; files are not among them."""
    form = await posted(request)
    return {name: value.replace("\0", "") for name, value in form.items() if isinstance(value, str)}


def _told(request: Asked, *, is_fragment: bool) -> tuple[dict[str, Any] | None, list[Cookie]]:
    """What the page before this one left to be told."""
    text = request.cookies.get(_SAID)
    if not text or is_fragment:
        return None, []
    told = {"text": unquote(text.removeprefix(_BAD))[:_MOST_SAID], "bad": text.startswith(_BAD)}
    return told, [cookie(request, _SAID, "", 0)]


def icon(name: str, *, small: bool = False, cls: str = "") -> Markup:
    """One of tools/vendor/icons.txt."""
    classes = " ".join(part for part in ("ic", "ic-s" if small else "", cls) if part)
    return Markup('<svg class="{}" aria-hidden="true"><use href="{}#{}"/></svg>').format(
        classes, assets.url("vendor/icons.svg"), name
    )


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pombo.panel"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals |= {"_": _, "ngettext": words.ngettext, "asset": assets.url, "icon": icon}
    for name in (
        "moment", "day", "long_day", "clock", "when", "took", "money", "count", "compact", "decimal", "percent", "phone",
        "written",
    ):  # fmt: skip
        environment.filters[name] = getattr(words, name)
    return environment
