"""Compares what customers were told, what the database holds, and what the operators logged."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from crash_load import Load, Mortal, Replies, of_text, receipts_again
from story_program import Program, until
from story_smsc import Smsc

from pombo.message import State

WINDOW = 20


class Operator(NamedTuple):
    """Delivers everything it takes."""

    smsc: Smsc
    name: str
    hold: bool


class Figures(NamedTuple):
    accepted: int
    repeated: dict[str, int]  # by operator
    uncertain: int
    asked_again: int
    breaks: int

    def __str__(self) -> str:
        repeated = ", ".join(f"{count} sent again to {name}" for name, count in self.repeated.items())
        return (
            f"{self.accepted} accepted, 0 lost, {repeated}, {self.uncertain} uncertain, "
            f"{self.asked_again} requests asked again, {self.breaks} breaks"
        )


def end_of_kills(
    program: Mortal, operators: Sequence[Operator], loads: Sequence[Load], replies: Replies, breaks: int
) -> Figures:
    """Starts what was killed, lets operators send again what nobody confirmed, ends the loads, and checks all of it."""
    start_and_hear_again(program, operators[0], replies)
    for load in loads:
        load.wait(5)
        load.stop()
    receipts_again(program, [operator.smsc for operator in operators])
    figures = check(program, operators, loads, breaks)
    inbox = program.sql("select body, count(*) as n from inbox group by body")
    assert {row["body"]: row["n"] for row in inbox} == dict.fromkeys(replies.sent, 1)
    return figures


def start_and_hear_again(program: Mortal, operator: Operator, replies: Replies) -> None:
    mark = operator.smsc.mark
    program.start()
    operator.smsc.wait("bind", since=mark, status=0)
    replies.again()


def check(program: Program, operators: Sequence[Operator], loads: Sequence[Load], breaks: int) -> Figures:
    """Nothing accepted is lost, little is repeated, and the money is right. To be called when all receipts were sent."""
    held = [operator.name for operator in operators if operator.hold]
    unfinished = (
        "select m.id from message m join smsc s on s.id = m.smsc_id"
        " where m.state <> $1 and not (m.state = $2 and s.name = any($3))"
    )
    until(
        lambda: not program.sql(unfinished, State.DELIVERED, State.UNCERTAIN, held),
        timeout_s=30,
        what="every receipt to be counted",
    )
    rows = program.sql("select client_ref, state from message")
    states = {row["client_ref"]: row["state"] for row in rows}
    accepted = [i for load in loads for i in load.accepted]
    seen = {operator.name: Counter(of_text(operator.smsc.of("submit"))) for operator in operators}
    taken = {i for of_one in seen.values() for i in of_one}
    repeated = {name: sum(of_one.values()) - len(of_one) for name, of_one in seen.items()}
    asked_again = sum(load.refused for load in loads)
    uncertain = {i for i, state in states.items() if state == State.UNCERTAIN}
    figures = Figures(len(accepted), repeated, len(uncertain), asked_again, breaks)

    assert len(rows) == len(states) and len(accepted) == len(set(accepted)), "an id stands for one message"
    assert set(accepted) <= set(states), "answered 200 and not stored"
    assert taken <= set(states), "sent and not stored"
    delivered = {i for i, state in states.items() if state == State.DELIVERED}
    assert delivered <= taken, "counts as delivered, and no operator ever saw it"
    assert set(states) == delivered | uncertain
    for operator in operators:
        most = 0 if operator.hold else 2 * WINDOW * breaks
        assert repeated[operator.name] <= most, figures
    money(program)
    doctor = program.run("doctor")
    assert doctor["sound"], doctor
    return figures


def money(program: Program) -> None:
    """Each message was charged once, and nothing else was."""
    for row in program.sql(
        "select balance_milli, (select sum(amount_milli) from ledger where account_id = a.id)::bigint as ledger,"
        " (select sum(price_milli - coalesce(refunded_milli, 0)) from message where account_id = a.id)::bigint as charged"
        " from account a"
    ):
        assert row["balance_milli"] == row["ledger"] == 1_000_000_000 - row["charged"]
