"""A file on its way into the database, through the process that reads it."""

import pytest
from campaign_files import bomb, sheet_of, workbook
from campaign_office import Office

from pombo.campaign import upload
from pombo.campaign.columns import Use
from pombo.campaign.reading import Fault, Unreadable

pytestmark = pytest.mark.anyio


async def nothing_is_left(office: Office) -> bool:
    return not await office.db.fetchval(
        "select (select count(*) from campaign) + (select count(*) from campaign_row)"
    )


async def test_a_file_becomes_a_draft_with_all_its_rows(office: Office) -> None:
    campaign_id = await office.upload("Nome;Celular;CPF\nJoão;11987654321;1\n\nAna;1;2;3\n".encode("cp1252"))

    campaign = await office.campaign(campaign_id)
    assert (campaign.name, campaign.file_name, campaign.row_count) == ("contatos", "contatos.csv", 2)
    assert (campaign.titles, campaign.uses) == (
        ["Nome", "Celular", "CPF"],
        [Use.TEXT, Use.NUMBER, Use.IGNORE],
    )
    rows = await office.db.fetch("select n, cells, refusal from campaign_row order by n")
    assert [tuple(row) for row in rows] == [
        (2, ["João", "11987654321", "1"], ""),
        (4, ["Ana", "1", "2"], "shifted"),
    ]


async def test_a_workbook_becomes_a_draft(office: Office) -> None:
    campaign_id = await office.upload(sheet_of([["Celular"], [11987654321]]), "lista.xlsx")
    assert (await office.campaign(campaign_id)).row_count == 1


async def test_of_a_file_that_turns_out_to_be_broken_nothing_is_left(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    octets = b"Nome;Celular\n" + b"Ana;11987654321\n" * 2000 + b'Rui;"1\n' + b"a;b\n" * 2000
    with pytest.raises(Unreadable) as caught:
        await office.upload(octets)
    assert (caught.value.fault, caught.value.detail) == (Fault.OPEN_QUOTE, "2002")
    assert await nothing_is_left(office)

    monkeypatch.setattr(upload, "MOST_OCTETS", 1000)
    with pytest.raises(Unreadable) as caught:
        await office.upload(octets)
    assert caught.value.fault is Fault.TOO_LARGE
    assert await nothing_is_left(office)


async def test_a_workbook_that_would_take_all_memory_ends_its_reader_and_nothing_else(office: Office) -> None:
    cell = '<c r="{}" t="inlineStr"><is><t>x</t></is></c>'
    vast = workbook(f'<row r="1">{cell.format("A1")}</row><row r="1048576">{cell.format("XFD1048576")}</row>')
    with pytest.raises(Unreadable) as caught:
        await office.upload(vast, "lista.xlsx")
    assert caught.value.fault is Fault.TOO_LARGE
    assert await nothing_is_left(office)


async def test_a_zip_bomb_ends_its_reader_and_nothing_else(office: Office) -> None:
    with pytest.raises(Unreadable) as caught:
        await office.upload(bomb(gibioctets=4), "lista.xlsx")
    assert caught.value.fault in (Fault.TOO_LARGE, Fault.BROKEN)
    assert await nothing_is_left(office)
