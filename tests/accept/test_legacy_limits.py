"""What an account may do at the most: exact where the database counts (messages, money), for each process where it does
not (requests). A retry is no new message, and no limit stops it."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest
from legacy_gateway import NUMBER, TOKEN, Gateway

from pombo.accept.submission import judge
from pombo.account.account import Account
from pombo.account.prices import Prices
from pombo.errors import Limit
from pombo.route.routes import Routes
from pombo.store import accounts, ledger, limits, notices
from pombo.store import intake as rows
from pombo.store.database import Database, Db

pytestmark = pytest.mark.anyio

RATE = "Limite de requisicoes excedido"
WEST, EAST = (
    "Pacific/Pago_Pago",
    "Pacific/Kiritimati",
)  # 25 hours apart: it is another day there at every moment


def message(text: str = "Oi", **more: Any) -> dict[str, Any]:
    return {"destino": NUMBER, "msg": text, **more}


def messages(count: int, **more: Any) -> list[dict[str, Any]]:
    return [message(**more) for _ in range(count)]


async def used_today(gateway: Gateway, account_id: int) -> tuple[int, int]:
    return tuple(await limits.used_today(gateway.db, account_id))


def limited(gateway: Gateway) -> dict[Limit, int]:
    return dict(gateway.api.figures.limited)


# A day's messages and money


async def test_a_days_messages_run_in_input_order_until_they_end(gateway: Gateway, alfa: int) -> None:
    await gateway.change(alfa, messages_per_day=5)
    assert (await gateway.send_many(messages(3))).told == ["OK"] * 3
    reply = await gateway.send_many([message("4"), message("5"), message("6"), message("7")])
    assert reply.told == ["OK", "OK", RATE, RATE]
    item = (await gateway.send_one()).item
    assert (item["status"], item["messageID"], item["detailDescription"]) == (0, "", RATE)
    assert len(await gateway.stored()) == 5
    assert await gateway.balance(alfa) == 1_000_000 - 5 * 80
    assert await used_today(gateway, alfa) == (5, 400)
    assert limited(gateway) == {Limit.MESSAGES_PER_DAY: 3}


async def test_what_may_be_spent_in_a_day_ends_where_the_next_message_would_cost_too_much(
    gateway: Gateway, alfa: int
) -> None:
    await gateway.change(alfa, spend_per_day_milli=400)
    reply = await gateway.send_many([message("a" * n) for n in (1, 700, 161, 1, 1, 1)])
    assert reply.told == ["OK", RATE, "OK", "OK", "OK", RATE]
    assert await used_today(gateway, alfa) == (4, 400)
    assert await gateway.balance(alfa) == 1_000_000 - 400
    assert limited(gateway) == {Limit.SPEND_PER_DAY: 2}
    await gateway.change(alfa, price_milli=0)
    assert (await gateway.send_one()).told == ["OK"], "what costs nothing is not stopped by what may be spent"


async def test_50_clients_of_two_nodes_that_race_for_a_days_last_100_messages_get_exactly_100(
    gateway: Gateway, alfa: int
) -> None:
    await gateway.change(alfa, messages_per_day=110)
    assert (await gateway.send_many(messages(10))).told == ["OK"] * 10
    other = Gateway(gateway.db, node=2)

    async def client(node: Gateway) -> int:
        accepted = 0
        async with node.connected() as connection:
            for n in range(6):
                if n % 2:
                    reply = await connection.ask(
                        "GET", f"/api/unitario.php?token={TOKEN.replace(' ', '+')}&destino={NUMBER}&msg=Oi"
                    )
                else:
                    reply = await node.send_many(messages(3))
                assert set(reply.told) <= {"OK", RATE}
                accepted += reply.told.count("OK")
        return accepted

    async with other.running():
        accepted = await asyncio.gather(*(client(node) for _ in range(25) for node in (gateway, other)))
    assert sum(accepted) == 100
    assert len(await gateway.stored()) == 110
    assert await used_today(gateway, alfa) == (110, 110 * 80)
    assert await ledger.faults(gateway.db) == []


async def test_clients_of_two_nodes_that_race_for_what_may_be_spent_spend_exactly_that(
    gateway: Gateway, alfa: int
) -> None:
    await gateway.change(alfa, spend_per_day_milli=100 * 80 + 79)
    other = Gateway(gateway.db, node=2)

    async def client(node: Gateway) -> int:
        accepted = 0
        for _ in range(3):
            reply = await node.send_many([message("a" * 161), message()])
            assert set(reply.told) <= {"OK", RATE}
            accepted += 2 * (reply.told[0] == "OK") + (reply.told[1] == "OK")
        return accepted

    async with other.running():
        accepted = await asyncio.gather(*(client(node) for _ in range(20) for node in (gateway, other)))
    assert sum(accepted) == 100
    assert await gateway.balance(alfa) == 1_000_000 - 100 * 80


async def test_a_day_begins_at_midnight_in_the_accounts_own_zone(gateway: Gateway, alfa: int) -> None:
    await gateway.change(alfa, time_zone=WEST, messages_per_day=3, spend_per_day_milli=300)
    assert (await gateway.send_many(messages(4))).told == ["OK", "OK", "OK", RATE]
    await gateway.change(alfa, time_zone=EAST)  # where midnight has passed
    assert await used_today(gateway, alfa) == (0, 0)
    assert (await gateway.send_many(messages(4))).told == ["OK", "OK", "OK", RATE]
    assert await used_today(gateway, alfa) == (3, 240)


async def test_a_clock_that_steps_back_over_midnight_gives_no_second_day(gateway: Gateway, alfa: int) -> None:
    await gateway.change(alfa, messages_per_day=2)
    assert (await gateway.send_many(messages(2))).told == ["OK", "OK"]
    await gateway.db.execute("update account set used_on = used_on + 1")  # it was tomorrow for a moment
    assert (await gateway.send_one()).told == [RATE]
    await gateway.db.execute("update account set used_on = used_on + 400")  # a clock that was wrong by a year
    assert (await gateway.send_one()).told == ["OK"]


async def test_a_limit_counts_what_was_accepted_before_it_was_set(gateway: Gateway, alfa: int) -> None:
    await gateway.send_many(messages(4))
    await gateway.change(alfa, messages_per_day=5)
    assert (await gateway.send_many(messages(2))).told == ["OK", RATE]
    await gateway.change(alfa, messages_per_day=3)  # lower than what was used
    assert (await gateway.send_one()).told == [RATE]
    await gateway.change(alfa, messages_per_day=0)
    assert (await gateway.send_many(messages(2))).told == ["OK", "OK"]


async def test_one_accounts_limit_costs_no_other_account_anything(gateway: Gateway, alfa: int) -> None:
    await gateway.change(alfa, messages_per_day=1)
    await gateway.add_account("beta", "the token of beta")
    reply = await gateway.envio(
        [
            {"token": TOKEN, "mensagens": messages(3)},
            {"token": "the token of beta", "mensagens": messages(3)},
        ]
    )
    assert reply.told == ["OK", RATE, RATE, "OK", "OK", "OK"]


async def test_a_retry_outranks_every_limit_and_uses_none_up(gateway: Gateway, alfa: int) -> None:
    first = await gateway.send_many([message("1", id="a"), message("2", id="b")])
    await gateway.change(
        alfa,
        messages_per_day=2,
        spend_per_day_milli=160,
        messages_per_s=1,
        messages_per_prefix=1,
        requests_per_s=1,
    )
    await gateway.send_one()  # the request of this second
    again = await gateway.send_many(
        [message("1", id="a"), message("other", id="b"), message("3", id="c"), message("4")]
    )
    assert again.told == ["OK", "ID duplicado", RATE, RATE]
    assert again.items[0] == first.items[0]
    assert await used_today(gateway, alfa) == (2, 160)
    await gateway.change(alfa, active=False)
    assert (await gateway.send_one("1", id="a")).told == ["Conta bloqueada"]


async def test_an_id_of_a_refused_message_is_not_used_up(gateway: Gateway, alfa: int) -> None:
    await gateway.change(alfa, messages_per_day=1)
    await gateway.send_one()
    assert (await gateway.send_one("Oi", id="mine")).told == [RATE]
    await gateway.change(alfa, messages_per_day=0)
    assert (await gateway.send_one("another text", id="mine")).told == ["OK"]


async def test_an_account_at_its_limit_does_not_make_every_flush_fail_first(
    gateway: Gateway, alfa: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await gateway.change(alfa, messages_per_day=1)
    accept, quick = rows.accept, []

    async def watched(db: Db, new: rows.NewMessages, unlisted: Sequence[int] = ()) -> bool:
        done = await accept(db, new, unlisted)
        quick.append((isinstance(db, Database), done))
        return done

    monkeypatch.setattr(rows, "accept", watched)
    for _ in range(3):
        assert (await gateway.send_many(messages(2))).told[1] == RATE
    assert quick == [(True, False), (False, True)]
    await gateway.change(alfa, messages_per_day=0)
    await gateway.send_one()
    await gateway.send_one()
    assert quick[-1] == (True, True), "and it is quick again once there is room"


async def test_an_account_without_limits_costs_one_round_trip(
    gateway: Gateway, alfa: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await gateway.send_one()
    statements: list[str] = []
    for name in ("execute", "fetch", "fetchrow", "fetchval"):
        plain = getattr(Database, name)

        async def counted(self: Database, sql: str, *args: object, plain: Any = plain) -> Any:
            statements.append(sql)
            return await plain(self, sql, *args)

        monkeypatch.setattr(Database, name, counted)
    assert (await gateway.send_many(messages(5))).told == ["OK"] * 5
    await gateway.change(alfa, messages_per_day=1000, spend_per_day_milli=1_000_000, messages_per_s=1000)
    statements.clear()
    assert (await gateway.send_many(messages(5))).told == ["OK"] * 5
    assert [sql for sql in statements if "t.hmac" not in sql] == [rows._ACCEPT], "nor does one with room"


async def test_the_platforms_own_word_is_not_counted_and_not_stopped(gateway: Gateway, alfa: int) -> None:
    await gateway.change(alfa, messages_per_day=1, messages_per_prefix=1, messages_per_s=1)
    await gateway.send_one()
    account = Account.of(await accounts.account(gateway.db, "alfa"))
    confirmation = judge(
        account, NUMBER, "Descadastro feito.", "descadastro-1",
        routes=Routes(gateway.routes), prices=Prices(), secrets=gateway.secrets,
    )  # fmt: skip
    confirmation.ours, confirmation.price_milli = True, 0
    await gateway.intake.submit([confirmation])
    assert confirmation.refusal is None
    assert await gateway.texts() == ["Oi", "Descadastro feito."]
    assert await used_today(gateway, alfa) == (1, 80)


# A second's messages


async def test_a_batch_over_a_seconds_messages_is_accepted_up_to_them(gateway: Gateway, alfa: int) -> None:
    await gateway.change(alfa, messages_per_s=7)
    assert (await gateway.send_many(messages(20))).told == ["OK"] * 7 + [RATE] * 13
    assert limited(gateway) == {Limit.MESSAGES_PER_S: 13}


async def test_a_seconds_messages_hold_over_all_nodes(gateway: Gateway, alfa: int) -> None:
    """By the database's clock, in each of its seconds: so also in as many as the test happens to take."""
    await gateway.change(alfa, messages_per_s=10)
    other = Gateway(gateway.db, node=2)
    second = "select extract(epoch from date_trunc('second', clock_timestamp()))::bigint"
    begun = await gateway.db.fetchval(second)
    async with other.running():
        replies = await asyncio.gather(
            *(node.send_many(messages(2)) for _ in range(20) for node in (gateway, other))
        )
    seconds = await gateway.db.fetchval(second) - begun + 1
    accepted = sum(reply.told.count("OK") for reply in replies)
    assert 10 <= accepted <= 10 * seconds
    assert len(await gateway.stored()) == accepted
    await gateway.db.execute("update account set used_second = used_second - interval '5 seconds'")
    assert (await gateway.send_many(messages(20))).told.count("OK") == 10, "the next second"


# A second's requests


async def test_a_request_over_the_rate_is_refused_item_by_item(gateway: Gateway, alfa: int) -> None:
    await gateway.change(alfa, requests_per_s=2)
    assert (await gateway.send_many(messages(3))).told == ["OK"] * 3
    assert (await gateway.send_one()).told == ["OK"]
    reply = await gateway.send_many([message(id="mine"), message(), {"destino": "1", "msg": ""}])
    assert reply.status == 200
    assert reply.told == [RATE] * 3
    assert [item["messageID"] for item in reply.items] == ["mine", "", ""]
    assert limited(gateway) == {Limit.REQUESTS_PER_S: 3}
    gateway.time_s += 0.999
    assert (await gateway.send_one()).told == [RATE]
    gateway.time_s += 0.001
    assert (await gateway.send_one()).told == ["OK"]


@pytest.mark.parametrize("page", ["dlr", "mo", "saldo"])
async def test_questions_are_requests_too_and_answered_in_their_own_envelope(
    gateway: Gateway, alfa: int, page: str
) -> None:
    await gateway.change(alfa, requests_per_s=1)
    await gateway.send_one(id="mine")
    reply = await gateway.get(page, id="mine")
    assert (reply.status, reply.body) == (
        200, json.dumps({page: [], "status": 0, "detailDescription": RATE}, separators=(",", ":")).encode(),
    )  # fmt: skip
    gateway.time_s += 1
    assert b"Limite" not in (await gateway.get(page, id="mine")).body
    assert (await gateway.send_one()).told == [RATE]


async def test_requests_are_counted_by_account_and_not_by_token(gateway: Gateway, alfa: int) -> None:
    await gateway.change(alfa, requests_per_s=2)
    await gateway.add_token(alfa, "another token of alfa")
    await gateway.add_account("beta", "the token of beta")
    objects = [
        {"token": token, "mensagens": messages(1)}
        for token in (TOKEN, "another token of alfa", "the token of beta", "the token of nobody")
    ]
    assert (await gateway.envio(objects)).told == ["OK", "OK", "OK", "Token invalido"]
    assert (await gateway.unitario(token="another token of alfa", destino=NUMBER, msg="Oi")).told == ["OK"]
    assert (await gateway.send_one()).told == [RATE]
    assert (await gateway.unitario(token="the token of beta", destino=NUMBER, msg="Oi")).told == ["OK"]


async def test_who_asks_too_fast_makes_no_other_accounts_messages_wait_for_locks(
    gateway: Gateway, alfa: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids are looked up, for they might be retries; nothing more."""
    await gateway.add_account("beta", "the token of beta")
    await gateway.change(alfa, requests_per_s=1)
    await gateway.send_one("first", id="mine")
    looked_closer = []
    lock = limits.lock

    async def watched(db: Db, account_ids: Sequence[int]) -> dict[int, limits.Left]:
        looked_closer.append(account_ids)
        return await lock(db, account_ids)

    monkeypatch.setattr(limits, "lock", watched)
    reply = await gateway.envio(
        [
            {
                "token": TOKEN,
                "mensagens": [message(id="new"), message("first", id="mine"), message(id="mine")],
            },
            {"token": "the token of beta", "mensagens": [message(id="mine"), message()]},
        ]
    )
    assert reply.told == [RATE, "OK", "ID duplicado", "OK", "OK"]
    assert looked_closer == []
    assert len(await gateway.stored()) == 3


# An hour's messages to one prefix


async def test_numbers_in_a_row_get_so_many_an_hour_and_the_operator_hears_of_it(
    gateway: Gateway, alfa: int
) -> None:
    await gateway.change(alfa, messages_per_prefix=10)
    row = [{"destino": f"119999{n:05}", "msg": "Oi"} for n in range(10_990, 11_012)]
    assert (await gateway.send_many(row)).told == ["OK"] * 10 + ["OK"] * 10 + [RATE] * 2
    assert await notices.open_notices(gateway.db) != []
    assert (await gateway.send_many([row[0], row[-1]])).told == [RATE, RATE]
    assert (await gateway.send_one()).told == ["OK"], "other numbers are none of it"
    assert limited(gateway) == {Limit.MESSAGES_PER_PREFIX: 4}
    assert await limits.prefixes_at_limit(gateway.db, alfa, 10) == [
        (5511999911, 10, 3),
        (5511999910, 10, 1),
    ]
    assert [(of.account, of.kind) for of in await notices.open_notices(gateway.db)] == [
        ("alfa", "prefix_limit")
    ]
    assert len(await notices.untold(gateway.db)) == 1
    await limits.drop_old_prefixes(gateway.db)
    assert len(await notices.open_notices(gateway.db)) == 1, "not over yet"
    await gateway.db.execute("update velocity set hour_at = hour_at - interval '3 hours'")
    assert (await gateway.send_many([row[-1]])).told == ["OK"], "in the next hour"
    await limits.drop_old_prefixes(gateway.db)
    assert await notices.open_notices(gateway.db) == []
    assert await gateway.db.fetchval("select count(*) from velocity") == 1


async def test_clients_of_two_nodes_that_race_for_a_prefix_get_exactly_its_messages(
    gateway: Gateway, alfa: int
) -> None:
    beta = await gateway.add_account("beta", "the token of beta", messages_per_prefix=20)
    await gateway.change(alfa, messages_per_prefix=30)
    other = Gateway(gateway.db, node=2)
    places = [f"119991{n:02}" for n in range(4)]

    async def client(node: Gateway, n: int) -> list[tuple[str, str, str]]:
        accepted = []
        token = (TOKEN, "the token of beta")[n % 2]
        for turn in range(4):
            where = places[turn:] + places[:turn] if n % 3 else places[::-1]
            batch = [
                {"destino": f"{place}{n * 4 + turn:03}", "msg": "Oi"} for place in where for _ in range(2)
            ]
            reply = await node.send_many(batch, token)
            assert set(reply.told) <= {"OK", RATE}
            accepted += [
                (token, m["destino"][:8], told)
                for m, told in zip(batch, reply.told, strict=True)
                if told == "OK"
            ]
        return accepted

    async with other.running():
        told = await asyncio.gather(*(client((gateway, other)[n % 2 ^ n % 5 == 0], n) for n in range(20)))
    for account_id in (alfa, beta):
        counted = await gateway.db.fetch(
            "select number / 1000 as prefix, count(*) as messages from message where account_id = $1 group by 1",
            account_id,
        )
        kept = await gateway.db.fetch(
            "select prefix, messages from velocity where account_id = $1 order by 1", account_id
        )
        assert sorted(map(tuple, counted)) == [tuple(row) for row in kept]
        assert max(row["messages"] for row in counted) <= (30 if account_id == alfa else 20)
    assert len(await gateway.stored()) == sum(map(len, told))


async def test_who_is_not_watched_leaves_no_trace_by_prefix(gateway: Gateway) -> None:
    await gateway.send_many(messages(5))
    assert await gateway.db.fetchval("select count(*) from velocity") == 0


async def test_a_limit_that_is_lowered_counts_from_the_next_message_on(gateway: Gateway, alfa: int) -> None:
    await gateway.change(alfa, messages_per_prefix=10)
    assert (await gateway.send_many(messages(6))).told == ["OK"] * 6
    await gateway.change(alfa, messages_per_prefix=5)
    assert (await gateway.send_one()).told == [RATE]
    await gateway.change(alfa, messages_per_prefix=8)
    assert (await gateway.send_many(messages(3))).told == ["OK", "OK", RATE]


async def test_no_limit_is_negative(gateway: Gateway, alfa: int) -> None:
    for column in (
        "requests_per_s",
        "messages_per_s",
        "messages_per_day",
        "spend_per_day_milli",
        "messages_per_prefix",
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            await gateway.change(alfa, **{column: -1})
