"""Who used the API, when and from which address: counted by the minute, in one statement for all."""

import asyncpg
import pytest
from legacy_gateway import NUMBER, TOKEN, Gateway

from pombo.accept import access as accept_access
from pombo.errors import Unavailable
from pombo.store import access
from pombo.store.database import Database

pytestmark = pytest.mark.anyio


async def _kept(db: Database) -> list[tuple[object, ...]]:
    rows = await db.fetch("select kind, who, what, address, account_id, times from access order by what")
    return [tuple(row) for row in rows]


async def test_uses_of_good_tokens_are_counted_by_minute_scope_and_address(
    gateway: Gateway, alfa: int
) -> None:
    token_id = await gateway.db.fetchval("select id from token where account_id = $1", alfa)
    for _ in range(2):
        await gateway.get("unitario", token=TOKEN, destino=NUMBER, msg="Oi")
    await gateway.get("dlr", token=TOKEN, id="x")
    await gateway.get("dlr", token="not a token", id="x")
    assert await _kept(gateway.db) == [], "nothing is written while requests are answered"
    log = gateway.authenticator.access_log
    await log.write()
    await gateway.get("dlr", token=TOKEN, id="x")
    await log.write()
    who = f"token {token_id}"
    read = sum(times for *at, times in await _kept(gateway.db) if at[2] == "read")
    send = [row for row in await _kept(gateway.db) if row[2] == "send"]
    assert read == 2
    assert send == [("api", who, "send", "127.0.0.1", alfa, 2)]
    assert {row[:2] for row in await _kept(gateway.db)} == {("api", who)}, "a token that is none is nobody"
    minute = await gateway.db.fetchval("select max(now() - minute_at) < interval '2 minutes' from access")
    assert minute


async def test_what_cannot_be_written_is_written_later(
    gateway: Gateway, alfa: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise Unavailable("away")

    log = gateway.authenticator.access_log
    await gateway.get("dlr", token=TOKEN, id="x")
    with monkeypatch.context() as patch:
        patch.setattr(access, "add", away)
        with pytest.raises(Unavailable):
            await log.write()
    await gateway.get("dlr", token=TOKEN, id="x")
    await log.write()
    assert sum(int(row[5]) for row in await _kept(gateway.db)) == 2  # type: ignore[call-overload]


async def test_what_is_kept_while_the_database_is_away_is_bounded(
    gateway: Gateway, alfa: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise Unavailable("away")

    monkeypatch.setattr(access, "add", away)
    monkeypatch.setattr(accept_access, "_MOST", 1)
    log = gateway.authenticator.access_log
    for path in ("dlr", "unitario"):
        await gateway.get(path, token=TOKEN, destino=NUMBER, msg="Oi", id="x")
        with pytest.raises(Unavailable):
            await log.write()
    assert len(log._noted) == 1


async def test_two_processes_that_write_the_same_minute_add_up(gateway: Gateway) -> None:
    minute = await gateway.db.fetchval("select date_trunc('minute', now())")
    of = access.Access(minute, "api", "token 1", "send", "192.0.2.7", 1, 3)
    for _ in range(2):
        await access.add(gateway.db, [of, of._replace(who="token 2")])
    assert [row[5] for row in await _kept(gateway.db)] == [6, 6]


async def test_an_access_of_no_known_kind_is_refused(gateway: Gateway) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await access.note(gateway.db, "other", "x", "y", "")
