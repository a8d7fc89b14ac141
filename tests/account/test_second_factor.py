"""Codes by time: which are good, when, and how often."""

import base64

import pytest

from pombo.account import second_factor
from pombo.account.second_factor import code_at, step_of

# RFC 6238, appendix B, SHA-1: its eight digits end in these six.
SECRET = b"12345678901234567890"
VECTORS = [
    (59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037"),
    (20000000000, "353130"),
]  # fmt: skip


@pytest.mark.parametrize(("at_s", "code"), VECTORS)
def test_codes_are_those_of_the_standard(at_s: int, code: str) -> None:
    assert code_at(SECRET, at_s) == code
    assert step_of(SECRET, code, at_s) == at_s // 30


def test_a_clock_may_be_one_step_away_and_no_more() -> None:
    now = 1_800_000_000
    for steps in (-1, 0, 1):
        assert step_of(SECRET, code_at(SECRET, now + 30 * steps), now) == now // 30 + steps
    for steps in (-2, 2):
        assert step_of(SECRET, code_at(SECRET, now + 30 * steps), now) is None


@pytest.mark.parametrize("code", ["", "28708", "2870822", "٢٨٧٠٨٢", "287082\0", "0x1234"])
def test_what_is_no_code_is_the_code_of_no_step(code: str) -> None:
    assert step_of(SECRET, code, 59) is None


def test_the_secret_is_told_to_applications_and_to_people() -> None:
    text = base64.b32encode(SECRET).decode()
    uri = second_factor.uri(SECRET, "ana@loja.example")
    assert uri.startswith("otpauth://totp/Pombo:ana%40loja.example?")
    assert f"secret={text}" in uri and "issuer=Pombo" in uri
    assert second_factor.written(SECRET).replace(" ", "") == text
