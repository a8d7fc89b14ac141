"""`smsc add|set|list|show|start|stop|drain|remove`."""

import asyncio
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Group, RenderableType
from rich.text import Text

from pombo.cli.actor import this_actor
from pombo.cli.answer import Answer, note, table, waiting
from pombo.cli.options import EVERY, Every
from pombo.cli.smsc_settings import Settings, check_fields, check_host, facts_of, read_password
from pombo.cli.words import a_name
from pombo.errors import PomboError
from pombo.store import smscs
from pombo.store.audit import changing
from pombo.store.database import Database
from pombo.store.smscs import Smsc, Standing

_LOOK_S = 0.5
_ACTIONS = {"started": "start", "draining": "drain", "stopped": "stop"}

Port = Annotated[int, Parameter(help="Its SMPP port.", validator=Number(gte=1, lte=65535))]
SystemId = Annotated[str, Parameter(help="The name to bind with.", allow_leading_hyphen=True)]
Password = Annotated[
    str,
    Parameter(
        help="The password to bind with, or - to read it from stdin; kept encrypted.",
        allow_leading_hyphen=True,
    ),
]
NONE = Settings()


async def add(
    name: str,
    /,
    *,
    host: Annotated[str, Parameter(help="The operator's host name or address.")],
    port: Port,
    system_id: SystemId,
    password: Password,
    settings: Settings = NONE,
    every: Every = EVERY,
) -> Answer:
    """Add a connection to an operator. A running node binds to it at once."""
    name = a_name(name, "connection")
    check_host(host)
    octets = check_fields(system_id=system_id, password=read_password(password))
    columns = settings.columns({})
    async with every.changing("smsc.add") as (change, secrets):
        smsc_id = await smscs.add_smsc(
            change.db, name, host, port, system_id, secrets.seal(octets["password"]), **columns
        )
        change.record(f"smsc {smsc_id}", after=facts_of(await smscs.named(change.db, name)))
    return Answer({"smsc": smsc_id}, Text(f"Connection {smsc_id}, {name}: {host}:{port} as {system_id}."))


async def change(
    name: str,
    /,
    *,
    rename: Annotated[str | None, Parameter(help="A new name.")] = None,
    host: Annotated[str | None, Parameter(help="The operator's host name or address.")] = None,
    port: Port | None = None,
    system_id: SystemId | None = None,
    password: Password | None = None,
    settings: Settings = NONE,
    every: Every = EVERY,
) -> Answer:
    """Change a connection; what is not given stays. A running node takes it up at once, and binds anew only for what
    concerns the bind."""
    columns: dict[str, Any] = {"host": host, "port": port, "system_id": system_id}
    columns = {column: value for column, value in columns.items() if value is not None}
    if host is not None:
        check_host(host)
    if rename is not None:
        columns["name"] = a_name(rename, "connection")
    octets = check_fields(system_id=system_id, password=None if password is None else read_password(password))
    async with every.changing("smsc.set") as (doing, secrets):
        smsc = await smscs.named(doing.db, name)
        columns |= settings.columns(dict(smsc.verdicts))
        if "password" in octets:
            columns["password_sealed"] = secrets.seal(octets["password"])
        if not columns:
            raise PomboError("There is nothing to change: `pombo smsc set --help` shows what can be set.")
        await smscs.change_smsc(doing.db, smsc.id, **columns)
        changed = await smscs.named(doing.db, columns.get("name", smsc.name))
        before, after = facts_of(smsc), facts_of(changed)
        doing.record(
            f"smsc {smsc.id}",
            before=before,
            after=after | ({"new_password": True} if "password" in octets else {}),
        )
    lines = [
        f"{key}: {_plain(before[key])} → {_plain(after[key])}" for key in after if before[key] != after[key]
    ]
    if "password" in octets:
        lines.append("password: changed")
    return Answer(after, Text("\n".join([f"Connection {changed.id}, {changed.name}:", *lines])))


async def show_all(*, every: Every = EVERY) -> Answer:
    """All connections to operators, and how they stand. Passwords are never shown."""
    async with every.reached() as (db, _):
        found = await smscs.smscs(db)
        standings = await smscs.standings(db)
    shown = table(
        ">id", "name", "address", "system_id", ">binds", ">window", ">rate", "state", ">waiting", ">held",
        rows=(
            (
                str(smsc.id), smsc.name, f"{smsc.host}:{smsc.port}{' TLS' if smsc.tls else ''}", smsc.system_id,
                f"{standings[smsc.id].bound}/{_all_binds(smsc)}", str(smsc.window_size),
                f"{smsc.rate_per_s:g}/s" if smsc.rate_per_s else "-", _state(smsc, standings[smsc.id]),
                str(standings[smsc.id].waiting), str(standings[smsc.id].held),
            )
            for smsc in found
        ),
        empty="No connections yet: pombo smsc add NAME --host H --port P --system-id S --password W",
    )  # fmt: skip
    return Answer({"smscs": [_facts(smsc, standings[smsc.id]) for smsc in found]}, shown)


async def show(name: Annotated[str, Parameter(help="Name or id.")], /, *, every: Every = EVERY) -> Answer:
    """Everything about one connection. Its password is never shown."""
    async with every.reached() as (db, _):
        smsc = await smscs.named(db, name)
        standing = (await smscs.standings(db))[smsc.id]
        routes = await smscs.routes_over(db, smsc.id)
    facts = {**_facts(smsc, standing), "routes": routes}
    return Answer(facts, _page(smsc, facts, standing))


async def start(name: Annotated[str, Parameter(help="Name or id.")], /, *, every: Every = EVERY) -> Answer:
    """Bind to the operator and send what waits."""
    return await _want(
        name, "started", "Connection {name} is to run: a running node binds to it at once.", every
    )


async def stop(
    name: Annotated[str, Parameter(help="Name or id.")],
    /,
    *,
    wait: Annotated[bool, Parameter(help="Until nothing is bound any more.", negative=())] = False,
    every: Every = EVERY,
) -> Answer:
    """Wait for the responses under way, unbind, and stay unbound. What waits for it stays in the queue, or goes over
    another connection where a route says so; receipts and replies come once it is started again."""
    said = "Connection {name} is to stop: it waits for responses under way and unbinds."
    return await _want(name, "stopped", said, every, until=_unbound if wait else None)


async def drain(
    name: Annotated[str, Parameter(help="Name or id.")],
    /,
    *,
    wait: Annotated[bool, Parameter(help="Until nothing waits for it any more.", negative=())] = False,
    every: Every = EVERY,
) -> Answer:
    """Give it no new messages, send what waits, and stay bound for receipts and replies."""
    said = "Connection {name} is to drain: it gets no new messages where another route fits, and sends what waits."
    return await _want(name, "draining", said, every, until=_drained if wait else None)


async def remove(name: Annotated[str, Parameter(help="Name or id.")], /, *, every: Every = EVERY) -> Answer:
    """Forget a connection that is stopped, that no route leads over and that no message waits for."""
    async with every.changing("smsc.remove") as (change, _):
        smsc = await smscs.named(change.db, name)
        standing = (await smscs.standings(change.db))[smsc.id]
        if smsc.wanted != "stopped" or standing.bound:
            raise PomboError(f"Connection {smsc.name} runs. First: pombo smsc stop {smsc.name} --wait")
        if routes := await smscs.routes_over(change.db, smsc.id):
            numbers = ", ".join(str(route) for route in routes)
            raise PomboError(
                f"Routes lead over {smsc.name}: {numbers}. First: pombo route remove {routes[0]}"
            )
        unconfirmed = await smscs.unconfirmed(change.db, smsc.id)
        if not await smscs.remove_smsc(change.db, smsc.id):
            raise PomboError(
                f"Messages in the queue are for {smsc.name}."
                f" Start it again, or discard them: pombo queue discard --smsc {smsc.name}"
            )
        change.record(f"smsc {smsc.id}", before=facts_of(smsc))
    if unconfirmed:
        note(f"{unconfirmed} part(s) sent over it have no final receipt, and will get none now.")
    return Answer(
        {"smsc": smsc.id, "removed": True}, Text(f"Connection {smsc.id}, {smsc.name}, is forgotten.")
    )


async def _want(
    name: str,
    wanted: Literal["started", "draining", "stopped"],
    said: str,
    every: Every,
    until: "_Until | None" = None,
) -> Answer:
    async with every.reached() as (db, _):
        async with changing(db, this_actor(), f"smsc.{_ACTIONS[wanted]}") as change:
            smsc = await smscs.named(change.db, name)
            await smscs.change_smsc(change.db, smsc.id, wanted=wanted)
            change.record(f"smsc {smsc.id}", before={"wanted": smsc.wanted}, after={"wanted": wanted})
        standing = (
            await _follow(db, smsc, until, as_json=every.json)
            if until
            else (await smscs.standings(db))[smsc.id]
        )
    facts = {"smsc": smsc.id, "name": smsc.name, "wanted": wanted, **_standing(standing)}
    return Answer(facts, Text(said.format(name=smsc.name)))


class _Until:
    """What is counted down while a person waits."""

    def __init__(self, what: str) -> None:
        self.what = what

    def left(self, standing: Standing) -> int:
        if self.what == "binds":
            return standing.bound
        return standing.waiting + standing.writing


_unbound, _drained = _Until("binds"), _Until("messages")


async def _follow(db: Database, smsc: Smsc, until: _Until, *, as_json: bool) -> Standing:
    """Until nothing is left; people see how much is."""
    standing = (await smscs.standings(db))[smsc.id]
    with waiting(f"{smsc.name}: {until.what} left", until.left(standing), silent=as_json) as progress:
        while left := until.left(standing):
            progress(left)
            await asyncio.sleep(_LOOK_S)
            standing = (await smscs.standings(db))[smsc.id]
    return standing


def _all_binds(smsc: Smsc) -> int:
    return smsc.binds * (2 if smsc.bind_mode == "pair" else 1)


def _state(smsc: Smsc, standing: Standing) -> str:
    if standing.bound:
        return {"started": "bound", "draining": "draining", "stopped": "stopping"}[smsc.wanted]
    return "stopped" if smsc.wanted == "stopped" else "down"


def _standing(standing: Standing) -> dict[str, Any]:
    return {
        "bound": standing.bound, "down_since": standing.down_since, "waiting": standing.waiting,
        "writing": standing.writing, "held": standing.held,
    }  # fmt: skip


def _facts(smsc: Smsc, standing: Standing) -> dict[str, Any]:
    return {**facts_of(smsc), "id_form": standing.id_form, **_standing(standing)}


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={word}" for key, word in value.items()) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return "(certificates)" if text.startswith("-----BEGIN") else text or "-"


def _page(smsc: Smsc, facts: dict[str, Any], standing: Standing) -> RenderableType:
    hidden = {
        "smsc",
        "name",
        "host",
        "port",
        "bound",
        "down_since",
        "waiting",
        "writing",
        "held",
        "routes",
        "id_form",
    }
    head = Text.assemble(
        (f"Connection {smsc.id}, {smsc.name}", "bold"), f"  {smsc.host}:{smsc.port}\n",
        f"{_state(smsc, standing)}, {standing.bound} of {_all_binds(smsc)} binds", _since(standing),
        f"\n{standing.waiting} waiting, {standing.writing} being written, {standing.held} held\n",
        f"ids in receipts: {_FORMS[standing.id_form]}\n",
        "routes: " + (", ".join(str(route) for route in facts["routes"]) or "none leads over it"),
    )  # fmt: skip
    rows = ((key.replace("_", " "), _plain(value)) for key, value in facts.items() if key not in hidden)
    return Group(head, "", table("setting", "value", rows=rows, empty=""))


def _since(standing: Standing) -> str:
    if standing.bound or standing.down_since is None:
        return ""
    return f", down since {standing.down_since.astimezone().isoformat(' ', 'seconds')[:19]}"


_FORMS = {
    None: "not seen enough of them yet",
    "same": "as in the responses",
    "hex_in_receipt": "hexadecimal, where the response wrote decimal",
    "dec_in_receipt": "decimal, where the response wrote hexadecimal",
}
