"""Things to do later, by the thousand: one heap and one timer of the loop, instead of a task for each."""

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Any, Final

TICK_S: Final = 0.01  # what falls into one tick is done together


class Timetable:
    """
    afterwards: called once after everything that was due has been done
    """

    def __init__(self, afterwards: Callable[[], None]) -> None:
        self._afterwards = afterwards
        self._heap: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self._order = count()
        self._timer: asyncio.Handle | None = None
        self._fires_at = 0.0

    def __len__(self) -> int:
        return len(self._heap)

    def after(self, delay_s: float, act: Callable[[Any], None], what: Any) -> None:
        loop = asyncio.get_running_loop()
        due_at = loop.time() + delay_s
        heappush(self._heap, (due_at, next(self._order), act, what))
        if self._timer is not None:
            if self._fires_at <= due_at + TICK_S:
                return
            self._timer.cancel()
        self._fire(loop, due_at)

    def _run(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._timer = None
        try:
            while self._heap and self._heap[0][0] <= now:
                _, _, act, what = heappop(self._heap)
                act(what)
        finally:
            if self._heap and self._timer is None:
                self._fire(loop, max(self._heap[0][0], now + TICK_S))
            self._afterwards()

    def _fire(self, loop: asyncio.AbstractEventLoop, at: float) -> None:
        self._fires_at = at
        self._timer = loop.call_at(at, self._run)

    def clear(self) -> None:
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
