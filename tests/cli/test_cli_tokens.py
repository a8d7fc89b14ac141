from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cli_commands import Pombo, rows

from pombo.account import secret


@pytest.fixture
def loja(pombo: Pombo) -> Pombo:
    """Commands, and an account `loja` with token 1."""
    pombo("account", "add", "loja", "--balance", "1")
    return pombo


def test_a_token_has_what_it_is_given(loja: Pombo, database_url: str) -> None:
    made = loja(
        "token", "add", "loja", "--name", "caixa", "--class", "otp", "--scope", "send",
        "--from", "192.0.2.7,10.0.0.0/8", "--expires", "2099-12-31 18:00", "--json",
    ).json  # fmt: skip
    assert (made["account"], made["token_id"]) == (1, 2)

    first, second = loja("token", "list", "--json").json["tokens"]

    assert made["token"].startswith(second["prefix"])
    assert (first["class"], first["scopes"], first["addresses"], first["state"]) == (
        None, ["send", "read"], [], "valid",
    )  # fmt: skip
    assert {name: second[name] for name in ("token_id", "account_name", "name", "class", "scopes", "used_at")} == {
        "token_id": 2, "account_name": "loja", "name": "caixa", "class": "otp", "scopes": ["send"], "used_at": None,
    }  # fmt: skip
    assert second["addresses"] == ["10.0.0.0/8", "192.0.2.7/32"]
    assert second["expires_at"] == "2099-12-31T18:00:00.000Z"
    shown = loja("token", "list").out
    assert "caixa" in shown
    assert made["token"] not in shown


def test_what_is_not_given_stays(loja: Pombo) -> None:
    loja("token", "add", "loja", "--name", "caixa", "--class", "otp", "--scope", "read", "--from", "10.0.0.1")

    changed = loja("token", "set", "2", "--scope", "read,send", "--json").json
    assert (changed["name"], changed["class"], changed["scopes"]) == ("caixa", "otp", ["send", "read"])
    assert changed["addresses"] == ["10.0.0.1/32"]

    changed = loja("token", "set", "2", "--name", "", "--class", "account", "--from", "any", "--json").json
    assert (changed["name"], changed["class"], changed["addresses"]) == ("", None, [])


def test_an_old_token_ends_after_the_overlap(loja: Pombo, database_url: str, tmp_path: Path) -> None:
    loja("token", "add", "loja", "--name", "caixa", "--class", "marketing", "--from", "10.0.0.1")

    made = loja("token", "rotate", "2", "--overlap", "7d", "--json").json

    assert (made["token_id"], made["old_token_id"]) == (3, 2)
    in_a_week = datetime.now(UTC) + timedelta(days=7)
    assert abs(datetime.fromisoformat(made["old_expires_at"]) - in_a_week) < timedelta(minutes=5)
    _, old, new = loja("token", "list", "--json").json["tokens"]
    assert (old["state"], old["expires_at"]) == ("valid", made["old_expires_at"])
    kept = ("name", "class", "scopes", "addresses", "account")
    assert [new[name] for name in kept] == [old[name] for name in kept]
    assert new["expires_at"] is None
    [(hmac,)] = rows(database_url, "select hmac from token where id = 3")
    assert hmac == secret.load(tmp_path, "").token_hmac(made["token"])


def test_an_earlier_end_of_the_old_token_stays(loja: Pombo) -> None:
    loja("token", "set", "1", "--expires", (datetime.now(UTC) + timedelta(hours=2)).isoformat())
    ends = loja("token", "list", "--json").json["tokens"][0]["expires_at"]

    assert loja("token", "rotate", "1", "--overlap", "7d", "--json").json["old_expires_at"] == ends


def test_without_an_overlap_the_old_token_ends_at_once(loja: Pombo) -> None:
    loja("token", "rotate", "1", "--overlap", "0")

    assert [token["token_id"] for token in loja("token", "list", "--json").json["tokens"]] == [2]
    states = [token["state"] for token in loja("token", "list", "--all", "--json").json["tokens"]]
    assert states == ["expired", "valid"]
    assert loja("token", "rotate", "1", "--json").json == {
        "error": "Token 1 is expired. `pombo token add` makes a new one."
    }
    assert len(loja("token", "list", "--all", "--json").json["tokens"]) == 2


def test_a_revoked_token_is_over_for_good(loja: Pombo) -> None:
    assert loja("token", "revoke", "1", "--json").json == {"token_id": 1, "account": 1, "revoked": True}
    assert loja("token", "revoke", "1", "--json").json["revoked"] is False

    assert loja("token", "list", "--json").json == {"tokens": []}
    assert loja("token", "list", "--all", "--json").json["tokens"][0]["state"] == "revoked"
    assert "revoked" in loja("token", "set", "1", "--expires", "never", "--json").json["error"]
    assert "revoked" in loja("token", "rotate", "1", "--json").json["error"]


def test_a_list_may_be_of_one_account(loja: Pombo) -> None:
    loja("account", "add", "rival", "--balance", "1")

    assert [t["account_name"] for t in loja("token", "list", "--json").json["tokens"]] == ["loja", "rival"]
    assert [t["token_id"] for t in loja("token", "list", "--account", "rival", "--json").json["tokens"]] == [
        2
    ]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--scope", "write"),
        ("--scope", ","),
        ("--from", "10.0.0.1/8"),
        ("--expires", "tomorrow"),
        ("--name", "a\tb"),
    ],
)
def test_what_no_token_can_have_is_refused(command: Pombo, option: str, value: str) -> None:
    ran = command("token", "add", "loja", option, value, "--json")

    assert ran.code == 1
    assert "database" not in ran.json["error"].lower()


@pytest.mark.parametrize("overlap", ["24", "h", "-1h", "401d", "1w", ""])
def test_what_is_no_overlap_is_refused(command: Pombo, overlap: str) -> None:
    ran = command("token", "rotate", "1", f"--overlap={overlap}", "--json")

    assert ran.code == 1
    assert "24h or 7d" in ran.json["error"]


def test_a_token_that_does_not_exist_is_told(pombo: Pombo) -> None:
    for words in (["set", "9", "--name", "x"], ["rotate", "9"], ["revoke", "9"]):
        assert "There is no token 9." in pombo("token", *words, "--json").json["error"]


def test_nothing_to_change_is_told(command: Pombo) -> None:
    assert "Nothing to change" in command("token", "set", "1", "--json").json["error"]


def test_an_account_s_text_mode_and_addresses_are_set(loja: Pombo, database_url: str) -> None:
    ran = loja("account", "set", "loja", "--text-mode", "unicode", "--from", "192.0.2.0/24", "--json")

    assert (ran.json["text_mode"], ran.json["addresses"]) == ("unicode", ["192.0.2.0/24"])
    shown = loja("account", "show", "loja").out
    assert "unicode" in shown
    assert "192.0.2.0/24" in shown
    [row] = rows(database_url, "select text_mode, networks from account")
    assert (row["text_mode"], [str(network) for network in row["networks"]]) == ("unicode", ["192.0.2.0/24"])
    assert loja("account", "set", "loja", "--from", "any", "--json").json["addresses"] == []


def test_a_token_that_would_never_be_valid_is_not_made(operator: Pombo) -> None:
    ran = operator("token", "add", "loja", "--expires", "2020-01-01")
    assert (ran.code, "would never be valid" in ran.err) == (1, True)
    assert len(operator("token", "list", "--all", "--json").json["tokens"]) == 1
