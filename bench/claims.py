"""What a claim costs: the plain one (class, then time) and the fair one: `python -m bench.claims [ROWS]`.

Microseconds a message on a PostgreSQL of its own, of claims of 20 messages that are committed and then dropped from the
queue as results do it; with that many messages of one account waiting (a million unless ROWS says otherwise).
"""

import asyncio
import shutil
import sys
import tempfile
import uuid
from pathlib import Path
from time import monotonic, process_time

import uvloop

from pombo.message import MessageClass
from pombo.send.turn import Turns
from pombo.store.database import Database
from pombo.store.embedded import Embedded
from pombo.store.migrate import migrate

ROOM = 20
CLAIMS = 70
ROUNDS = 10

FILL = """
with new as (
    select coalesce((select max(id) from message), 0) + n as id, $1::bigint + n % $2::int as account_id
    from generate_series(1, $3::int) n
), messages as (
    insert into message (id, account_id, client_ref, destination, number, body, ucs2, parts, price_milli, smsc_id,
                         accepted_at)
    select id, account_id, id::text, '', 5511999999999, 'oi', false, 1, 80, 1, now() from new
)
insert into queue (message_id, smsc_id, account_id, class, due_at, expires_at, parts)
select id, 1, account_id, $5, now() + make_interval(secs => $4), now() + interval '1 day', 1 from new
"""

PLAIN_INDEX = "create index queue_due on queue (smsc_id, class, due_at, message_id) where state = 0"
PLAIN = """
with session_open as materialized (
    select from session where id = $2 and ended_at is null for key share
), picked as materialized (
    select message_id, class, due_at, parts from queue
    where smsc_id = $1 and state = 0 and due_at <= now() and exists (select from session_open)
    order by class, due_at, message_id limit $3
    for update skip locked
), fitting as materialized (
    select message_id, sum(parts) over line as running, row_number() over line as place from picked
    window line as (order by class, due_at, message_id rows unbounded preceding)
)
update queue q set state = 1, session_id = $2, attempts = q.attempts + 1, claims = q.claims + 1
from fitting f, message m
where q.message_id = f.message_id and (f.running <= $3 or f.place = 1) and m.id = f.message_id
returning q.message_id, q.attempts, q.parts, q.parts_taken, q.expires_at <= now(), m.number,
          coalesce(m.sent_body, m.body), m.ucs2, exists (select from fitting where running > $3 and place > 1),
          q.claims, q.account_id
"""


class Fair:
    def __init__(self, db, session):
        self.db, self.session, self.turns = db, session, Turns(1)

    async def claim(self, room=ROOM):
        taken = await self.turns.claim(self.db, self.session, room, monotonic())
        return [message.message_id for message in taken.claimed]


class Plain:
    def __init__(self, db, session):
        self.db, self.session = db, session

    async def claim(self, room=ROOM):
        return [row[0] for row in await self.db.fetch(PLAIN, 1, self.session, room)]


async def begin(db):
    return await db.fetchval(
        "insert into session (smsc_id, holder) values (1, $1) returning id", uuid.uuid4()
    )


async def drop(db, ids):
    await db.execute("delete from queue where message_id = any($1::bigint[])", ids)


class Figures:
    """Of one claimer's claims, looks included: µs a message by the clock, and of processor time, ours and the server's
    together, which other work on the machine does not falsify."""

    def __init__(self, claimer):
        self.claimer = claimer
        self.messages, self.clock_s, self.cpu_s = 0, 0.0, 0.0

    async def add(self):
        pid = await self.claimer.db.fetchval("select pg_backend_pid()")
        for _ in range(CLAIMS):
            clock, cpu = monotonic(), _cpu_s(pid)
            ids = await self.claimer.claim()
            self.clock_s += monotonic() - clock
            self.cpu_s += _cpu_s(pid) - cpu
            self.messages += len(ids)
            await drop(self.claimer.db, ids)

    def each(self):
        return self.clock_s / self.messages * 1e6, self.cpu_s / self.messages * 1e6


def _cpu_s(pid):
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9 + process_time()


async def compare(fair, plain, what):
    """In turn, so that what else the machine does falls on both."""
    figures = [Figures(plain), Figures(fair)]
    for _ in range(ROUNDS):
        for of_one in figures:
            await of_one.add()
    a, b = (of_one.each() for of_one in figures)
    print(f"{what:<46} plain {a[0]:6.1f} cpu {a[1]:6.1f}  fair {b[0]:6.1f} cpu {b[1]:6.1f}", end="")
    print(f"  speed {a[0] / b[0]:5.2f} cpu {a[1] / b[1]:5.2f}", flush=True)


async def steps(fair, plain, rows):
    async def both(sql, *args):
        for claimer in (fair, plain):
            await claimer.db.execute(sql, *args)

    async def fill(first_account, accounts, count, due_s=-60.0):
        await both(FILL, first_account, accounts, count, due_s, MessageClass.TRANSACTIONAL)

    await fill(1, 1, ROUNDS * CLAIMS * ROOM)
    await compare(fair, plain, "from an empty queue, one account")
    for start in range(0, rows, 100_000):
        await fill(1, 1, min(100_000, rows - start))
    await compare(fair, plain, f"{rows:,} waiting of one account")
    await fill(100, 100, 100_000)
    await compare(fair, plain, "and 100 accounts with 1000 each")
    await fill(10_000, 5000, 100_000)
    await compare(fair, plain, "and 5000 accounts with 20 each")
    await fill(100_000, 5000, 100_000, 86_400.0)
    await compare(fair, plain, "and 100,000 due later, of 5000 others")
    await both("delete from queue where account_id between 100 and 99999")
    await compare(fair, plain, "one account again, those due later still there")
    await both("alter table queue set (autovacuum_enabled = off)")
    for claimer in (fair, plain):
        for _ in range(rows // 2 // 1000):
            await drop(claimer.db, await claimer.claim(1000))
    await compare(fair, plain, f"after {rows // 2:,} drained without a vacuum")


async def main(rows):
    data = Path(tempfile.mkdtemp(prefix="pombo-bench-"))
    data.chmod(0o755)
    embedded = Embedded(data)
    url = await embedded.start()
    fair = await Database.open(url, size=1, hot=True)
    await fair.execute("create database plain")
    path, _, query = url.partition("?")
    plain = await Database.open(f"{path.rpartition('/')[0]}/plain?{query}", size=1, hot=True)
    try:
        for db in (fair, plain):
            await migrate(db)
        await plain.execute(PLAIN_INDEX)
        await plain.execute("drop index queue_turn")
        sessions = [await begin(db) for db in (fair, plain)]
        await steps(Fair(fair, sessions[0]), Plain(plain, sessions[1]), rows)
    finally:
        for db in (fair, plain):
            await db.close()
        await embedded.stop()
        shutil.rmtree(data)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
