"""`route add|list|remove|explain`."""

from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.types import NonNegativeInt
from rich.console import Group as Lines
from rich.text import Text

from pombo import country
from pombo.app.routing import at_this_moment
from pombo.cli.answer import Answer, note, table
from pombo.cli.options import EVERY, Every
from pombo.errors import PomboError
from pombo.message import MessageClass
from pombo.number import DDDS
from pombo.route.explain import Step
from pombo.route.explain import explain as steps_of
from pombo.route.operators import operator_name
from pombo.route.routes import Route
from pombo.store import accounts, routes

Names = tuple[dict[int, str], dict[int, str]]  # of connections and of accounts, by id


async def add(
    *,
    prefix: Annotated[
        str, Parameter(help="First digits with the country: 55, 5511, 5511987. Empty for all numbers.")
    ] = "",
    smsc: Annotated[str, Parameter(help="Name of the connection.")],
    account: Annotated[str | None, Parameter(help="Only messages of this account: its name or id.")] = None,
    message_class: Annotated[
        str | None, Parameter(name="--class", help="Only messages of a class: otp, transactional, marketing.")
    ] = None,
    operator: Annotated[
        str | None, Parameter(help="Only numbers at this operator, as POMBO_OPERATORS_FILE names it.")
    ] = None,
    position: Annotated[NonNegativeInt, Parameter(help="Rules of a lower one are tried first.")] = 100,
    weight: Annotated[
        NonNegativeInt,
        Parameter(help="Share among rules with equal conditions, up to 1000; 0 stands by for the others."),
    ] = 0,
    every: Every = EVERY,
) -> Answer:
    """Send messages that fit all its conditions over a connection."""
    if operator is not None and not operator_name(operator):
        raise PomboError("The operator needs a name.")
    async with every.changing("route.add") as (change, _):
        account_id = None if account is None else (await accounts.account(change.db, account))["id"]
        route_id = await routes.add_route(
            change.db,
            prefix,
            smsc,
            account_id=account_id,
            message_class=None if message_class is None else _class(message_class),
            operator=None if operator is None else operator_name(operator),
            position=position,
            weight=weight,
        )
        [rule] = [Route(*row) for row in await routes.routes(change.db) if row["id"] == route_id]
        names = await routes.names(change.db)
        change.record(f"route {route_id}", after=_facts(rule, names))
    if prefix and not _fits_a_number(prefix):
        note(
            f"No mobile number begins with {prefix}: numbers carry their country, such as 5511 for São Paulo."
        )
    if operator is not None and not every.config().operators_file:
        note("POMBO_OPERATORS_FILE is not set here: without it no number's operator is known.")
    return Answer({"route": route_id}, Text(f"Route {route_id}: {_conditions(rule, names)} over {smsc}."))


def _class(name: str) -> MessageClass:
    try:
        return MessageClass[name.upper()]
    except KeyError:
        raise PomboError(f"There is no class {name!r}: otp, transactional or marketing.") from None


def _fits_a_number(prefix: str) -> bool:
    """Whether a mobile of Brazil may begin so, as E.164 digits."""
    return any(f"55{ddd}".startswith(prefix[:4]) for ddd in DDDS) and len(prefix) <= len("5511999999999")


async def show(*, every: Every = EVERY) -> Answer:
    """All routes, in the order in which they are tried: by position, then the longer prefix, then more conditions, then
    the one added first."""
    async with every.reached() as (db, _):
        table_now, _ = await at_this_moment(db, "")
        names = await routes.names(db)
    rules = [rule for group in table_now.groups for rule in (*group.sharing, *group.standby)]
    shown = table(
        ">id", ">position", "prefix", "account", "class", "operator", ">weight", "connection",
        rows=(
            (
                str(rule.id), str(rule.position), rule.prefix or "(all)", _account(rule, names) or "",
                _class_name(rule) or "", rule.operator or "", str(rule.weight or ""), names[0][rule.smsc_id],
            )
            for rule in rules
        ),
        empty="No routes yet, so no message can be sent: pombo route add --prefix 55 --smsc NAME",
    )  # fmt: skip
    return Answer({"routes": [_facts(rule, names) for rule in rules]}, shown)


async def remove(
    route: Annotated[int, Parameter(help="Its number, as `route list` shows it.")], /, *, every: Every = EVERY
) -> Answer:
    """Take a route away. Messages that it sent on their way stay on it."""
    async with every.changing("route.remove") as (change, _):
        there = [Route(*row) for row in await routes.routes(change.db) if row["id"] == route]
        names = await routes.names(change.db)
        await routes.remove_route(change.db, route)
        change.record(f"route {route}", before=_facts(there[0], names))
    return Answer({"route": route, "removed": True}, Text(f"Route {route} is gone."))


async def explain(
    number: Annotated[
        str, Parameter(help="Mobile number, as a customer writes it.", allow_leading_hyphen=True)
    ],
    /,
    *,
    account: Annotated[
        str | None, Parameter(help="Name or id of the account that sends; else none that a rule names.")
    ] = None,
    message_class: Annotated[
        str | None, Parameter(name="--class", help="Class of the message; else that of the account.")
    ] = None,
    every: Every = EVERY,
) -> Answer:
    """Which route a number takes at this moment: for each rule in turn, why it is taken or passed over."""
    normalised = country.normalise(number, None)
    if normalised is None:
        raise PomboError(
            "This is not a mobile number of Brazil with its area code, and not one of another country with + in front."
        )
    async with every.reached() as (db, _):
        sender = None if account is None else await accounts.account(db, account)
        table_now, reasons = await at_this_moment(db, every.config().operators_file)
        names = await routes.names(db)
    chosen = (
        _class(message_class)
        if message_class is not None
        else MessageClass(sender["class"] if sender else MessageClass.TRANSACTIONAL)
    )
    sender_id = None if sender is None else int(sender["id"])
    steps = steps_of(table_now, normalised, sender_id, chosen, unavailable=reasons)
    taken = next((step.route for step in steps if step.outcome == "taken"), None)
    operator = table_now.operator_of(normalised)
    facts: dict[str, Any] = {
        "number": str(normalised),
        "account": sender_id,
        "class": chosen.name.lower(),
        "operator": operator,
        "route": taken and taken.id,
        "smsc": taken and names[0][taken.smsc_id],
        "rules": [
            {**_facts(step.route, names), "outcome": step.outcome, "reason": step.reason} for step in steps
        ],
    }
    head = f"{normalised}, class {chosen.name.lower()}" + (f", operator {operator}" if operator else "")
    end = (
        f"It goes over {names[0][taken.smsc_id]}, by route {taken.id}."
        if taken
        else "No route fits: the message is refused with `Sem rota`."
    )
    return Answer(facts, Lines(Text(head), _table_of(steps, names), Text(end)))


def _table_of(steps: list[Step], names: Names) -> Any:
    return table(
        ">id", "conditions", "connection", "", "why",
        rows=(
            (
                str(step.route.id), _conditions(step.route, names), names[0][step.route.smsc_id], step.outcome,
                step.reason,
            )
            for step in steps
        ),
        empty="There are no routes: pombo route add --prefix 55 --smsc NAME",
    )  # fmt: skip


def _facts(rule: Route, names: Names) -> dict[str, Any]:
    return {
        "route": rule.id,
        "prefix": rule.prefix,
        "smsc": names[0][rule.smsc_id],
        "position": rule.position,
        "account": rule.account_id,
        "account_name": _account(rule, names),
        "class": _class_name(rule),
        "operator": rule.operator,
        "weight": rule.weight,
    }


def _account(rule: Route, names: Names) -> str | None:
    return None if rule.account_id is None else names[1][rule.account_id]


def _class_name(rule: Route) -> str | None:
    return None if rule.message_class is None else MessageClass(rule.message_class).name.lower()


def _conditions(rule: Route, names: Names) -> str:
    """`55, account loja, class otp, operator vivo`"""
    said = [rule.prefix or "all numbers"]
    for word, value in (
        ("account", _account(rule, names)),
        ("class", _class_name(rule)),
        ("operator", rule.operator),
    ):
        if value is not None:
            said.append(f"{word} {value}")
    return ", ".join(said)
