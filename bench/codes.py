"""How long a code takes past another account's marketing: `python -m bench.codes [ROWS]`.

From the commit that accepts it to the operator's socket, on a connection that is kept busy with that many waiting
marketing messages (a million unless ROWS says otherwise) by an operator that answers at once; a code every 50 ms.
"""

import asyncio
import shutil
import sys
import tempfile
import uuid
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from time import monotonic, time

import uvloop

from bench.claims import FILL
from pombo.app.stages import Stages, read_id
from pombo.inbound.replies import Replies
from pombo.message import MessageClass
from pombo.receipt.match import Receipts
from pombo.send.doors import Doors
from pombo.send.link import Link
from pombo.send.owner import Lease, now_s
from pombo.smpp.events import BindRequested, Requested
from pombo.smpp.pdu import SubmitSm, SubmitSmResp
from pombo.smpp.session import Session
from pombo.smpp.states import Role
from pombo.store import leases, smscs
from pombo.store.database import Database
from pombo.store.embedded import Embedded
from pombo.store.ids import Ids
from pombo.store.intake import NewMessages, accept
from pombo.store.migrate import migrate

WINDOW = 100
CODES = 400
FIRST = 5511900000000


class Operator(asyncio.Protocol):
    def __init__(self, arrived):
        self.session = Session(Role.SMSC, now=0.0, window=1000)
        self.arrived = arrived  # monotonic time by number; None: how many in all

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        for event in self.session.receive(data, 0.0):
            if isinstance(event, BindRequested):
                self.session.respond(event.sequence_number, event.body.response())
            elif isinstance(event, Requested) and isinstance(event.body, SubmitSm):
                self.arrived[None] += 1
                self.arrived.setdefault(int(event.body.destination_addr), monotonic())
                answer = SubmitSmResp(message_id=b"%d" % self.arrived[None])
                self.session.respond(event.sequence_number, answer)
        self.transport.write(self.session.outgoing())


async def measure(db, rows, codes=CODES):
    """(milliseconds of each code, messages a second meanwhile)"""
    arrived = {None: 0}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Operator(arrived), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for name in ("marketing", "codes"):
        await db.execute("insert into account (name, balance_milli) values ($1, 1000000000)", name)
    await smscs.add_smsc(db, "op", "127.0.0.1", port, "id", b"pw", window_size=WINDOW)
    (smsc,) = await smscs.smscs(db)
    for start in range(0, rows, 100_000):
        await db.execute(FILL, 1, 1, min(100_000, rows - start), -60.0, MessageClass.MARKETING)
    holder = uuid.uuid4()
    taken = await leases.take(db, smsc.id, holder, 3600)
    lease = Lease(taken.epoch, now_s() + 3600)
    incoming = Stages(smsc.id, Receipts(smsc.id), Replies(Ids(2), lambda _: "gsm", lambda _: b""))
    link = Link(
        smsc,
        Doors(
            db=db, holder=holder, unseal=lambda sealed: sealed, incoming=lambda _: incoming,
            source_of=lambda _: None, read_id=read_id, notify=lambda _: None, live_sessions=set(),
            lease=lambda _: lease, callback_holder=holder, queued=lambda _: None,
        ),
    )  # fmt: skip
    link.start()
    while arrived[None] < 2000:
        await asyncio.sleep(0.01)
    ids, begun, before, committed = Ids(1), monotonic(), arrived[None], {}
    for n in range(codes):
        await asyncio.sleep(max(0.0, begun + n * 0.05 - monotonic()))
        (message_id,) = ids.take(1, time())
        number = FIRST + n
        new = NewMessages(
            [2], [80], [1], datetime.now(UTC), [message_id], [1], [str(message_id)], [str(number)], [number], ["1234"],
            [None], [b""], [2], [smsc.id], [3600], [False], [1], [80], [MessageClass.OTP], [""], [None],
            [None], [None], [None],
        )  # fmt: skip
        await accept(db, new)
        committed[number] = monotonic()
        link.wake()
    speed = (arrived[None] - before) / (monotonic() - begun)
    while committed.keys() - arrived.keys():
        await asyncio.sleep(0.01)
    took = [max(0.0, arrived[number] - at) * 1000 for number, at in committed.items()]
    await link.stop()
    server.close()
    return took, speed


async def main(rows):
    data = Path(tempfile.mkdtemp(prefix="pombo-bench-"))
    data.chmod(0o755)
    embedded = Embedded(data)
    db = await Database.open(await embedded.start(), hot=True)
    try:
        await migrate(db)
        took, speed = await measure(db, rows)
        cuts = quantiles(took, n=100)
        print(
            f"{CODES} codes past {rows:,} marketing messages at {speed:,.0f} a second: "
            f"p50 {cuts[49]:.1f} ms  p99 {cuts[98]:.1f} ms  max {max(took):.1f} ms"
        )
    finally:
        await db.close()
        await embedded.stop()
        shutil.rmtree(data)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
