import os

import pytest
from structlog.testing import capture_logs

from pombo.errors import PomboError
from pombo.route.operators import OperatorsFile, operators_of, read


def test_a_number_is_found_however_it_is_written():
    table = read(["11999999999,Vivo\n", "+55 21 98888-7777;TIM \n"])
    assert table.operator_of(5511999999999) == "vivo"
    assert table.operator_of(5521988887777) == "tim"
    assert table.operator_of(5511999999998) is None
    assert table.operator_of(0) is None


def test_a_bad_line_is_named_by_its_number_and_skipped():
    with capture_logs() as logged:
        table = read(
            ["number,operator\n", "11999999999,vivo\n", "\n", "# x\n", "1133334444,oi\n", "11999999997\n"]
        )
    assert len(table) == 1
    assert [line["line"] for line in logged] == [5, 6]
    assert "1133334444" not in str(logged)


def test_a_file_of_rubbish_does_not_fill_the_log():
    with capture_logs() as logged:
        assert len(read(f"{n} rubbish\0\ufffd" for n in range(5000))) == 0
    assert len(logged) == 11
    assert logged[-1]["lines"] == 5000


def test_of_two_lines_for_one_number_the_later_one_counts_however_far_apart():
    def lines():
        yield "11900000000,vivo"
        for n in range(70_000):
            yield f"119{90_000_000 - n:08},oi"
        yield "11900000000,algar"

    table = read(lines())
    assert table.operator_of(5511900000000) == "algar"
    assert len(table) == 70_001
    assert table.operator_of(5511990000000 - 69_999) == "oi"


def test_the_file_is_read_again_only_when_it_changes(tmp_path):
    file = tmp_path / "operators.csv"
    file.write_text("11999999999,vivo\n")
    operators = OperatorsFile(str(file))
    assert operators.refresh()
    assert not operators.refresh()
    file.write_text("11999999999,claro\n")
    os.utime(file, ns=(1, 1))
    assert operators.refresh()
    assert operators.table.operator_of(5511999999999) == "claro"


def test_a_file_that_goes_away_leaves_what_was_known_and_is_complained_of_once(tmp_path):
    file = tmp_path / "operators.csv"
    file.write_text("11999999999,vivo\n")
    operators = OperatorsFile(str(file))
    operators.refresh()
    file.unlink()
    with capture_logs() as logged:
        assert not operators.refresh()
        assert not operators.refresh()
    assert [line["event"] for line in logged] == ["operators_file_unreadable"]
    assert operators.table.operator_of(5511999999999) == "vivo"
    file.write_text("11999999999,tim\n")
    assert operators.refresh()


def test_a_command_says_which_file_it_cannot_read(tmp_path):
    with pytest.raises(PomboError, match=r"POMBO_OPERATORS_FILE=.*nothing"):
        operators_of(str(tmp_path / "nothing"))
    assert operators_of("").operator_of(5511999999999) is None
