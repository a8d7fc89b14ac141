"""kill -9 of the gateway, and of PostgreSQL, under load: what was answered 200 is never lost, and rarely repeated."""

import os
import signal

from crash_checker import WINDOW, Operator, check
from crash_load import Load, Mortal, receipts_again
from story_program import until


def test_kill_of_the_gateway_and_of_postgres_under_load_loses_nothing(
    program: Mortal, operators: list[Operator]
) -> None:
    load = Load(program.add_account("loja", "1000000.00"), "k")
    for _ in range(2):
        load.wait(60)
        program.kill()
        program.start()
        load.wait(60)
        kill_postgres(program)
    load.wait(60, timeout_s=20)
    load.stop()
    receipts_again(program, [operator.smsc for operator in operators])

    figures = check(program, operators, [load], breaks=4)

    print(figures)
    assert load.refused > 0
    logged = program.logged()
    assert [
        line for line in logged if line["event"] in ("link_failed", "intake_failed", "upkeep_failed")
    ] == []
    assert len([line for line in logged if line["event"] == "postgres_ended"]) == 2
    recovered = [line for line in logged if line["event"] == "recovered_uncertain"]
    assert all(0 < line["messages"] <= 2 * WINDOW for line in recovered)


def kill_postgres(program: Mortal) -> None:
    """Returns when it is up again."""
    killed = program.postgres_pid()
    os.kill(killed, signal.SIGKILL)
    until(lambda: program.postgres_pid() not in (killed, 0), what="PostgreSQL to be up again")
