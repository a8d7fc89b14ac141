"""`make soak`, for release days: many kills, hours of load, ten thousand idle clients, a full disk. Prints its figures.

SOAK_KILLS (300) and SOAK_S (600) shorten or lengthen it; SOAK_SEED repeats what was random.
"""

import contextlib
import os
import random
import resource
import shutil
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from crash_checker import Operator, end_of_kills, start_and_hear_again
from crash_load import Load, Mortal, Replies, receipts_again, replies_until_dead
from story_program import Customer, Program, Unanswered, new_number, until
from test_crash_points import BREAKS_LINK, POINTS, in_rio
from test_crash_random import kill_postgres

KILLS = int(os.environ.get("SOAK_KILLS", "300"))
LENGTH_S = float(os.environ.get("SOAK_S", "600"))
HEARD_EVERY = 20  # kills, until operators send again what nobody confirmed: they do so soon after a bind
IDLE = 10_000
DISK_OCTETS = 320 * 2**20


def test_kills_at_points_and_at_random(program: Mortal, operators: list[Operator]) -> None:
    seed = int(os.environ.get("SOAK_SEED", time.time()))
    print(f"\nSOAK_SEED={seed}")
    chance = random.Random(seed)
    vivo = operators[0].smsc
    customer = program.add_account("loja", "1000000.00")
    program.run("shortcode", "add", "27300", "--account", "loja")
    loads = [Load(customer, "sp"), Load(customer, "rio", singles=1, number=in_rio)]
    replies = Replies(vivo)
    points = [point for point in POINTS if point not in BREAKS_LINK and not point.startswith("callback")]
    began = time.monotonic()
    program.kill()
    for round_ in range(1, KILLS + 1):
        kind = chance.choice(["point", "point", "gateway", "postgres"])
        if kind == "point":
            kind = chance.choice(points)
            program.start_to_die(kind, 2 if kind.startswith("re") else chance.randint(1, 30))
            replies_until_dead(program, replies, kind, timeout_s=60)
            program.bury()
        else:
            program.start()
            dies_at = time.monotonic() + chance.uniform(0.1, 1.5)
            replies_until_dead(program, replies, kind, timeout_s=60, at=dies_at)
            if kind == "postgres":
                kill_postgres(program)
            program.kill()
        if round_ % HEARD_EVERY == 0:
            start_and_hear_again(program, operators[0], replies)
            program.kill()
    breaks = 2 * KILLS + KILLS // HEARD_EVERY + 1
    figures = end_of_kills(program, operators, loads, replies, breaks)
    print(f"{figures}; {len(replies.sent)} replies, each in the inbox once; {time.monotonic() - began:.0f} s")


class Use:
    """Of the gateway's process, and of PostgreSQL's disk."""

    def __init__(self, program: Program) -> None:
        self._place = Path("/proc") / str(program.pid)

    def resident_mib(self) -> float:
        status = (self._place / "status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024

    def descriptors(self) -> int:
        return len(list((self._place / "fd").iterdir()))


def test_memory_and_descriptors_stay_flat(program: Mortal, operators: list[Operator]) -> None:
    load = Load(program.add_account("loja", "1000000.00"), "m", singles=4, batches=2, pause_s=0.01)
    use = Use(program)
    samples = []
    began = time.monotonic()
    load.wait(100)
    while time.monotonic() < began + LENGTH_S:
        samples.append((use.resident_mib(), use.descriptors()))
        time.sleep(LENGTH_S / 60)
    load.stop()
    third = len(samples) // 3
    middle, last = samples[third : 2 * third], samples[2 * third :]
    before_mib, after_mib = (statistics.fmean(m for m, _ in part) for part in (middle, last))
    print(
        f"\n{len(load.accepted)} messages in {LENGTH_S:.0f} s: {before_mib:.0f} MiB, then {after_mib:.0f} MiB;"
        f" {max(fds for _, fds in middle)} descriptors, then {max(fds for _, fds in last)}"
    )
    assert after_mib < before_mib * 1.1 + 5
    assert max(fds for _, fds in last) <= max(fds for _, fds in middle) + 10


def test_ten_thousand_idle_clients_keep_nobody_waiting(program: Mortal, operators: list[Operator]) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, IDLE + 2000), hard))
    customer, use = program.add_account("loja", "1000000.00"), Use(program)
    alone_s = _send_times(customer)
    before_mib = use.resident_mib()
    with contextlib.ExitStack() as stack:
        for _ in range(IDLE):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", program.port), timeout=10))
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
        beside_s = _send_times(customer)
        after_mib = use.resident_mib()
    print(
        f"\n{IDLE} idle clients: {(after_mib - before_mib) * 1024 / IDLE:.1f} KiB each;"
        f" median of a message {alone_s * 1000:.1f} ms without them, {beside_s * 1000:.1f} ms beside them"
    )
    assert beside_s < 4 * alone_s + 0.02
    assert (after_mib - before_mib) * 1024 / IDLE < 64


def _send_times(customer: Customer) -> float:
    took = []
    for _ in range(200):
        began = time.perf_counter()
        customer.send(new_number())
        took.append(time.perf_counter() - began)
    return statistics.median(took)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, which only root can make."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_OCTETS},mode=755", "tmpfs", str(place)], check=True
    )
    for parent in (place, *place.parents[:3]):
        parent.chmod(0o755)
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_refuses_and_loses_nothing(small_disk: Path, operators: list[Operator]) -> None:
    program = Mortal(small_disk / "data")
    program.log = small_disk.parent / "stderr.log"
    try:
        program.start()
        program.add_smsc(operators[0].smsc, "vivo")
        customer = program.add_account("loja", "1000000.00")
        filler = small_disk / "filler"
        filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - 2 * 2**20))
        accepted, refused = [], 0
        deadline = time.monotonic() + 60
        while refused < 20 and time.monotonic() < deadline:
            try:
                accepted += customer.send_batch(
                    [{"destino": new_number(), "msg": "x" * 150} for _ in range(500)]
                )
            except Unanswered:
                refused += 1
        assert refused >= 20, "the disk was never full"

        told = [line for line in program.logged() if line["event"] == "intake_unavailable"]
        assert {line["error"] for line in told} == {"DiskFullError"}
        filler.unlink()
        until(lambda: _sends(customer), timeout_s=60, what="messages to be accepted again")
        receipts_again(program, [operators[0].smsc])
        stored = {row["client_ref"] for row in program.sql("select client_ref from message")}
        assert set(accepted) <= stored
        assert program.run("doctor")["sound"]
        print(f"\nfull disk: {len(accepted)} accepted before it was, {refused} requests refused, none lost")
    finally:
        program.close()


def _sends(customer: Customer) -> bool:
    try:
        return bool(customer.send(new_number()))
    except Unanswered:
        return False
