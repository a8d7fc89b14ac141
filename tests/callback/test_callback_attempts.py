"""Each attempt is kept with its request and its answer, until the text of its message is erased."""

import asyncio
import uuid
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

import pytest
from callback_outbox import NODE
from callback_receiver import OK, WAIT_S, Request, answers, answers_in_turn, hangs
from test_callback_guard import REFUSED

from pombo.callback.figures import Cause
from pombo.message import CallbackKind, CallbackState
from pombo.store import deliveries, privacy
from pombo.store.privacy import Of

pytestmark = pytest.mark.anyio

DUE, CONFIRMED, PARKED = CallbackState.DUE, CallbackState.CONFIRMED, CallbackState.PARKED
OOPS = b"HTTP/1.1 500 Oops\r\nContent-Length: 3\r\nX-Trace: a7\r\n\r\nno!"


def never(attempts: int, age_s: float, retry_after_s: float | None) -> float | None:
    return 3600.0


async def settled(outbox: Any, state: CallbackState, count: int = 1) -> None:
    async with asyncio.timeout(WAIT_S):
        while sum(row["state"] == state for row in await outbox.rows()) < count:
            await asyncio.sleep(0)


async def test_every_attempt_is_kept_with_what_was_sent_and_what_was_answered(
    outbox: Any, receive: Any, deliver: Any
) -> None:
    receiver = await receive(answers_in_turn(OOPS, OK))
    account = await outbox.account()
    await outbox.endpoint(account, receiver.url)
    await outbox.delivered(account)
    ticks = iter([1795352404.25, 1795352404.5, 1795352410.75])
    deliverer = await deliver(clock=lambda: next(ticks))
    first, second = await receiver.got(2)
    await deliverer.stop()
    failed, confirmed = await outbox.attempts()
    assert failed["url"] == confirmed["url"] == f"http://127.0.0.1:{receiver.port}{first.target}"
    assert failed["at"] == datetime.fromtimestamp(1795352404.25, UTC)
    assert int(confirmed["at"].timestamp()) == int(second.headers["webhook-timestamp"])
    assert failed["signature"] == first.headers["webhook-signature"]
    assert confirmed["signature"] == second.headers["webhook-signature"] != failed["signature"]
    assert failed["address"] == confirmed["address"] == "127.0.0.1"
    assert (failed["status"], failed["error"], failed["answer"]) == (500, "", OOPS)
    assert (confirmed["status"], confirmed["error"], confirmed["answer"]) == (200, "", OK)
    assert 0 <= failed["duration_ms"] < WAIT_S * 1000
    assert failed["callback_id"] == confirmed["callback_id"] == (await outbox.row())["id"]


async def test_of_a_long_answer_the_beginning_is_kept_however_it_is_cut(
    outbox: Any, receive: Any, deliver: Any
) -> None:
    whole = b"HTTP/1.1 500 Oops\r\nContent-Length: 9000\r\n\r\n" + bytes(range(250)) * 36

    async def dribbles(request: Request, writer: asyncio.StreamWriter) -> None:
        for start in range(0, len(whole), 700):
            writer.write(whole[start : start + 700])
            await writer.drain()
            await asyncio.sleep(0)

    receiver = await receive(dribbles)
    account = await outbox.account()
    await outbox.endpoint(account, receiver.url)
    await outbox.delivered(account, 3)
    deliverer = await deliver(pause_s=never)
    await receiver.got(3)
    await deliverer.stop()
    assert {attempt["answer"] for attempt in await outbox.attempts()} == {whole[:2048]}


async def test_an_attempt_without_an_answer_says_why_and_where(
    outbox: Any, receive: Any, deliver: Any
) -> None:
    hung = await receive(hangs)
    late, closed, unknown = [await outbox.account(name) for name in ("late", "closed", "unknown")]
    await outbox.endpoint(late, hung.url)
    await outbox.endpoint(closed, "http://127.0.0.1:1/")
    await outbox.endpoint(unknown, "http://nowhere.example/")
    for account in (late, closed, unknown):
        await outbox.delivered(account)

    def resolve(host: str) -> list[str]:
        if host == "nowhere.example":
            raise OSError
        return [host]

    deliverer = await deliver(pause_s=never, timeout_s=0.2, resolve=resolve)
    async with asyncio.timeout(WAIT_S):
        while len(await outbox.attempts()) < 3:
            await asyncio.sleep(0)
    figures = deliverer.figures()
    await deliverer.stop()
    told = [(row["error"], row["address"], row["status"], row["answer"]) for row in await outbox.attempts()]
    assert told == [
        ("timeout", "127.0.0.1", None, b""),
        ("connection refused", "127.0.0.1", None, b""),
        ("name not found", "", None, b""),
    ]
    counted = {cause for cause, count in figures.attempts.items() if count}
    assert counted == {Cause.TIMEOUT, Cause.REFUSED, Cause.NAME}


async def test_attempts_of_erased_messages_keep_no_number_and_no_answer(
    outbox: Any, receive: Any, deliver: Any
) -> None:
    receiver = await receive(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n11999999999"))
    account = await outbox.account()
    await outbox.endpoint(account, receiver.url)
    await outbox.endpoint(account, receiver.url, CallbackKind.MO)
    jobs = await outbox.delivered(account, 3)
    reply = await outbox.replied(account)
    deliverer = await deliver()
    await receiver.got(4)
    await deliverer.stop()
    async with outbox.database.transaction() as tx:
        await privacy.erase_texts(tx, Of.MESSAGE, [jobs[0].subject_id, jobs[1].subject_id, reply])
    erased, also_erased, kept, of_reply = await outbox.attempts()
    assert [(row["url"], row["signature"], row["answer"]) for row in (erased, also_erased)] == [
        ("", "", b"")
    ] * 2
    assert (erased["status"], erased["address"]) == (200, "127.0.0.1")
    assert "11999999999" in kept["url"] and b"11999999999" in kept["answer"]
    assert "SIM" in of_reply["url"]
    async with outbox.database.transaction() as tx:
        await privacy.erase_texts(tx, Of.REPLY, [reply])
    assert (await outbox.attempts())[3]["url"] == ""


async def test_a_running_node_soon_calls_what_is_replayed(outbox: Any, receive: Any, deliver: Any) -> None:
    receiver = await receive(answers_in_turn(OOPS, OOPS, OK))
    account = await outbox.account()
    await outbox.endpoint(account, receiver.url)
    jobs = await outbox.delivered(account, 2)
    await deliver(pause_s=lambda attempts, age_s, retry_after_s: None)
    await settled(outbox, PARKED, 2)
    await outbox.age(30 * 3600)
    assert await deliveries.replay(outbox.database, [job.callback_id for job in jobs]) == 2
    await settled(outbox, CONFIRMED, 2)
    assert {row["attempts"] for row in await outbox.rows()} == {1}


async def test_a_replayed_callback_has_the_whole_schedule_ahead_however_old_it_is(
    outbox: Any, receive: Any, deliver: Any
) -> None:
    receiver = await receive(answers(OOPS))
    account = await outbox.account()
    await outbox.endpoint(account, receiver.url)
    (job,) = await outbox.delivered(account)
    await outbox.age(30 * 3600)
    ages: list[tuple[int, float]] = []

    def pause_s(attempts: int, age_s: float, retry_after_s: float | None) -> float | None:
        ages.append((attempts, age_s))
        return None if age_s > 24 * 3600 else 3600.0

    await deliver(pause_s=pause_s)
    await settled(outbox, PARKED)
    await deliveries.replay(outbox.database, [job.callback_id])
    await receiver.got(2)
    async with asyncio.timeout(WAIT_S):
        while (await outbox.row())["attempts"] != 1:
            await asyncio.sleep(0)
    (first, old), (again, new) = ages
    assert (first, again) == (1, 1)
    assert old > 30 * 3600 - 1
    assert new < WAIT_S
    assert (await outbox.row())["state"] == DUE


async def test_a_confirmed_callback_is_made_again_under_the_same_id(
    outbox: Any, receive: Any, deliver: Any
) -> None:
    receiver = await receive()
    account = await outbox.account()
    await outbox.endpoint(account, receiver.url)
    (job,) = await outbox.delivered(account)
    await deliver()
    await settled(outbox, CONFIRMED)
    await deliveries.replay(outbox.database, [job.callback_id])
    first, second = await receiver.got(2)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


async def test_two_nodes_share_the_work_and_make_no_callback_twice(
    outbox: Any, receive: Any, deliver: Any
) -> None:
    receiver = await receive()
    account = await outbox.account()
    await outbox.endpoint(account, receiver.url)
    await outbox.delivered(account, 1000)
    await asyncio.gather(deliver(), deliver(holder=uuid.UUID(int=2)))
    await settled(outbox, CONFIRMED, 1000)
    assert len(receiver.requests) == 1000
    assert len(set(receiver.targets)) == 1000
    assert {row["attempts"] for row in await outbox.rows()} == {1}


@pytest.mark.parametrize("address", REFUSED)
async def test_no_address_of_the_platforms_own_network_is_dialled_whatever_name_leads_there(
    address: str, outbox: Any, receive: Any, deliver: Any
) -> None:
    canary = await receive()
    account = await outbox.account()
    await outbox.endpoint(account, f"http://inward.example:{canary.port}/")
    await outbox.delivered(account)
    deliverer = await deliver(allow=(), resolve=lambda host: [address], pause_s=lambda *_: None)
    await settled(outbox, PARKED)
    (attempt,) = await outbox.attempts()
    assert (attempt["error"], attempt["address"]) == ("address not allowed", "")
    assert canary.connections == 0
    assert deliverer.figures().attempts[Cause.GUARD] == 1


async def test_the_first_allowed_address_of_a_name_is_dialled_and_no_other(
    outbox: Any, receive: Any, deliver: Any
) -> None:
    receiver = await receive()
    account = await outbox.account()
    await outbox.endpoint(account, f"http://both.example:{receiver.port}/")
    await outbox.delivered(account)
    await deliver(
        allow=(ip_network("127.0.0.1/32"),), resolve=lambda host: ["10.0.0.1", "169.254.169.254", "127.0.0.1"]
    )
    await settled(outbox, CONFIRMED)
    assert (await outbox.attempts())[0]["address"] == "127.0.0.1"


async def test_a_proxy_of_the_environment_is_not_asked(
    outbox: Any, receive: Any, deliver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, receiver = await receive(), await receive()
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    account = await outbox.account()
    await outbox.endpoint(account, receiver.url)
    await outbox.delivered(account)
    await deliver()
    await settled(outbox, CONFIRMED)
    assert (len(receiver.requests), proxy.connections) == (1, 0)


async def test_the_figures_count_what_came_of_attempts(outbox: Any, receive: Any, deliver: Any) -> None:
    good, bad, hung = await receive(), await receive(answers(OOPS)), await receive(hangs)
    for name, receiver, count in (("good", good, 7), ("bad", bad, 6), ("hung", hung, 2)):
        account = await outbox.account(name)
        await outbox.endpoint(account, receiver.url)
        await outbox.delivered(account, count)
    deliverer = await deliver(pause_s=never, timeout_s=40)
    await asyncio.gather(good.got(7), bad.got(6), hung.got(2))
    async with asyncio.timeout(WAIT_S):
        while len(await outbox.attempts()) < 13:
            await asyncio.sleep(0)
    figures = deliverer.figures()
    assert {cause: count for cause, count in figures.attempts.items() if count} == {
        Cause.CONFIRMED: 7,
        Cause.HTTP_5XX: 6,
    }
    assert set(figures.attempts) == set(Cause)
    assert sum(figures.duration_s.counts) == 13
    assert (figures.in_flight, figures.broken, figures.endpoints) == (2, 1, 3)
    await deliverer.stop(0)


async def test_what_is_given_up_on_is_logged_with_its_account(
    outbox: Any, receive: Any, deliver: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver = await receive(answers(OOPS))
    account = await outbox.account()
    await outbox.endpoint(account, receiver.url)
    await outbox.delivered(account, 3)
    deliverer = await deliver(pause_s=lambda *_: None)
    await settled(outbox, PARKED, 3)
    deliverer.endpoints_changed()  # the step that logs, too
    said = ""
    async with asyncio.timeout(WAIT_S):
        while "callbacks_parked" not in said:
            await asyncio.sleep(0)
            said += capsys.readouterr().out
    line = next(line for line in said.splitlines() if "callbacks_parked" in line)
    for field in (f"account_id={account}", "kind=dlr", "host=127.0.0.1", "count=3"):
        assert field in line
    assert NODE.hex not in line
