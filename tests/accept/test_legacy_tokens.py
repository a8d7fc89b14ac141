"""Tokens are looked up together, and remembered; and large batches leave others their turn."""

import asyncio
from typing import Any

import pytest
from legacy_gateway import NUMBER, TOKEN, Gateway

from pombo.accept import auth, guessing, legacy
from pombo.accept.caller import Caller
from pombo.account.token import Scope

pytestmark = pytest.mark.anyio

SOMEBODY = Caller(None)


class Statements:
    """The database, and how often it was asked."""

    def __init__(self, gateway: Gateway) -> None:
        self._db = gateway.db
        self.asked = 0
        gateway.authenticator._db = self  # type: ignore[assignment]

    async def fetch(self, *arguments: Any) -> Any:
        self.asked += 1
        return await self._db.fetch(*arguments)

    fetchrow = fetch


def batch_of(tokens: list[str]) -> list[dict[str, object]]:
    return [{"token": token, "mensagens": [{"destino": NUMBER, "msg": "Oi"}]} for token in tokens]


async def test_all_tokens_of_a_request_are_one_statement(gateway: Gateway) -> None:
    await gateway.add_account("beta", "the token of beta")
    statements = Statements(gateway)
    tokens = [TOKEN, *map(str, range(500)), "the token of beta", TOKEN, "x" * 513, ""]
    told = (await gateway.envio(batch_of(tokens))).told
    assert statements.asked == 1
    assert [n for n, answer in enumerate(told) if answer == "OK"] == [0, 501, 502]
    assert len(told) == len(tokens)
    await gateway.envio(batch_of(tokens))
    assert statements.asked == 1


async def test_a_batch_that_is_too_large_looks_no_token_up(gateway: Gateway) -> None:
    statements = Statements(gateway)
    told = (await gateway.envio(batch_of([TOKEN, *map(str, range(1000))]))).told
    assert (len(told), len(set(told)), statements.asked) == (1001, 1, 0)


async def test_unknown_tokens_push_no_known_one_out(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "_MOST_KNOWN", 2)
    monkeypatch.setattr(auth, "_MOST_UNKNOWN", 20)
    monkeypatch.setattr(guessing, "_LONGEST_S", 0.0)
    authenticator = gateway.authenticator
    assert await authenticator.account(TOKEN, SOMEBODY, Scope.SEND) is not None
    await authenticator.accounts(map(str, range(100)), SOMEBODY, Scope.SEND)
    statements = Statements(gateway)
    assert await authenticator.account(TOKEN, SOMEBODY, Scope.SEND) is not None
    assert await authenticator.account("99", SOMEBODY, Scope.SEND) is None
    assert statements.asked == 0
    assert await authenticator.account("0", SOMEBODY, Scope.SEND) is None  # long pushed out
    assert statements.asked == 1


async def test_the_oldest_known_token_makes_room(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "_MOST_KNOWN", 2)
    for name in "bc":
        await gateway.add_account(name, name)
    statements = Statements(gateway)
    for token in (TOKEN, "b", "c", "c", "b"):
        assert await gateway.authenticator.account(token, SOMEBODY, Scope.SEND) is not None
    assert statements.asked == 3
    assert await gateway.authenticator.account(TOKEN, SOMEBODY, Scope.SEND) is not None
    assert statements.asked == 4


async def test_others_have_their_turn_while_a_large_batch_is_judged(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = 0
    judged_in: list[int] = []
    judge = legacy.judge

    def watched(*arguments: Any, **named: Any) -> Any:
        judged_in.append(turns)
        return judge(*arguments, **named)

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(legacy, "judge", watched)
    working = asyncio.create_task(other())
    try:
        reply = await gateway.send_many([{"destino": NUMBER, "msg": "Oi"}] * 200)
    finally:
        working.cancel()
    assert reply.told == ["OK"] * 200
    assert max(judged_in.count(turn) for turn in judged_in) <= 50
