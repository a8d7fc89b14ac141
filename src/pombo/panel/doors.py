"""What the panel is given from outside."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from pombo.accept.intake import Intake
from pombo.account.prices import Prices
from pombo.account.secret import Secrets
from pombo.config import Config
from pombo.route.routes import Routes
from pombo.store.database import Database


class Bubble(Protocol):
    """A message on a handset's screen."""

    @property
    def direction(self) -> str: ...  # mt: to the handset; mo: from it
    @property
    def at(self) -> float: ...  # seconds since 1970
    @property
    def state(self) -> str: ...  # enviada, entregue or falhou
    @property
    def failure(self) -> str: ...  # as the receipt says it; "" unless it failed
    @property
    def shown(self) -> int: ...  # Handset.version when it came
    @property
    def changed(self) -> int: ...  # and when something about it changed last
    def read(self) -> str: ...


class Received(Protocol):
    """A callback as the built-in receiver got it."""

    @property
    def number(self) -> int: ...  # higher than those of all before it
    @property
    def at(self) -> datetime: ...
    @property
    def kind(self) -> str: ...  # dlr or mo
    @property
    def method(self) -> str: ...
    @property
    def target(self) -> str: ...  # path and query, as they came
    @property
    def parameters(self) -> Sequence[tuple[str, str]]: ...
    @property
    def headers(self) -> Sequence[tuple[str, str]]: ...
    @property
    def body(self) -> str: ...
    @property
    def status(self) -> int: ...  # that it was answered with
    @property
    def answer(self) -> str: ...


class Handset(Protocol):
    """The simulated handsets and the receiver of callbacks of a demonstration, which are one account's."""

    @property
    def account_id(self) -> int: ...
    @property
    def token(self) -> str: ...  # with which its programs may send
    def version(self) -> int: ...  # another one whenever a bubble or a callback came, or a bubble changed
    def numbers(self) -> Sequence[str]: ...  # that have bubbles, last active first
    def bubbles(self, number: str) -> Sequence[Bubble]: ...  # oldest first
    def calls(self) -> Sequence[Received]: ...  # oldest first
    def reply(
        self, number: str, text: str
    ) -> None: ...  # LookupError where the account has not written to it


class Doors(NamedTuple):
    db: Database  # for people's queries; not the pool of the hot path
    secrets: Secrets
    config: Config
    intake: Intake  # where messages are sent from: `await intake.submit([judge(…)])`
    routes: Callable[[], Routes]
    prices: Callable[[], Prices]
    handset: Handset | None = None  # of `demo`
