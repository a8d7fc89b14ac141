"""How the cost of a message grows: `python -m bench.growth [--history N] [--only WORD]`.

Processor time of a message, accepted and carried to the operator, by process, over the size of requests, operator
connections, accounts, API workers, the length of texts, and the history that is kept. Each case is run `_TIMES` times;
what counts is the median. The peers are those of bench.versus.
"""

import argparse
import asyncio
import statistics
import sys
from collections.abc import Iterator
from typing import NamedTuple

import asyncpg

from bench.versus.gateways import TEXT, WINDOW, Pombo
from bench.versus.measure import Run, Site, run, settle
from bench.versus.peers import Operator, Peer, Receiver
from pombo.store.embedded import reach

_MESSAGES = 40_000
_TIMES = 3
_CLIENTS = 4
_FIRST = 31_900_000_000
_TEXTS = {1: TEXT, 3: TEXT * 15}  # by their parts


class Case(NamedTuple):
    what: str
    value: str
    batch: int = 1000
    connections: int = 1
    accounts: int = 1
    api_workers: int = 0
    parts: int = 1
    history: int = 0


def cases(history: int) -> Iterator[Case]:
    for batch in (1, 10, 100, 1000):
        yield Case("messages per request", str(batch), batch=batch)
    for connections in (1, 4, 16):
        yield Case("operator connections", str(connections), connections=connections)
    for accounts in (1, 100):
        yield Case("accounts", str(accounts), batch=100, accounts=accounts)
    for workers in (0, 1, 2):
        yield Case("API workers beside the main process", str(workers), batch=100, api_workers=workers)
    for parts in (1, 3):
        yield Case("parts", str(parts), parts=parts)
    for kept in (0, history):
        yield Case("messages kept", f"{kept:,}", history=kept)


class Varied(Pombo):
    def __init__(self, operator_port: int, receiver_port: int, case: Case) -> None:
        super().__init__(operator_port, receiver_port, ["--api-workers", str(case.api_workers)])
        self._case = case
        self.all_tokens: list[str] = []

    def _furnish(self) -> None:
        for n in range(self._case.accounts):
            self.all_tokens.append(self.command("account", "add", f"a{n}", "--balance", "100000000")["token"])
        self.tokens = {False: self.all_tokens[0]}
        for n in range(self._case.connections):
            self.command(
                "smsc", "add", f"op{n}", "--host", "127.0.0.1", "--port", str(self.operator_port),
                "--system-id", "bench", "--password", "bench", "--window", str(WINDOW),
            )  # fmt: skip
            share = ["--weight", "1"] if self._case.connections > 1 else []
            self.command("route", "add", "--prefix", "55", "--smsc", f"op{n}", *share)
        if self._case.history:
            asyncio.run(self._remember(self._case.history))

    async def _remember(self, count: int) -> None:
        """So many delivered messages of before, with their attempts."""
        async with reach(self.data, "") as url:
            db = await asyncpg.connect(url)
            step = 100_000
            for first in range(1, count, step):
                await db.execute(_HISTORY.format(first=first, last=min(count, first + step - 1)), timeout=600)
            await db.execute("vacuum analyze message, message_key, attempt", timeout=3600)
            await db.close()

    def requests(self, first: int, count: int) -> list[bytes]:
        case = self._case
        found = []
        for n, at in enumerate(range(first, first + count, case.batch)):
            self.tokens[False] = self.all_tokens[n % case.accounts]
            found.append(self.batch(at, case.batch, callback=False, text=_TEXTS[case.parts]))
        return found


# As the stages leave them: ids below those of today, each delivered in its first attempt.
_HISTORY = """
with new as (
    insert into message (id, account_id, client_ref, destination, number, body, ucs2, parts, price_milli, smsc_id, state,
                         accepted_at, sent_at, final_at)
    select i, 1, 'old' || i, '11900000000', 5511000000000 + i % 90000000, 'Hello world bench text!', false, 1, 80, 1, 3,
           now() - interval '1 day', now() - interval '1 day', now() - interval '1 day'
    from generate_series({first}, {last}) i returning id, number, client_ref
), keyed as (
    insert into message_key (account_id, client_ref, message_id, content_hmac, accepted_at)
    select 1, client_ref, id, '\\x00', now() - interval '1 day' from new
)
insert into attempt (message_id, part, n, smsc_id, session_id, number, smsc_message_id, smsc_key, state, status,
                     submitted_at)
select id, 1, 1, 1, 1, number, 'old' || id, 'old' || id, 2, 0, now() - interval '1 day' from new
"""


def measure(case: Case, operator: Peer, receiver: Peer) -> list[Run]:
    pombo = Varied(operator.port, receiver.port, case)
    try:
        pombo.start()
        site = Site(pombo, operator, receiver)
        runs = []
        for n in range(_TIMES + 1):  # the first one warms up
            requests = pombo.requests(_FIRST + n * _MESSAGES, _MESSAGES)
            runs.append(run(site, requests, _MESSAGES, connections=_CLIENTS, submits=_MESSAGES * case.parts))
            settle(pombo)
        return runs[1:]
    finally:
        pombo.remove()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument(
        "--history", type=int, default=1_000_000, help="messages of before (default: a million)"
    )
    parser.add_argument("--only", default="", help="cases whose name holds this")
    given = parser.parse_args()
    operator, receiver = Peer(Operator), Peer(Receiver)
    try:
        print("| what grows | | msg/s | µs: Pombo | µs: PostgreSQL |\n| --- | --- | --- | --- | --- |")
        for case in cases(given.history):
            if given.only not in case.what:
                continue
            runs = measure(case, operator, receiver)
            pombo, postgres = (
                statistics.median(r.cpu_us[name] for r in runs) for name in ("pombo", "postgres")
            )
            per_s = statistics.median(r.end_to_end_per_s or 0 for r in runs)
            print(f"| {case.what} | {case.value} | {per_s:,.0f} | {pombo:.0f} | {postgres:.0f} |")
            sys.stdout.flush()
    finally:
        operator.stop()
        receiver.stop()


if __name__ == "__main__":
    main()
