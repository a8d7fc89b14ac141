"""Replies into the inbox, on the real store."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from pombo.inbound.replies import Arrived, Replies
from pombo.smpp.pdu import DataSm, DeliverSm
from pombo.store import blocks, smscs
from pombo.store.ids import Ids
from pombo.store.queue import lock_of
from pombo.text import ucs2
from rows import SECRETS

pytestmark = pytest.mark.anyio

NUMBER = 5511999999999


class Desk:
    def __init__(self, db, smsc_id):
        self.db, self.smsc_id = db, smsc_id
        self.replies = Replies(Ids(1), lambda _: "gsm", SECRETS.number_hmac)
        self.sequence = 0

    async def account(self, name: str) -> int:
        return await self.db.fetchval("insert into account (name) values ($1) returning id", name)

    async def sent(
        self, account_id: int, message_id: int, *, source="27300", number=NUMBER, hours_ago=1.0
    ) -> None:
        at = datetime.now(UTC) - timedelta(hours=hours_ago)
        await self.db.execute(
            "insert into message (id, account_id, client_ref, destination, number, body, ucs2, parts, price_milli, state,"
            " smsc_id, source_addr, accepted_at, sent_at)"
            " values ($1, $2, $3, '', $4, 't', false, 1, 0, 1, $5, $6, $7, $7)",
            message_id, account_id, f"ref{message_id}", number, self.smsc_id, source, at,
        )  # fmt: skip

    async def written(self, account_id: int, message_id: int, *, number=NUMBER, hours_ago=1.0) -> None:
        """A message that was submitted and never answered."""
        await self.sent(account_id, message_id, source="", number=number)
        await self.db.execute("update message set sent_at = null, state = 2 where id = $1", message_id)
        await self.db.execute(
            "insert into attempt (message_id, part, n, smsc_id, session_id, number, state, submitted_at)"
            " values ($1, 1, 1, $2, 1, $3, 0, $4)",
            message_id, self.smsc_id, number, datetime.now(UTC) - timedelta(hours=hours_ago),
        )  # fmt: skip

    async def reply(self, *bodies: DeliverSm | DataSm, session_id: int = 1) -> list[int]:
        arrived = []
        for body in bodies:
            self.sequence += 1
            arrived.append(Arrived(body, session_id, self.sequence))
        async with self.db.transaction() as tx:
            return await self.replies.store(tx, self.smsc_id, arrived)

    async def inbox(self):
        rows = await self.db.fetch("select account_id, source, body, client_ref from inbox order by id")
        return [tuple(row) for row in rows]


@pytest.fixture
async def desk(database):
    return Desk(database, await smscs.add_smsc(database, "op", "h", 1, "s", b""))


def said(text: bytes, *, source=b"5511999999999", to=b"27300", coding=0, esm_class=0) -> DeliverSm:
    return DeliverSm(
        source_addr=source, destination_addr=to, short_message=text, data_coding=coding, esm_class=esm_class
    )


async def test_a_reply_belongs_to_whoever_wrote_last_from_that_number(desk):
    first, second = await desk.account("a"), await desk.account("b")
    await desk.sent(first, 1)
    await desk.sent(second, 2)
    await desk.sent(first, 3, source="29999")
    await desk.sent(first, 4, number=5511988888888)
    await desk.reply(said(b"SIM"))
    assert await desk.inbox() == [(second, str(NUMBER), "SIM", "ref2")]


async def test_an_answer_to_a_message_of_four_days_ago_belongs_to_nobody_yet(desk):
    await desk.sent(await desk.account("a"), 1, hours_ago=96)
    await desk.reply(said(b"SIM"))
    assert await desk.inbox() == [(None, str(NUMBER), "SIM", "")]


async def test_a_message_whose_submit_was_never_answered_can_be_answered_by_its_handset(desk):
    first, second = await desk.account("a"), await desk.account("b")
    await desk.db.execute("update smsc set source_addr = '27300'")
    await desk.sent(first, 1)
    await desk.written(second, 2)
    await desk.written(first, 3, number=5511988888888)
    await desk.written(first, 4, hours_ago=96)
    await desk.reply(said(b"SIM"), said(b"NAO", to=b"29999"))
    assert await desk.inbox() == [
        (second, str(NUMBER), "SIM", "ref2"),
        (None, str(NUMBER), "NAO", ""),
    ]
    await desk.sent(first, 5)
    await desk.reply(said(b"TALVEZ"))
    assert (await desk.inbox())[-1] == (first, str(NUMBER), "TALVEZ", "ref5")


@pytest.mark.parametrize(
    ("sent_from", "answered_to"),
    [
        ("27300", b"+27300"),
        ("+27300", b"27300"),
        ("5511912345678", b"11912345678"),
        ("11912345678", b"+5511912345678"),
        ("5511912345678", b"011912345678"),
        ("005511992345678", b"551192345678"),  # before the ninth digit came
        ("551130001234", b"1130001234"),
        ("Pombo", b"POMBO"),
    ],
)
async def test_the_number_answered_to_is_known_however_the_operator_writes_it(desk, sent_from, answered_to):
    account = await desk.account("a")
    await desk.sent(account, 1, source=sent_from)
    await desk.reply(said(b"SIM", to=answered_to))
    assert await desk.inbox() == [(account, str(NUMBER), "SIM", "ref1")]


@pytest.mark.parametrize(
    ("sent_from", "answered_to"), [("27300", b"2730"), ("27300", b"5527300"), ("+", b"0"), ("27300", b"")]
)
async def test_another_number_is_another_number(desk, sent_from, answered_to):
    await desk.sent(await desk.account("a"), 1, source=sent_from)
    await desk.reply(said(b"SIM", to=answered_to))
    assert await desk.inbox() == [(None, str(NUMBER), "SIM", "")]


async def test_of_several_accounts_on_one_short_code_the_one_that_wrote_last_has_the_answer(desk):
    """Over whichever connection, in whatever order the database has them."""
    accounts = [await desk.account(name) for name in "abc"]
    other = Desk(desk.db, await smscs.add_smsc(desk.db, "other", "h", 1, "s", b""))
    await desk.sent(accounts[2], 30, hours_ago=2)
    await desk.sent(accounts[0], 10, hours_ago=1)
    await other.sent(accounts[1], 40, hours_ago=3)
    await desk.sent(accounts[0], 50, hours_ago=73)
    await desk.reply(said(b"SIM"))
    assert await desk.inbox() == [(accounts[1], str(NUMBER), "SIM", "ref40")]


async def test_the_source_of_an_account_counts_for_a_message_that_was_never_answered(desk):
    first, second = await desk.account("a"), await desk.account("b")
    await desk.db.execute("update smsc set source_addr = '27300'")
    await desk.db.execute("update account set source_addr = '+28400' where id = $1", second)
    await desk.written(first, 1)
    await desk.written(second, 2)
    await desk.reply(said(b"SIM"), said(b"NAO", to=b"28400"))
    assert await desk.inbox() == [(first, str(NUMBER), "SIM", "ref1"), (second, str(NUMBER), "NAO", "ref2")]


async def test_where_we_named_no_source_the_connection_decides(desk):
    account = await desk.account("a")
    await desk.sent(account, 1, source="")
    await desk.reply(said(b"SIM", to=b"12345"))
    assert await desk.inbox() == [(account, str(NUMBER), "SIM", "ref1")]


@pytest.mark.parametrize("source", [b"+5511999999999", b"11999999999", b"005511999999999", b"551199999999"])
async def test_the_handset_is_found_however_the_operator_writes_it(desk, source):
    account = await desk.account("a")
    await desk.sent(account, 1)
    await desk.reply(said(b"SIM", source=source))
    assert await desk.inbox() == [(account, str(NUMBER), "SIM", "ref1")]


PERU, PORTO_ALEGRE = 51999999999, 5551999999999


@pytest.mark.parametrize(
    ("written_to", "meant"),
    [
        ([PERU], PERU),
        ([PORTO_ALEGRE, PERU], PERU),
        ([PERU, PORTO_ALEGRE], PORTO_ALEGRE),
        ([PORTO_ALEGRE], PORTO_ALEGRE),
        ([], PORTO_ALEGRE),
    ],
)
async def test_a_source_that_may_mean_two_numbers_is_the_one_that_was_written_to_last(
    desk, written_to, meant
):
    """Operators leave out the `+`: Peru's 51 9… reads as a mobile of DDD 51."""
    account = await desk.account("a")
    for message_id, number in enumerate(written_to, 1):
        await desk.sent(account, message_id, number=number)
    await desk.reply(said(b"sair", source=b"51999999999"), said(b"oi", source=b"5551999999999"))
    owner, ref = (account, f"ref{written_to.index(meant) + 1}") if written_to else (None, "")
    at_home = written_to.index(PORTO_ALEGRE) + 1 if PORTO_ALEGRE in written_to else 0
    assert await desk.inbox() == [
        (owner, str(meant), "sair", ref),
        (account if at_home else None, str(PORTO_ALEGRE), "oi", f"ref{at_home}" if at_home else ""),
    ]
    blocked = await desk.db.fetchval("select number_hmac from block")
    assert blocked == (SECRETS.number_hmac(meant) if written_to else None)


async def test_every_alphabet_is_read(desk):
    await desk.reply(
        said(b"\x00\x1b\x65"),
        said("ção".encode("latin-1"), coding=3),
        said("😀ã".encode("utf-16-be"), coding=8),
    )
    assert [body for _, _, body, _ in await desk.inbox()] == ["@€", "ção", "😀ã"]


async def test_what_postgresql_refuses_is_taken_out(desk):
    await desk.reply(
        said(b"a\x00b", coding=3), said(b"\xd8\x00\x00a", coding=8), said(b"x", source=b"\xff\x00\xfe")
    )
    assert len(await desk.inbox()) == 3


async def test_parts_in_any_order_and_twice_make_one_reply(desk):
    def part(n: int, text: bytes) -> DeliverSm:
        return said(bytes((5, 0, 3, 9, 3, n)) + text, coding=8, esm_class=0x40)

    text = "Olá 😀 mundo"
    octets = ucs2.encode(text)
    pieces = [octets[:9], octets[9:15], octets[15:]]  # cut inside the surrogate pair, too
    await desk.reply(part(3, pieces[2]), part(1, pieces[0]))
    await desk.reply(part(3, pieces[2]))
    assert await desk.inbox() == []
    assert len(await desk.reply(part(2, pieces[1]))) == 1
    assert [body for _, _, body, _ in await desk.inbox()] == [text]


async def test_a_part_that_is_repeated_after_its_reply_was_joined_is_no_new_reply(desk):
    """The operator got no answer to it, or lost it."""

    async def sweep_later():
        async def ignore(tx, ids):
            pass

        await desk.db.execute("update reply_part set received_at = now() - interval '1 hour'")
        await desk.replies.sweep(desk.db, ignore)

    def part(n, text):
        return said(bytes((5, 0, 3, 9, 2, n)) + text, esm_class=0x40)

    await desk.reply(part(1, b"um, "), part(2, b"dois"), part(2, b"dois"))
    assert await desk.reply(part(2, b"dois"), session_id=2) == []
    await sweep_later()
    assert [body for _, _, body, _ in await desk.inbox()] == ["um, dois"]
    assert await desk.db.fetchval("select count(*) from reply_part") == 0


async def test_a_reference_that_comes_back_soon_is_another_reply(desk):
    def part(n, text):
        return said(bytes((5, 0, 3, 9, 2, n)) + text, esm_class=0x40)

    await desk.reply(part(1, b"um, "), part(2, b"dois"))
    await desk.reply(part(1, b"tres, "), part(2, b"quatro"))
    assert [body for _, _, body, _ in await desk.inbox()] == ["um, dois", "tres, quatro"]


async def test_a_reply_whose_reference_is_taken_before_it_was_whole_is_delivered_as_it_is(desk):
    def part(n, text):
        return said(bytes((5, 0, 3, 9, 3, n)) + text, esm_class=0x40)

    assert await desk.reply(part(1, b"um, "), part(3, b"tres")) == []
    assert len(await desk.reply(part(1, b"quatro, "), part(2, b"cinco, "), session_id=2)) == 1
    await desk.reply(part(3, b"seis"))
    assert [body for _, _, body, _ in await desk.inbox()] == ["um, tres", "quatro, cinco, seis"]


async def test_a_reply_may_share_a_part_with_the_one_that_had_its_reference_before(desk):
    def part(n, text):
        return said(bytes((5, 0, 3, 9, 2, n)) + text, esm_class=0x40)

    await desk.reply(part(1, b"nao, "), part(2, b"obrigado"))
    assert await desk.reply(part(2, b"obrigado")) == []
    await desk.reply(part(1, b"sim, "))
    assert [body for _, _, body, _ in await desk.inbox()] == ["nao, obrigado", "sim, obrigado"]
    assert await desk.db.fetchval("select count(*) from reply_part where joined and not again") == 2


async def test_a_part_that_comes_too_late_is_delivered_by_itself(desk):
    def part(n, text):
        return said(bytes((5, 0, 3, 9, 2, n)) + text, esm_class=0x40)

    async def ignore(tx, ids):
        pass

    async def sweep_later():
        await desk.db.execute(
            "update reply_part set received_at = now() - interval '11 minutes' where not joined"
        )
        return await desk.replies.sweep(desk.db, ignore)

    await desk.reply(part(1, b"um, "))
    assert len(await sweep_later()) == 1
    assert await desk.reply(part(2, b"dois")) == []
    assert len(await sweep_later()) == 1
    assert [body for _, _, body, _ in await desk.inbox()] == ["um, ", "dois"]


async def test_two_handsets_may_use_one_reference_at_a_time(desk):
    def part(n, text, source):
        return said(bytes((5, 0, 3, 9, 2, n)) + text, esm_class=0x40, source=source)

    one, other = b"5511999999999", b"5511888888888"
    await desk.reply(part(2, b"dois", one), part(1, b"tres, ", other))
    await desk.reply(part(2, b"quatro", other), part(1, b"um, ", one))
    assert sorted(body for _, _, body, _ in await desk.inbox()) == ["tres, quatro", "um, dois"]


async def test_a_long_reply_in_portuguese_tables_is_read(desk):
    def part(n, octets):
        header = bytes((5, 0, 3, 9, 2, n)) + b"\x24\x01\x03"
        return said(bytes((8,)) + header[1:] + octets, esm_class=0x40)

    await desk.reply(part(2, b"\x7bo"), part(1, b"Amanh\x1b\x7b n\x1b"))
    assert [body for _, _, body, _ in await desk.inbox()] == ["Amanhã não"]


async def test_a_reply_in_a_payload_and_in_data_sm_is_read(desk):
    await desk.reply(DataSm(source_addr=b"5511999999999", destination_addr=b"27300", tlvs={0x0424: b"longo"}))
    assert [body for _, _, body, _ in await desk.inbox()] == ["longo"]


@pytest.mark.parametrize(
    "sar",
    [
        {0x020C: b"\xff" * 8, 0x020E: b"\2", 0x020F: b"\1"},
        {0x020C: b"\1", 0x020E: b"\1\0\0", 0x020F: b"\1"},
        {0x020C: b"\0\1\0\0", 0x020E: b"\2", 0x020F: b"\1"},
        {0x020C: b"", 0x020E: b"\2", 0x020F: b"\1"},
    ],
)
async def test_a_reply_whose_place_cannot_be_stands_alone(desk, sar):
    source, to = b"5511999999999", b"27300"
    await desk.reply(DeliverSm(source_addr=source, destination_addr=to, short_message=b"oi", tlvs=sar))
    assert [body for _, _, body, _ in await desk.inbox()] == ["oi"]


async def test_parts_that_wait_too_long_are_delivered_as_they_are(desk):
    await desk.reply(said(bytes((5, 0, 3, 9, 2, 1)) + b"meio", esm_class=0x40))
    caused = []

    async def note(tx, ids):
        caused.extend(ids)

    assert await desk.replies.sweep(desk.db, note) == []
    await desk.db.execute("update reply_part set received_at = now() - interval '1 hour'")
    assert await desk.replies.sweep(desk.db, note) == caused != []
    assert [body for _, _, body, _ in await desk.inbox()] == ["meio"]


async def test_all_overdue_replies_are_delivered_in_one_sweep(desk):
    async def ignore(tx, ids):
        pass

    parts = [said(bytes((6, 8, 4, n >> 8, n & 255, 2, 1)) + b"meio", esm_class=0x40) for n in range(250)]
    await desk.reply(*parts)
    await desk.replies.sweep(desk.db, ignore)
    assert desk.replies.counts[desk.smsc_id].parts_waiting == 250
    await desk.db.execute("update reply_part set received_at = now() - interval '1 hour'")
    assert len(await desk.replies.sweep(desk.db, ignore)) == 250
    counts = desk.replies.counts[desk.smsc_id]
    assert (counts.stored, counts.without_owner, counts.parts_waiting) == (250, 250, 0)


async def test_the_last_part_never_races_with_the_sweep_of_its_overdue_reply(desk):
    """While a link commits under its connection's lock, the sweep of that connection waits."""

    def part(n: int, text: bytes) -> Arrived:
        return Arrived(said(bytes((5, 0, 3, 9, 2, n)) + text, esm_class=0x40), 1, n)

    async def ignore(tx, ids):
        pass

    async def sweep_waits():
        return await desk.db.fetchval("select count(*) from pg_locks where not granted")

    await desk.reply(part(1, b"um, ").body)
    await desk.db.execute("update reply_part set received_at = now() - interval '1 hour'")
    async with desk.db.transaction(lock_of(desk.smsc_id)) as tx:
        await desk.replies.store(tx, desk.smsc_id, [part(2, b"dois")])
        sweep = asyncio.create_task(desk.replies.sweep(desk.db, ignore))
        while not sweep.done() and not await sweep_waits():
            await asyncio.sleep(0)
        assert not sweep.done()
    assert await sweep == []
    assert [body for _, _, body, _ in await desk.inbox()] == ["um, dois"]


async def test_a_repetition_after_a_new_bind_is_kept_once_for_each_original(desk):
    await desk.reply(said(b"SIM"), said(b"SIM"))  # a person wrote it twice
    assert len(await desk.inbox()) == 2
    assert await desk.reply(said(b"SIM"), session_id=2) == []
    assert await desk.reply(said(b"SIM"), session_id=2) == []
    assert len(await desk.reply(said(b"SIM"), session_id=2)) == 1


@pytest.mark.parametrize(
    ("came_s_ago", "ended_s_ago", "stored"),
    [(100, 70, 0), (300, 70, 1), (30, None, 0), (300, None, 1), (100, 0, 1)],
)
async def test_only_what_came_shortly_before_its_session_ended_can_be_repeated(
    desk, came_s_ago, ended_s_ago, stored
):
    """Its answer may be lost; what was answered long before is a person who writes the same again."""
    await desk.db.execute(
        "insert into session (smsc_id, holder, ended_at) values ($1, $2, now() - make_interval(secs => $3))",
        desk.smsc_id, uuid.uuid4(), ended_s_ago,
    )  # fmt: skip
    await desk.reply(said(b"SIM"))
    await desk.db.execute("update inbox set received_at = now() - make_interval(secs => $1)", came_s_ago)
    assert len(await desk.reply(said(b"SIM"), session_id=2)) == stored


@pytest.mark.parametrize(("bound_minutes_ago", "stored"), [(1, 0), (9, 0), (11, 1)])
async def test_what_an_operator_sends_again_after_a_long_outage_is_kept_once(desk, bound_minutes_ago, stored):
    """We were away for hours: it has ten minutes from the moment on at which we were back."""
    await desk.db.execute(
        "insert into session (smsc_id, holder, bound_at, ended_at)"
        " select $1, $2, now() - make_interval(mins => b), now() - make_interval(mins => e)"
        " from unnest($3::int[], $4::int[]) t(b, e)",
        desk.smsc_id, uuid.uuid4(), [400, bound_minutes_ago], [300, None],
    )  # fmt: skip
    await desk.reply(said(b"SIM"))
    await desk.db.execute("update inbox set received_at = now() - interval '300 minutes'")
    assert len(await desk.reply(said(b"SIM"), session_id=2)) == stored


async def sessions(desk, *holders, ended=()):
    """Bind sessions 1, 2, ... of these nodes."""
    for n, holder in enumerate(holders, 1):
        await desk.db.execute(
            "insert into session (smsc_id, holder, ended_at) values ($1, $2, case when $3 then now() end)",
            desk.smsc_id, holder, n in ended,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("binds", "same_node", "ended", "stored"),
    [
        (2, True, (), 1),  # two binds at a time: a person wrote it twice
        (2, True, (1,), 0),
        (2, False, (), 0),  # another node has taken the connection over
        (1, True, (), 0),  # the end of the session could not be written
    ],
)
async def test_of_several_binds_only_one_that_has_ended_can_have_its_replies_repeated(
    desk, binds, same_node, ended, stored
):
    await desk.db.execute("update smsc set binds = $1", binds)
    node = uuid.uuid4()
    await sessions(desk, node, node if same_node else uuid.uuid4(), ended=ended)
    await desk.reply(said(b"SIM"), session_id=1)
    assert len(await desk.reply(said(b"SIM"), session_id=2)) == stored


async def blocked(desk) -> list[tuple]:
    rows = await desk.db.fetch(
        "select account_id, number_hmac, reason, inbox_id, owed_since is not null from block order by inbox_id"
    )
    return [tuple(row) for row in rows]


HMAC = SECRETS.number_hmac(NUMBER)


@pytest.mark.parametrize(
    "text",
    ["SAIR", "sair", "  Sair.", '"PARE!"', "Parár", "cancelar\r\n", "STOP", "Ｓａｉｒ", "👍 sair"],
)
async def test_a_reply_that_is_an_opt_out_word_blocks_the_number_and_reaches_the_inbox(desk, text):
    account = await desk.account("a")
    await desk.sent(account, 1)

    [reply_id] = await desk.reply(said(ucs2.encode(text), coding=8))

    assert await blocked(desk) == [(account, HMAC, "reply", reply_id, True)]
    assert await desk.inbox() == [(account, str(NUMBER), text, "ref1")]


@pytest.mark.parametrize("text", ["Nao quero sair", "SAIR agora", "pare!pare", "saindo", "s.a.i.r", "?", ""])
async def test_a_reply_that_says_more_or_else_blocks_nobody(desk, text):
    await desk.sent(await desk.account("a"), 1)

    await desk.reply(said(ucs2.encode(text), coding=8))

    assert await blocked(desk) == []
    assert len(await desk.inbox()) == 1


async def test_who_asks_again_is_blocked_once_and_owed_one_confirmation(desk):
    account = await desk.account("a")
    await desk.sent(account, 1)

    first = min(await desk.reply(said(b"SAIR"), said(b"PARE")))
    await desk.db.execute("update block set owed_since = null")
    await desk.reply(said(b"STOP"))

    assert await blocked(desk) == [(account, HMAC, "reply", first, False)]


async def test_an_opt_out_counts_for_the_account_that_owns_the_reply_only(desk):
    first, second = await desk.account("a"), await desk.account("b")
    await desk.sent(first, 1)
    await desk.sent(second, 2)

    await desk.reply(said(b"SAIR"))

    assert [row[0] for row in await blocked(desk)] == [second]


async def test_an_opt_out_that_nobody_owns_is_kept_in_the_inbox_and_blocks_nobody(desk):
    await desk.reply(said(b"SAIR"))
    assert await blocked(desk) == []
    assert await desk.inbox() == [(None, str(NUMBER), "SAIR", "")]


async def test_whom_the_operator_has_blocked_is_owed_no_confirmation(desk):
    account = await desk.account("a")
    await desk.sent(account, 1)
    await blocks.add(desk.db, blocks.EVERYBODY, [HMAC], "manual")

    [reply_id] = await desk.reply(said(b"SAIR"))

    assert (account, HMAC, "reply", reply_id, False) in await blocked(desk)


async def test_an_opt_out_in_parts_is_joined_first(desk):
    account = await desk.account("a")
    await desk.sent(account, 1)

    for n, octets in ((2, b"IR"), (1, b"SA")):
        await desk.reply(said(bytes([5, 0, 3, 9, 2, n]) + octets, esm_class=0x40))

    assert [row[0] for row in await blocked(desk)] == [account]
