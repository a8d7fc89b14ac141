"""Waiting for an event, with a bound."""

import asyncio
import contextlib


async def wait(event: asyncio.Event, timeout_s: float) -> None:
    """Until it is set, or for so long; it is clear then."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()
    event.clear()
