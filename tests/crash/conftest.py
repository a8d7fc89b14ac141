"""A platform that may be killed, with two operators that survive it: to one messages are sent again, to one they are not."""

from collections.abc import Iterator

import pytest
from crash_checker import WINDOW, Operator
from crash_load import Mortal
from story_program import started
from story_receiver import Receiver
from story_smsc import Smsc


@pytest.fixture
def operators() -> Iterator[list[Operator]]:
    """`vivo` has all numbers, `tim` those of Rio (DDD 21)."""
    vivo, tim = Smsc(), Smsc()
    for smsc in (vivo, tim):
        smsc.do("default", behaviour={"response_ms": 5, "receipts": [{"stat": "DELIVRD", "after_ms": 20}]})
    yield [Operator(vivo, "vivo", False), Operator(tim, "tim", True)]
    vivo.stop()
    tim.stop()


@pytest.fixture
def program(operators: list[Operator]) -> Iterator[Mortal]:
    with started(Mortal) as program:
        for operator, prefix in zip(operators, ("55", "5521"), strict=True):
            policy = "hold" if operator.hold else "resend"
            program.add_smsc(
                operator.smsc, operator.name, "--window", str(WINDOW), "--uncertain", policy, prefix=prefix
            )
        yield program


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()
