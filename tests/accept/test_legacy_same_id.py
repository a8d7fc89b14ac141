"""CONTRACT "Same id again": retries, clashes, and what uses an id up."""

import asyncio
from typing import Any

import pytest
from legacy_gateway import NUMBER, TOKEN, Gateway

pytestmark = pytest.mark.anyio


def message(text: str = "Oi", ref: object = "a", destination: str = NUMBER) -> dict[str, Any]:
    return {"destino": destination, "msg": text, "id": ref}


async def _date_back(gateway: Gateway) -> None:
    """As if all messages so far had been accepted a day ago."""
    await gateway.db.execute("update message_key set accepted_at = accepted_at - interval '1 day'")


async def test_a_retry_gets_the_first_answers_id_and_date_and_costs_nothing(
    gateway: Gateway, alfa: int
) -> None:
    first = (await gateway.send_one("Olá", id="a")).item
    await _date_back(gateway)
    for destination in (NUMBER, "+55 11 99999-9999"):
        again = await gateway.send_one("Olá", destination=destination, id="a")
        assert again.told == ["OK"]
        assert (again.item["messageID"], again.item["destino"]) == ("a", destination)
        assert again.item["data"] < first["data"]
    assert (await gateway.send_many([message("Olá")] * 3)).told == ["OK"] * 3
    assert len(await gateway.stored()) == 1
    assert await gateway.balance(alfa) == 1_000_000 - 80


async def test_the_same_id_for_another_number_or_text_is_a_clash(gateway: Gateway, alfa: int) -> None:
    assert (await gateway.send_one(id="a")).told == ["OK"]
    assert (await gateway.send_one("Oi!", id="a")).told == ["ID duplicado"]
    assert (await gateway.send_one("Oi ", id="a")).told == ["ID duplicado"]
    clash = await gateway.send_one(destination="11999999998", id="a")
    assert (clash.told, clash.item["messageID"], clash.item["status"]) == (["ID duplicado"], "a", 0)
    assert len(await gateway.stored()) == 1
    assert await gateway.balance(alfa) == 1_000_000 - 80


async def test_a_retry_outranks_every_refusal_but_those_of_token_and_account(
    gateway: Gateway, alfa: int
) -> None:
    texts = {"a": "Oi", "long": "a" * 1530, "longest": "a\u0301" * 3000}
    assert (await gateway.send_many([message(text, ref) for ref, text in texts.items()])).told[:2] == [
        "OK",
        "OK",
    ]
    await gateway.change(alfa, balance_milli=0, max_parts=1)
    await gateway.db.execute(
        "insert into ledger (account_id, kind, amount_milli)"
        " select account_id, 'adjustment', -sum(amount_milli) from ledger group by account_id"
    )
    for routes in (list(gateway.routes), []):
        gateway.routes[:] = routes
        reply = await gateway.send_many(
            [message(texts["a"]), message(texts["long"], "long"), message("new", "new")]
        )
        assert reply.told == ["OK", "OK", "Saldo insuficiente" if routes else "Sem rota"]
        assert (await gateway.send_one(texts["long"], id="long")).told == ["OK"]
        assert (await gateway.send_one("a" * 1531, id="long")).told == ["ID duplicado"]
    await gateway.change(alfa, active=False)
    assert (await gateway.send_one("Oi", id="a")).told == ["Conta bloqueada"]
    assert (await gateway.unitario(token="x", destino=NUMBER, msg="Oi", id="a")).told == ["Token invalido"]


async def test_a_text_that_is_far_too_long_by_now_is_still_known_as_a_retry(
    gateway: Gateway, alfa: int
) -> None:
    """The quick refusal by length must not forget to look the id up."""
    await gateway.change(alfa, max_parts=32)
    assert (await gateway.send_one("a" * 4000, id="a")).told == ["OK"]
    await gateway.change(alfa, max_parts=1)
    assert (await gateway.send_one("a" * 4000, id="a")).told == ["OK"]
    assert (await gateway.send_one("a" * 4000, id="b")).told == ["Mensagem muito longa"]
    assert len(await gateway.stored()) == 1


async def test_only_accepted_messages_use_up_an_id(gateway: Gateway, alfa: int) -> None:
    await gateway.change(alfa, price_milli=2_000_000)
    assert (await gateway.send_one(id="a")).told == ["Saldo insuficiente"]
    assert (await gateway.send_one("", id="a")).told == ["Mensagem vazia"]
    assert (await gateway.send_one(destination="1", id="a")).told == ["Destino invalido"]
    await gateway.change(alfa, price_milli=80)
    assert (await gateway.send_one("other", id="a")).told == ["OK"]


async def test_two_accounts_may_use_the_same_id(gateway: Gateway) -> None:
    await gateway.add_account("beta", "the token of beta")
    assert (await gateway.send_one("of alfa", id="a")).told == ["OK"]
    assert (await gateway.send_many([message("of beta")], "the token of beta")).told == ["OK"]
    assert (await gateway.send_many([message("of alfa")], "the token of beta")).told == ["ID duplicado"]


async def test_retries_and_clashes_are_told_apart_inside_one_batch(gateway: Gateway, alfa: int) -> None:
    reply = await gateway.send_many(
        [
            message("1"),
            message("1"),
            message("2"),
            message("", "b"),
            message("3", "b"),
            message("3", "b"),
            message("1"),
        ]
    )
    assert reply.told == ["OK", "OK", "ID duplicado", "Mensagem vazia", "OK", "OK", "OK"]
    assert await gateway.texts() == ["1", "3"]
    assert await gateway.balance(alfa) == 1_000_000 - 160


async def test_an_id_refused_for_want_of_credit_is_free_for_the_next_in_the_batch(
    gateway: Gateway, alfa: int
) -> None:
    await gateway.change(alfa, price_milli=600_000)
    reply = await gateway.send_many([message("a" * 200), message("b"), message("b"), message("c", "c")])
    assert reply.told == ["Saldo insuficiente", "OK", "OK", "Saldo insuficiente"]
    assert await gateway.balance(alfa) == 400_000


async def test_50_requests_with_one_id_at_the_same_moment_are_one_message(
    gateway: Gateway, alfa: int
) -> None:
    replies = await asyncio.gather(*(gateway.send_one(id="a") for _ in range(50)))
    assert {reply.item["status"] for reply in replies} == {200}
    assert {(reply.item["messageID"], reply.item["data"]) for reply in replies} == {
        ("a", replies[0].item["data"])
    }
    assert len(await gateway.stored()) == 1
    assert await gateway.db.fetchval("select count(*) from queue") == 1
    assert await gateway.balance(alfa) == 1_000_000 - 80


async def test_of_different_texts_under_one_id_at_the_same_moment_one_is_accepted(gateway: Gateway) -> None:
    replies = await asyncio.gather(*(gateway.send_one(f"text {n}", id="a") for n in range(20)))
    told = sorted(reply.told[0] for reply in replies)
    assert told == ["ID duplicado"] * 19 + ["OK"]
    assert len(await gateway.stored()) == 1


async def test_a_retry_meets_its_original_on_another_node(gateway: Gateway, alfa: int) -> None:
    """Two intakes on one database: what one has committed the other sees, also at the same moment."""
    other = Gateway(gateway.db, node=2)
    async with other.running():
        replies = await asyncio.gather(
            *(node.send_one(id="a") for _ in range(10) for node in (gateway, other))
        )
    assert {reply.item["status"] for reply in replies} == {200}
    assert len({reply.item["data"] for reply in replies}) == 1
    assert len(await gateway.stored()) == 1
    assert await gateway.balance(alfa) == 1_000_000 - 80


async def test_the_unnamed_messages_of_a_batch_are_all_sent(gateway: Gateway) -> None:
    """Without an id of the customer's, the same text to the same number twice is two messages."""
    assert (await gateway.send_many([{"destino": NUMBER, "msg": "Oi"}] * 3 + [message()] * 2)).told == [
        "OK"
    ] * 5
    assert len(await gateway.stored()) == 4
    assert TOKEN not in str(await gateway.stored())
