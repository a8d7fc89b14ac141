"""Who guesses tokens waits; good tokens never do."""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable

import pytest
from legacy_gateway import NUMBER, TOKEN, Gateway, Reply
from structlog.testing import capture_logs

from pombo.accept import guessing
from pombo.accept.caller import Caller
from pombo.accept.guessing import Guessing
from pombo.account.token import Scope

pytestmark = pytest.mark.anyio


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.005)


def of(address: str, octets: int = 0) -> Caller:
    return Caller(ipaddress.ip_address(address), octets)


@pytest.fixture
def go_on(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Refusals that wait do so until this is set."""
    event = asyncio.Event()

    async def wait(seconds: float) -> None:
        await event.wait()

    monkeypatch.setattr(guessing, "sleep", wait)
    return event


async def guess(gateway: Gateway, times: int, prefix: str = "guess-") -> list["asyncio.Task[Reply]"]:
    return [asyncio.create_task(gateway.send_one(token=f"{prefix}{n}"), name="guess") for n in range(times)]


async def test_a_good_token_is_answered_at_once_while_bad_ones_from_its_address_wait(
    gateway: Gateway, alfa: int, go_on: asyncio.Event
) -> None:
    waits = gateway.authenticator.guessing.figures
    tasks = await guess(gateway, 25, prefix=TOKEN[:8])  # with the good one's beginning, too
    await until(lambda: waits.held == 5 and sum(task.done() for task in tasks) == 20)

    assert (await gateway.send_one()).told == ["OK"]
    await gateway.add_token(alfa, TOKEN[:8] + " that was never used before")
    assert (await gateway.send_one(token=TOKEN[:8] + " that was never used before")).told == ["OK"]
    mixed = [{"token": t, "mensagens": [{"destino": NUMBER, "msg": "Oi"}]} for t in ("nobody's", TOKEN)]
    assert (await gateway.envio(mixed)).told == ["Token invalido", "OK"]

    assert waits.held == 5
    go_on.set()
    assert [(await task).told for task in tasks] == [["Token invalido"]] * 25
    assert waits.held == 0


async def test_refusals_come_later_and_later_and_say_the_same(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    def noted(seconds: float) -> Awaitable[None]:
        slept.append(round(seconds, 1))
        return asyncio.sleep(0)

    clock = 1000.0
    gateway.authenticator.guessing = Guessing(lambda: clock)
    monkeypatch.setattr(guessing, "sleep", noted)

    told = [(await gateway.send_one(token=f"guess-{n}")).told for n in range(80)]
    assert told == [["Token invalido"]] * 80
    assert slept == [round(min(n * 0.1, 5.0), 1) for n in range(1, 61)]

    clock += 6 * 30  # thirty are forgiven
    del slept[:]
    await gateway.send_one(token="one more")
    assert slept == [2.1]
    clock += 3600
    del slept[:]
    await gateway.send_one(token="and one more")
    assert slept == []


async def test_guesses_at_one_beginning_wait_from_whatever_address_they_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []

    async def noted(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(guessing, "sleep", noted)
    counts = Guessing()
    for n in range(30):
        await counts.failed(of(f"192.0.2.{n}"), [f"pombo_abcd{n}"], wait=True)
    assert len(slept) == 10
    await counts.failed(of("192.0.2.99"), ["pombo_efgh"], wait=True)
    assert len(slept) == 10


async def test_an_ipv6_network_is_one_guesser(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def noted(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(guessing, "sleep", noted)
    counts = Guessing()
    for n in range(21):
        await counts.failed(of(f"2001:db8::{n + 1:x}"), [f"{n:04}"], wait=True)
    assert len(slept) == 1
    await counts.failed(of("2001:db8:0:1::1"), ["xxxx"], wait=True)
    assert len(slept) == 1


async def test_what_is_counted_and_what_waits_is_bounded(
    monkeypatch: pytest.MonkeyPatch, go_on: asyncio.Event
) -> None:
    monkeypatch.setattr(guessing, "_MOST_COUNTED", 10)
    monkeypatch.setattr(guessing, "_MOST_HELD", 3)
    monkeypatch.setattr(guessing, "_MOST_HELD_OF_ONE", 2)
    monkeypatch.setattr(guessing, "_MOST_HELD_OCTETS", 1000)
    counts = Guessing()
    for n in range(100):
        await counts.failed(of(f"192.0.2.{n}"), [f"{n:04}"], wait=True)
    assert (len(counts._addresses), len(counts._prefixes)) == (10, 10)

    many = [f"t{n:03}" for n in range(21)]
    first = [asyncio.create_task(counts.failed(of("192.0.2.1", 300), many, wait=True)) for _ in range(2)]
    await until(lambda: counts.figures.held == 2)
    await counts.failed(of("192.0.2.1", 300), many, wait=True)  # at once: two of this address wait
    await counts.failed(of("192.0.2.2", 500), many, wait=True)  # at once: too many octets
    first.append(asyncio.create_task(counts.failed(of("192.0.2.2", 300), many, wait=True)))
    await until(lambda: counts.figures.held == 3)
    await counts.failed(of("192.0.2.3"), many, wait=True)  # at once: three wait in all
    assert (counts.figures.delayed, counts.figures.held) == (3, 3)
    for task in first:
        task.cancel()
    await asyncio.gather(*first, return_exceptions=True)
    assert (counts.figures.held, counts._held_octets) == (0, 0)


async def test_guessing_is_logged_once_a_minute_and_shows_no_token(gateway: Gateway) -> None:
    clock = 1000.0
    gateway.authenticator.guessing = Guessing(lambda: clock)
    with capture_logs() as logs:
        await gateway.envio([{"token": f"guess-{n}", "mensagens": [{}]} for n in range(30)])
        await gateway.send_one(token="guess-x")
        assert [(line["event"], line["address"]) for line in logs] == [("token_guessing", "127.0.0.1")]
        clock += 61
        await gateway.envio([{"token": f"guess-{n}", "mensagens": [{}]} for n in range(30)])
    assert len(logs) == 2
    assert "guess-" not in str(logs)


async def test_a_missing_token_is_no_guess(gateway: Gateway) -> None:
    for token in ("", "x" * 513):
        assert (await gateway.send_one(token=token)).told == ["Token invalido"]
    assert gateway.authenticator.guessing.figures.refused == 0


async def test_however_many_guess_at_once_one_statement_asks_for_all(gateway: Gateway) -> None:
    fetch = gateway.db.fetch
    asked = 0
    under_way = most = 0
    go_on = asyncio.Event()

    class Watched:
        async def fetch(self, *arguments: object) -> object:
            nonlocal asked, under_way, most
            asked, under_way = asked + 1, under_way + 1
            most = max(most, under_way)
            await go_on.wait()
            under_way -= 1
            return await fetch(*arguments)  # type: ignore[arg-type]

    gateway.authenticator._db = Watched()  # type: ignore[assignment]
    authenticator = gateway.authenticator
    first = asyncio.create_task(authenticator.account("first", of("192.0.2.1"), Scope.SEND))
    await until(lambda: asked == 1)
    tasks = [
        asyncio.create_task(authenticator.account(token, of(f"198.51.100.{n % 250}"), Scope.SEND))
        for n, token in enumerate([TOKEN, *(f"{n:04}" for n in range(500))])
    ]
    await until(lambda: authenticator._next is not None and len(authenticator._next.hmacs) == 501)
    go_on.set()
    found = await asyncio.gather(first, *tasks)

    assert [n for n, account in enumerate(found) if account] == [1]
    assert (asked, most) == (2, 1)


@pytest.mark.parametrize("meanwhile", [True, False])
async def test_a_change_that_is_announced_while_a_look_up_is_under_way_counts(
    gateway: Gateway, alfa: int, meanwhile: bool
) -> None:
    """Its answer may be older than the change: whoever asks afterwards gets one that is not."""
    authenticator = gateway.authenticator
    fetch = gateway.db.fetch
    began, go_on = asyncio.Event(), asyncio.Event()

    class Slow:
        async def fetch(self, *arguments: object) -> object:
            rows = await fetch(*arguments)  # type: ignore[arg-type]
            began.set()
            await go_on.wait()
            return rows

    authenticator._db = Slow()  # type: ignore[assignment]
    before = asyncio.create_task(authenticator.account(TOKEN, of("192.0.2.1"), Scope.SEND))
    await began.wait()
    await gateway.db.execute("update token set revoked_at = now()")
    authenticator.forget()
    asking = authenticator.account(TOKEN, of("192.0.2.1"), Scope.SEND)
    if meanwhile:
        after = asyncio.create_task(asking)
        await until(lambda: authenticator._next is not None)
        go_on.set()
        assert await before is not None
        assert await after is None
    else:
        go_on.set()
        assert await before is not None
        assert await asking is None
