"""The first word of a reply, as it is compared with keywords."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pombo.text.keyword import first_word


@pytest.mark.parametrize(
    "text", ["promo", "PROMO", "  Promó! quero", "#promo", "\n“PROMO”", "prómo.\x00", "ＰＲＯＭＯ"]
)
def test_case_accents_and_punctuation_do_not_count(text: str) -> None:
    assert first_word(text) == "promo"


@pytest.mark.parametrize(
    ("text", "word"),
    [("promocao", "promocao"), ("Ação já", "acao"), ("5 sim", "5"), ("😀 oi", "oi"), ("😀", ""), ("", "")],
)
def test_only_the_whole_first_word_counts(text: str, word: str) -> None:
    assert first_word(text) == word


@given(st.text())
def test_a_first_word_is_its_own(text: str) -> None:
    assert first_word(first_word(text)) == first_word(text)
