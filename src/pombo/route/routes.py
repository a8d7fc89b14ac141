"""The routing table as one immutable snapshot, and the choice it makes.

Rules are tried by position, then the longer prefix first, then the one with more other conditions, then the one that
was added first. Rules that agree in all of this but their connection are a group: those with a weight share its
messages, the others stand by.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final, NamedTuple

OperatorOf = Callable[[int], str | None]  # a number's operator in small letters; must not wait for anything

_SPREAD: Final = 0x9E3779B97F4A7C15  # 2^64 over the golden ratio: numbers in a row fall evenly apart
_64_BITS: Final = 0xFFFF_FFFF_FFFF_FFFF


class Route(NamedTuple):
    """Messages that fit all conditions go over the connection `smsc_id`. A condition that is None fits all."""

    prefix: str  # first digits of the number, with the country; '' fits all
    smsc_id: int
    validity_s: int  # how long that connection keeps trying
    id: int = 0
    position: int = 100
    account_id: int | None = None
    message_class: int | None = None
    operator: str | None = None  # in small letters
    weight: int = 0  # 0: stands by

    @property
    def conditions(self) -> tuple[int, str, int | None, int | None, str | None]:
        """What rules of one group agree in."""
        return self.position, self.prefix, self.account_id, self.message_class, self.operator


class Group(NamedTuple):
    """Rules with equal position and conditions."""

    sharing: tuple[Route, ...]  # with a weight
    standby: tuple[Route, ...]
    operator: str | None
    total: int  # of the weights

    @property
    def rule(self) -> Route:
        """Any of them: for what they agree in."""
        return (self.sharing or self.standby)[0]

    def first(self, number: int) -> Route:
        """The first of `in_order`, quickly."""
        if not self.sharing:
            return self.standby[0]
        if len(self.sharing) > 1:
            mark = ((number * _SPREAD & _64_BITS) >> 32) * self.total >> 32
            for route in self.sharing:
                mark -= route.weight
                if mark < 0:
                    return route
        return self.sharing[0]

    def in_order(self, number: int) -> Iterator[Route]:
        """For this number: the one whose share it falls into, then the others likewise, then those that stand by.

        By the number, not in turn: the messages of one handset keep their order, all nodes agree without asking each
        other, and `route explain` says what will happen. When one is down only its own share goes elsewhere.
        """
        left = list(self.sharing)
        spread = number * _SPREAD & _64_BITS
        while len(left) > 1:
            mark = (spread >> 32) * sum(route.weight for route in left) >> 32
            for place, route in enumerate(left):
                mark -= route.weight
                if mark < 0:
                    yield left.pop(place)
                    break
            spread = (spread ^ spread >> 29) * _SPREAD & _64_BITS
        yield from left
        yield from self.standby


def _nobody(number: int) -> None:
    return None


def grouped(routes: Iterable[Route]) -> list[Group]:
    """In the order in which they are tried."""
    members: dict[object, list[Route]] = {}
    for route in sorted(routes, key=lambda route: route.id):
        members.setdefault(route.conditions, []).append(route)
    groups = [
        Group(
            tuple(r for r in same if r.weight),
            tuple(r for r in same if not r.weight),
            same[0].operator,
            sum(r.weight for r in same),
        )
        for same in members.values()
    ]
    return sorted(groups, key=_rank)  # stable: else by the first one's id


def _rank(group: Group) -> tuple[int, int, int]:
    rule = group.rule
    others = (rule.account_id, rule.message_class, rule.operator)
    return rule.position, -len(rule.prefix), -sum(condition is not None for condition in others)


class Routes:
    """What is the same for many messages is worked out once: where only prefixes count, a choice is a dict look-up."""

    def __init__(
        self,
        routes: Iterable[Route] = (),
        *,
        operator_of: OperatorOf = _nobody,
        unavailable: Collection[int] = (),
    ) -> None:
        """unavailable: connections that are passed over while another rule fits that leads elsewhere."""
        self.groups = grouped(routes)
        self.operator_of = operator_of
        self.unavailable = frozenset(unavailable)
        rules = [group.rule for group in self.groups]
        self._prefixes = {rule.prefix for rule in rules}
        self._lengths = sorted({len(prefix) for prefix in self._prefixes}, reverse=True)
        self._accounts = {rule.account_id for rule in rules if rule.account_id is not None}
        self._classes = {rule.message_class for rule in rules if rule.message_class is not None}
        self._asks = any(group.operator for group in self.groups)
        self._plain = not (self._accounts or self._classes)
        self._tables: dict[tuple[int | None, int | None], dict[str, Route | list[Group]]] = {}
        self._all = self._table(None, None)

    def choose(self, number: int, account_id: int = 0, message_class: int = 1) -> Route | None:
        """The first rule that fits and whose connection is available, else the first that fits: its messages wait.

        None when no connection can carry the number.
        """
        table = self._all if self._plain else self._table(account_id, message_class)
        digits = str(number)
        for length in self._lengths:
            found = table.get(digits[:length])
            if found is not None:
                return found if isinstance(found, Route) else self._first(found, number)
        return None

    def elsewhere(
        self, number: int, account_id: int, message_class: int, tried: Collection[int]
    ) -> int | None:
        """The first available connection that a rule for this message leads to, without those that it tried."""
        for route in self.fitting(number, account_id, message_class):
            if route.smsc_id not in tried and route.smsc_id not in self.unavailable:
                return route.smsc_id
        return None

    def fitting(self, number: int, account_id: int, message_class: int) -> Iterator[Route]:
        """Every rule that fits, in the order in which they are tried, whether its connection is available or not."""
        digits = str(number)
        groups = [
            group
            for group in self.groups
            if digits.startswith(group.rule.prefix)
            and group.rule.account_id in (None, account_id)
            and group.rule.message_class in (None, message_class)
        ]
        return self._in_order(groups, number)

    def _first(self, groups: list[Group], number: int) -> Route | None:
        operator = self.operator_of(number) if self._asks else None
        for group in groups:  # nearly always the first one that fits is available
            if group.operator is None or group.operator == operator:
                first = group.first(number)
                if first.smsc_id not in self.unavailable:
                    return first
                break
        else:
            return None
        for route in self._in_order(groups, number):
            if route.smsc_id not in self.unavailable:
                return route
        return first

    def _in_order(self, groups: list[Group], number: int) -> Iterator[Route]:
        operator = self.operator_of(number) if self._asks else None
        for group in groups:
            if group.operator is None or group.operator == operator:
                yield from group.in_order(number)

    def _table(self, account_id: int | None, message_class: int | None) -> dict[str, Route | list[Group]]:
        """By the longest prefix that a number has: its rule, or the groups to be tried where that depends on the number.

        Accounts and classes that no rule names share a table.
        """
        key = (
            account_id if account_id in self._accounts else None,
            message_class if message_class in self._classes else None,
        )
        table = self._tables.get(key)
        if table is None:
            groups = [
                group
                for group in self.groups
                if group.rule.account_id in (None, key[0]) and group.rule.message_class in (None, key[1])
            ]
            table = self._tables[key] = {}
            for prefix in self._prefixes:
                fitting = [group for group in groups if prefix.startswith(group.rule.prefix)]
                if fitting:
                    table[prefix] = self._settled(fitting) or fitting
        return table

    def _settled(self, groups: list[Group]) -> Route | None:
        """The choice among these, where it is the same for all numbers."""
        first: Route | None = None
        for group in groups:
            if group.operator is not None or len(group.sharing) > 1:
                return None
            for route in (*group.sharing, *group.standby):
                if route.smsc_id not in self.unavailable:
                    return route
                first = first or route
        return first
