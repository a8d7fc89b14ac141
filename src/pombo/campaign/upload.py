"""A file on its way into the database: read by a process of its own (reading.py), never whole in our memory."""

import asyncio
import contextlib
import itertools
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from pombo.campaign import columns
from pombo.campaign.reading import MOST_OCTETS, Fault, Unreadable
from pombo.campaign.reasons import Reason
from pombo.store import campaign_rows, campaigns
from pombo.store.campaign_rows import NewRow
from pombo.store.database import Database

_LINE_OCTETS = 4 * 1024 * 1024  # of a row: 100 cells of 5,000 characters, escaped
_CHUNK_OCTETS = 64 * 1024
_READ_S = 120.0
_EXAMPLES = 50  # rows by which the columns are guessed
_MOST_NAME = 100

_at_once = asyncio.Semaphore(2)  # readers; each may take much memory


async def draft(db: Database, account_id: int, file_name: str, octets: AsyncIterator[bytes], who: str) -> int:
    """The id of a new draft with the rows of a file. All or nothing. Raises Unreadable."""
    async with reader(octets) as frames:
        titles = await frames.titles()
        first = [row async for row in frames.rows(_EXAMPLES)]

        async def rows() -> AsyncIterator[NewRow]:
            for row in first:
                yield row
            async for row in frames.rows():
                yield row

        uses = columns.guess(titles, [row.cells for row in first])
        name = os.path.splitext(file_name)[0].strip()[:_MOST_NAME] or "Campanha"  # noqa: PTH122 - no path of ours
        # Only now: a transaction in which nothing happens while a workbook is being opened would be ended.
        async with db.transaction() as tx:
            campaign_id = await campaigns.add(tx, account_id, name, file_name, titles, uses, who)
            count = await campaign_rows.add(tx, campaign_id, rows(), timeout_s=_READ_S)
            frames.demand_end()
            await campaigns.set_row_count(tx, campaign_id, count)
        return campaign_id


class Frames:
    """What a reader says, in order."""

    def __init__(self, process: Process) -> None:
        assert process.stdout is not None
        self._lines = process.stdout
        self._fault: Unreadable | None = None
        self._ended = False

    async def titles(self) -> list[str]:
        frame = await self._frame()
        if frame is None:
            self.demand_end()
        assert isinstance(frame, list)
        return frame

    async def rows(self, most: int | None = None) -> AsyncIterator[NewRow]:
        """Ends with the file, and where it turns out to be none: then `demand_end` says so."""
        for _ in itertools.count() if most is None else range(most):
            frame = await self._frame()
            if frame is None:
                return
            line, cells, shifted = frame
            yield NewRow(line, cells, Reason.SHIFTED if shifted else "")

    def demand_end(self) -> None:
        """Raises Unreadable unless all of the file was read."""
        if self._fault is not None:
            raise self._fault
        if not self._ended:
            raise Unreadable(Fault.TOO_LARGE)

    async def _frame(self) -> Any:
        """None at the end, of whatever kind."""
        if self._ended or self._fault is not None:
            return None
        line = await self._lines.readline()
        if not line.endswith(b"\n"):  # it has died
            self._fault = Unreadable(Fault.TOO_LARGE)
            return None
        frame = msgspec.json.decode(line)
        if isinstance(frame, list):
            return frame
        if "refused" in frame:
            self._fault = Unreadable(Fault(frame["refused"]), frame["detail"])
        else:
            self._ended = True
        return None


@contextlib.asynccontextmanager
async def reader(octets: AsyncIterator[bytes]) -> AsyncIterator[Frames]:
    """What is in a file. Raises Unreadable."""
    async with _at_once, _process(octets) as frames:
        yield frames


@contextlib.asynccontextmanager
async def _process(octets: AsyncIterator[bytes]) -> AsyncIterator[Frames]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("POMBO_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pombo.campaign.reading",
        stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=environment, limit=_LINE_OCTETS,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_READ_S):
            await _feed(process, octets)
            yield Frames(process)
    except TimeoutError:
        raise Unreadable(Fault.TOO_LARGE) from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _feed(process: Process, octets: AsyncIterator[bytes]) -> None:
    """The reader takes all of it in before it says anything. Raises Unreadable for too much."""
    assert process.stdin is not None
    total = 0
    async for chunk in octets:
        total += len(chunk)
        if total > MOST_OCTETS:
            raise Unreadable(Fault.TOO_LARGE)
        with contextlib.suppress(ConnectionError):  # it has died: its silence says so
            process.stdin.write(chunk)
            await process.stdin.drain()
    with contextlib.suppress(ConnectionError):
        process.stdin.close()
        await process.stdin.wait_closed()
