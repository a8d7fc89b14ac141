"""`{nome}` in texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pombo.text.variables import fill, key, names, split


def test_names_stand_once_each_in_the_order_of_their_first_use():
    assert names("Oi {nome}, pedido {numero do pedido}. Até logo, {nome}!") == ["nome", "numero do pedido"]


@pytest.mark.parametrize("written", ["{Código}", "{codigo}", "{ CODIGO }", "{co\u0301digo}"])
def test_case_accents_and_blanks_around_a_name_do_not_matter(written):
    assert names(written) == [key(" Código ")] == ["codigo"]
    assert fill(f"({written})", {"codigo": "A1"}) == "(A1)"


@pytest.mark.parametrize(
    "text", ["", "{}", "{ }", "{1}", '{"a": 1}', "{_x}", "{nome", "nome}", "{a{b", "{" + "x" * 41 + "}"]
)
def test_other_braces_are_text(text):
    assert names(text) == []
    assert fill(text, {"a": "!", "nome": "!", "x": "!"}) == text


def test_what_has_no_value_stays_as_it_is_written():
    assert fill("Oi {Nome}, {valor}", {"valor": "10"}) == "Oi {Nome}, 10"


def test_braces_and_backslashes_in_a_value_are_text():
    assert fill("{a} {b}", {"a": "{b}", "b": r"\1 \g<0>"}) == r"{b} \1 \g<0>"


def test_the_name_inside_doubled_braces_is_filled():
    assert fill("{{nome}}", {"nome": "Ana"}) == "{Ana}"


@given(st.text())
def test_a_text_whose_variables_have_no_value_comes_out_as_it_went_in(text):
    assert fill(text, {}) == text


@given(st.text(max_size=60), st.text(max_size=60))
def test_filled_with_nothing_no_variable_of_the_text_is_left(before, after):
    text = f"{before}{{nome}}{after}"
    assert "nome" in names(text)
    assert fill(text, dict.fromkeys(names(text), "")).count("{nome}") == 0


@given(st.text(), st.text())
def test_the_pieces_of_a_text_are_the_text(before, after):
    values = dict.fromkeys(names(f"{before}{{nome}}{after}"), "Ana")
    pieces = split(f"{before}{{nome}}{after}")
    assert "".join(text + values.get(name, "") for text, name in pieces) == fill(
        f"{before}{{nome}}{after}", values
    )
    assert pieces[-1][1] == ""
