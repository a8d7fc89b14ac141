"""Nobody sees or changes what is another account's: on every route there is, its ids are like those that were never given.

A route with a new kind of id fails here until it is said what such an id is.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from panel_server import Client, Panel
from people_rows import conversation_of, message, reply

from pombo.account import contacts, templates
from pombo.account.people import Role
from pombo.panel import handlers
from pombo.store.audit import Actor
from pombo.store.contacts import Contact
from pombo.store.templates import Template

pytestmark = pytest.mark.anyio

ACTOR = Actor("test", "")
CANARY = "Segredo-da-Aurora"
NUMBER = 5511976401928
NOBODYS = 2**50  # no id is so high, and none of those that tests give themselves

_CAMPAIGN = (
    "insert into campaign (account_id, name, file_name, titles, uses, body)"
    " values ($1, $2, $2, '{numero}', '{number}', $2) returning id"
)
_VIEW = "insert into saved_view (account_id, name, query) values ($1, $2, 'q=x') returning id"


async def _contact(panel: Panel) -> int:
    return await contacts.add(panel.db, ACTOR, panel.account_id, Contact(NUMBER, CANARY))


async def _model(panel: Panel) -> int:
    return await templates.add(panel.db, ACTOR, panel.account_id, Template(CANARY, CANARY))


async def _conversation(panel: Panel) -> int:
    await reply(panel, NUMBER, CANARY)
    return await conversation_of(panel, NUMBER)


async def _message(panel: Panel) -> int:
    return await message(panel, NUMBER, CANARY)


async def _campaign(panel: Panel) -> int:
    return int(await panel.db.fetchval(_CAMPAIGN, panel.account_id, CANARY))


async def _view(panel: Panel) -> int:
    return int(await panel.db.fetchval(_VIEW, panel.account_id, CANARY))


async def _token(panel: Panel) -> int:
    await panel.db.execute("update token set name = $2 where account_id = $1", panel.account_id, CANARY)
    return int(await panel.db.fetchval("select id from token where account_id = $1", panel.account_id))


async def _callback(panel: Panel) -> int:
    callback_id = await panel.db.fetchval(
        "insert into callback (account_id, kind, subject_id, state, last_error) values ($1, 1, $2, 2, $3) returning id",
        panel.account_id, await _message(panel), CANARY,
    )  # fmt: skip
    return int(callback_id)


async def _person(panel: Panel) -> int:
    person_id = await panel.person(Role.VIEWER)
    await panel.db.execute("update person set name = $2 where id = $1", person_id, CANARY)
    return person_id


async def _session(panel: Panel) -> int:
    await panel.signed_in(Role.VIEWER)
    person_id = await panel.person(Role.VIEWER)
    return int(await panel.db.fetchval("select max(id) from panel_session where person_id = $1", person_id))


# What an id in a path stands for.
OWNED: dict[str, Callable[[Panel], Awaitable[int]]] = {
    "contact_id": _contact,
    "model_id": _model,
    "conversation_id": _conversation,
    "message_id": _message,
    "campaign_id": _campaign,
    "view_id": _view,
    "token_id": _token,
    "callback_id": _callback,
    "person_id": _person,
    "session_id": _session,
}
WORDS = {"what": ["dias"], "kind": ["dlr"], "code": []}  # no ids; whoever has a code comes in with it
ROUTES = [
    (method, path) for handler in handlers for path in sorted(handler.paths) for method in sorted(handler.http_methods)
]  # fmt: skip
PUBLIC = {path for handler in handlers if handler.opt.get("public") for path in handler.paths}
_PARAMETER = re.compile(r"\{(\w+):\w+\}")


async def _said(client: Client, method: str, path: str) -> tuple[int, str]:
    """Status and page, without the path itself and what differs from page to page."""
    headers = {"X-CSRF-Token": client.csrf}
    client.http.cookie_jar.clear(
        lambda cookie: cookie.key == "pombo_aviso"
    )  # what the page before leaves to be told
    async with client.http.request(method, path, headers=headers, allow_redirects=False) as answer:
        page = await answer.text()
    return answer.status, re.sub(r"\b\d{6,}\b", "N", page.replace(path, "PATH"))


async def _kept(panel: Panel) -> dict[str, Any]:
    """Everything that is this account's, in every table that says so."""
    tables = await panel.db.fetch(
        "select table_name from information_schema.columns where column_name = 'account_id' and table_schema = 'public'"
    )
    return {
        row[0]: await panel.db.fetchval(
            f"select md5(coalesce(string_agg(t::text, ',' order by t::text), '')) from {row[0]} t where account_id = $1",
            panel.account_id,
        )
        for row in tables
    }


def test_every_kind_of_id_in_a_path_is_known() -> None:
    found = {name for _, path in ROUTES for name in _PARAMETER.findall(path)}
    assert found == {*OWNED, *WORDS}


async def test_on_every_route_another_accounts_id_is_like_one_that_was_never_given(panel: Panel) -> None:
    ids = {name: await make(panel) for name, make in OWNED.items()}
    other = await panel.client(account_id=await panel.account(f"outra {panel.account_id}"))
    before = await _kept(panel)
    tried = 0
    for method, path in ROUTES:
        for name in set(_PARAMETER.findall(path)) & set(OWNED):
            theirs = await _said(other, method, path.replace(f"{{{name}:int}}", str(ids[name])))
            nobodys = await _said(other, method, path.replace(f"{{{name}:int}}", str(NOBODYS)))
            assert theirs == nobodys, (method, path)
            assert theirs[0] != 200 or CANARY not in theirs[1], (method, path)
            tried += 1
    assert tried >= 20
    assert await _kept(panel) == before, "somebody else changed something"


async def test_no_page_shows_what_is_another_accounts(panel: Panel) -> None:
    for make in OWNED.values():
        await make(panel)
    other = await panel.client(account_id=await panel.account(f"outra {panel.account_id}"))
    own = await panel.client()
    shown = 0
    for method, path in ROUTES:
        if method != "GET" or path == "/eventos":  # which ends only when its tab does; test_panel_events.py
            continue
        found = _PARAMETER.search(path)
        words = [""] if found is None else WORDS.get(found[1], [])
        for word in words:
            at = _PARAMETER.sub(word, path)
            shown += CANARY in (await _said(own, method, at))[1]
            page = (await _said(other, method, at))[1]
            assert CANARY not in page and "97640" not in page, at
    assert shown >= 4, "the canary stands on pages of its own account"


async def test_whoever_is_not_signed_in_is_shown_the_door_on_every_route(panel: Panel) -> None:
    ids = {name: await make(panel) for name, make in OWNED.items()}
    stranger = await panel.client(None)
    for method, path in ROUTES:
        if path in PUBLIC:
            continue
        at = path
        for name, one in ids.items():
            at = at.replace(f"{{{name}:int}}", str(one))
        status, page = await _said(
            stranger, method, at.replace("{what:str}", "dias").replace("{kind:str}", "dlr")
        )
        assert status in (303, 401, 403), (method, path, status)
        assert CANARY not in page
