"""What is made with the platform's secret, and where the secret comes from."""

import os
import stat
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from pombo.account import secret
from pombo.account.account import Account
from pombo.account.secret import Secrets
from pombo.errors import PomboError

ONE, OTHER = Secrets(b"one secret of many"), Secrets(b"another secret, too")


def test_a_secret_that_could_be_guessed_is_refused() -> None:
    with pytest.raises(PomboError, match="too short"):
        Secrets(b"fifteen octets.")


def test_hashes_are_the_same_on_every_node_and_differ_between_platforms() -> None:
    again = Secrets(b"one secret of many")
    assert ONE.token_hmac("token") == again.token_hmac("token")
    assert ONE.content_hmac(5511999999999, "Oi") == again.content_hmac(5511999999999, "Oi")
    assert ONE.fingerprint == again.fingerprint
    assert ONE.token_hmac("token") != OTHER.token_hmac("token")
    assert ONE.content_hmac(5511999999999, "Oi") != OTHER.content_hmac(5511999999999, "Oi")
    assert ONE.fingerprint != OTHER.fingerprint


def test_the_content_hash_tells_numbers_and_texts_apart() -> None:
    contents = [(1, "1:a"), (11, ":a"), (1, "a"), (1, "A"), (1, "a "), (2, "a"), (1, "")]
    assert len({ONE.content_hmac(*content) for content in contents}) == len(contents)


def test_any_token_has_a_hash() -> None:
    assert len({ONE.token_hmac(token) for token in ("", "a", "\ud800", "\ufffd", "ã", "a" * 1000)}) == 6


def test_what_is_sealed_opens_with_the_same_secret_only() -> None:
    sealed = ONE.seal(b"password")
    assert b"password" not in sealed
    assert ONE.seal(b"password") != sealed
    assert ONE.unseal(sealed) == b"password"
    broken = sealed[:-1] + bytes((sealed[-1] ^ 1,))
    for keeper, octets in ((OTHER, sealed), (ONE, broken), (ONE, b""), (ONE, sealed[:5])):
        with pytest.raises(PomboError):
            keeper.unseal(octets)


def test_the_secret_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    first = secret.load(tmp_path / "data", "")
    assert secret.load(tmp_path / "data", "").fingerprint == first.fingerprint
    assert stat.S_IMODE((tmp_path / "data" / "secret").stat().st_mode) == 0o600
    assert secret.load(tmp_path / "elsewhere", "").fingerprint != first.fingerprint


def test_of_two_that_make_the_secret_at_once_both_use_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def random(octets: int) -> bytes:
        (tmp_path / "secret").write_bytes(b"of the one that was quicker\n")
        return bytes(octets)

    monkeypatch.setattr(os, "urandom", random)
    assert secret.load(tmp_path, "").fingerprint == Secrets(b"of the one that was quicker").fingerprint
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_the_setting_wins_over_the_file_and_makes_none(tmp_path: Path) -> None:
    assert secret.load(tmp_path, "one secret of many").fingerprint == ONE.fingerprint
    assert list(tmp_path.iterdir()) == []


def test_a_secret_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    with pytest.raises(PomboError, match="cannot be read"):
        secret.load(tmp_path, "")
    (tmp_path / "file").touch()
    with pytest.raises(PomboError, match="cannot be read"):
        secret.load(tmp_path / "file", "")


def test_a_secret_file_that_was_emptied_is_refused_and_not_replaced(tmp_path: Path) -> None:
    """Another secret would lock every customer out."""
    (tmp_path / "secret").touch()
    with pytest.raises(PomboError, match="too short"):
        secret.load(tmp_path, "")
    assert (tmp_path / "secret").read_bytes() == b""


def test_tokens_are_long_random_and_recognisable() -> None:
    tokens = {secret.new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(token.startswith("pombo_") and len(token) >= 6 + 43 for token in tokens)


def test_an_account_shows_moments_in_its_own_zone_and_nothing_for_none() -> None:
    account = Account(1, "alfa", True, 80, 10, "ascii", ZoneInfo("America/Noronha"))
    assert account.local(datetime(2026, 11, 22, 13, 5, 0, 999999, tzinfo=UTC)) == "2026-11-22 11:05:00"
    assert account.local(None) == ""
