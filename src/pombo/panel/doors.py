"""What the panel is given from outside."""

from collections.abc import Callable
from typing import NamedTuple

from pombo.accept.intake import Intake
from pombo.account.prices import Prices
from pombo.account.secret import Secrets
from pombo.config import Config
from pombo.route.routes import Routes
from pombo.store.database import Database


class Doors(NamedTuple):
    db: Database  # for people's queries; not the pool of the hot path
    secrets: Secrets
    config: Config
    intake: Intake  # where messages are sent from: `await intake.submit([judge(…)])`
    routes: Callable[[], Routes]
    prices: Callable[[], Prices]
