"""What the hot statements cost PostgreSQL: `python -m bench.statements [MESSAGES [BATCH]]`.

Microseconds of processor time of the backend for each message, accepted, claimed, answered, receipted and called back in
batches, while the tables grow from empty; other work on the machine hardly falsifies it.
"""

import asyncio
import shutil
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Awaitable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop

from pombo.app.upkeep import Vacuum
from pombo.message import AttemptState, CallbackKind
from pombo.receipt import identity
from pombo.send.turn import Turns
from pombo.store import callbacks, outbox, queue, receipts, smscs
from pombo.store import intake as store
from pombo.store.database import Database
from pombo.store.embedded import Embedded
from pombo.store.ids import Ids
from pombo.store.intake import NewMessages
from pombo.store.migrate import migrate
from pombo.store.queue import Attempt
from pombo.store.receipts import AttemptKey, Effect

TEXT = "Hello world bench text!"


class Costs:
    def __init__(self, db: Database, pid: int) -> None:
        self._db, self._pid = db, pid
        self.spent_s: Counter[str] = Counter()

    async def of(self, name: str, work: Awaitable[Any]) -> Any:
        before = self._cpu_s()
        try:
            return await work
        finally:
            self.spent_s[name] += self._cpu_s() - before

    def _cpu_s(self) -> float:
        return int(Path(f"/proc/{self._pid}/schedstat").read_text().split()[0]) / 1e9


async def lives(db: Database, messages: int, batch: int) -> None:
    account_id = await db.fetchval(
        "insert into account (name, balance_milli) values ('a', 1000000000) returning id"
    )
    await callbacks.set_endpoint(
        db, account_id, CallbackKind.DLR, "http://127.0.0.1/", literal=False, any_2xx=False, secret_sealed=b"k" * 32
    )  # fmt: skip
    await smscs.add_smsc(db, "op", "127.0.0.1", 2775, "id", b"pw")
    session = await db.fetchval(
        "insert into session (smsc_id, holder) values (1, $1) returning id", uuid.uuid4()
    )
    pid = await db.fetchval("select pg_backend_pid()")
    costs, ids, turns, holder = Costs(db, pid), Ids(1), Turns(1), uuid.uuid4()
    number, steps, vacuum = 5511900000000, 5, Vacuum(db)
    looked_at = time.monotonic()
    for step in range(steps):
        costs.spent_s.clear()
        for _ in range(messages // steps // batch):
            numbers = list(range(number, number + batch))
            number += batch
            taken = ids.take(batch, time.time())
            new = NewMessages(
                [account_id], [80 * batch], [batch], datetime.now(UTC), taken, [1] * batch, [f"{i:x}" for i in taken],
                [str(n)[2:] for n in numbers], numbers, [TEXT] * batch, [None] * batch, [b"h" * 16] * batch,
                [account_id], [1], [86400], [False], [1], [80], [1], [""], [None], [None], [None], [None],
            )  # fmt: skip
            await costs.of("accept", store.accept(db, new))
            claimed = (await costs.of("claim", turns.claim(db, session, batch, time.monotonic()))).claimed
            assert len(claimed) == batch, len(claimed)
            await results_and_receipts(db, costs, session, holder, claimed)
            if time.monotonic() > looked_at + 1:
                looked_at = time.monotonic()
                await costs.of("vacuum", vacuum.step())
        shown = "  ".join(
            f"{name} {spent / (messages // steps) * 1e6:5.1f}" for name, spent in costs.spent_s.items()
        )
        print(f"to {messages // steps * (step + 1):>9,}: {shown}", flush=True)


async def results_and_receipts(
    db: Database, costs: Costs, session: int, holder: uuid.UUID, claimed: list[queue.Claimed]
) -> None:
    now = datetime.now(UTC)
    attempts = [
        Attempt(
            m.message_id, 1, m.n, m.number, str(m.message_id), str(m.message_id), AttemptState.TAKEN, 0, now, False
        )
        for m in claimed
    ]  # fmt: skip
    done = [m.message_id for m in claimed]
    keys = [str(m.message_id) for m in claimed]
    await costs.of("results", queue.commit_results(db, 1, session, attempts, done, plain=True))
    tried = list({form.key for key in keys for form in identity.candidates(key, None, None)})
    async with db.transaction(queue.lock_of(1)) as tx:
        await costs.of("match", receipts.attempts_by_key(tx, 1, tried))
        effects = [
            Effect(AttemptKey(a.message_id, 1, a.n), AttemptState.DELIVERED, 0, "DELIVRD", "", "")
            for a in attempts
        ]
        applied = await costs.of("apply", receipts.apply(tx, effects))
        written = await costs.of("outbox", outbox.of_messages(tx, holder, applied.final))
    assert len(written.jobs) == len(claimed)


async def main(messages: int, batch: int) -> None:
    data = Path(tempfile.mkdtemp(prefix="pombo-bench-"))
    data.chmod(0o755)
    embedded = Embedded(data)
    try:
        db = await Database.open(await embedded.start(), size=1, hot=True)
        await migrate(db)
        await lives(db, messages, batch)
        await db.close()
    finally:
        await embedded.stop()
        shutil.rmtree(data)


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(*(given + [100_000, 200][len(given) :])))
