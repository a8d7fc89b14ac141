"""Files that customers upload, and such as nobody should."""

import io
import struct
import zipfile
import zlib
from collections.abc import Sequence
from xml.sax.saxutils import escape

_TYPES = """<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="xml" ContentType="application/xml"/>
<Override PartName="/xl/workbook.xml"
 ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>
</Types>"""
_RELATIONS = """<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
 Target="xl/workbook.xml"/></Relationships>"""
_SHEETS = """<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet"
 Target="worksheets/sheet1.xml"/>
<Relationship Id="rId2" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles"
 Target="styles.xml"/>
</Relationships>"""
_STYLES = """<?xml version="1.0"?><styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">
<cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>"""
_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_R = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'


def workbook(sheet_data: str, *, state: str = "visible") -> bytes:
    """An XLSX whose only sheet has this in `sheetData`. Style 1 is a date."""
    book = (
        f'<?xml version="1.0"?><workbook {_MAIN} {_R}><sheets>'
        f'<sheet name="Plan1" sheetId="1" state="{state}" r:id="rId1"/></sheets></workbook>'
    )
    sheet = f'<?xml version="1.0"?><worksheet {_MAIN}><sheetData>{sheet_data}</sheetData></worksheet>'
    octets = io.BytesIO()
    with zipfile.ZipFile(octets, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", _TYPES)
        archive.writestr("_rels/.rels", _RELATIONS)
        archive.writestr("xl/workbook.xml", book)
        archive.writestr("xl/_rels/workbook.xml.rels", _SHEETS)
        archive.writestr("xl/styles.xml", _STYLES)
        archive.writestr("xl/worksheets/sheet1.xml", sheet)
    return octets.getvalue()


def sheet_of(rows: Sequence[Sequence[str | float]], first: int = 1) -> bytes:
    """An XLSX with texts and numbers; first: the line of the first row."""
    return workbook("".join(_row(line, row) for line, row in enumerate(rows, first)))


def _row(line: int, row: Sequence[str | float]) -> str:
    cells = "".join(_cell(f"{chr(65 + place)}{line}", value) for place, value in enumerate(row))
    return f'<row r="{line}">{cells}</row>'


def _cell(place: str, value: str | float) -> str:
    if isinstance(value, str):
        return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'
    return f'<c r="{place}"><v>{value}</v></c>'


def bomb(*, gibioctets: int) -> bytes:
    """An XLSX of a few mebioctets whose only text is so long. Its CRC is wrong, as whoever reads so far may notice."""
    name, packed = b"xl/sharedStrings.xml", _deflated(gibioctets)
    head = struct.pack(
        "<2H3HIIIHH", 45, 0, 8, 0, 0, 0, len(packed), 2**32 - 2, len(name), 0
    )  # APPNOTE.TXT §4.3.7
    octets = sheet_of([["Nome", "Celular"], ["Ana", 11987654321]])
    directory = int.from_bytes(octets[-6:-2], "little")
    entry = b"PK\x01\x02" + struct.pack("<H", 45) + head + struct.pack("<3H2I", 0, 0, 0, 0, directory) + name
    files = octets[:directory] + b"PK\x03\x04" + head + name + packed
    entries = octets[directory:-22] + entry
    count = int.from_bytes(octets[-12:-10], "little") + 1
    end = b"PK\x05\x06" + struct.pack("<4H2IH", 0, 0, count, count, len(entries), len(files), 0)
    return files + entries + end


def _deflated(gibioctets: int) -> bytes:
    """One block of it is made, and repeated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><si><t>'
    first = packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(b"a" * (8 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return first + block * (gibioctets * 128) + packer.flush()
