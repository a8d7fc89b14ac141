"""Customers under whose load the platform is killed, and a program that dies when it is told to."""

import itertools
import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from story_program import Customer, Program, Unanswered, new_number, until
from story_smsc import Smsc


class Mortal(Program):
    """`pombo serve` that can be told at which commit point (pombo/crash.py) it dies."""

    def start_to_die(self, point: str, passes: int) -> None:
        """Returns when it is ready, or dead before that."""
        self._spawn(POMBO_CRASH_AT=f"{point}:{passes}")
        assert self._process is not None and self._process.stdout is not None
        line = self._process.stdout.readline()
        if line:
            self.ready = json.loads(line)

    @property
    def dead(self) -> bool:
        assert self._process is not None
        return self._process.poll() is not None

    def bury(self) -> None:
        """It has died at its point."""
        self._end(signal.SIGKILL, 10)


class Load:
    """Customers that send, each in a thread: single messages and batches, under ids of their own. What was not
    answered they send again under the same id until it is, as the contract allows them to. A message's text is its id."""

    def __init__(
        self,
        customer: Customer,
        name: str,
        *,
        singles: int = 3,
        batches: int = 1,
        pause_s: float = 0.02,
        number: Callable[[], str] = new_number,
    ) -> None:
        """pause_s: after a message, for each of a batch."""
        self.accepted: list[str] = []
        self.refused = 0  # answers that were not a 200: they were sent again
        self._stop = threading.Event()
        self._customer = customer
        self._pause_s = pause_s
        self._number = number
        self._threads = [
            threading.Thread(target=self._run, args=(f"{name}-{n}", 1 if n < singles else 25), daemon=True)
            for n in range(singles + batches)
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, name: str, size: int) -> None:
        for turn in itertools.count(1):
            ids = [f"{name}-{turn}-{n}" for n in range(size)]
            self._send([{"destino": self._number(), "msg": i, "id": i} for i in ids])
            if self._stop.wait(self._pause_s * size):
                return

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
                if self._stop.wait(0.2):
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


class Replies:
    """Handsets that reply. What the platform did not confirm the operator delivers again, octet for octet."""

    def __init__(self, smsc: Smsc) -> None:
        self._smsc = smsc
        self._numbers = itertools.count(1)
        self.sent: list[str] = []  # texts, each of which is the tag of its deliver_sm

    def one(self) -> None:
        text = f"resposta-{next(self._numbers)}"
        self.sent.append(text)
        self._deliver(text)

    def _deliver(self, text: str) -> None:
        handset = f"5511977{text.rpartition('-')[2]:0>6}"
        self._smsc.deliver(handset, text.encode(), text)

    @property
    def unconfirmed(self) -> list[str]:
        confirmed = {event["tag"] for event in self._smsc.of("deliver_resp", status=0)}
        return [text for text in self.sent if text not in confirmed]

    def again(self) -> None:
        """To be called when a new bind stands, and nothing was sent over it yet; returns when all are confirmed."""
        missing, mark = self.unconfirmed, self._smsc.mark
        for text in missing:
            self._deliver(text)
        if missing:
            self._smsc.wait(
                "deliver_resp", since=mark, count=len(missing), where=lambda e: e["tag"] in missing
            )


def replies_until_dead(
    program: Mortal, replies: Replies, what: str, *, timeout_s: float = 20, at: float = math.inf
) -> None:
    """Handsets reply until it has died at its point, or until it is to be killed (at: time.monotonic)."""

    def over() -> bool:
        if not program.dead:
            replies.one()
        return program.dead or time.monotonic() > at

    until(over, timeout_s=timeout_s, what=f"death at {what}")


def receipts_again(program: Program, smscs: Iterable[Smsc]) -> None:
    """What an operator does with receipts that nobody confirmed; this one forgets them with the connection."""
    until(
        lambda: not program.sql("select from queue where state <> 2"),
        timeout_s=30,
        what="the queue to drain",
    )
    for smsc in smscs:
        confirmed = {event["tag"] for event in smsc.of("deliver_resp", status=0)}
        for submit in smsc.of("submit"):
            if f"receipt {submit['number']}" not in confirmed:
                smsc.receipt(submit)


def of_text(submits: Iterable[dict[str, Any]]) -> list[str]:
    return [bytes.fromhex(submit["octets"]).decode() for submit in submits]
