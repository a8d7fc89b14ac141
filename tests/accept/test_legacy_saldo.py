"""saldo.php, an extension: what an account has."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from legacy_gateway import Gateway

from pombo.accept import reply as replies

pytestmark = pytest.mark.anyio


async def test_a_balance_is_answered_octet_for_octet(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    await gateway.change(1, balance_milli=123_450)
    balance = replies.balance

    def at_noon(account: Any, row: Any) -> bytes:
        assert abs(row["at"] - datetime.now(UTC)) < timedelta(minutes=1)
        return balance(account, {**row, "at": datetime(2026, 11, 25, 13, tzinfo=UTC)})  # type: ignore[arg-type]

    monkeypatch.setattr(replies, "balance", at_noon)
    reply = await gateway.get("saldo")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json; charset=utf-8")
    assert reply.body == (
        b'{"saldo":[{"saldo":"123.450","saldo_milli":123450,"moeda":"BRL","tipo":"pre","limite":"0.000",'
        b'"preco":"0.080","data":"2026-11-25 10:00:00"}]}'
    )


async def test_what_a_postpaid_account_owes_is_below_zero(gateway: Gateway) -> None:
    await gateway.change(1, billing="postpaid", limit_milli=1_000_500, balance_milli=-50, price_milli=0)
    (shown,) = (await gateway.get("saldo")).json["saldo"]
    assert (shown["saldo"], shown["saldo_milli"]) == ("-0.050", -50)
    assert (shown["tipo"], shown["limite"], shown["preco"]) == ("pos", "1000.500", "0.000")


async def test_a_message_is_off_the_balance_as_soon_as_it_is_accepted(gateway: Gateway) -> None:
    await gateway.send_one()
    assert (await gateway.get("saldo")).json["saldo"][0]["saldo_milli"] == 1_000_000 - 80


async def test_each_token_sees_its_own_account(gateway: Gateway) -> None:
    await gateway.add_account("beta", "the token of beta", balance_milli=7)
    body = b'{"TOKEN":"the token of beta"}'
    assert (await gateway.ask("POST", "/api/saldo.php", body)).json["saldo"][0]["saldo_milli"] == 7
    assert (await gateway.get("saldo")).json["saldo"][0]["saldo_milli"] == 1_000_000


async def test_a_bad_token_is_told_so(gateway: Gateway) -> None:
    for target in ("/api/saldo.php", "/api/saldo.php?token=x"):
        reply = await gateway.ask("GET", target)
        assert reply.status == 200
        assert reply.body == b'{"saldo":[],"status":0,"detailDescription":"Token invalido"}'


async def test_looking_charges_nothing(gateway: Gateway) -> None:
    for _ in range(3):
        await gateway.get("saldo")
    assert await gateway.db.fetchval("select count(*) from ledger where kind <> 'recharge'") == 0
