"""Texts go when their account's time for them is over, and nothing else goes."""

from datetime import UTC, datetime, timedelta

import pytest

from pombo.app import erasing
from pombo.app.erasing import Erasing
from pombo.store.database import Database
from pombo.store.ids import lowest_at

pytestmark = pytest.mark.anyio

NUMBER = 5511999990001


class House:
    """Account 1 keeps texts for 30 days, account 2 for 90."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.next = 0

    async def message(
        self, days: float, *, account_id: int = 1, queued: bool = False, scheduled_days: float | None = None
    ) -> int:
        """Accepted so many days ago."""
        self.next += 1
        now = datetime.now(UTC)
        at = now - timedelta(days=days)
        scheduled_at = None if scheduled_days is None else now - timedelta(days=scheduled_days)
        message_id = lowest_at(at) + self.next
        await self.db.execute(
            "insert into message (id, account_id, client_ref, destination, number, body, sent_body, ucs2, parts,"
            " price_milli, smsc_id, accepted_at, state, scheduled_at)"
            " values ($1::bigint, $2, $1::bigint::text, '11999990001', $3, 'Olá', 'Ola', false, 1, 80, 1, $4, $5, $6)",
            message_id, account_id, NUMBER, at, 0 if queued else 3, scheduled_at,
        )  # fmt: skip
        if queued:
            await self.db.execute(
                "insert into queue (message_id, smsc_id, account_id, due_at, expires_at, parts)"
                " values ($1, 1, $2, now() + interval '1 day', now() + interval '2 days', 1)",
                message_id, account_id,
            )  # fmt: skip
        return message_id

    async def reply(self, days: float, account_id: int | None = 1) -> int:
        self.next += 1
        await self.db.execute(
            "insert into inbox (id, account_id, smsc_id, source, destination, body, data_coding, body_hash, session_id,"
            " sequence_number, received_at) values ($1, $2, 1, $3, '27300', 'SIM', 0, 'hash', 1, $1, $4)",
            self.next, account_id, str(NUMBER), datetime.now(UTC) - timedelta(days=days),
        )  # fmt: skip
        return self.next

    async def called(self, kind: int, subject_id: int) -> None:
        callback_id = await self.db.fetchval(
            "insert into callback (account_id, kind, subject_id, state) values (1, $1, $2, 1) returning id",
            kind,
            subject_id,
        )
        await self.db.execute(
            "insert into callback_attempt (callback_id, at, url, signature, address, status, error, duration_ms, answer)"
            " values ($1, now(), 'http://a/?mensagem=SIM', 's', '192.0.2.1', 200, '', 5, 'SIM')",
            callback_id,
        )

    async def with_text(self) -> set[int]:
        rows = await self.db.fetch("select id, body, sent_body, erased_at from message")
        for row in rows:
            erased = row["erased_at"] is not None
            assert (row["body"], row["sent_body"]) == (("", None) if erased else ("Olá", "Ola"))
        return {row["id"] for row in rows if row["erased_at"] is None}

    async def step(self) -> None:
        await Erasing(self.db).step()


@pytest.fixture
async def house(database: Database) -> House:
    await database.execute("insert into account (name, retention_days) values ('loja', 30), ('banco', 90)")
    return House(database)


async def test_a_text_goes_when_its_accounts_days_are_over(house: House) -> None:
    gone = [await house.message(31), await house.message(91, account_id=2)]
    kept = {await house.message(29), await house.message(89, account_id=2)}
    await house.called(1, gone[0])
    await house.step()
    assert await house.with_text() == kept
    row = await house.db.fetchrow("select url, signature, answer, status from callback_attempt")
    assert tuple(row) == ("", "", b"", 200)
    row = await house.db.fetchrow(
        "select number, destination, state, price_milli from message where id = $1", gone[0]
    )
    assert tuple(row) == (NUMBER, "11999990001", 3, 80), "count, money and state stay, and so does the number"


async def test_what_still_waits_keeps_its_text_until_it_has_ended(house: House) -> None:
    waits = await house.message(31, queued=True)
    await house.message(32)
    await house.step()
    assert await house.with_text() == {waits}
    await house.db.execute("delete from queue")
    await house.db.execute("update retention_late set look_at = now()")
    await house.step()
    assert await house.with_text() == set()
    assert await house.db.fetchval("select count(*) from retention_late") == 0


async def test_the_days_of_a_scheduled_message_count_from_its_time(house: House) -> None:
    await house.message(60, scheduled_days=31)
    kept = await house.message(60, scheduled_days=29)
    await house.step()
    assert await house.with_text() == {kept}
    [late] = await house.db.fetch("select message_id, look_at - now() as ahead from retention_late")
    assert late["message_id"] == kept and timedelta(minutes=59) < late["ahead"] <= timedelta(days=1)


async def test_shorter_and_longer_days_count_at_the_next_step(house: House) -> None:
    ten, twenty = await house.message(10), await house.message(20)
    await house.step()
    assert await house.with_text() == {ten, twenty}
    await house.db.execute("update account set retention_days = 15 where id = 1")
    await house.step()
    assert await house.with_text() == {ten}
    await house.db.execute("update account set retention_days = 365 where id = 1")
    await house.step()
    assert await house.with_text() == {ten}, "what is erased stays erased, and nothing is walked over again"


async def test_replies_go_with_their_accounts_and_those_of_nobody_after_90_days(house: House) -> None:
    gone = [await house.reply(31), await house.reply(91, None)]
    kept = [await house.reply(29), await house.reply(89, None), await house.reply(89, 2)]
    await house.called(2, gone[0])
    await house.step()
    rows = await house.db.fetch("select id, body, body_hash, source, erased_at from inbox order by id")
    assert {row["id"] for row in rows if row["erased_at"]} == set(gone)
    for row in rows:
        erased = row["id"] in gone
        assert (row["body"], row["body_hash"]) == (("", b"") if erased else ("SIM", b"hash"))
        assert row["source"] == str(NUMBER)
    assert kept and await house.db.fetchval("select url || answer::text from callback_attempt") == "\\x"


async def test_a_walk_in_pages_misses_none_and_never_starts_over(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "_ROWS", 3)
    monkeypatch.setattr(erasing, "_PAGES", 2)
    for days in range(31, 41):
        await house.message(days)
    for days in range(91, 94):
        await house.message(days, account_id=2)
    left = []
    while len(await house.with_text()):
        await house.step()
        left.append(len(await house.with_text()))
    assert left == [7, 1, 0], "two pages a step, of both accounts in turn"
    at = await house.db.fetchval("select message_id from retention where account_id = 1")
    await house.step()
    assert await house.db.fetchval("select message_id from retention where account_id = 1") >= at


async def test_one_node_at_a_time_walks(house: House, database_url: str) -> None:
    await house.message(31)
    other = await Database.open(database_url, size=1)
    try:
        async with other.transaction() as tx:
            assert await erasing.retention.mine(tx)
            await house.step()
            assert len(await house.with_text()) == 1
        await house.step()
        assert await house.with_text() == set()
    finally:
        await other.close()


async def test_what_is_being_called_while_it_is_erased_is_erased_once_more(house: House) -> None:
    """The attempt is written when it is over, with the text that was in memory."""
    reply = await house.reply(31)
    callback_id = await house.db.fetchval(
        "insert into callback (account_id, kind, subject_id, leased_until) values (1, 2, $1, now() + interval '1 minute')"
        " returning id",
        reply,
    )
    await house.step()
    await house.db.execute(
        "insert into callback_attempt (callback_id, at, url, signature, address, status, error, duration_ms, answer)"
        " values ($1, now(), 'http://a/?mensagem=SIM', 's', '192.0.2.1', 200, '', 5, 'SIM')",
        callback_id,
    )
    await house.step()
    assert await house.db.fetchval("select url from callback_attempt") != "", "not yet: it might still come"
    await house.db.execute("update erased_again set due_at = now()")
    await house.step()
    assert await house.db.fetchval("select url from callback_attempt") == ""
    assert await house.db.fetchval("select count(*) from erased_again") == 0


async def test_accesses_are_kept_for_six_months(house: House) -> None:
    for age in ("6 months 1 hour", "5 months 27 days"):
        await house.db.execute(
            "insert into access (minute_at, kind, who, what, address, account_id, times)"
            " values (now() - $1::text::interval, 'api', 'token 1', 'send', '192.0.2.7', 1, 3)",
            age,
        )
    await house.step()
    assert await house.db.fetchval("select count(*) from access") == 1


async def test_the_walk_reads_an_index_and_no_message_whose_time_is_not_over(house: House) -> None:
    accounts = 300
    await house.db.execute(
        "insert into account (name, retention_days) select 'a' || g, 30 from generate_series(3, $1) g",
        accounts,
    )
    await house.db.execute(
        "insert into message (id, account_id, client_ref, destination, number, body, ucs2, parts, price_milli, smsc_id,"
        " accepted_at) select $1::bigint + g, 1 + g % $2::int, g, '', 1, 'x', false, 1, 0, 1, now()"
        " from generate_series(1, 5000) g",
        lowest_at(datetime.now(UTC)), accounts,
    )  # fmt: skip
    await house.db.execute("analyze message")
    async with house.db.transaction() as tx:
        assert await erasing.retention.due(tx) == []
        assert await tx.fetchval("select pg_stat_get_xact_tuples_returned('message'::regclass)") == 0
        assert await tx.fetchval("select pg_stat_get_xact_numscans('message_account'::regclass)") >= accounts
        assert await tx.fetchval("select pg_stat_get_xact_tuples_returned('message_account'::regclass)") == 0
