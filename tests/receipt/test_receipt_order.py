"""Whatever the order in which responses and receipts come, and however often: the end is the same."""

from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_receipt_match import Bench, bench, receipt_of  # noqa: F401 - bench is a fixture

from pombo.message import State

pytestmark = pytest.mark.anyio

_WORDS = st.sampled_from(["DELIVRD", "DELIVRD", "UNDELIV", "REJECTD"])


class Event(NamedTuple):
    message: int
    part: int
    stat: str | None  # None: the response


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[list[str]], list[list[Event]]]:
    """The last word on each part of each message; and all that comes, in batches, repeated and out of order."""
    last_words = draw(st.lists(st.lists(_WORDS, min_size=1, max_size=3), min_size=1, max_size=3))
    events: list[Event] = []
    for message, words in enumerate(last_words):
        for part, word in enumerate(words, start=1):
            events += [Event(message, part, None), Event(message, part, word)]
            more = draw(st.lists(st.sampled_from([word, "ENROUTE", "ACCEPTD"]), max_size=3))
            events += [Event(message, part, stat) for stat in more]
    shuffled = draw(st.permutations(events))
    cuts = draw(st.lists(st.booleans(), min_size=len(shuffled), max_size=len(shuffled)))
    batches: list[list[Event]] = [[]]
    for event, cut in zip(shuffled, cuts, strict=True):
        if cut:
            batches.append([])
        batches[-1].append(event)
    return last_words, batches


def ends(words: list[str]) -> set[State]:
    """Of several parts that fail the first to be heard of decides which failure it is."""
    failures = {
        State.REJECTED if word == "REJECTD" else State.UNDELIVERED for word in words if word != "DELIVRD"
    }
    return failures or {State.DELIVERED}


_number = iter(range(10**9))


@given(history=histories())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_end_does_not_depend_on_the_order(
    bench: Bench,  # noqa: F811
    history: tuple[list[list[str]], list[list[Event]]],
) -> None:
    last_words, batches = history
    run = next(_number)
    sent = [await bench.submitted(parts=len(words)) for words in last_words]
    final: list[int] = []
    for batch in batches:
        receipts = []
        for message, part, stat in batch:
            raw_id = f"r{run}m{message}p{part}"
            if stat is None:
                await bench.answered(sent[message], raw_id, part, len(last_words[message]))
            else:
                receipts.append(receipt_of(raw_id, stat))
        if receipts:
            final += await bench.receipt(*receipts)
    for message_id, words in zip(sent, last_words, strict=True):
        assert await bench.state(message_id) in ends(words)
    attempts = await bench.db.fetch(
        "select message_id, part, state from attempt where message_id = any($1::bigint[])", sent
    )
    moved = {(row["message_id"], row["part"]): row["state"] for row in attempts}
    assert moved == {
        (message_id, part): 2 if word == "DELIVRD" else 3
        for message_id, words in zip(sent, last_words, strict=True)
        for part, word in enumerate(words, start=1)
    }
    assert len(final) == len(set(final)), "a message becomes final once"
    assert await bench.parked() == 0
    assert (
        await bench.db.fetchval("select count(*) from queue where message_id = any($1::bigint[])", sent) == 0
    )
