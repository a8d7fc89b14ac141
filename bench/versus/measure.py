"""One run of one work on one gateway: rates, processor time by process, memory."""

import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench.versus.gateways import Gateway
from bench.versus.load import send
from bench.versus.peers import Peer

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_NO_PROGRESS_S = 30.0


class Run(NamedTuple):
    accept_per_s: float
    end_to_end_per_s: float | None  # until the last message is at the operator
    called_per_s: float | None  # until the last callback is at its receiver
    p50_ms: float
    p99_ms: float
    cpu_us: dict[str, float]  # a message, by process
    pss_mb: float  # all processes of the gateway, the most that was seen
    busy: float  # of the machine, by others than us: 0 to 1


class Site(NamedTuple):
    """Where a run takes place."""

    gateway: Gateway
    operator: Peer
    receiver: Peer


def run(
    site: Site,
    requests: Sequence[bytes],
    messages: int,
    *,
    connections: int,
    submitted: bool = True,
    called: bool = False,
    per_s: float = 0,
    submits: int = 0,
) -> Run:
    """messages: that the requests hold in all; submits: what they make of them, where that is more than one each.
    submitted, called: wait until they are at the operator, and until each has been called back. The operator gives
    receipts only where they are waited for: Kannel would not ask for others."""
    gateway, operator, receiver = site
    operator.ask("reset")
    receiver.ask("reset")
    operator.ask("give_receipts" if called else "give_no_receipts")
    memory = _Memory(gateway)
    machine, before = _machine_s(), _cpu_s(gateway)
    peers = _peers_s(site)
    sent = send(gateway.port, requests, connections=connections, accepted=gateway.accepted, per_s=per_s)
    if sent.accepted != messages:
        raise SystemExit(f"{gateway.name} accepted {sent.accepted} of {messages} messages")
    last_submit = last_call = None
    if submitted:
        last_submit = _reaches(operator, "submits", submits or messages) - sent.began_at
    if called:
        last_call = _reaches(receiver, "calls", messages) - sent.began_at
        settle(gateway)
    after, used = _cpu_s(gateway), _machine_s()
    ours = sum(after.values()) - sum(before.values()) + _peers_s(site) - peers + sent.cpu_s
    return Run(
        messages / sent.took_s,
        messages / last_submit if last_submit else None,
        messages / last_call if last_call else None,
        sent.p50_ms,
        sent.p99_ms,
        {name: (after[name] - before.get(name, 0.0)) / messages * 1e6 for name in after},
        memory.stop(),
        max(0.0, (used.busy_s - machine.busy_s - ours) / max(1e-6, used.all_s - machine.all_s)),
    )


def settle(gateway: Gateway) -> None:
    """Until the gateway has nothing to do any more: what it still commits belongs to this run, not to the next one."""
    before = sum(_cpu_s(gateway).values())
    for _ in range(40):
        time.sleep(0.25)
        now = sum(_cpu_s(gateway).values())
        if now - before < 0.02:
            return
        before = now


def _reaches(peer: Peer, what: str, wanted: int) -> float:
    """When the last one came, in seconds since the epoch."""
    seen, since = -1.0, time.monotonic()
    while (figures := peer.ask("figures"))[what] < wanted:
        if figures[what] != seen:
            seen, since = figures[what], time.monotonic()
        elif time.monotonic() - since > _NO_PROGRESS_S:
            raise SystemExit(f"only {seen:.0f} of {wanted} {what} came")
        time.sleep(0.02)
    if figures[what] > wanted:
        raise SystemExit(f"{figures[what]} {what} came for {wanted} messages")
    last: float = figures["last_at"]
    return last


def drained(operator: Peer, wanted: int) -> tuple[float, float]:
    """When the first and the last of so many messages came to the operator."""
    last = _reaches(operator, "submits", wanted)
    return operator.ask("figures")["first_at"], last


class _Memory:
    """Looks at the gateway's memory while a run goes on; the most is what counts. PSS: shared pages count once."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._most = pss_mb(gateway)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(1.0):
            self._most = max(self._most, pss_mb(self._gateway))

    def stop(self) -> float:
        self._over.set()
        self._thread.join()
        return self._most


def pss_mb(gateway: Gateway) -> float:
    total = 0
    for pid in (pid for pids in gateway.pids().values() for pid in pids):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:  # it has ended
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def _cpu_s(gateway: Gateway) -> dict[str, float]:
    """By process, what its ended children used included."""
    return {name: sum(map(_of_pid_s, pids)) for name, pids in gateway.pids().items()}


def _of_pid_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) * _TICK_S


def _peers_s(site: Site) -> float:
    return _of_pid_s(site.operator.pid) + _of_pid_s(site.receiver.pid) + time.process_time()


class _Machine(NamedTuple):
    all_s: float
    busy_s: float


def _machine_s() -> _Machine:
    fields = [int(field) * _TICK_S for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return _Machine(sum(fields), sum(fields) - fields[3] - fields[4])
