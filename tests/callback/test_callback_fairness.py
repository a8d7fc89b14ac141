"""Healthy receivers get their first attempts soon, whatever the others do. `bench/callbacks.py` compares in figures."""

import asyncio
from typing import Any

import pytest
from callback_outbox import NODE
from callback_receiver import OK, Request, answers, hangs

pytestmark = pytest.mark.anyio

HEALTHY = 50
WAVES = 20
P99_S = 2.0


async def drips(request: Request, writer: asyncio.StreamWriter) -> None:
    for octet in OK:
        writer.write(bytes([octet]))
        await writer.drain()
        await asyncio.sleep(1)


async def resets(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def never_ends(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


async def test_the_first_attempts_of_fifty_healthy_receivers_are_soon_made_beside_every_kind_of_bad_one(
    outbox: Any, receive: Any, deliver: Any
) -> None:
    loop = asyncio.get_running_loop()
    arrived: dict[str, float] = {}

    async def healthy(request: Request, writer: asyncio.StreamWriter) -> None:
        arrived.setdefault(request.target.split("id=")[1].split("&")[0], loop.time())
        writer.write(OK)

    good = await receive(healthy)
    accounts = [await outbox.account(f"good{n}") for n in range(HEALTHY)]
    for n, account in enumerate(accounts):
        await outbox.endpoint(account, f"{good.url}/{n}")
    bad = []
    for reply in (
        hangs,
        drips,
        resets,
        answers(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"),
        never_ends,
    ):
        account = await outbox.account(f"bad{len(bad)}")
        await outbox.endpoint(account, (await receive(reply)).url)
        bad.append(account)
    deliverer = await deliver(timeout_s=15, pause_s=lambda attempts, age_s, retry_after_s: 5.0)

    handed: dict[str, float] = {}
    for wave in range(1, WAVES + 1):
        jobs = []
        for account in bad:  # they come first in the hand-over, with much more
            jobs += await outbox.delivered(account, 40, leased_by=NODE)
        for account in accounts:
            (job,) = await outbox.delivered(account, 1, leased_by=NODE)
            jobs.append(job)
            handed[job.client_ref] = 0.0
        now = loop.time()
        handed |= {
            job.client_ref: now for job in jobs if job.client_ref in handed and not handed[job.client_ref]
        }
        deliverer.hand_over(jobs)
        begun = [lane.waiting for key, lane in deliverer._supply.lanes.items() if key[0] in accounts]
        assert begun == [0] * HEALTHY, "a healthy one waits for a place that a bad one has"
        await good.got(HEALTHY * wave)
    figures = deliverer.figures()
    await deliverer.stop(0)

    took = sorted(arrived[ref] - at for ref, at in handed.items())
    assert len(took) == HEALTHY * WAVES
    assert took[len(took) * 99 // 100] <= P99_S
    assert figures.broken >= 2  # those that fail at once; the others still hold their first attempts
