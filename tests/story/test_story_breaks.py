"""The operator goes away, comes back, refuses, forgets to answer; the gateway stops and starts."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from story_program import Customer, Program, new_number, until
from story_smsc import PASSWORD, Smsc

from pombo.account import secret

SILENT = {"response": "never", "receipts": []}


@pytest.fixture(scope="module")
def holding(program: Program) -> Iterator[Smsc]:
    """A second operator, for numbers of Rio (DDD 21): what it does not answer is held, not sent again."""
    smsc = Smsc()
    program.run(
        "smsc", "add", "hold", "--host", "127.0.0.1", "--port", str(smsc.port), "--system-id", "pombo",
        "--password", PASSWORD, "--uncertain", "hold",
    )  # fmt: skip
    program.run("route", "add", "--prefix", "5521", "--smsc", "hold")
    smsc.wait("bind", status=0)
    smsc.do("default", behaviour={"receipts": [{"stat": "DELIVRD"}]})
    yield smsc
    smsc.stop()


def _in_rio() -> str:
    return "21" + new_number()[2:]


def _reconnected(smsc: Smsc, since: int) -> None:
    smsc.wait("bind", since=since, status=0, timeout_s=15)


def test_unanswered_submit_is_sent_again_after_the_connection_broke(
    program: Program, customer: Customer, smsc: Smsc
) -> None:
    number, mark = new_number(), smsc.mark
    smsc.plan(number, SILENT)
    message_id = customer.send(number)
    smsc.wait("submit", to=f"55{number}")

    smsc.do("drop")

    _reconnected(smsc, mark)
    customer.wait_status(message_id, "2")
    assert len(smsc.submits(number)) == 2
    assert any(line["event"] == "session_ended" and line["uncertain"] == 1 for line in program.logged())


def test_message_that_breaks_the_connection_each_time_is_sent_ever_later(
    customer: Customer, smsc: Smsc
) -> None:
    """It must not keep everybody else from their messages, nor come to a handset every minute."""
    number, mark = new_number(), smsc.mark
    smsc.plan(number, {"drop": "before"}, {"drop": "before"})

    message_id = customer.send(number)

    smsc.wait("closed", count=2, since=mark)
    customer.wait_status(customer.send(new_number()), "2")
    customer.wait_status(message_id, "2", timeout_s=15)
    first, second, third = (submit["at_ms"] for submit in smsc.submits(number))
    assert second - first < 6000  # the pause before a bind that follows a short-lived one, and no more
    assert third - second > 4500


def test_failed_receipt_of_one_attempt_does_not_end_a_message_that_another_may_deliver(
    customer: Customer, smsc: Smsc
) -> None:
    number, mark = new_number(), smsc.mark
    smsc.plan(number, SILENT, {"receipts": []})
    message_id = customer.send(number)
    first = smsc.wait("submit", to=f"55{number}")
    smsc.do("drop")
    _reconnected(smsc, mark)
    second = smsc.wait("submit", count=2, to=f"55{number}")
    customer.wait_status(message_id, "1")

    smsc.receipt(first, "UNDELIV")
    smsc.wait("deliver_resp", tag=f"receipt {first['number']}", status=0)
    assert customer.status(message_id) == "1"
    smsc.receipt(second)
    customer.wait_status(message_id, "2")


def test_unanswered_submit_is_held_where_the_connection_says_so_until_a_receipt_settles_it(
    program: Program, customer: Customer, holding: Smsc
) -> None:
    number, mark = _in_rio(), holding.mark
    holding.plan(number, SILENT)
    message_id = customer.send(number)
    submit = holding.wait("submit", to=f"55{number}")
    holding.do("drop")
    _reconnected(holding, mark)
    customer.wait_status(message_id, "1")
    customer.wait_status(customer.send(_in_rio()), "2")
    assert len(holding.submits(number)) == 1

    holding.receipt(submit)

    customer.wait_status(message_id, "2")
    assert program.sql("select from queue where state = 2") == []


def test_break_with_a_full_window_loses_nothing_and_repeats_only_the_window(
    customer: Customer, smsc: Smsc
) -> None:
    mark = smsc.mark
    smsc.do("default", behaviour={"response_ms": 20, "receipts": [{"stat": "DELIVRD"}]})
    numbers = [new_number() for _ in range(300)]
    ids = customer.send_batch([{"destino": number, "msg": "Cheia"} for number in numbers])
    smsc.wait("submit", count=100, since=mark)

    smsc.do("drop")

    until(lambda: all(customer.status(i) == "2" for i in ids), timeout_s=20)
    counts = [len(smsc.submits(number)) for number in numbers]
    assert min(counts) == 1
    assert sum(counts) - 300 <= 40


def test_unbind_by_the_operator_is_answered_and_followed_by_a_new_bind(
    program: Program, customer: Customer, smsc: Smsc
) -> None:
    mark = smsc.mark

    smsc.do("unbind")

    smsc.wait("unbind_resp", since=mark)
    _reconnected(smsc, mark)
    customer.wait_status(customer.send(new_number()), "2")


def test_operator_that_comes_later_and_restarts_gets_everything_that_waited(
    program: Program, customer: Customer
) -> None:
    first = Smsc()
    port = first.port
    first.stop()
    program.run(
        "smsc", "add", "tarde", "--host", "127.0.0.1", "--port", str(port),
        "--system-id", "pombo", "--password", PASSWORD,
    )  # fmt: skip
    program.run("route", "add", "--prefix", "5531", "--smsc", "tarde")
    number = "31" + new_number()[2:]
    message_id = until(lambda: customer.send(number))
    assert customer.status(message_id) == "0"
    for _ in range(2):
        smsc = Smsc(port)
        smsc.wait("bind", status=0, timeout_s=20)
        customer.wait_status(message_id, "2")
        smsc.stop()
        message_id = customer.send(number)
    assert customer.status(message_id) == "0"
    unreachable = [line for line in program.logged() if line["event"] == "smsc_unreachable"]
    assert unreachable and {line["smsc"] for line in unreachable} == {"tarde"}


def test_wrong_password_is_refused_and_works_once_it_is_corrected(
    program: Program, customer: Customer
) -> None:
    smsc = Smsc()
    try:
        program.run(
            "smsc", "add", "senha", "--host", "127.0.0.1", "--port", str(smsc.port),
            "--system-id", "pombo", "--password", "errada",
        )  # fmt: skip
        smsc.wait("bind", status=0x0E)

        sealed = secret.load(program.data, "").seal(PASSWORD.encode())
        program.sql("update smsc set password_sealed = $1 where name = 'senha'", sealed)

        smsc.wait("bind", status=0, timeout_s=5)
        [line] = [line for line in program.logged() if line["event"] == "bind_refused"]
        assert (line["smsc"], line["status"]) == ("senha", "ESME_RINVPASWD")
    finally:
        smsc.stop()


def test_stop_waits_for_answers_and_a_restart_finds_everything(
    program: Program, customer: Customer, smsc: Smsc
) -> None:
    smsc.do("default", behaviour={"response_ms": 200, "receipts": [{"stat": "DELIVRD", "after_ms": 1}]})
    numbers, mark = [new_number() for _ in range(100)], smsc.mark
    ids = customer.send_batch([{"destino": number, "msg": "Ate logo"} for number in numbers])
    smsc.wait("submit", count=30, since=mark)

    program.stop()

    assert smsc.of("unbind", mark)
    assert len(smsc.of("submit", mark)) < 100
    smsc.do("default", behaviour={"receipts": [{"stat": "DELIVRD"}]})
    program.start()
    for submit in smsc.of(
        "submit", mark
    ):  # receipts that met the closed door; a real operator sends them again
        _reconnected(smsc, mark)
        smsc.receipt(submit)
    until(lambda: all(customer.status(i) == "2" for i in ids), timeout_s=20)
    assert [len(smsc.submits(number)) for number in numbers] == [1] * 100


def test_restart_finds_balance_tokens_inbox_and_states(
    program: Program, customer: Customer, smsc: Smsc
) -> None:
    number = new_number()
    message_id = customer.send(number)
    before = customer.wait_status(message_id, "2")
    smsc.deliver(f"55{number}", b"guardada")
    customer.wait_reply("guardada")
    balance = program.sql("select balance_milli from account order by id")

    program.stop()
    program.start()

    assert customer.dlr(message_id) == before
    assert program.sql("select balance_milli from account order by id") == balance
    assert customer.wait_reply("guardada")["id"] == message_id


def test_nothing_secret_is_logged(program: Program, customer: Customer, tmp_path: Path) -> None:
    """After all the breaks above. Phone numbers and texts of messages are the customers' secrets."""
    written = program.log.read_text() + (program.data / "postgres.log").read_text()
    numbers = [row["number"] for row in program.sql("select distinct number from message")]

    assert len(numbers) > 100
    for canary in (customer.token, customer.token[6:], PASSWORD, "Ate logo", "guardada", "errada"):
        assert canary not in written, canary
    assert [n for n in numbers if str(n) in written or str(n)[2:] in written] == []


def test_every_log_line_names_what_happened(program: Program) -> None:
    """No fault of ours in hundreds of breaks: whoever is on call at night looks for these."""
    faults = {
        "link_failed",
        "upkeep_failed",
        "settlement_refused",
        "intake_failed",
        "library",
        "legacy_api_failed",
    }

    assert [line for line in program.logged() if line["event"] in faults] == []
    assert {"bound", "session_ended", "smsc_unreachable", "bind_refused", "ready", "stopping"} <= {
        line["event"] for line in program.logged()
    }
