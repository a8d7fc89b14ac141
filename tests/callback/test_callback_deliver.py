"""The deliverer against real receivers and a real database."""

import asyncio
import base64
import hashlib
import hmac
import ssl
import uuid
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

import pytest
from callback_outbox import NODE
from callback_receiver import OK, WAIT_S, Request, answers, answers_in_turn, hangs

from pombo.callback import schedule
from pombo.message import CallbackKind, CallbackState
from pombo.store import callbacks as store
from pombo.store import deliveries

pytestmark = pytest.mark.anyio

DUE, CONFIRMED, PARKED = CallbackState.DUE, CallbackState.CONFIRMED, CallbackState.PARKED


def never(attempts: int, age_s: float, retry_after_s: float | None) -> float | None:
    """Every failure waits for an hour."""
    return 3600.0


async def test_a_delivered_message_is_told_and_confirmed_by_200(
    outbox: Any, receive: Any, deliver: Any
) -> None:
    receiver = await receive()
    account = await outbox.account()
    await outbox.endpoint(account, receiver.url)
    await outbox.delivered(account)
    deliverer = await deliver(clock=lambda: 1795352404.9)
    (request,) = await receiver.got(1)
    await deliverer.stop()
    row = await outbox.row()
    target = "/cb?status=2&id=ref1000&destino=11999999999&entrega=2026-11-22%2010:00:04"
    assert request.target == target
    assert request.headers["Host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["webhook-id"] == f"cb_{row['id']}"
    assert request.headers["webhook-timestamp"] == "1795352404"
    mac = hmac.new(b"k" * 32, f"cb_{row['id']}.1795352404.{target}".encode(), hashlib.sha256).digest()
    assert request.headers["webhook-signature"] == "v1," + base64.b64encode(mac).decode()
    assert (row["state"], row["attempts"], row["last_status"], row["leased_by"]) == (CONFIRMED, 1, 200, None)


async def test_what_is_handed_over_is_called_without_asking_the_table(
    outbox: Any, receive: Any, deliver: Any
) -> None:
    receiver = await receive()
    account = await outbox.account()
    await outbox.endpoint(account, receiver.url, literal=True)
    deliverer = await deliver()
    jobs = await outbox.delivered(account, 300, leased_by=NODE)
    deliverer.hand_over(jobs)
    await receiver.got(300)
    await deliverer.stop()
    assert sorted(receiver.targets) == sorted(
        f"/cb/status=2&id=ref{job.subject_id}&destino=11999999999&entrega=2026-11-22%2010:00:04"
        for job in jobs
    )
    assert {row["state"] for row in await outbox.rows()} == {CONFIRMED}
    assert receiver.connections <= 32


@pytest.mark.parametrize(
    "status",
    [
        "201 Created",
        "204 No Content",
        "301 Moved",
        "400 Bad Request",
        "404 Not Found",
        "410 Gone",
        "500 Oops",
    ],
)
async def test_nothing_but_200_confirms(status: str, outbox: Any, receive: Any, deliver: Any) -> None:
    receiver = await receive(answers(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()))
    account = await outbox.account()
    await outbox.endpoint(account, receiver.url)
    await outbox.delivered(account)
    deliverer = await deliver(pause_s=never)
    await receiver.got(1)
    await deliverer.stop()
    row = await outbox.row()
    assert (row["state"], row["attempts"], row["leased_by"]) == (DUE, 1, None)
    assert row["last_status"] == int(status[:3])
    assert row["last_error"] == f"HTTP {status[:3]}"
    assert (row["due_at"] - datetime.now(UTC)).total_seconds() > 3500


async def test_any_2xx_confirms_where_the_endpoint_says_so(outbox: Any, receive: Any, deliver: Any) -> None:
    receiver = await receive(answers(b"HTTP/1.1 204 No Content\r\n\r\n"))
    account = await outbox.account()
    await outbox.endpoint(account, receiver.url, any_2xx=True)
    await outbox.delivered(account)
    deliverer = await deliver(pause_s=never)
    await receiver.got(1)
    await deliverer.stop()
    row = await outbox.row()
    assert (row["state"], row["last_status"]) == (CONFIRMED, 204)


async def test_any_2xx_takes_no_redirect(outbox: Any, receive: Any, deliver: Any) -> None:
    receiver = await receive(answers(b"HTTP/1.1 302 Found\r\nLocation: /else\r\nContent-Length: 0\r\n\r\n"))
    account = await outbox.account()
    await outbox.endpoint(account, receiver.url, any_2xx=True)
    await outbox.delivered(account)
    deliverer = await deliver(pause_s=never)
    await receiver.got(1)
    await deliverer.stop()
    assert (await outbox.row())["state"] == DUE


async def test_a_redirect_inward_is_not_followed(outbox: Any, receive: Any, deliver: Any) -> None:
    canary = await receive()
    redirect = f"HTTP/1.1 302 Found\r\nLocation: {canary.url}\r\nContent-Length: 0\r\n\r\n"
    receiver = await receive(answers(redirect.encode()))
    account = await outbox.account()
    await outbox.endpoint(account, receiver.url)
    await outbox.delivered(account)
    deliverer = await deliver()
    await receiver.got(11)
    await deliverer.stop()
    row = await outbox.row()
    assert (row["state"], row["last_status"], canary.connections) == (PARKED, 302, 0)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "localhost",
        "[::ffff:127.0.0.1]",
        "rebound",
    ],
)
async def test_the_platforms_own_network_is_never_dialled(
    host: str, outbox: Any, receive: Any, deliver: Any
) -> None:
    canary = await receive()
    account = await outbox.account()
    await outbox.endpoint(account, f"http://{host}:{canary.port}/")
    await outbox.delivered(account)
    settings = {"resolve": lambda host: ["127.0.0.1"]} if host == "rebound" else {}
    deliverer = await deliver(allow=(), **settings)
    await parked(outbox)
    await deliverer.stop()
    row = await outbox.row()
    assert (row["last_error"], row["last_status"], canary.connections) == ("address not allowed", None, 0)


async def test_a_name_that_changes_its_answer_is_judged_by_the_address_that_is_dialled(
    outbox: Any, receive: Any, deliver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pombo.callback.names.KNOWN_S", -1.0)  # asks every time
    canary = await receive()
    asked: list[str] = []

    def resolve(host: str) -> list[str]:
        asked.append(host)
        return ["127.0.0.2"] if len(asked) % 2 else ["127.0.0.1"]

    account = await outbox.account()
    await outbox.endpoint(account, f"http://rebinding.example:{canary.port}/")
    await outbox.delivered(account)
    deliverer = await deliver(allow=(ip_network("127.0.0.2/32"),), resolve=resolve)
    await parked(outbox)
    await deliverer.stop()
    assert canary.connections == 0
    assert len(asked) == 11


async def parked(outbox: Any) -> None:
    """Waits until nothing is due any more."""
    async with asyncio.timeout(WAIT_S):
        while any(row["state"] == DUE for row in await outbox.rows()):
            await asyncio.sleep(0)


async def test_a_failed_callback_is_tried_again_under_the_same_id_until_it_is_confirmed(
    outbox: Any, receive: Any, deliver: Any
) -> None:
    failure = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"
    receiver = await receive(answers_in_turn(failure, failure, OK))
    account = await outbox.account()
    await outbox.endpoint(account, receiver.url)
    await outbox.delivered(account)
    deliverer = await deliver()
    requests = await receiver.got(3)
    await deliverer.stop()
    row = await outbox.row()
    assert (row["state"], row["attempts"], row["last_error"]) == (CONFIRMED, 3, "")
    assert len({request.headers["webhook-id"] for request in requests}) == 1
    assert len(set(receiver.targets)) == 1


async def test_a_callback_is_tried_through_the_whole_schedule_over_restarts_and_then_parked(
    outbox: Any, receive: Any, deliver: Any
) -> None:
    receiver = await receive(answers(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"))
    account = await outbox.account()
    await outbox.endpoint(account, receiver.url)
    await outbox.delivered(account)
    waited_s = 0.0
    for attempt in range(1, 12):
        deliverer = await deliver(
            pause_s=lambda n, age_s, after: schedule.pause_s(n, age_s, lambda: 0.5, after)
        )
        await receiver.got(attempt)
        await deliverer.stop()
        row = await outbox.row()
        assert row["attempts"] == attempt
        pause_s = (row["due_at"] - datetime.now(UTC)).total_seconds()
        if attempt < 11:
            assert row["state"] == DUE
            assert pause_s == pytest.approx(schedule.PAUSES_S[attempt], abs=2)
            await outbox.age(pause_s + 1)
            waited_s += pause_s
    assert row["state"] == PARKED
    assert 23 * 3600 < waited_s <= 24 * 3600
    assert await deliveries.replay(outbox.database, [row["id"]]) == 1
    receiver.reply = answers(OK)
    deliverer = await deliver()
    await receiver.got(12)
    await deliverer.stop()
    assert (await outbox.row())["state"] == CONFIRMED


async def test_retry_after_reaches_the_schedule(outbox: Any, receive: Any, deliver: Any) -> None:
    receiver = await receive(answers(b"HTTP/1.1 429 Slow\r\nretry-after: 17\r\nContent-Length: 0\r\n\r\n"))
    account = await outbox.account()
    await outbox.endpoint(account, receiver.url)
    await outbox.delivered(account)
    deliverer = await deliver(pause_s=lambda attempts, age_s, retry_after_s: 1000.0 + retry_after_s)
    await receiver.got(1)
    await deliverer.stop()
    due_in_s = ((await outbox.row())["due_at"] - datetime.now(UTC)).total_seconds()
    assert due_in_s == pytest.approx(1017, abs=5)


async def test_hung_receivers_do_not_delay_a_healthy_one(outbox: Any, receive: Any, deliver: Any) -> None:
    hung, healthy = await receive(hangs), await receive()
    bad, good = await outbox.account("hung"), await outbox.account("healthy")
    await outbox.endpoint(bad, hung.url)
    await outbox.endpoint(good, healthy.url)
    deliverer = await deliver(timeout_s=40)
    deliverer.hand_over(await outbox.delivered(bad, 2000, leased_by=NODE))
    await hung.got(4)
    deliverer.hand_over(await outbox.delivered(good, 200, leased_by=NODE))
    await healthy.got(200)
    assert len(hung.requests) == 4
    await deliverer.stop(0)
    states = [(row["account_id"], row["state"]) for row in await outbox.rows()]
    assert states.count((good, CONFIRMED)) == 200
    assert states.count((bad, DUE)) == 2000


async def test_an_endpoint_that_keeps_failing_is_probed_one_call_at_a_time(
    outbox: Any, receive: Any, deliver: Any
) -> None:
    at_once, most = 0, 0
    opened = asyncio.Event()

    async def fails(request: Request, writer: asyncio.StreamWriter) -> None:
        nonlocal at_once, most
        at_once += 1
        if len(receiver.requests) > 12:  # the first twelve may have begun before the fifth failure was known
            most = max(most, at_once)
        await asyncio.sleep(0)
        at_once -= 1
        if opened.is_set():
            writer.write(OK)
        else:
            writer.write(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")

    receiver = await receive(fails)
    account = await outbox.account()
    await outbox.endpoint(account, receiver.url)
    deliverer = await deliver(pause_s=never)
    deliverer.hand_over(await outbox.delivered(account, 60, leased_by=NODE))
    await receiver.got(40)
    assert most == 1
    opened.set()
    await receiver.got(60)
    await deliverer.stop()
    assert {row["attempts"] for row in await outbox.rows()} == {1}


@pytest.mark.parametrize("mended_by", ["its answer", "another URL"])
async def test_what_came_while_an_endpoint_did_not_answer_is_called_once_it_does(
    mended_by: str, outbox: Any, receive: Any, deliver: Any
) -> None:
    """And not a minute later, when the leases end that it was committed with."""
    opened = asyncio.Event()

    async def fails_at_first(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(OK if opened.is_set() else b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")

    receiver = await receive(fails_at_first)
    account = await outbox.account()
    await outbox.endpoint(account, receiver.url)
    deliverer = await deliver(pause_s=never)
    deliverer.hand_over(await outbox.delivered(account, 8, leased_by=NODE))
    await receiver.got(8)
    async with asyncio.timeout(WAIT_S):
        while not deliverer.figures().broken:
            await asyncio.sleep(0)

    if mended_by == "its answer":
        opened.set()
        deliverer.hand_over(await outbox.delivered(account, 30, leased_by=NODE))
    else:
        deliverer.hand_over(await outbox.delivered(account, 30, leased_by=NODE))
        await receiver.got(12)  # those that probe it
        opened.set()
        await outbox.endpoint(account, f"{receiver.url}/new")
        deliverer.endpoints_changed()

    await receiver.got(38)
    await deliverer.stop()
    assert len(set(receiver.targets)) == len(receiver.targets) == 38


async def test_when_the_places_of_all_are_taken_endpoints_take_turns(
    outbox: Any, receive: Any, deliver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pombo.callback.deliver.IN_FLIGHT_TOTAL", 2)
    receiver = await receive()
    for name in ("a", "b", "c"):
        account = await outbox.account(name)
        await outbox.endpoint(account, f"{receiver.url}/{name}")
        await outbox.delivered(account, 40)
    deliverer = await deliver()
    await receiver.got(120)
    await deliverer.stop()
    assert {row["state"] for row in await outbox.rows()} == {CONFIRMED}
    last = {
        name: max(n for n, t in enumerate(receiver.targets) if t.startswith(f"/cb/{name}")) for name in "abc"
    }
    assert min(last.values()) > 90  # none was served to its end before the others


async def test_an_attempt_ends_when_its_time_is_over(outbox: Any, receive: Any, deliver: Any) -> None:
    receiver = await receive(hangs)
    account = await outbox.account()
    await outbox.endpoint(account, receiver.url)
    await outbox.delivered(account)
    deliverer = await deliver(timeout_s=0.05)
    await receiver.got(2)
    await deliverer.stop(0)
    row = await outbox.row()
    assert row["attempts"] >= 1
    assert (row["last_status"], row["last_error"]) == (None, "timeout")


async def test_an_endless_body_is_cut_off_and_the_status_decides(
    outbox: Any, receive: Any, deliver: Any
) -> None:
    sent = 0

    async def endless(request: Request, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
            sent += 4096
            await writer.drain()

    receiver = await receive(endless)
    account = await outbox.account()
    await outbox.endpoint(account, receiver.url)
    await outbox.delivered(account)
    deliverer = await deliver(timeout_s=40)
    await confirmed(outbox, 1)
    await deliverer.stop()
    assert sent < 64 * 1024 * 1024
    assert (await outbox.row())["last_status"] == 200


async def confirmed(outbox: Any, count: int) -> None:
    async with asyncio.timeout(WAIT_S):
        while sum(row["state"] == CONFIRMED for row in await outbox.rows()) < count:
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("octets", "error"),
    [
        (b"SSH-2.0-OpenSSH_9\r\n", "answer is not HTTP"),
        (b"\x00" * 100, "answer is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 70_000, "answer too long"),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "answer is not HTTP"),
    ],
)
async def test_an_answer_that_is_no_http_is_a_failure(
    octets: bytes, error: str, outbox: Any, receive: Any, deliver: Any
) -> None:
    receiver = await receive(answers(octets))
    account = await outbox.account()
    await outbox.endpoint(account, receiver.url)
    await outbox.delivered(account)
    deliverer = await deliver(timeout_s=40)
    await receiver.got(2)
    await deliverer.stop(0)
    row = await outbox.row()
    assert (row["last_status"], row["last_error"]) == (None, error)


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end",
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 500 Oops\r\nContent-Length: 9\r\n\r\n",
    ],
)
async def test_every_form_of_a_200_confirms(octets: bytes, outbox: Any, receive: Any, deliver: Any) -> None:
    async def reply(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(octets)
        if b"ength" not in octets and b"chunked" not in octets:
            writer.close()

    receiver = await receive(reply)
    account = await outbox.account()
    await outbox.endpoint(account, receiver.url)
    await outbox.delivered(account, 9)
    deliverer = await deliver()
    await confirmed(outbox, 9)
    await deliverer.stop()
    assert {row["attempts"] for row in await outbox.rows()} == {1}
    assert len(receiver.requests) == 9


async def test_a_kept_alive_connection_that_the_receiver_ends_costs_no_attempt(
    outbox: Any, receive: Any, deliver: Any
) -> None:
    served: dict[asyncio.StreamWriter, int] = {}

    async def once(request: Request, writer: asyncio.StreamWriter) -> None:
        served[writer] = served.get(writer, 0) + 1
        if served[writer] == 1:
            writer.write(OK)
        else:
            writer.transport.abort()  # it ended the connection just as the next request was written

    receiver = await receive(once)
    account = await outbox.account()
    await outbox.endpoint(account, receiver.url)
    deliverer = await deliver(pause_s=never)
    deliverer.hand_over(await outbox.delivered(account, 20, leased_by=NODE))
    await confirmed(outbox, 20)
    await deliverer.stop()
    assert {row["attempts"] for row in await outbox.rows()} == {1}


async def test_a_refused_connection_is_a_failure_with_a_short_reason(outbox: Any, deliver: Any) -> None:
    account = await outbox.account()
    await outbox.endpoint(account, "http://127.0.0.1:1/secret?token=abc")
    await outbox.delivered(account)
    await deliver()
    await parked(outbox)
    row = await outbox.row()
    assert (row["attempts"], row["last_error"]) == (11, "connection refused")


async def test_a_certificate_that_nobody_vouches_for_is_refused(
    outbox: Any, receive: Any, deliver: Any, receiver_tls: Any
) -> None:
    receiver = await receive(tls=receiver_tls)
    account = await outbox.account()
    await outbox.endpoint(account, f"https://127.0.0.1:{receiver.port}/")
    await outbox.delivered(account)
    await deliver()
    await parked(outbox)
    assert (await outbox.row())["last_error"] == "TLS: self-signed certificate"
    assert receiver.requests == []


async def test_a_receiver_with_a_good_certificate_is_called(
    outbox: Any, receive: Any, deliver: Any, receiver_tls: Any, own_certificate: Any
) -> None:
    receiver = await receive(tls=receiver_tls)
    account = await outbox.account()
    await outbox.endpoint(account, f"https://127.0.0.1:{receiver.port}/")
    await outbox.delivered(account, 5)
    deliverer = await deliver(tls=ssl.create_default_context(cafile=own_certificate))
    await receiver.got(5)
    await deliverer.stop()
    assert {row["state"] for row in await outbox.rows()} == {CONFIRMED}


async def test_a_certificate_for_another_name_is_refused(
    outbox: Any, receive: Any, deliver: Any, receiver_tls: Any, own_certificate: Any
) -> None:
    receiver = await receive(tls=receiver_tls)
    account = await outbox.account()
    await outbox.endpoint(account, f"https://localhost:{receiver.port}/")
    await outbox.delivered(account)
    tls = ssl.create_default_context(cafile=own_certificate)
    await deliver(tls=tls, resolve=lambda host: ["127.0.0.1"])
    await parked(outbox)
    assert "TLS: Hostname mismatch" in (await outbox.row())["last_error"]
    assert receiver.requests == []


async def test_a_reply_is_told_and_counts_as_read_once_confirmed(
    outbox: Any, receive: Any, deliver: Any
) -> None:
    receiver = await receive(answers_in_turn(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", OK))
    account = await outbox.account()
    await outbox.endpoint(account, receiver.url, CallbackKind.MO)
    await outbox.replied(account, "Sim, às 10h & já")
    deliverer = await deliver(pause_s=never)
    await receiver.got(1)
    await deliverer.stop()
    assert await outbox.database.fetchval("select read_at from inbox") is None
    await outbox.age(3700)
    deliverer = await deliver(pause_s=never)
    await receiver.got(2)
    await deliverer.stop()
    assert receiver.targets[0] == (
        "/cb?data=2026-11-22%2010:05:00&numero=11999999999&mensagem=Sim%2C%20%C3%A0s%2010h%20%26%20j%C3%A1&id=ref7"
    )
    assert await outbox.database.fetchval("select read_at from inbox") is not None


async def test_the_url_dialled_is_the_one_registered_at_that_moment(
    outbox: Any, receive: Any, deliver: Any
) -> None:
    old = await receive(answers(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"))
    new = await receive()
    account = await outbox.account()
    await outbox.endpoint(account, old.url)
    await outbox.delivered(account)
    deliverer = await deliver(pause_s=lambda attempts, age_s, retry_after_s: 0.0)
    await old.got(1)
    await outbox.endpoint(account, new.url)
    deliverer.endpoints_changed()
    await new.got(1)
    await deliverer.stop()
    assert (await outbox.row())["state"] == CONFIRMED


async def test_a_connection_to_the_url_before_is_not_used_for_the_new_one(
    outbox: Any, receive: Any, deliver: Any
) -> None:
    changed = asyncio.Event()

    async def late(request: Request, writer: asyncio.StreamWriter) -> None:
        await changed.wait()
        writer.write(OK)

    old, new = await receive(late), await receive()
    account = await outbox.account()
    await outbox.endpoint(account, old.url)
    deliverer = await deliver(in_flight=1, in_flight_max=1)
    deliverer.hand_over(await outbox.delivered(account, 3, leased_by=NODE))
    await old.got(1)
    await outbox.endpoint(account, new.url)
    await deliverer._supply.reload(0.0)  # as endpoints_changed() does, but here it is known to be over
    changed.set()
    await new.got(2)
    await deliverer.stop()
    assert len(old.requests) == 1
    assert {row["state"] for row in await outbox.rows()} == {CONFIRMED}


async def test_an_endpoint_registered_while_running_is_called(
    outbox: Any, receive: Any, deliver: Any
) -> None:
    receiver = await receive()
    account = await outbox.account()
    deliverer = await deliver()
    await outbox.endpoint(account, receiver.url)
    deliverer.hand_over(
        await outbox.delivered(account, 3, leased_by=NODE)
    )  # before the deliverer knows of it
    await receiver.got(3)
    await deliverer.stop()
    assert {row["state"] for row in await outbox.rows()} == {CONFIRMED}


async def test_what_waits_for_a_url_that_is_removed_is_parked(
    outbox: Any, receive: Any, deliver: Any
) -> None:
    receiver = await receive(hangs)
    gone, stays = await outbox.account("gone"), await outbox.account("stays")
    await outbox.endpoint(gone, receiver.url)
    await outbox.endpoint(stays, receiver.url)
    deliverer = await deliver(timeout_s=40)
    deliverer.hand_over(await outbox.delivered(gone, 30, leased_by=NODE))
    await outbox.delivered(stays, 1)
    await receiver.got(4)
    assert await store.delete_endpoint(outbox.database, gone, CallbackKind.DLR)
    deliverer.endpoints_changed()
    async with asyncio.timeout(WAIT_S):
        while sum(row["state"] == PARKED for row in await outbox.rows()) < 26:
            await asyncio.sleep(0)
    await deliverer.stop(0)
    deliverer = await deliver(timeout_s=40)  # its start parks the four that were in flight
    await deliverer.stop(0)
    rows = await outbox.rows()
    assert {row["last_error"] for row in rows if row["account_id"] == gone} == {"no URL registered"}
    assert [row["state"] for row in rows if row["account_id"] == stays] == [DUE]


async def test_a_restart_in_the_middle_loses_nothing(outbox: Any, receive: Any, deliver: Any) -> None:
    receiver = await receive()
    account = await outbox.account()
    await outbox.endpoint(account, receiver.url)
    deliverer = await deliver()
    jobs = await outbox.delivered(account, 3000, leased_by=NODE)
    deliverer.hand_over(jobs)
    await receiver.got(100)
    await deliverer.stop(0)
    deliverer = await deliver()
    await confirmed(outbox, 3000)
    await deliverer.stop()
    told = {target.split("id=")[1].split("&")[0] for target in receiver.targets}
    assert told == {f"ref{job.subject_id}" for job in jobs}


async def test_rows_of_a_node_that_died_come_back_when_their_lease_ends(
    outbox: Any, receive: Any, deliver: Any
) -> None:
    receiver = await receive()
    account = await outbox.account()
    await outbox.endpoint(account, receiver.url)
    dead = await outbox.delivered(account, 5, leased_by=uuid.UUID(int=99))
    mine = await outbox.delivered(account, 5, leased_by=NODE)
    deliverer = await deliver()
    await receiver.got(5)
    await confirmed(outbox, 5)
    assert {f"ref{job.subject_id}" for job in mine} == {
        t.split("id=")[1].split("&")[0] for t in receiver.targets
    }
    await outbox.age(61)
    deliverer.wake()
    await receiver.got(10)
    await deliverer.stop()
    assert len(dead) == 5
    assert {row["state"] for row in await outbox.rows()} == {CONFIRMED}


async def test_more_than_memory_holds_goes_through_the_table(
    outbox: Any, receive: Any, deliver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pombo.callback.supply.LANE_JOBS", 64)
    receiver = await receive()
    account = await outbox.account()
    await outbox.endpoint(account, receiver.url)
    deliverer = await deliver()
    jobs = await outbox.delivered(account, 2000, leased_by=NODE)
    deliverer.hand_over([])
    deliverer.hand_over(jobs)
    await receiver.got(2000)
    await deliverer.stop()
    assert {row["state"] for row in await outbox.rows()} == {CONFIRMED}
    assert len(set(receiver.targets)) == 2000


async def test_a_message_that_is_no_longer_kept_parks_its_callback_alone(
    outbox: Any, receive: Any, deliver: Any
) -> None:
    receiver = await receive()
    account = await outbox.account()
    await outbox.endpoint(account, receiver.url)
    jobs = await outbox.delivered(account, 3)
    await outbox.database.execute("delete from message where id = $1", jobs[1].subject_id)
    deliverer = await deliver()
    await receiver.got(2)
    await parked(outbox)
    await deliverer.stop()
    rows = await outbox.rows()
    assert [row["state"] for row in rows] == [CONFIRMED, PARKED, CONFIRMED]
    assert rows[1]["last_error"] == "message no longer kept"


async def test_an_endpoint_whose_secret_cannot_be_opened_harms_only_itself(
    outbox: Any, receive: Any, deliver: Any
) -> None:
    receiver = await receive()
    bad, good = await outbox.account("bad"), await outbox.account("good")
    await outbox.endpoint(bad, receiver.url)
    await outbox.database.execute("update endpoint set secret_sealed = 'other'")
    await outbox.endpoint(good, receiver.url)
    await outbox.delivered(bad)
    await outbox.delivered(good)

    def unseal(sealed: bytes) -> bytes:
        if sealed == b"other":
            raise ValueError("wrong key")
        return sealed

    deliverer = await deliver(unseal=unseal)
    await receiver.got(1)
    await parked(outbox)
    await deliverer.stop()
    first, second = await outbox.rows()
    assert (first["state"], first["last_error"]) == (PARKED, "secret cannot be unsealed")
    assert second["state"] == CONFIRMED


async def test_callbacks_grown_old_at_a_dead_endpoint_are_parked(outbox: Any) -> None:
    account, other = await outbox.account("dead"), await outbox.account("other")
    await outbox.delivered(account, 3)
    await outbox.age(25 * 3600)
    await outbox.delivered(account, 2)
    await outbox.delivered(other, 1)
    assert await store.park_aged(outbox.database, account, CallbackKind.DLR, 24 * 3600) == 3
    assert [row["state"] for row in await outbox.rows()] == [PARKED] * 3 + [DUE] * 3


async def test_nothing_secret_is_logged(
    outbox: Any, receive: Any, deliver: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver = await receive(answers(b"HTTP/1.1 500 canary-body\r\nContent-Length: 0\r\n\r\n"))
    account = await outbox.account()
    await outbox.endpoint(account, receiver.url + "?token=canary-token", CallbackKind.MO)
    for _ in range(8):
        await outbox.replied(account, "canary-text")
    deliverer = await deliver()
    await parked(outbox)
    await deliverer.stop()
    said = capsys.readouterr()
    assert "callback_endpoint_fails" in said.out + said.err
    for secret in ("canary", "11999999999", "ref7"):
        assert secret not in said.out + said.err
        assert not any(secret in row["last_error"] for row in await outbox.rows())
