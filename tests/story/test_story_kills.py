"""kill -9 of the gateway, and of PostgreSQL, under load: what was answered 200 is never lost, and rarely repeated.

The operator survives all kills and has logged every submit. Each message's text is its id.
"""

import os
import signal
import threading
import urllib.parse
from collections import Counter
from collections.abc import Iterator

import pytest
from story_program import Customer, Program, Unanswered, new_number, running, until
from story_receiver import Receiver
from story_smsc import Smsc

WINDOW = 20
FINAL = 3  # message.State.DELIVERED: this operator delivers everything it takes


class Load:
    """Customers that send, each in a thread: single messages and batches, under ids of their own. What was not
    answered they send again under the same id until it is, as the contract allows them to."""

    def __init__(self, customer: Customer, name: str, singles: int = 3, batches: int = 1) -> None:
        self.accepted: list[str] = []
        self.refused = 0  # answers that were not a 200: they were sent again
        self._stop = threading.Event()
        self._customer = customer
        self._threads = [
            threading.Thread(target=self._run, args=(f"{name}-{n}", 1 if n < singles else 25), daemon=True)
            for n in range(singles + batches)
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, name: str, size: int) -> None:
        turn = 0
        while not self._stop.is_set():
            turn += 1
            ids = [f"{name}-{turn}-{n}" for n in range(size)]
            self._send([{"destino": new_number(), "msg": i, "id": i} for i in ids])
            self._stop.wait(0.02 * size)

    def _send(self, messages: list[dict[str, str]]) -> None:
        while True:
            try:
                if len(messages) == 1:
                    [m] = messages
                    accepted = [self._customer.send(m["destino"], m["msg"], id=m["id"])]
                else:
                    accepted = self._customer.send_batch(messages)
                assert len(accepted) == len(messages)
                self.accepted += accepted
                return
            except Unanswered:
                self.refused += 1
                if self._stop.wait(0.05):
                    return  # never answered: it may or may not be there

    def wait(self, more: int, timeout_s: float = 15) -> None:
        """Until so many more messages were accepted."""
        mark = len(self.accepted)
        until(lambda: len(self.accepted) >= mark + more, timeout_s=timeout_s, what=f"{more} more accepted")

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()


def check(program: Program, smsc: Smsc, load: Load, kills: int) -> None:
    """Nothing accepted is lost, little is repeated, and the money is right."""
    until(lambda: not program.sql("select from queue"), timeout_s=20, what="the queue to drain")
    undelivered = "select client_ref, state from message where state <> $1"
    until(lambda: not program.sql(undelivered, FINAL), timeout_s=20, what="every receipt to be counted")

    seen = Counter(bytes.fromhex(event["octets"]).decode() for event in smsc.of("submit"))
    known = {row["client_ref"] for row in program.sql("select client_ref from message")}
    repeated = sum(count - 1 for count in seen.values())
    figures = f"{len(load.accepted)} accepted, {repeated} repeated, {load.refused} requests sent again, {kills} kills"
    print(figures)
    assert len(load.accepted) == len(set(load.accepted)), "each id is answered once here"
    assert [i for i in load.accepted if i not in seen] == [], (
        f"answered 200 and never seen by the operator: {figures}"
    )
    assert set(load.accepted) <= known
    assert set(seen) == known, "what is not in the database was never sent"
    assert repeated <= 2 * WINDOW * kills, figures
    [money] = program.sql(
        "select balance_milli, (select sum(amount_milli) from ledger where account_id = a.id)::bigint as ledger,"
        " (select sum(price_milli - coalesce(refunded_milli, 0)) from message where account_id = a.id)::bigint as charged"
        " from account a"
    )
    assert money["balance_milli"] == money["ledger"] == 1_000_000_000 - money["charged"]
    assert program.sql("select from message group by client_ref having count(*) > 1") == []


@pytest.fixture
def smsc() -> Iterator[Smsc]:
    smsc = Smsc()
    smsc.do("default", behaviour={"response_ms": 5, "receipts": [{"stat": "DELIVRD", "after_ms": 20}]})
    yield smsc
    smsc.stop()


@pytest.fixture(autouse=True)
def standard_behaviour() -> None:
    """This operator has one of its own."""


@pytest.fixture
def program(smsc: Smsc) -> Iterator[Program]:
    with running() as program:
        program.add_smsc(smsc, "vivo", "--window", str(WINDOW))
        yield program


def test_kill_of_the_gateway_under_load_loses_nothing(
    program: Program, smsc: Smsc, receiver: Receiver
) -> None:
    customer = program.add_account("constante", "1000000.00")
    program.run("callback", "set", "constante", "--kind", "dlr", "--url", receiver.url)
    load = Load(customer, "k")
    for _ in range(3):
        load.wait(60)
        program.kill()
        program.start()
    load.wait(60)
    load.stop()

    deliver_again(program, smsc)
    check(program, smsc, load, kills=3)
    recovered = [line for line in program.logged() if line["event"] == "recovered_uncertain"]
    assert all(0 < line["messages"] <= 2 * WINDOW for line in recovered)
    until(lambda: not untold(receiver, load), timeout_s=20, what="every final state to be told")


def untold(receiver: Receiver, load: Load) -> set[str]:
    """Accepted messages of whose delivery their customer has not been called."""
    told = {urllib.parse.parse_qs(target.partition("?")[2])["id"][0] for target in receiver.targets}
    return set(load.accepted) - told


def test_kill_of_postgres_under_load_loses_nothing(program: Program, smsc: Smsc) -> None:
    load = Load(program.add_account("constante", "1000000.00"), "p")
    for _ in range(2):
        load.wait(60)
        killed = program.postgres_pid()
        os.kill(killed, signal.SIGKILL)
        until(
            lambda killed=killed: program.postgres_pid() not in (killed, 0), what="PostgreSQL to be up again"
        )
        load.wait(60, timeout_s=20)
    load.stop()

    assert load.refused > 0
    deliver_again(program, smsc)
    check(program, smsc, load, kills=2)
    faults = {"link_failed", "intake_failed", "upkeep_failed"}
    assert [line for line in program.logged() if line["event"] in faults] == []
    assert len([line for line in program.logged() if line["event"] == "postgres_ended"]) == 2


def deliver_again(program: Program, smsc: Smsc) -> None:
    """What an operator does with receipts that nobody confirmed; this one forgets them with the connection."""
    until(lambda: not program.sql("select from queue"), timeout_s=20, what="the queue to drain")
    confirmed = {event["tag"] for event in smsc.of("deliver_resp", status=0)}
    for submit in smsc.of("submit"):
        if f"receipt {submit['number']}" not in confirmed:
            smsc.receipt(submit)
