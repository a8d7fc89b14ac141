"""Two operators: one goes away, and its messages go over the other."""

from collections.abc import Iterator

import pytest
from story_program import Program, running, until
from story_smsc import Smsc

NUMBER = "11987654321"


@pytest.fixture
def vivo() -> Iterator[Smsc]:
    smsc = Smsc()
    yield smsc
    smsc.stop()


@pytest.fixture
def tim() -> Iterator[Smsc]:
    smsc = Smsc()
    yield smsc
    smsc.stop()


@pytest.fixture
def program(vivo: Smsc, tim: Smsc) -> Iterator[Program]:
    """`vivo` carries everything; `tim` stands by."""
    with running() as program:
        for smsc, name in ((vivo, "vivo"), (tim, "tim")):
            program.add_smsc(smsc, name, "--patience-s", "2")
            smsc.wait("bind", status=0)
        yield program


def _smsc_of(program: Program, number: str = NUMBER) -> str:
    return str(program.run("route", "explain", number)["smsc"])


def test_messages_flow_over_the_other_operator_once_one_is_down_beyond_its_patience(
    program: Program, vivo: Smsc, tim: Smsc
) -> None:
    customer = program.add_account("loja")
    until(lambda: _smsc_of(program) == "vivo", what="vivo to be bound")
    first = customer.send(NUMBER)
    customer.wait_status(first, "2")

    vivo.stop()
    until(lambda: program.run("smsc", "show", "vivo")["bound"] == 0, what="vivo to be down")
    waiting = [customer.send(f"1198765{n:04}") for n in range(30)]  # accepted, whatever becomes of vivo
    for message_id in waiting:
        customer.wait_status(message_id, "2", timeout_s=20)
    assert len(tim.of("submit")) == 30
    explained = program.run("route", "explain", NUMBER)
    assert explained["smsc"] == "tim"
    assert [rule["outcome"] for rule in explained["rules"]] == ["passed over", "taken"]
    assert "down since" in explained["rules"][0]["reason"]

    mark = tim.mark
    customer.wait_status(customer.send(NUMBER), "2")  # straight to the other one
    assert len(tim.submits(NUMBER, mark)) == 1

    back = Smsc(vivo.port)
    try:
        back.wait("bind", status=0, timeout_s=30)
        until(lambda: _smsc_of(program) == "vivo", what="vivo to count again")
        customer.wait_status(customer.send(NUMBER), "2")
        assert len(back.submits(NUMBER)) == 1
    finally:
        back.stop()


@pytest.mark.parametrize("status", [0x0A, 0x0B])  # ESME_RINVSRCADR, ESME_RINVDSTADR
def test_what_one_operator_refuses_the_other_delivers_and_what_both_refuse_nobody(
    program: Program, vivo: Smsc, tim: Smsc, status: int
) -> None:
    customer = program.add_account("loja")
    vivo.plan(NUMBER, {"status": status})
    message_id = customer.send(NUMBER)
    customer.wait_status(message_id, "2")
    assert (len(vivo.submits(NUMBER)), len(tim.submits(NUMBER))) == (1, 1)
    attempts = program.run("explain", message_id)["attempts"]
    assert [attempt["smsc"] for attempt in attempts] == ["vivo", "tim"]

    for operator in (vivo, tim):
        operator.plan("11900000000", {"status": status})
    customer.wait_status(customer.send("11900000000"), "4")
    assert (len(vivo.submits("11900000000")), len(tim.submits("11900000000"))) == (1, 1)
