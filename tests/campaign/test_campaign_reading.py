"""Files of contacts, as people really have them, and hostile ones."""

import csv
import io
from datetime import datetime
from typing import Any

import pytest
import xlsxwriter
from campaign_files import sheet_of, workbook
from hypothesis import given, settings
from hypothesis import strategies as st

from pombo.campaign import reading
from pombo.campaign.reading import Fault, Unreadable, read


def frames(octets: bytes) -> tuple[list[str], list[Any]]:
    titles, *rows, end = read(octets)
    assert isinstance(titles, list) and isinstance(end, dict)
    return titles, rows


def fault(octets: bytes) -> Fault:
    with pytest.raises(Unreadable) as caught:
        list(read(octets))
    return caught.value.fault


@pytest.mark.parametrize("separator", [";", ",", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_every_separator_and_encoding_is_recognised(separator: str, encoding: str) -> None:
    text = f"Nome{separator}Celular\r\nJoão Conceição{separator}(11) 98765-4321\r\n"
    assert frames(text.encode(encoding)) == (
        ["Nome", "Celular"],
        [[2, ["João Conceição", "(11) 98765-4321"], False]],
    )


def test_a_separator_that_the_file_names_counts_and_the_lines_stay_those_of_the_file() -> None:
    assert frames(b"sep=;\r\na;b\r\n1,5;2,5\r\n")[1] == [[3, ["1,5", "2,5"], False]]


def test_quoted_cells_hold_separators_and_lines() -> None:
    assert frames(b'nome;msg\n"Silva; Ana";"a\nb ""c"""\n')[1] == [[2, ["Silva; Ana", 'a\nb "c"'], False]]


def test_a_file_without_titles_gets_those_of_a_spreadsheet() -> None:
    assert frames(b"11987654321;Ana\n11987654322;Rui\n") == (
        ["Coluna A", "Coluna B"],
        [[1, ["11987654321", "Ana"], False], [2, ["11987654322", "Rui"], False]],
    )


def test_a_number_of_another_country_is_no_title() -> None:
    assert frames(b"Ana;+351 912 345 678\n")[0] == ["Coluna A", "Coluna B"]


def test_a_column_of_numbers_alone_needs_no_separator() -> None:
    assert frames(b"celular\n11987654321\n")[1] == [[2, ["11987654321"], False]]


def test_blank_rows_are_no_rows_and_titles_that_are_missing_are_named() -> None:
    titles, rows = frames(b"\n;;\n;Celular;\n\nAna;1\n;;\n  \nRui;2\n")
    assert titles == ["Coluna A", "Celular"]
    assert [row[0] for row in rows] == [5, 8]


def test_rows_that_are_too_short_are_filled_and_those_that_are_too_long_say_so() -> None:
    assert frames(b"a;b;c\n1\n1;2;3;4\n1;2;3;;\n")[1] == [
        [2, ["1", "", ""], False],
        [3, ["1", "2", "3"], True],
        [4, ["1", "2", "3"], False],
    ]


def test_nul_and_a_cell_of_ten_thousand_characters_do_no_harm() -> None:
    [row] = frames(b"nome;celular\nA\0na;1" + b"x" * 10_000 + b"\n")[1]
    assert row[1][0] == "Ana"
    assert len(row[1][1]) == reading.MOST_CHARACTERS + 1


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"", Fault.EMPTY),
        (b" \r\n\r\n", Fault.EMPTY),
        (b";;;\n;;\n", Fault.EMPTY),
        (b"nome;celular\n", Fault.NO_ROWS),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(32)) * 100, Fault.NO_TEXT),
        ("a;b\n1;2\n".encode("utf-16-le"), Fault.NO_TEXT),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, Fault.OLD_EXCEL),
        (b"PK\x03\x04 and nothing that follows from it", Fault.BROKEN),
        (b"a;b\n" + b'1;"2\n' + b"and so on and so on and so on;3\n" * 2000, Fault.OPEN_QUOTE),
        (";".join(f"c{n}" for n in range(101)).encode() + b"\n1;2\n", Fault.TOO_MANY_COLUMNS),
    ],
    ids=lambda value: value if isinstance(value, Fault) else "",
)
def test_what_is_no_file_of_contacts_is_refused_with_the_reason(octets: bytes, expected: Fault) -> None:
    assert fault(octets) is expected


def test_more_rows_than_a_campaign_may_have_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_ROWS", 2)
    assert len(frames(b"a\n1\n2\n")[1]) == 2
    assert fault(b"a\n1\n2\n3\n") is Fault.TOO_MANY_ROWS


def test_a_workbook_says_numbers_dates_and_truth_as_they_are_read_in_brazil() -> None:
    octets = workbook(
        '<row r="1"><c r="A1" t="inlineStr"><is><t>Celular</t></is></c><c r="B1" t="inlineStr"><is><t>B</t></is></c>'
        '<c r="C1" t="inlineStr"><is><t>C</t></is></c><c r="D1" t="inlineStr"><is><t>D</t></is></c></row>'
        '<row r="3"><c r="A3"><v>11987654321</v></c><c r="B3"><v>79.9</v></c><c r="C3" s="1"><v>46356</v></c>'
        '<c r="D3" t="b"><v>1</v></c></row>'
    )
    assert frames(octets) == (
        ["Celular", "B", "C", "D"],
        [[3, ["11987654321", "79,9", "30/11/2026", "sim"], False]],
    )


def test_a_workbook_as_spreadsheets_write_it_is_read() -> None:
    """With its texts in a table of their own, formulas with their results, a sheet of notes behind."""
    octets = io.BytesIO()
    book = xlsxwriter.Workbook(octets)
    sheet, notes = book.add_worksheet("Clientes"), book.add_worksheet("Notas")
    notes.write_row(0, 0, ["outra", "coisa"])
    sheet.write_row(0, 0, ["Nome", "Celular", "Vence em", "Total"])
    sheet.write_row(1, 0, ["João", 11987654321])
    sheet.write_datetime(1, 2, datetime(2026, 11, 30), book.add_format({"num_format": "dd/mm/yyyy"}))
    sheet.write_formula(1, 3, "=1+1", value=2)
    book.close()
    assert frames(octets.getvalue()) == (
        ["Nome", "Celular", "Vence em", "Total"],
        [[2, ["João", "11987654321", "30/11/2026", "2"], False]],
    )


def test_the_lines_of_a_workbook_are_those_that_a_spreadsheet_shows() -> None:
    assert frames(sheet_of([["Nome", "Celular"], ["Ana", 11987654321]], first=4))[1] == [
        [5, ["Ana", "11987654321"], False]
    ]


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (workbook(""), Fault.EMPTY),
        (workbook("", state="hidden"), Fault.NO_SHEET),
        (sheet_of([["Nome", "Celular"]]), Fault.NO_ROWS),
        (sheet_of([["Nome"], ["Ana"]])[:-200], Fault.BROKEN),
    ],
)
def test_workbooks_without_contacts_are_refused_with_the_reason(octets: bytes, expected: Fault) -> None:
    assert fault(octets) is expected


_cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=20)


@settings(max_examples=150)
@given(st.lists(st.lists(_cells, min_size=3, max_size=3), min_size=1, max_size=8))
def test_whatever_stands_in_the_cells_comes_out_of_the_file_again(rows: list[list[str]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";", quoting=csv.QUOTE_ALL)
    writer.writerows([["titulo um", "titulo dois", "titulo tres"], *rows])
    expected = [[cell.strip() for cell in row] for row in rows]
    try:
        found = frames(text.getvalue().encode())[1]
    except Unreadable as unreadable:
        assert unreadable.fault in (Fault.NO_ROWS, Fault.NO_TEXT)
    else:
        assert [cells for _, cells, _ in found] == [row for row in expected if any(row)]


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_no_octets_end_the_reader_otherwise_than_with_a_reason(octets: bytes) -> None:
    try:
        for frame in read(octets):
            assert "\0" not in str(frame)
    except Unreadable:
        pass
