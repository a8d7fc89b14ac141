"""`block …`: numbers that must not be written to."""

import time
from pathlib import Path

import pytest
from cli_commands import Pombo, in_database, rows

from pombo.message import MessageClass, State
from pombo.store.intake import accept
from rows import one_message

NUMBER = "11999990001"


def queued(url: str, message_id: int, class_: MessageClass, **columns: object) -> None:
    """A message of account 1 to NUMBER."""
    new = one_message(1, message_id, 5511999990001, 1, message_class=class_)
    in_database(url, lambda db: accept(db, new))
    for column, value in columns.items():
        rows(url, f"update queue set {column} = {value} where message_id = {message_id}")


def states(url: str) -> dict[int, tuple[State, str]]:
    return {row[0]: (State(row[1]), row[2]) for row in rows(url, "select id, state, error from message")}


def test_a_blocked_number_is_refused_until_it_is_taken_off(operator: Pombo) -> None:
    added = operator("block", "add", "+55 (11) 99999-0001", "--account", "loja", "--json").json
    assert added == {"account": 1, "name": "loja", "global": False, "added": 1, "ended": 0}

    assert operator("send", "loja", NUMBER, "oi", "--json").json == {"error": "Destino bloqueado"}
    assert operator("block", "add", NUMBER, "--account", "loja", "--json").json["added"] == 0
    operator("block", "remove", NUMBER, "--account", "loja")
    assert operator("send", "loja", NUMBER, "oi").code == 0
    again = operator("block", "remove", NUMBER, "--account", "loja", "--json")
    assert again.code == 1
    assert "not on the list of loja" in again.json["error"]


def test_the_operators_list_counts_for_every_account(operator: Pombo) -> None:
    operator("block", "add", NUMBER, "--global")

    assert operator("send", "loja", NUMBER, "oi", "--json").json == {"error": "Destino bloqueado"}
    checked = operator("block", "check", NUMBER, "--json").json
    [on] = checked["lists"]
    assert (checked["blocked"], on["global"], on["account"], on["reason"]) == (True, True, None, "manual")
    assert operator("block", "check", "11999990002", "--json").json == {"blocked": False, "lists": []}
    assert "(global)" in operator("block", "list").out


@pytest.mark.parametrize("words", [["add", NUMBER], ["remove", NUMBER], ["import", "f"], ["export", "f"]])
@pytest.mark.parametrize("lists", [[], ["--global", "--account", "loja"]])
def test_nothing_is_done_without_saying_to_which_list(
    operator: Pombo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], lists: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f").write_text(NUMBER)
    ran = operator("block", *words, *lists, "--json")
    assert ran.code == 1
    assert "--global" in ran.json["error"]
    assert operator("block", "list", "--json").json == {"lists": []}
    assert (tmp_path / "f").read_text() == NUMBER


def test_what_is_no_mobile_number_is_refused_and_not_repeated(operator: Pombo) -> None:
    ran = operator("block", "add", "1133334444", "--global", "--json")
    assert ran.code == 1
    assert "1133334444" not in ran.out + ran.err


def test_marketing_that_waits_for_a_blocked_number_ends_and_is_refunded_and_the_rest_goes(
    operator: Pombo, database_url: str
) -> None:
    queued(database_url, 1, MessageClass.MARKETING)
    queued(database_url, 2, MessageClass.MARKETING, state=2)
    queued(database_url, 3, MessageClass.MARKETING, state=1)
    queued(database_url, 4, MessageClass.TRANSACTIONAL)
    queued(database_url, 5, MessageClass.OTP)
    queued(database_url, 6, MessageClass.MARKETING, parts_taken=1)

    assert operator("block", "add", NUMBER, "--account", "loja", "--json").json["ended"] == 2

    found = states(database_url)
    assert found[1] == found[2] == (State.REJECTED, "BLOCKED")
    assert {found[n] for n in (3, 4, 5, 6)} == {(State.WAITING, "")}
    assert len(rows(database_url, "select from queue")) == 4
    [row] = rows(database_url, "select balance_milli from account")
    assert row[0] == 10_000 - 4 * 80


def test_the_list_of_one_account_ends_nothing_of_another(operator: Pombo, database_url: str) -> None:
    operator("account", "add", "outra", "--balance", "1")
    queued(database_url, 1, MessageClass.MARKETING)

    assert operator("block", "add", NUMBER, "--account", "outra", "--json").json["ended"] == 0
    assert operator("block", "add", NUMBER, "--global", "--json").json["ended"] == 1


def test_who_opted_out_by_a_reply_comes_off_at_their_own_wish_only(
    operator: Pombo, database_url: str
) -> None:
    operator("block", "add", NUMBER, "--account", "loja")
    rows(database_url, "update block set reason = 'reply', inbox_id = 7")

    refused = operator("block", "remove", NUMBER, "--account", "loja", "--json")
    assert refused.code == 1
    assert "--asked-back" in refused.json["error"]
    assert operator("send", "loja", NUMBER, "oi", "--json").json == {"error": "Destino bloqueado"}

    assert operator("block", "remove", NUMBER, "--account", "loja", "--asked-back").code == 0
    [record] = rows(database_url, "select before, after from audit where action = 'block.remove'")
    assert '"reason": "reply"' in record["before"]
    assert record["after"] == '{"asked_back": true}'


def test_import_blocks_the_good_lines_and_names_the_bad_ones(operator: Pombo, tmp_path: Path) -> None:
    file = tmp_path / "numbers.csv"
    file.write_bytes(
        b"\xef\xbb\xbftelefone;nome\r\n11999990001;Fulana\r\n(11) 99999-0002,x\r\n1133334444\r\n\r\nfoo\r\n11999990001\r\n"
    )

    facts = operator("block", "import", str(file), "--account", "loja", "--json").json

    assert (facts["numbers"], facts["added"], facts["bad_lines"]) == (3, 2, [4, 6])
    assert operator("block", "check", "11999990002", "--json").json["lists"][0]["reason"] == "import"
    assert "4, 6" in operator("block", "import", str(file), "--account", "loja").out


def test_import_of_a_hundred_thousand_lines_takes_seconds(operator: Pombo, tmp_path: Path) -> None:
    file = tmp_path / "numbers"
    file.write_text("\n".join(f"119{n:08d}" for n in range(100_000)))
    begun = time.monotonic()

    assert operator("block", "import", str(file), "--global", "--json").json["added"] == 100_000

    assert time.monotonic() - begun < 30


def test_export_says_when_and_why_and_never_whom(operator: Pombo, tmp_path: Path) -> None:
    operator("block", "add", NUMBER, "--account", "loja")
    operator("block", "add", "11999990002", "--global")
    file = tmp_path / "out.csv"

    facts = operator("block", "export", str(file), "--account", "loja", "--json").json

    assert facts["exported"] == 1
    heading, line = file.read_text().splitlines()
    assert heading == "number_hmac,reason,reply,created_at"
    assert line.split(",")[1:3] == ["manual", ""]
    assert "99990001" not in line
    assert file.stat().st_mode & 0o777 == 0o600
    assert "hashes only" in operator("block", "export", str(file), "--global").err


def test_the_confirmation_is_the_accounts_own_text_or_the_platforms(operator: Pombo) -> None:
    first = operator("block", "confirmation", "--account", "loja", "--json").json
    assert first["default"]
    changed = operator("block", "confirmation", "Ate logo!", "--account", "loja", "--json").json
    assert (changed["text"], changed["default"]) == ("Ate logo!", False)
    assert operator("block", "confirmation", "", "--account", "loja", "--json").json == first
    assert operator("block", "confirmation", "a" * 400, "--account", "loja").code == 1
