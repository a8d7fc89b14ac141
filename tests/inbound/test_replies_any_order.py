"""Whatever order their parts come in, however often, and whenever we start again: each reply is there once."""

import asyncio
from itertools import count

import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from pombo.inbound.replies import Arrived, Replies
from pombo.smpp.pdu import DataSm, DeliverSm
from pombo.store import smscs
from pombo.store.database import Database
from pombo.store.ids import Ids
from pombo.store.queue import lock_of
from rows import SECRETS

MODES = ["udh8", "udh16", "sar", "payload"]
_sequences = count(1)


def body_of(
    mode: str, source: bytes, reference: int, total: int, n: int, octets: bytes
) -> DeliverSm | DataSm:
    addresses = {"source_addr": source, "destination_addr": b"27300", "data_coding": 8}
    header = b"\x05\x00\x03" + bytes((reference, total, n))
    if mode == "udh8":
        return DeliverSm(**addresses, esm_class=0x40, short_message=header + octets)
    if mode == "udh16":  # after ports
        header = b"\x0c\x05\x04\x0b\x84\x23\xf0\x08\x04" + bytes((0, reference, total, n))
        return DeliverSm(**addresses, esm_class=0x40, short_message=header + octets)
    if mode == "payload":
        return DataSm(**addresses, esm_class=0x40, tlvs={0x0424: header + octets})
    place = {0x020C: reference.to_bytes(2, "big"), 0x020E: bytes((total,)), 0x020F: bytes((n,))}
    return DeliverSm(**addresses, short_message=octets, tlvs=place)


@st.composite
def long_replies(draw):
    """(handset, text, parts): several handsets use the same references for texts of other lengths."""
    found = []
    for n in range(draw(st.integers(1, 4))):
        text = f"{n}:" + draw(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=4)
        )
        octets, total = text.encode("utf-16-be"), draw(st.integers(2, 4))
        at = [len(octets) * k // total for k in range(total + 1)]
        handset, reference = b"551199999000%d" % n, draw(st.integers(7, 8))
        mode = draw(st.sampled_from(MODES))
        parts = [
            body_of(mode, handset, reference, total, k + 1, octets[at[k] : at[k + 1]]) for k in range(total)
        ]
        found.append((handset.decode(), text, parts))
    return found


@st.composite
def arrivals(draw):
    """(replies, those that miss a part, batches of parts in any order, with repetitions)."""
    replies = draw(long_replies())
    missing = {
        n: draw(st.integers(0, len(parts) - 1))
        for n, (_, _, parts) in enumerate(replies)
        if draw(st.booleans())
    }
    once = [
        part for n, (_, _, parts) in enumerate(replies) for k, part in enumerate(parts) if missing.get(n) != k
    ]
    line = draw(st.permutations(once + draw(st.lists(st.sampled_from(once), max_size=4))))
    cuts = sorted(draw(st.lists(st.integers(0, len(line)), max_size=4)))
    batches = [line[a:b] for a, b in zip([0, *cuts], [*cuts, len(line)], strict=True)]
    return replies, missing, batches


async def ignore(tx, ids):
    pass


async def inbox_after(db: Database, smsc_id: int, batches) -> list[tuple[str, str]]:
    """Each batch comes over another session, to a stage that has just begun."""
    for session_id, batch in enumerate(batches, 1):
        arrived = [Arrived(body, session_id, next(_sequences)) for body in batch]
        async with db.transaction(lock_of(smsc_id)) as tx:
            await Replies(Ids(1), lambda _: "gsm", SECRETS.number_hmac).store(tx, smsc_id, arrived)
    return [tuple(row) for row in await db.fetch("select source, body from inbox order by source")]


def test_each_reply_is_in_the_inbox_once_and_whole_or_what_came_of_it_in_time(database_url):
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        db = runner.run(Database.open(database_url, hot=True))
        smsc_id = runner.run(smscs.add_smsc(db, "op", "h", 1, "s", b""))

        @settings(max_examples=150)
        @given(arrivals())
        def holds(given_):
            runner.run(check(db, smsc_id, *given_))

        try:
            holds()
        finally:
            runner.run(db.close())


async def check(db: Database, smsc_id: int, replies, missing, batches) -> None:
    await db.execute("truncate inbox, reply_part")
    whole = [(source, text) for n, (source, text, _) in enumerate(replies) if n not in missing]
    assert await inbox_after(db, smsc_id, batches) == whole

    await db.execute("update reply_part set received_at = now() - interval '1 hour'")
    again = Replies(Ids(1), lambda _: "gsm", SECRETS.number_hmac)
    given_up = await again.sweep(db, ignore)
    assert len(given_up) == len(missing)
    rows = await db.fetch("select source, body from inbox order by source")
    assert [source for source, _ in rows] == [source for source, _, _ in replies]
    for n, (row, (_, text, parts)) in enumerate(zip(rows, replies, strict=True)):
        if n in missing:
            came = sum(len(octets_of(part)) for k, part in enumerate(parts) if k != missing[n])
            assert len(row["body"].encode("utf-16-be", "surrogatepass")) >= came // 2
            assert row["body"] != text
    assert await again.sweep(db, ignore) == []
    assert await db.fetchval("select count(*) from reply_part where not joined") == 0


def octets_of(body: DeliverSm | DataSm) -> bytes:
    text = body.tlvs.get(0x0424, b"") or body.short_message
    return text[1 + text[0] :] if body.esm_class else text
