"""Why a number takes its route: what becomes of each rule in turn."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from pombo.route.routes import Group, Route, Routes

Outcome = Literal["taken", "next", "passed over", "does not fit"]


class Step(NamedTuple):
    route: Route
    outcome: Outcome  # 'next': it fits and would be taken if those before it could not be
    reason: str


def explain(
    routes: Routes,
    number: int,
    account_id: int | None,
    message_class: int,
    *,
    unavailable: Mapping[int, object],
) -> list[Step]:
    """A step for each rule, in the order in which they are tried. At most one is taken.

    account_id: None for an account that no rule names. unavailable: why, by connection, in words.
    """
    fitting = list(routes.fitting(number, account_id or 0, message_class))
    taken = routes.choose(number, account_id or 0, message_class)
    nobody = all(route.smsc_id in unavailable for route in fitting)
    steps = []
    for group in routes.groups:
        misfit = _misfit(routes, group, number, account_id, message_class)
        for route in (*group.sharing, *group.standby) if misfit else group.in_order(number):
            if misfit:
                steps.append(Step(route, "does not fit", misfit))
                continue
            share = _share(group, route, number)
            why = unavailable.get(route.smsc_id)
            if route == taken:
                waits = (
                    f"its connection is {why}, and so are all others that fit: the message waits"
                    if nobody
                    else ""
                )
                steps.append(Step(route, "taken", "; ".join(filter(None, (share, waits))) or "it fits"))
            elif why is not None:
                steps.append(Step(route, "passed over", f"its connection is {why}"))
            else:
                steps.append(Step(route, "next", share or "it fits, after the one that is taken"))
    return steps


def _misfit(routes: Routes, group: Group, number: int, account_id: int | None, message_class: int) -> str:
    rule = group.rule
    if not str(number).startswith(rule.prefix):
        return f"the number does not begin with {rule.prefix}"
    if rule.account_id not in (None, account_id):
        return "it is for another account"
    if rule.message_class not in (None, message_class):
        return "it is for another class"
    if rule.operator is not None:
        operator = routes.operator_of(number)
        if operator is None:
            return f"the number's operator is not known, so it is not {rule.operator}"
        if operator != rule.operator:
            return f"the number's operator is {operator}, not {rule.operator}"
    return ""


def _share(group: Group, route: Route, number: int) -> str:
    if len(group.sharing) > 1 and route.weight:
        total = sum(each.weight for each in group.sharing)
        mine = next(group.in_order(number)) == route
        return f"{route.weight} of {total} numbers, and this one is {'' if mine else 'not '}among them"
    if group.sharing and not route.weight:
        return "it stands by: it has no weight, and others with the same conditions have"
    return ""
