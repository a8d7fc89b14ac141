"""What people read as conversations, on the real store."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from pombo.account.secret import Secrets
from pombo.store import blocks, contacts, conversations, inbox, owners, privacy
from pombo.store.contacts import Contact
from pombo.store.conversations import Which
from pombo.store.database import Database
from pombo.store.privacy import PLACES, Of

pytestmark = pytest.mark.anyio

ANA, BIA = 5511999990001, 5511999990002
NOW = datetime.now(UTC)
SECRETS = Secrets(b"a secret for the tests")


class Desk:
    def __init__(self, db: Database) -> None:
        self.db = db
        self.last_id = 0

    async def reply(
        self, number: object, text: str = "oi", account_id: int | None = 1, minute: int = 0
    ) -> int:
        self.last_id += 1
        await self.db.execute(
            "insert into inbox (id, account_id, smsc_id, source, destination, body, data_coding, body_hash, session_id,"
            " sequence_number, received_at) values ($1, $2, 1, $3, '27300', $4, 0, '', 1, $1, $5)",
            self.last_id, account_id, str(number), text, NOW + timedelta(minutes=minute),
        )  # fmt: skip
        return self.last_id

    async def message(self, number: int, text: str = "oi", account_id: int = 1) -> int:
        self.last_id += 1
        await self.db.execute(
            "insert into message (id, account_id, client_ref, destination, number, body, ucs2, parts, price_milli, smsc_id,"
            " accepted_at) values ($1::bigint, $2, $1::bigint::text, '', $3, $4, false, 1, 0, 1, now())",
            self.last_id, account_id, number, text,
        )  # fmt: skip
        return self.last_id

    async def listed(
        self, *, account_id: int = 1, limit: int = 10, before=None, **which: object
    ) -> list[str]:
        rows = await conversations.listed(self.db, account_id, Which(**which), before, limit)
        return [row["handset"] for row in rows]

    async def id_of(self, number: int, account_id: int = 1) -> int:
        found = await conversations.with_number(self.db, account_id, number)
        assert found is not None
        return found

    async def unread_of(self, number: int) -> int:
        row = await conversations.conversation(self.db, 1, await self.id_of(number))
        assert row is not None
        return row["replies"] - row["seen"]


@pytest.fixture
async def desk(database: Database) -> Desk:
    await database.execute("insert into account (name) values ('a'), ('b')")
    return Desk(database)


async def test_who_wrote_last_comes_first_and_nobody_sees_anothers(desk: Desk) -> None:
    await desk.reply(ANA, minute=1)
    await desk.reply(BIA, minute=2)
    await desk.reply(ANA, minute=3)
    await desk.reply(BIA, account_id=2, minute=4)
    await desk.reply(BIA, account_id=None, minute=5)

    assert await desk.listed() == [str(ANA), str(BIA)]
    assert await desk.listed(account_id=2) == [str(BIA)]
    theirs = await desk.id_of(BIA, account_id=2)
    assert await conversations.conversation(desk.db, 1, theirs) is None


async def test_pages_follow_each_other_without_a_gap(desk: Desk) -> None:
    for n in range(5):
        await desk.reply(ANA + n, minute=n // 2)  # some at the same moment
    found: list[str] = []
    before = None
    while page := await conversations.listed(desk.db, 1, Which(), before, 2):
        found += [row["handset"] for row in page]
        before = (page[-1]["last_at"], page[-1]["id"])
    assert found == await desk.listed()
    assert len(set(found)) == 5


async def test_what_people_have_seen_and_what_the_program_has_read_are_two_things(desk: Desk) -> None:
    await desk.reply(ANA)
    await desk.reply(ANA)
    await inbox.mark_read(desk.db, [1, 2])
    assert await desk.unread_of(ANA) == 2

    await desk.reply(BIA)
    assert await conversations.seen(desk.db, 1, await desk.id_of(BIA), 1)
    leased = await inbox.lease_unread(desk.db, 1, None, None, 10)
    assert [row["source"] for row in leased] == [str(BIA)]


async def test_a_reply_that_came_while_somebody_was_reading_stays_unread(desk: Desk) -> None:
    await desk.reply(ANA)
    shown = await conversations.conversation(desk.db, 1, await desk.id_of(ANA))
    assert shown is not None
    await desk.reply(ANA)

    for _ in range(2):  # two people look
        await conversations.seen(desk.db, 1, shown["id"], shown["replies"])
    assert await desk.unread_of(ANA) == 1
    assert await conversations.seen(desk.db, 2, shown["id"], 2) is False
    assert await desk.unread_of(ANA) == 1


async def test_unread_conversations_are_counted_up_to_a_bound(desk: Desk) -> None:
    for n in range(4):
        await desk.reply(ANA + n)
        await desk.reply(ANA + n)
    assert await conversations.unread(desk.db, 1, 99) == 4
    assert await conversations.unread(desk.db, 1, 3) == 3
    assert await conversations.unread(desk.db, 2, 99) == 0

    await conversations.seen(desk.db, 1, await desk.id_of(ANA), 2)
    assert await conversations.unread(desk.db, 1, 99) == 3
    assert str(ANA) not in await desk.listed(unread=True)
    await conversations.mark_unread(desk.db, 1, await desk.id_of(ANA))
    assert await desk.unread_of(ANA) == 1


async def test_an_answer_is_the_last_word_and_a_campaign_is_not(desk: Desk) -> None:
    await desk.reply(ANA, "quero", minute=-9)
    await desk.reply(BIA, "sim", minute=-5)
    await desk.message(ANA, "Oferta")
    rows = await conversations.listed(desk.db, 1, Which(), None, 10)
    assert [(row["handset"], row["ours"], row["body"]) for row in rows] == [
        (str(BIA), False, "sim"),
        (str(ANA), False, "quero"),
    ]

    answer = await desk.message(ANA, "Pronto")
    await conversations.answered(desk.db, 1, await desk.id_of(ANA), answer)
    rows = await conversations.listed(desk.db, 1, Which(), None, 10)
    assert [(row["handset"], row["ours"], row["body"]) for row in rows] == [
        (str(ANA), True, "Pronto"),
        (str(BIA), False, "sim"),
    ]
    assert await desk.unread_of(ANA) == 0

    await desk.reply(ANA, "obrigada")
    assert (await conversations.listed(desk.db, 1, Which(), None, 1))[0]["body"] == "obrigada"


async def test_both_sides_stand_in_the_order_they_were_written_and_are_paged_upwards(desk: Desk) -> None:
    await desk.message(ANA, "1")
    await desk.reply(ANA, "2")
    await desk.message(ANA, "somebody else's", account_id=2)
    await desk.reply(ANA, "somebody else's", account_id=2)
    await desk.message(BIA, "to another")
    await desk.message(ANA, "3")
    await desk.reply(ANA, "4")

    newest = await conversations.bubbles(desk.db, 1, str(ANA), ANA, 3)
    assert [(row["body"], row["ours"]) for row in newest] == [("4", False), ("3", True), ("2", False)]
    older = await conversations.bubbles(desk.db, 1, str(ANA), ANA, 3, before_id=newest[-1]["id"])
    assert [row["body"] for row in older] == ["1"]
    since = await conversations.bubbles(desk.db, 1, str(ANA), ANA, 9, from_id=newest[1]["id"])
    assert [row["body"] for row in since] == ["4", "3"]


async def test_what_is_no_number_has_a_conversation_of_replies_alone(desk: Desk) -> None:
    await desk.reply("BANCO", "aviso")
    await desk.reply("0", "zero")
    assert sorted(await desk.listed()) == ["0", "BANCO"]
    rows = await conversations.bubbles(desk.db, 1, "BANCO", None, 9)
    assert [row["body"] for row in rows] == ["aviso"]


async def test_a_number_of_another_country_has_a_name_and_both_sides_and_is_erased(desk: Desk) -> None:
    abroad = 5491123456789
    await contacts.add(desk.db, 1, Contact(abroad, "Eva"))
    await desk.reply(abroad, "hola")
    [row] = await conversations.listed(desk.db, 1, Which(), None, 9)
    assert (row["number"], row["name"]) == (abroad, "Eva")
    async with desk.db.transaction() as tx:
        assert (await privacy.erase(tx, Of.NUMBER, abroad, 1))["conversation"] == 1


async def test_conversations_are_found_by_digits_by_name_and_by_who_opted_out(desk: Desk) -> None:
    reply = await desk.reply(ANA, "SAIR")
    await desk.reply(BIA)
    await desk.reply(BIA, account_id=2)
    await contacts.add(desk.db, 1, Contact(BIA, "Béatriz 100%"))
    await blocks.opt_out(desk.db, [blocks.OptOut(1, SECRETS.number_hmac(ANA), reply)])

    assert await desk.listed(digits="90001") == [str(ANA)]
    assert await desk.listed(name="beatriz") == [str(BIA)]
    assert await desk.listed(name="100%") == [str(BIA)]
    assert await desk.listed(name="%") == [str(BIA)]  # itself, and no pattern
    assert await desk.listed(digits="90001", name="beatriz") == [str(BIA), str(ANA)]
    assert await desk.listed(handset=str(ANA)) == [str(ANA)]
    assert await desk.listed(opted_out=True) == [str(ANA)]
    assert await desk.listed(account_id=2, name="beatriz") == []
    assert await desk.listed(account_id=2, opted_out=True) == []

    recent = await blocks.recent_opt_outs(desk.db, 1, 10)
    assert [(row["source"], row["conversation_id"]) for row in recent] == [(str(ANA), await desk.id_of(ANA))]
    assert await blocks.recent_opt_outs(desk.db, 2, 10) == []


async def test_replies_that_were_nobodys_are_unread_in_the_conversation_of_whom_they_are_given(
    desk: Desk,
) -> None:
    await desk.reply(ANA, account_id=None)
    await desk.reply(ANA, account_id=None)
    await desk.reply(ANA)
    assert await owners.assign(desk.db, [1, 2, 3], 1) == [1, 2]
    assert await desk.unread_of(ANA) == 3


async def test_replies_of_the_same_handsets_over_many_connections_are_all_counted(desk: Desk) -> None:
    numbers = [ANA + n for n in range(20)]

    async def come(first_id: int, of: list[int]) -> None:
        await desk.db.execute(
            "insert into inbox (id, account_id, smsc_id, source, destination, body, data_coding, body_hash, session_id,"
            " sequence_number) select $1 + place, 1, 1, number::text, '', '', 0, '', 1, place"
            " from unnest($2::bigint[]) with ordinality t(number, place)",
            first_id, of,
        )  # fmt: skip

    await asyncio.gather(*(come(n * 100, numbers[:: 1 if n % 2 else -1]) for n in range(10)))
    assert await desk.db.fetchval("select sum(replies) from conversation") == 200


async def test_all_of_a_number_is_found_and_erased_of_one_account_or_of_all(desk: Desk) -> None:
    for account_id in (1, 2):
        await desk.reply(ANA, account_id=account_id)
        await contacts.add(desk.db, account_id, Contact(ANA, "Ana", ["vip"], "liga à tarde"))
    await desk.reply(BIA)
    kept = [place for place in PLACES if place.table in ("contact", "conversation")]

    async def accounts_of(number: int) -> list[list[int]]:
        return [
            [json.loads(row)["account_id"] for row in await privacy.found(desk.db, place, number, None)]
            for place in kept
        ]

    assert await accounts_of(ANA) == [[1, 2], [1, 2]]
    async with desk.db.transaction() as tx:
        assert (await privacy.erase(tx, Of.NUMBER, ANA, 1))["contact"] == 1
    assert await accounts_of(ANA) == [[2], [2]]
    async with desk.db.transaction() as tx:
        await privacy.erase(tx, Of.NUMBER, ANA, None)
    assert await accounts_of(ANA) == [[], []]
    assert await desk.listed() == [str(BIA)]
