"""Credits: charged once, in order, never below zero; the balance is the sum of the ledger (invariant 6)."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest
from legacy_gateway import NUMBER, TOKEN, Gateway

from pombo.account.prices import Price
from pombo.store import endings, ledger, notices
from pombo.store import intake as rows
from pombo.store.database import Database, Db

pytestmark = pytest.mark.anyio


def message(text: str = "Oi", **more: Any) -> dict[str, Any]:
    return {"destino": NUMBER, "msg": text, **more}


async def test_a_message_costs_its_parts(gateway: Gateway, alfa: int) -> None:
    await gateway.send_many([message("a" * 160), message("a" * 161), message("\U0001f600" * 36)])
    assert [row["price_milli"] for row in await gateway.stored()] == [80, 160, 160]
    assert await gateway.balance(alfa) == 1_000_000 - 400
    ledger = await gateway.db.fetch("select kind, amount_milli, messages from ledger order by id")
    assert [tuple(row) for row in ledger] == [("recharge", 1_000_000, 0), ("charge", -400, 3)]


async def test_credits_run_in_input_order_until_they_end(gateway: Gateway) -> None:
    poor = await gateway.add_account("beta", "the token of beta", balance_milli=250)
    for told in (["OK", "OK", "OK", "Saldo insuficiente", "Saldo insuficiente"], ["Saldo insuficiente"] * 5):
        reply = await gateway.send_many([message(str(n)) for n in range(5)], "the token of beta")
        assert reply.told == told
    assert await gateway.texts() == ["0", "1", "2"]
    assert await gateway.balance(poor) == 10
    await gateway.db.execute("update account set balance_milli = 90 where id = $1", poor)
    await gateway.db.execute(
        "insert into ledger (account_id, kind, amount_milli) values ($1, 'recharge', 80)", poor
    )
    assert (await gateway.send_many([message("3")] * 2, "the token of beta")).told == [
        "OK",
        "Saldo insuficiente",
    ]
    assert await gateway.balance(poor) == 10


async def test_one_accounts_end_of_credit_costs_no_other_account_anything(
    gateway: Gateway, alfa: int
) -> None:
    poor = await gateway.add_account("beta", "the token of beta", balance_milli=80)
    reply = await gateway.envio(
        [
            {"token": "the token of beta", "mensagens": [message("1"), message("2")]},
            {"token": TOKEN, "mensagens": [message("3"), message("4")]},
        ]
    )
    assert reply.told == ["OK", "Saldo insuficiente", "OK", "OK"]
    assert (await gateway.balance(poor), await gateway.balance(alfa)) == (0, 1_000_000 - 160)


async def test_an_account_without_credits_does_not_make_every_flush_fail_first(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on sending for hours, and shares its flushes with others."""
    await gateway.add_account("beta", "the token of beta", balance_milli=80)
    accept, failures = rows.accept, []

    async def watched(db: Db, new: rows.NewMessages, unlisted: Sequence[int] = ()) -> bool:
        try:
            return await accept(db, new, unlisted)
        except asyncpg.CheckViolationError as error:
            failures.append(error)
            raise

    monkeypatch.setattr(rows, "accept", watched)
    for _ in range(3):
        assert (await gateway.send_many([message()] * 2, "the token of beta")).told[1] == "Saldo insuficiente"
    assert len(failures) == 1


async def test_messages_that_cost_nothing_need_no_balance(gateway: Gateway) -> None:
    free = await gateway.add_account("beta", "the token of beta", balance_milli=0, price_milli=0)
    assert (await gateway.send_many([message(), message()], "the token of beta")).told == ["OK", "OK"]
    assert await gateway.balance(free) == 0
    assert await gateway.db.fetchval("select count(*) from ledger where account_id = $1", free) == 0


async def test_50_clients_that_race_for_100_credits_get_exactly_100(gateway: Gateway) -> None:
    racer = await gateway.add_account("beta", "the token of beta", balance_milli=100 * 80)
    other = Gateway(gateway.db, node=2)

    async def client(node: Gateway) -> int:
        accepted = 0
        async with node.connected() as connection:
            for n in range(6):
                if n % 2:
                    reply = await connection.ask(
                        "GET", f"/api/unitario.php?token=the+token+of+beta&destino={NUMBER}&msg=Oi"
                    )
                else:
                    reply = await node.send_many([message()] * 3, "the token of beta")
                assert set(reply.told) <= {"OK", "Saldo insuficiente"}
                accepted += reply.told.count("OK")
        return accepted

    async with other.running():
        accepted = await asyncio.gather(*(client(node) for _ in range(25) for node in (gateway, other)))
    assert sum(accepted) == 100
    assert len(await gateway.stored()) == 100
    assert await gateway.balance(racer) == 0


async def test_50_clients_that_race_for_the_last_100_segments_of_a_limit_get_exactly_100(
    gateway: Gateway,
) -> None:
    """Postpaid: half of it is balance, half is what may be owed."""
    racer = await gateway.add_account(
        "beta", "the token of beta", 50 * 80, billing="postpaid", limit_milli=50 * 80 + 79
    )
    other = Gateway(gateway.db, node=2)

    async def client(node: Gateway) -> int:
        accepted = 0
        for _ in range(3):
            reply = await node.send_many([message("a" * 161), message()], "the token of beta")
            assert set(reply.told) <= {"OK", "Saldo insuficiente"}
            accepted += 2 * (reply.told[0] == "OK") + (reply.told[1] == "OK")
        return accepted

    async with other.running():
        accepted = await asyncio.gather(*(client(node) for _ in range(25) for node in (gateway, other)))
    assert sum(accepted) == 100
    assert await gateway.balance(racer) == -50 * 80
    assert await ledger.faults(gateway.db) == []


async def test_a_limit_is_only_for_those_who_pay_later(gateway: Gateway) -> None:
    account = await gateway.add_account("beta", "the token of beta", 80, limit_milli=1_000_000)
    assert (await gateway.send_many([message()] * 2, "the token of beta")).told == [
        "OK",
        "Saldo insuficiente",
    ]
    await gateway.change(account, billing="postpaid")
    assert (await gateway.send_many([message()] * 2, "the token of beta")).told == ["OK", "OK"]
    assert await gateway.balance(account) == -160
    with pytest.raises(asyncpg.CheckViolationError):
        await gateway.change(account, billing="prepaid")


async def test_prices_by_prefix_and_class_are_frozen_when_a_message_is_accepted(
    gateway: Gateway, alfa: int
) -> None:
    gateway.prices = [Price("5521", 50), Price("", 90, message_class=2), Price("5531", 0)]
    await gateway.send_one("a" * 161)
    await gateway.send_one("a" * 161, destination="21999999999")
    await gateway.send_one(destination="31999999999")
    gateway.prices = []
    await gateway.change(alfa, **{"class": 2})
    await gateway.send_one(destination="21999999999")
    gateway.prices = [Price("5521", 50), Price("", 90, message_class=2)]
    await gateway.send_one()
    assert [row["price_milli"] for row in await gateway.stored()] == [160, 100, 0, 80, 90]
    assert await gateway.balance(alfa) == 1_000_000 - 430


async def test_a_charge_that_makes_the_balance_low_is_noticed_once(gateway: Gateway) -> None:
    beta = await gateway.add_account("beta", "the token of beta", 400, low_balance_milli=200)
    for n in range(4):
        await gateway.send_many([message()], "the token of beta")
        assert len(await notices.open_notices(gateway.db)) == (n >= 2)
    assert [told.available_milli for told in await notices.untold(gateway.db)] == [80]
    assert await notices.untold(gateway.db) == []
    await ledger.book(gateway.db, beta, "recharge", 100)  # still low
    assert len(await notices.open_notices(gateway.db)) == 1
    await ledger.book(gateway.db, beta, "recharge", 20)
    assert await notices.open_notices(gateway.db) == []
    await gateway.send_many([message()], "the token of beta")
    assert [told.account for told in await notices.untold(gateway.db)] == ["beta"]
    assert await ledger.faults(gateway.db) == []


async def test_a_refund_does_not_make_a_low_balance_news_again(gateway: Gateway) -> None:
    await gateway.add_account("beta", "the token of beta", 280, low_balance_milli=201)
    await gateway.send_many([message()], "the token of beta")
    async with gateway.db.transaction() as tx:
        await tx.execute("update message set state = 5, final_at = now()")
        await endings.ended(tx, None, [row["id"] for row in await tx.fetch("select id from message")])
    assert (await gateway.send_many([message()], "the token of beta")).told == ["OK"]
    assert await gateway.db.fetchval("select count(*) from notice") == 1
    assert await ledger.faults(gateway.db) == []


@pytest.mark.parametrize("price_milli", [80, 0])
async def test_crossing_batches_of_two_nodes_never_deadlock(
    gateway: Gateway, alfa: int, price_milli: int
) -> None:
    """Invariant 12: accounts are locked in the order of their ids, whatever order a batch names them in.

    Also those that pay nothing, whose balance no update locks: their client ids would cross.
    """
    beta = await gateway.add_account("beta", "the token of beta", price_milli=price_milli)
    await gateway.change(alfa, price_milli=price_milli)
    nodes = [gateway, Gateway(gateway.db, node=2)]
    tokens = [TOKEN, "the token of beta"]
    seeded = random.Random(7)
    failures_before = await _deadlocks(gateway.db)

    async def batch(node: Gateway, first: int) -> list[str]:
        """The same ids for both nodes, in another order for each: none twice, so the quick way is tried first."""
        objects = []
        for token in seeded.sample(tokens, 2):
            refs = seeded.sample(range(first, first + 500), 500)
            objects.append(
                {"token": token, "mensagens": [message("same", id=f"{token[-1]}{ref}") for ref in refs]}
            )
        return (await node.envio(objects)).told

    told: list[list[str]] = []
    async with nodes[1].running():
        for first in range(0, 3000, 500):
            told += await asyncio.gather(*(batch(node, first) for node in nodes))
    assert {text for texts in told for text in texts} == {"OK"}
    assert await _deadlocks(gateway.db) == failures_before
    stored = await gateway.stored()
    assert len(stored) == len({(row["account_id"], row["client_ref"]) for row in stored})
    for account in (alfa, beta):
        sent = sum(row["account_id"] == account for row in stored)
        assert await gateway.balance(account) == 1_000_000 - price_milli * sent


async def _deadlocks(db: Database) -> int:
    await db.execute("select pg_stat_clear_snapshot(), pg_stat_force_next_flush()")
    return int(await db.fetchval("select deadlocks from pg_stat_database where datname = current_database()"))


async def test_the_statement_needs_no_scan_and_no_hash_on_filled_tables(gateway: Gateway) -> None:
    """DESIGN "Planner traps": the plan that is right for an empty table must be right for a full one."""
    for _ in range(3):
        await gateway.send_many([message() for _ in range(1000)])
    await gateway.db.execute("analyze")
    statement = rows._ACCEPT.replace("$4", "now()")
    for n in range(29, 0, -1):
        if n != 4:
            statement = statement.replace(f"${n}::", "'{}'::")
    plan = "\n".join(row[0] for row in await gateway.db.fetch("explain " + statement))
    assert "Index Scan using account_pkey" in plan
    assert "Seq Scan" not in plan
    assert "Hash" not in plan
    assert "Merge" not in plan
    keys = "explain " + rows._KNOWN_KEYS.replace("$1", "'{1,2}'").replace("$2", "'{a,b}'")
    plan = "\n".join(row[0] for row in await gateway.db.fetch(keys))
    assert "Nested Loop" in plan
    assert "using message_key_pkey" in plan
