"""Numbers on a block list are refused, from the moment the block is committed."""

import pytest
from legacy_gateway import NUMBER, Gateway

from pombo.store import blocks

pytestmark = pytest.mark.anyio

BLOCKED = 5511999999999


async def block(gateway: Gateway, account_id: int, number: int = BLOCKED) -> None:
    await blocks.add(gateway.db, account_id, [gateway.secrets.number_hmac(number)], "manual")


async def test_a_number_on_the_accounts_list_is_refused_and_not_charged(gateway: Gateway, alfa: int) -> None:
    await block(gateway, alfa)

    reply = await gateway.send_one()

    assert (reply.item["status"], reply.item["detailDescription"]) == (0, "Destino bloqueado")
    assert reply.item["messageID"] == ""
    assert await gateway.balance(alfa) == 1_000_000
    assert await gateway.texts() == []
    assert (await gateway.send_one(destination="11999999998")).item["status"] == 200


async def test_a_number_is_blocked_however_it_is_written(gateway: Gateway, alfa: int) -> None:
    await block(gateway, alfa)
    for destination in ("+55 (11) 99999-9999", "011999999999", "1199999999"):
        assert (await gateway.send_one(destination=destination)).told == ["Destino bloqueado"]


async def test_the_list_of_another_account_does_not_count(gateway: Gateway, alfa: int) -> None:
    beta = await gateway.add_account("beta", "the token of beta")
    await block(gateway, beta)

    assert (await gateway.send_one()).item["status"] == 200
    assert (await gateway.unitario(token="the token of beta", destino=NUMBER, msg="Oi")).told == [
        "Destino bloqueado"
    ]


async def test_the_operators_list_counts_for_everybody(gateway: Gateway, alfa: int) -> None:
    await block(gateway, blocks.EVERYBODY)

    assert (await gateway.send_one()).told == ["Destino bloqueado"]


async def test_a_block_counts_for_the_next_request_and_no_longer_than_it_stands(
    gateway: Gateway, alfa: int
) -> None:
    for _ in range(3):
        assert (await gateway.send_one()).item["status"] == 200
        await block(gateway, alfa)
        assert (await gateway.send_one()).told == ["Destino bloqueado"]
        await blocks.remove(gateway.db, alfa, gateway.secrets.number_hmac(BLOCKED))


async def test_a_retry_of_an_accepted_message_is_answered_as_before_although_its_number_is_blocked(
    gateway: Gateway, alfa: int
) -> None:
    first = await gateway.send_one(id="a")
    await block(gateway, alfa)

    assert (await gateway.send_one(id="a")).item == first.item
    assert (await gateway.send_one("outro", id="a")).told == ["ID duplicado"]
    assert (await gateway.send_one(id="b")).told == ["Destino bloqueado"]
    assert len(await gateway.stored()) == 1


@pytest.mark.parametrize("known", [False, True], ids=["first block", "list in use"])
async def test_one_blocked_number_does_not_stop_the_others_of_a_batch(
    gateway: Gateway, alfa: int, known: bool
) -> None:
    if known:
        await block(gateway, alfa, 5521999999999)
        assert (await gateway.send_one(destination="21999999999")).told == ["Destino bloqueado"]
    await block(gateway, alfa)
    batch = [{"destino": str(11999999996 + n), "msg": "Oi"} for n in range(4)]

    reply = await gateway.send_many(batch)

    assert reply.told == ["OK", "OK", "OK", "Destino bloqueado"]
    assert await gateway.balance(alfa) == 1_000_000 - 3 * 80


async def test_the_list_counts_where_the_intake_looks_closer_for_another_reason(
    gateway: Gateway, alfa: int
) -> None:
    first = await gateway.send_one(id="a", destination="11999999990")
    await block(gateway, alfa)

    reply = await gateway.send_many(
        [{"destino": "11999999990", "msg": "Oi", "id": "a"}, {"destino": NUMBER, "msg": "Oi", "id": "b"}]
    )

    assert [item["status"] for item in reply.items] == [200, 0]
    assert reply.items[0]["data"] == first.item["data"]
    assert reply.told[1] == "Destino bloqueado"
