"""Windows of accounts, scheduled messages and cancelling, as commands."""

import pytest
from cli_commands import Pombo, in_database, rows

from pombo.message import CallbackKind, MessageClass, QueueState, State
from pombo.store.intake import accept
from rows import one_message


def queued(url: str, message_id: int, **columns: object) -> None:
    """A message of account 1 for connection 1; columns: of its queue row, as SQL."""
    in_database(url, lambda db: accept(db, one_message(1, message_id, 5511999990000 + message_id, 1)))
    for column, value in columns.items():
        rows(url, f"update queue set {column} = {value} where message_id = {message_id}")


def test_an_account_has_the_usual_window_until_it_is_set(operator: Pombo, database_url: str) -> None:
    assert operator("account", "list", "--json").json["accounts"][0]["window"] == "mon-sat 09:00-22:00"

    ran = operator("account", "set", "loja", "--window", " Mon-Fri  10:00-18:00", "--json")

    assert ran.json["window"] == "mon-fri 10:00-18:00"
    assert rows(database_url, "select marketing_window from account") == [("mon-fri 10:00-18:00",)]
    assert operator("account", "set", "loja", "--window", "always", "--json").json["window"] == "always"
    assert "always" in operator("account", "list").out
    assert "always" in operator("account", "show", "loja").out


def test_the_class_and_the_window_can_be_set_together_or_alone(operator: Pombo) -> None:
    ran = operator("account", "set", "loja", "--class", "marketing", "--window", "sun 10:00-11:00", "--json")
    assert (ran.json["class"], ran.json["window"]) == ("marketing", "sun 10:00-11:00")
    ran = operator("account", "set", "loja", "--class", "otp", "--json")
    assert (ran.json["class"], ran.json["window"]) == ("otp", "sun 10:00-11:00")


@pytest.mark.parametrize("window", ["", "seg-sab 09:00-22:00", "mon-sat 22:00-09:00", "sempre"])
def test_what_is_no_window_is_refused_with_the_form_of_one(command: Pombo, window: str) -> None:
    ran = command("account", "set", "loja", "--window", window, "--json")
    assert ran.code == 1
    assert "mon-sat 09:00-22:00" in ran.json["error"]


def test_cancel_takes_messages_back_and_calls_their_account(operator: Pombo, database_url: str) -> None:
    operator("callback", "set", "loja", "--kind", "dlr", "--url", "https://loja.example/dlr")
    queued(database_url, 1, due_at="now() + interval '1 day'")
    queued(database_url, 2, state=int(QueueState.HELD))
    queued(database_url, 3)

    ran = operator("cancel", "1", "2", "--account", "loja", "--json")

    assert ran.json == {"cancelled": 2}
    states = rows(database_url, "select id, state, error from message order by id")
    cancelled = (State.CANCELLED, "CANCELLED")
    assert [tuple(row) for row in states] == [(1, *cancelled), (2, *cancelled), (3, State.WAITING, "")]
    assert rows(database_url, "select kind, subject_id from callback order by subject_id") == [
        (CallbackKind.DLR, 1),
        (CallbackKind.DLR, 2),
    ]
    assert operator("cancel", "1", "--json").json == {"cancelled": 0}  # again: it is cancelled already


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        ("update queue set state = 1 where message_id = 2", "being written"),
        ("with gone as (delete from queue where message_id = 2) update message set state = 1 where id = 2", "has it"),
        ("with gone as (delete from queue where message_id = 2) update message set state = 3 where id = 2", "delivered"),
    ],
)  # fmt: skip
def test_cancel_says_what_could_not_be_taken_back_and_why(
    operator: Pombo, database_url: str, spoil: str, why: str
) -> None:
    queued(database_url, 1)
    queued(database_url, 2)
    rows(database_url, spoil)

    ran = operator("cancel", "1", "2", "--json")

    assert ran.code == 1
    assert ran.json["error"].startswith("1 message(s) cancelled. 2 cannot be cancelled:")
    assert why in ran.json["error"]


def test_cancel_of_a_message_that_there_is_not_cancels_nothing(operator: Pombo, database_url: str) -> None:
    queued(database_url, 1)
    ran = operator("cancel", "1", "nosuch")
    assert ran.code == 1
    assert "nosuch" in ran.err
    assert rows(database_url, "select state from queue") == [(QueueState.WAITING,)]


@pytest.mark.parametrize(
    ("scheduled", "opens", "waits_for", "shown"),
    [
        ("2090-01-02 12:00Z", "2090-01-02 12:00Z", "schedule", "scheduled for 2090-01-02 09:00:00"),
        (None, "2090-01-02 12:00Z", "window", "outside the marketing window until 2090-01-02 09:00:00"),
        ("2090-01-01 12:00Z", "2090-01-02 12:00Z", "window", "outside the marketing window until 2090-01-02"),
        ("2020-01-01 12:00Z", None, None, "due 20"),
    ],
)
def test_explain_says_why_a_message_waits(
    operator: Pombo,
    database_url: str,
    scheduled: str | None,
    opens: str | None,
    waits_for: str | None,
    shown: str,
) -> None:
    queued(database_url, 1, **({"opens_at": f"'{opens}'", "due_at": f"'{opens}'"} if opens else {}))
    if scheduled:
        rows(database_url, f"update message set scheduled_at = '{scheduled}'")
    ran = operator("explain", "1", "--json")
    assert ran.json["queue"]["waits_for"] == waits_for
    assert (ran.json["scheduled_at"] is None) is (scheduled is None)
    assert shown in " ".join(operator("explain", "1").out.split())


def test_a_command_sends_marketing_within_the_window_of_its_account(
    operator: Pombo, database_url: str
) -> None:
    operator("account", "set", "loja", "--class", "marketing")
    assert operator("send", "loja", "11999999999", "oi").code == 0
    [row] = rows(database_url, "select class, closes_at from queue")
    assert row["class"] == MessageClass.MARKETING
    assert row["closes_at"] is not None
