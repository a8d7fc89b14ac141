"""Columns, their names and uses, and texts made of them."""

import pytest

from pombo.campaign.columns import Piece, Template, Use, guess, variables
from pombo.campaign.reasons import Reason, of_number
from pombo.number import normalise


def test_every_column_has_a_name_of_its_own_that_can_stand_in_braces() -> None:
    assert variables(["Nome", "NOME", "Vence em", "Valor (R$)", "1º", "", "Coluna 6"]) == [
        "nome", "nome 2", "vence em", "valor r", "o", "coluna 6", "coluna 6 2",
    ]  # fmt: skip


def test_the_column_of_numbers_is_the_one_that_holds_numbers() -> None:
    titles = ["Código", "Paciente", "Contato", "CPF"]
    rows = [["11999", "Ana", "(11) 98765-4321", "111.444.777-35"], ["2", "Rui", "11 98765 4322", ""]]
    assert guess(titles, rows) == [Use.TEXT, Use.TEXT, Use.NUMBER, Use.IGNORE]


def test_where_no_cell_is_a_number_the_title_says_which_column_it_is() -> None:
    assert guess(["Nome", "Celular"], [["Ana", "1133334444"]]) == [Use.TEXT, Use.NUMBER]
    assert guess(["Nome", "Idade"], [["Ana", "33"]]) == [Use.TEXT, Use.TEXT]


def test_a_text_takes_its_words_from_the_row_once_and_marks_them() -> None:
    template = Template("Oi {Nome}, {x} dia {vence em}!", ["Nome", "Vence em"], [Use.FIRST_WORD, Use.TEXT])
    cells = ["Ana Maria", "{nome}"]
    assert template.unknown == ["x"]
    assert template.compose(cells) == "Oi Ana, {x} dia {nome}!"
    assert template.pieces(cells) == [
        Piece("Oi ", False), Piece("Ana", True), Piece(", {x} dia ", False), Piece("{nome}", True), Piece("!", False),
    ]  # fmt: skip
    assert template.used == {0, 1}
    assert template.empty(["Ana", ""]) == "vence em"


def test_of_a_date_the_day_and_the_month_are_enough() -> None:
    template = Template("vence em {d}", ["D"], [Use.DAY])
    assert [template.compose([cell]) for cell in ("30/11/2026", "amanhã")] == [
        "vence em 30/11",
        "vence em amanhã",
    ]


def test_a_column_that_is_ignored_gives_no_word() -> None:
    assert Template("{cpf}", ["CPF"], [Use.IGNORE]).unknown == ["cpf"]


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("", Reason.NO_NUMBER),
        ("  ", Reason.NO_NUMBER),
        ("98441-0072", Reason.NO_DDD),
        ("9 8441 0072", Reason.NO_DDD),
        ("(11) 3864-2210", Reason.FIXED_LINE),
        ("+55 11 3864-2210", Reason.FIXED_LINE),
        ("+1 202 555 0123", Reason.FOREIGN),
        ("0044 20 7946 0958", Reason.FOREIGN),
        ("1,19876E+10", Reason.ROUNDED),
        ("1.19876e10", Reason.ROUNDED),
        ("Ana", Reason.BAD_NUMBER),
        ("(20) 98765-4321", Reason.BAD_NUMBER),
        ("119876543210", Reason.BAD_NUMBER),
        ("1" * 10_000, Reason.BAD_NUMBER),
    ],
)
def test_a_number_that_is_none_says_what_is_wrong_with_it(typed: str, reason: Reason) -> None:
    assert normalise(typed) is None
    assert of_number(typed, {"BR"}) is reason


@pytest.mark.parametrize(
    ("typed", "countries", "reason"),
    [
        ("+351 912 345 678", {"BR", "ES"}, Reason.FOREIGN),
        ("+351 212 345 678", {"BR", "ES"}, Reason.BAD_NUMBER),  # a fixed line
        ("00351 9123", {"BR", "PT"}, Reason.BAD_NUMBER),
        ("(11) 98765-4321", {"PT"}, Reason.FOREIGN),
    ],
)
def test_a_number_of_elsewhere_is_told_from_what_is_no_number_anywhere(
    typed: str, countries: set[str], reason: Reason
) -> None:
    assert of_number(typed, countries) is reason


def test_a_column_of_numbers_of_other_countries_is_one_of_numbers() -> None:
    assert guess(["Nome", "Contato"], [["Ana", "+351 912 345 678"]]) == [Use.TEXT, Use.NUMBER]
