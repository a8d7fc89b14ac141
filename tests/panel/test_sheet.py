"""Tables that leave us: what is in their cells is text, whatever anybody wrote."""

import asyncio
import csv
import io
import zipfile
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pombo.panel import sheet

pytestmark = pytest.mark.anyio

_HOSTILE = ["=1+1", "+55 11", "-2", "@SUM(A1)", "\t=1", "\r=1", "＝1", '=HYPERLINK("http://x","y")']
_FINE = [
    'aspas "duplas"; ponto',
    "<script>alert(1)</script>",
    "linha\noutra",
    "\u202eesrever",
    "😀",
    "a=b",
    "x" * 10_000,
]


async def of(*pages: Sequence[Sequence[sheet.Cell]]) -> AsyncIterator[Sequence[Sequence[sheet.Cell]]]:
    for page in pages:
        yield page


async def written(kind: str, head: Sequence[str], *pages: Sequence[Sequence[sheet.Cell]]) -> bytes:
    return b"".join([chunk async for chunk in sheet.write(kind, head, of(*pages))])


def read_csv(octets: bytes) -> list[list[str]]:
    assert octets.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(octets.decode("utf-8-sig"), newline=""), delimiter=";"))


def read_xlsx(octets: bytes) -> list[list[str]]:
    """Cells as they are stored; no formula may be among them."""
    with zipfile.ZipFile(io.BytesIO(octets)) as book:
        tree = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
    name = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    assert not tree.findall(f".//{name}f")
    return [
        ["".join(cell.itertext()) for cell in row.findall(f"{name}c")]
        for row in tree.findall(f".//{name}row")
    ]


@pytest.mark.parametrize("kind", [sheet.CSV, sheet.XLSX])
async def test_what_would_be_a_formula_is_text(kind: str) -> None:
    octets = await written(kind, ["Texto"], [[text] for text in _HOSTILE], [[text] for text in _FINE])
    cells = [row[0] for row in (read_csv if kind == sheet.CSV else read_xlsx)(octets)]
    expected = ["Texto", *(f"'{text}" for text in _HOSTILE), *_FINE]
    if kind == sheet.XLSX:  # a carriage return is escaped there
        cells = [cell.replace("_x000D_", "\r") for cell in cells]
        expected = [text.replace("\r\n", "\n") for text in expected]
    assert cells == expected


async def test_numbers_and_times_stay_what_they_are() -> None:
    row: list[sheet.Cell] = [3, 0.079, -1.5, datetime(2026, 11, 22, 17, 42, 8), None]
    assert read_csv(await written(sheet.CSV, list("abcde"), [row]))[1] == [
        "3", "0,079", "-1,5", "2026-11-22 17:42:08", "",
    ]  # fmt: skip
    assert read_xlsx(await written(sheet.XLSX, list("abcde"), [row]))[1][:3] == ["3", "0.079", "-1.5"]


async def test_a_table_that_is_not_made_to_its_end_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    async def breaking() -> AsyncIterator[Sequence[Sequence[sheet.Cell]]]:
        yield [["b"]]
        assert list(tmp_path.rglob("*")) != []
        raise OSError("the database is gone")

    with pytest.raises(OSError, match="gone"):
        await anext(sheet.write(sheet.XLSX, ["a"], breaking()))
    assert list(tmp_path.iterdir()) == []

    reading = sheet.write(sheet.XLSX, ["a"], of([["b"]]))
    assert (await anext(reading)).startswith(b"PK")
    await reading.aclose()  # type: ignore[attr-defined]
    assert list(tmp_path.iterdir()) == []


async def test_few_spreadsheets_are_made_at_a_time_and_tables_without_formats_wait_for_none() -> None:
    going, begun = asyncio.Event(), []

    async def rows(name: str) -> AsyncIterator[Sequence[Sequence[sheet.Cell]]]:
        begun.append(name)
        await going.wait()
        yield [[name]]

    async def drained(kind: str, name: str) -> bytes:
        return b"".join([chunk async for chunk in sheet.write(kind, ["a"], rows(name))])

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        made = [tasks.create_task(drained(sheet.XLSX, f"x{n}")) for n in range(4)]
        plain = tasks.create_task(drained(sheet.CSV, "csv"))
        while len(begun) < 3:
            await asyncio.sleep(0)
        for _turn in range(50):
            await asyncio.sleep(0)
        assert sorted(begun) == ["csv", "x0", "x1"]
        going.set()
    assert all(read_xlsx(task.result())[1] == [f"x{n}"] for n, task in enumerate(made))
    assert read_csv(plain.result()) == [["a"], ["csv"]]
