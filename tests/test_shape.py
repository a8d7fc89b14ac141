"""Python and SQL speak of the same states."""

import re
from pathlib import Path

import pombo
from pombo.message import (
    FINAL,
    LEGACY_STATUS,
    MOVES,
    AttemptState,
    CallbackKind,
    CallbackState,
    MessageClass,
    QueueState,
    State,
)

STORE = Path(pombo.__file__).parent / "store"


def sql_of(name: str) -> str:
    return (STORE / name).read_text(encoding="utf-8")


def test_every_state_has_its_moves_and_its_legacy_status():
    assert set(MOVES) == set(LEGACY_STATUS) == set(State)


def test_final_states_have_no_way_out_and_all_others_can_end():
    for state in State:
        assert (MOVES[state] == frozenset()) is (state in FINAL)


def test_statements_that_end_a_message_start_from_every_state_that_is_not_final():
    """`where m.state in (0, 1, 2)` is how SQL says "not final"."""
    unfinished = ", ".join(str(int(state)) for state in State if state not in FINAL)
    for file, least in (("queue.py", 1), ("receipts.py", 2)):
        found = re.findall(r"m\.state in \(([^)]*)\)", sql_of(file))
        assert found.count(unfinished) >= least, f"{file}: {found}"
        assert set(found) <= {unfinished, "0, 2"}


def test_the_numbers_in_sql_are_those_of_the_enums():
    assert (State.WAITING, State.SUBMITTED, State.UNCERTAIN, State.DELIVERED) == (0, 1, 2, 3)
    assert (MessageClass.OTP, MessageClass.TRANSACTIONAL, MessageClass.MARKETING) == (0, 1, 2)
    assert (QueueState.WAITING, QueueState.WRITING, QueueState.HELD) == (0, 1, 2)
    assert (AttemptState.UNCERTAIN, AttemptState.TAKEN, AttemptState.DELIVERED, AttemptState.FAILED) == (
        0,
        1,
        2,
        3,
    )
    assert (CallbackKind.DLR, CallbackKind.MO) == (1, 2)
    assert (CallbackState.DUE, CallbackState.CONFIRMED, CallbackState.PARKED) == (0, 1, 2)


def test_partial_indexes_stand_on_the_waiting_states():
    schema = sql_of("migrations/0001_foundation.sql")
    assert "queue (smsc_id, class, due_at, message_id) where state = 0" in schema
    assert "queue (session_id) where state = 1" in schema
    assert "callback (account_id, kind, due_at) where state = 0" in schema
