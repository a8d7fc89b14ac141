"""The customer's pages. They have no rules and no SQL of their own: they call what commands and the API call.

A page is a module here with its handlers, a template of the same name, its words in locale/en, and a line in `handlers`;
`nav.py` says where people find it. `page.py` is what a page is made with, `session.py` who asks.
"""

from collections.abc import Sequence

from litestar import Router
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.types import ControllerRouterHandler

from pombo.panel import (
    assets,
    blocks,
    campaign_new,
    campaigns,
    compose,
    contacts,
    conversations,
    deliveries,
    docs,
    events,
    faults,
    handset,
    imports,
    messages,
    models,
    notices,
    overview,
    preferences,
    reports,
    saved_views,
    second_factor,
    security,
    session,
    settings,
    signin,
    tokens,
    users,
)
from pombo.panel.doors import Doors
from pombo.panel.events import Live
from pombo.panel.faults import told_elsewhere
from pombo.panel.nav import Nav

__all__ = ["Doors", "Live", "handlers", "pages", "state", "told_elsewhere"]

handlers: Sequence[HTTPRouteHandler] = (
    *signin.handlers,
    *overview.handlers,
    *compose.handlers,
    *messages.handlers,
    *saved_views.handlers,
    *reports.handlers,
    *settings.handlers,
    *security.handlers,
    *second_factor.handlers,
    *users.handlers,
    *preferences.handlers,
    *conversations.handlers,
    *contacts.handlers,
    *imports.handlers,
    *blocks.handlers,
    *models.handlers,
    *tokens.handlers,
    *deliveries.handlers,
    *docs.handlers,
    *handset.handlers,
    *campaign_new.handlers,
    *campaigns.handlers,
    *notices.handlers,
    *events.handlers,
)


def pages() -> Sequence[ControllerRouterHandler]:
    """All of them, to be registered with an application that has the `state` below."""
    router = Router(
        "/",
        route_handlers=handlers,
        middleware=[session.middleware],
        guards=[session.allowed],
        before_request=session.check_csrf,
        exception_handlers={HTTPException: faults.told, Exception: faults.told},
        include_in_schema=False,
    )
    return [assets.asset, router]


def state(doors: Doors) -> State:
    return State({"doors": doors, "nav": Nav(handlers), "live": Live(doors.db, doors.handset)})
