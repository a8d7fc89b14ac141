"""One running program, operator and callback receiver per module; modules that break them start their own."""

from collections.abc import Iterator

import pytest
from story_program import Customer, Program, running
from story_receiver import Receiver
from story_smsc import Smsc


@pytest.fixture(scope="module")
def smsc() -> Iterator[Smsc]:
    smsc = Smsc()
    yield smsc
    smsc.stop()


@pytest.fixture(scope="module")
def program(smsc: Smsc) -> Iterator[Program]:
    """Bound to the operator over a connection with a window of 20."""
    with running() as program:
        program.add_smsc(smsc)
        smsc.wait("bind", status=0)
        yield program


@pytest.fixture(scope="module")
def customer(program: Program) -> Customer:
    return program.add_account("loja")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture(autouse=True)
def standard_behaviour(request: pytest.FixtureRequest) -> None:
    """Each test begins with an operator that takes and delivers everything."""
    if "smsc" in request.fixturenames:
        request.getfixturevalue("smsc").do("default", behaviour={"receipts": [{"stat": "DELIVRD"}]})
