"""The operator of the stories: tests/peers/smsc.js as a process, with what it saw as a list of events."""

import json
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PEERS = Path(__file__).parents[1] / "peers"
SYSTEM_ID, PASSWORD = "pombo", "s3nh4Smsc"

Event = dict[str, Any]


class Smsc:
    """Behaviours are described at the head of smsc.js."""

    def __init__(self, port: int = 0, *, pem: Path | None = None) -> None:
        """pem: key and certificate, to speak TLS."""
        self.events: list[Event] = []
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            ["node", "smsc.js", str(port), SYSTEM_ID, PASSWORD, *([str(pem)] if pem else [])],
            cwd=PEERS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.port: int = self.wait("listening")["port"]

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self.events.append(json.loads(line))
                self._changed.notify_all()

    def do(self, command: str, **arguments: Any) -> None:
        """Returns once it is done."""
        assert self._process.stdin is not None
        mark = len(self.events)
        self._process.stdin.write(json.dumps({"do": command, **arguments}) + "\n")
        self._process.stdin.flush()
        self.wait("done", since=mark, where=lambda event: event["command"] == command)

    def plan(self, to: str, *behaviours: Event) -> None:
        """What the next submits to this number, as the customer writes it, get: one each."""
        self.do("for", to=f"55{to}", behaviours=list(behaviours))

    def receipt(self, submit: Event, stat: str = "DELIVRD", **more: Any) -> None:
        """A receipt for this submit, now. more: as in `receipts` of a behaviour."""
        self.do(
            "receipt", to=submit["to"], number=submit["number"], receipt={"stat": stat, **more},
            **{"from": submit["source"]},
        )  # fmt: skip

    def deliver(self, source: str, octets: bytes, tag: str = "", **fields: Any) -> None:
        """A deliver_sm from this handset to the short code. fields: of the PDU."""
        body = {
            "source_addr": source, "destination_addr": "27300", "short_message": octets.hex(), **fields
        }  # fmt: skip
        self.do("deliver", body=body, tag=tag)

    def of(self, event: str, since: int = 0, **facts: Any) -> list[Event]:
        """All events of one kind, with these facts, from the mark `since` on."""
        return [
            e
            for e in self.events[since:]
            if e["event"] == event and all(e.get(key) == value for key, value in facts.items())
        ]

    def submits(self, number: str, since: int = 0) -> list[Event]:
        """number: as the customer writes it, DDD + 9 digits."""
        return self.of("submit", since, to=f"55{number}")

    @property
    def mark(self) -> int:
        return len(self.events)

    def wait(
        self,
        event: str,
        *,
        count: int = 1,
        since: int = 0,
        timeout_s: float = 10,
        where: Callable[[Event], bool] = lambda _: True,
        **facts: Any,
    ) -> Event:
        """The last of the first `count` such events, once they are there."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                found = [e for e in self.of(event, since, **facts) if where(e)]
                if len(found) >= count:
                    return found[count - 1]
                left_s = deadline - time.monotonic()
                if left_s <= 0 or not self._changed.wait(left_s):
                    raise AssertionError(f"{len(found)} of {count} {event} {facts} within {timeout_s} s")

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._reader.join(10)
        assert self._process.stdout is not None
        self._process.stdout.close()
