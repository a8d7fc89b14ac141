"""Several nodes, each a real process, on one PostgreSQL and one operator: who binds, and what a break of the owner costs."""

import http.client
import os
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from story_program import Program, Unanswered, new_number, running, until
from story_receiver import Receiver
from story_smsc import Smsc

WINDOW = 20
TAKE_OVER_S = 15  # from the death of the owner to the bind of the next one


@pytest.fixture(autouse=True)
def standard_behaviour() -> None:
    """This operator has one of its own."""


class Platform:
    """A node that has the database, accepts and calls back; and senders, which come and go."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.home = stack.enter_context(running(POMBO_ROLES="api,callback"))
        self.smsc = Smsc()
        stack.callback(self.smsc.stop)
        behaviour = {"response_ms": 5, "receipts": [{"stat": "DELIVRD", "after_ms": 20}]}
        self.smsc.do("default", behaviour=behaviour)
        self.home.add_smsc(self.smsc, "vivo", "--window", str(WINDOW))
        self.customer = self.home.add_account("loja", "100000.00")

    def sender(self) -> Program:
        secret = (self.home.data / "secret").read_text().strip()
        settings = {"POMBO_DATABASE_URL": self.home.database_url(), "POMBO_SECRET": secret}
        return self._stack.enter_context(running(POMBO_ROLES="send", **settings))

    def two_senders(self) -> tuple[Program, Program]:
        """The owner of the connection, and one that waits."""
        owner = self.sender()
        self.smsc.wait("bind", status=0)
        return owner, self.sender()

    def binds(self) -> int:
        return len(self.smsc.of("bind", status=0))

    def all_delivered(self, ids: list[str]) -> None:
        """Not of the receipts: this operator forgets those that nobody confirmed."""
        until(lambda: not self.home.sql("select from queue"), timeout_s=30, what="the queue to drain")
        taken = {bytes.fromhex(event["octets"]).decode() for event in self.smsc.of("submit")}
        assert set(ids) <= taken


class Load(threading.Thread):
    """Sends until it is stopped; each message's text is its id."""

    def __init__(self, platform: Platform) -> None:
        super().__init__(daemon=True)
        self.ids: list[str] = []
        self._platform = platform
        self._over = threading.Event()
        self.start()

    def run(self) -> None:
        n = 0
        while not self._over.wait(0.02):
            n += 1
            batch = [{"destino": new_number(), "msg": f"{n}-{i}", "id": f"{n}-{i}"} for i in range(10)]
            self.ids += self._platform.customer.send_batch(batch)

    def wait(self, more: int) -> None:
        mark = len(self.ids)
        until(lambda: len(self.ids) >= mark + more, timeout_s=15, what=f"{more} more accepted")

    def stop(self) -> None:
        self._over.set()
        self.join(20)
        assert not self.is_alive()

    def repeated(self) -> int:
        seen = Counter(bytes.fromhex(e["octets"]).decode() for e in self._platform.smsc.of("submit"))
        return sum(count - 1 for count in seen.values())


@pytest.fixture
def platform() -> Iterator[Platform]:
    with ExitStack() as stack:
        yield Platform(stack)


def test_one_node_binds_and_another_takes_over_within_15_s_when_it_is_killed(platform: Platform) -> None:
    owner, _ = platform.two_senders()
    load = Load(platform)
    load.wait(200)
    until(lambda: len(platform.smsc.of("submit")) > 100, what="submits")
    assert platform.binds() == 1

    owner.kill()
    killed_at = time.monotonic()
    platform.smsc.wait("bind", count=2, status=0, timeout_s=TAKE_OVER_S + 5)

    took_s = time.monotonic() - killed_at
    print(f"taken over after {took_s:.1f} s")
    assert took_s <= TAKE_OVER_S
    load.wait(100)
    load.stop()
    platform.all_delivered(load.ids)
    print(f"{len(load.ids)} accepted, {load.repeated()} repeated")
    assert load.repeated() <= 2 * WINDOW
    assert platform.binds() == 2


def test_a_node_that_stops_in_order_is_followed_at_once_and_nothing_is_sent_twice(platform: Platform) -> None:
    owner, _ = platform.two_senders()
    load = Load(platform)
    load.wait(200)

    mark = platform.smsc.mark
    owner.stop()
    stopped_at = time.monotonic()
    platform.smsc.wait("bind", since=mark, status=0, timeout_s=5)
    print(f"taken over {time.monotonic() - stopped_at:.2f} s after the stop")

    load.wait(100)
    load.stop()
    platform.all_delivered(load.ids)
    assert load.repeated() == 0


def test_an_owner_that_was_frozen_writes_nothing_once_another_has_taken_over(platform: Platform) -> None:
    owner, _ = platform.two_senders()
    load = Load(platform)
    load.wait(200)
    os.kill(owner.pid, signal.SIGSTOP)
    try:
        platform.smsc.wait("bind", count=2, status=0, timeout_s=TAKE_OVER_S + 5)
        load.wait(200)
    finally:
        os.kill(owner.pid, signal.SIGCONT)
    until(
        lambda: any(line["event"] == "leases_lost" for line in owner.logged()),
        what="the owner of before to notice",
    )
    load.wait(300)
    load.stop()

    platform.all_delivered(load.ids)
    print(f"{len(load.ids)} accepted, {load.repeated()} repeated")
    assert load.repeated() <= 2 * WINDOW
    [row] = platform.home.sql("select count(*) from queue")
    assert row["count"] == 0


def test_a_message_goes_out_promptly_whichever_process_accepted_it(platform: Platform) -> None:
    """No poll of a second is waited for: neither by the node that is bound, nor by the one that calls back."""
    platform.two_senders()
    receiver = Receiver()
    try:
        platform.home.run("callback", "set", "loja", "--kind", "dlr", "--url", receiver.url)
        slowest = 0.0
        for _ in range(5):
            since = platform.smsc.mark
            at = time.monotonic()
            platform.customer.send(new_number())
            platform.smsc.wait("submit", since=since, timeout_s=5)
            slowest = max(slowest, time.monotonic() - at)
        print(f"slowest {slowest * 1000:.0f} ms")
        assert slowest < 0.7
        until(lambda: len(receiver.targets) == 5, what="callbacks")
    finally:
        receiver.stop()


# API workers


def test_workers_accept_on_one_port_are_started_again_and_do_not_outlive_the_main_process() -> None:
    with running(POMBO_API_WORKERS="2") as program:
        smsc = Smsc()
        smsc.do("default", behaviour={"receipts": []})
        program.add_smsc(smsc)
        smsc.wait("bind", status=0)
        customer = program.add_account("loja")

        accepted_by: set[int] = set()

        def by_all_three() -> bool:
            for connection in program.connections:
                connection.close()
            program.connections.clear()
            customer._local = threading.local()  # a new connection, which the kernel gives to anyone
            customer.send(new_number())
            ids = program.sql("select distinct (id >> 14) & 255 as node from message")
            accepted_by.update(row["node"] for row in ids)
            return len(accepted_by) == 3

        until(by_all_three, timeout_s=20, what="each process to accept something")
        until(lambda: not program.sql("select from queue"), what="the queue to drain")

        first, second = workers(program)
        os.kill(first, signal.SIGKILL)
        until(lambda: len(set(workers(program)) - {first}) == 2, timeout_s=15, what="a new worker")
        assert second in workers(program)

        left = workers(program)
        program.kill()
        until(lambda: not any(alive(pid) for pid in left), timeout_s=5, what="the workers to end")
        program.start()
        program.stop()
        assert program.logged()[-1]["event"] == "stopped"
        smsc.stop()


def test_every_scrape_shows_the_sum_of_all_workers_and_never_less_than_before() -> None:
    with running(POMBO_API_WORKERS="2") as program:
        seen: list[float] = []
        token = program.add_account("loja").token

        def requests() -> float:
            page = anyone(program, "GET", "/metrics")
            counts = [line for line in page.splitlines() if line.startswith("pombo_http_requests_total{")]
            seen.append(sum(float(line.rpartition(" ")[2]) for line in counts))
            return seen[-1]

        def more(count: int) -> None:
            total = (seen or [0])[-1] + count
            for _ in range(count):
                anyone(program, "POST", "/api/saldo.php", f"token={token}")
            until(lambda: requests() == total, what=f"{total} requests")
            for _ in range(20):  # whoever answers
                requests()
            assert seen[-20:] == [total] * 20

        more(100)
        first, _ = workers(program)
        os.kill(first, signal.SIGKILL)
        until(lambda: not alive(first), what="its end")  # what it had not accepted yet goes with it
        until(
            lambda: requests() > 0 and len(set(workers(program)) - {first}) == 2,
            timeout_s=20,
            what="a new worker",
        )
        until(lambda: any(line["event"] == "api_worker_back" for line in program.logged()), timeout_s=20)
        more(50)
        assert seen == sorted(seen)


def test_a_second_signal_ends_the_workers_too_and_nothing_stays_behind() -> None:
    with running(POMBO_API_WORKERS="2") as program:
        left = workers(program)
        with socket.create_connection(("127.0.0.1", program.port)) as client:
            client.sendall(b"POST /api/unitario.php HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\ntoken")
            began = time.monotonic()
            assert program.hurry() == 130
            assert time.monotonic() - began < 8, "the stop took its whole time"
        until(lambda: not any(alive(pid) for pid in left), timeout_s=5, what="the workers to end")
        until(lambda: not program.postgres_pid(), what="PostgreSQL to end")


def test_a_stop_with_workers_finishes_what_they_have_under_way() -> None:
    with running(POMBO_API_WORKERS="2") as program:
        program.add_smsc(_Nowhere())
        customer = program.add_account("loja", "100000.00")
        accepted: list[str] = []
        unanswered = 0

        def send() -> None:
            nonlocal unanswered
            while True:
                try:
                    accepted.append(customer.send(new_number()))
                except Unanswered:
                    unanswered += 1
                    return

        threads = [threading.Thread(target=send) for _ in range(6)]
        for thread in threads:
            thread.start()
        until(lambda: len(accepted) > 100, what="messages")
        left = workers(program)
        program.stop()
        for thread in threads:
            thread.join(10)
        assert unanswered == len(threads)  # each at the very end, and only then
        assert not any(alive(pid) for pid in left)
        program.start()
        stored = {row["client_ref"] for row in program.sql("select client_ref from message")}
        assert set(accepted) <= stored
        assert len(stored) <= len(accepted) + len(threads)


def anyone(program: Program, method: str, path: str, body: str = "") -> str:
    """The answer of whichever process the kernel gives a new connection to."""
    connection = http.client.HTTPConnection("127.0.0.1", program.port, timeout=20)
    try:
        connection.request(method, path, body, {"content-type": "application/x-www-form-urlencoded"})
        return connection.getresponse().read().decode()
    finally:
        connection.close()


class _Nowhere:
    port = 1


def workers(program: Program) -> list[int]:
    """Their process ids."""
    children = []
    listed = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(program.pid)], capture_output=True, text=True, check=False
    )
    for line in listed.stdout.splitlines():
        pid, _, arguments = line.strip().partition(" ")
        if "pombo.app.worker" in arguments:
            children.append(int(pid))
    return sorted(children)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
