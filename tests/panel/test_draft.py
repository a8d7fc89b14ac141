"""What a form holds, read once."""

import pytest

from pombo.panel.draft import Draft


def draft(**form: str) -> Draft:
    return Draft.of({"nonce": "0123456789ab", "msg": "Oi", **form})


@pytest.mark.parametrize(
    ("typed", "recipients", "repeated"),
    [
        ("(11) 98765-4321", ("(11) 98765-4321",), 0),
        ("11987654321\r\n21999998888", ("11987654321", "21999998888"), 0),
        ("11987654321, 21999998888; (31) 98444-7710", ("11987654321", "21999998888", "(31) 98444-7710"), 0),
        ("11987654321 21999998888", ("11987654321", "21999998888"), 0),
        ("+55 11 98765 4321", ("+55 11 98765 4321",), 0),
        ("11987654321\n(11) 98765-4321\n5511987654321", ("11987654321",), 2),
        ("João, 11987654321", ("João", "11987654321"), 0),
        ("  \n,;", (), 0),
    ],
)
def test_recipients_are_read_as_people_write_them(
    typed: str, recipients: tuple[str, ...], repeated: int
) -> None:
    read = draft(destino=typed)
    assert (read.recipients, read.repeated) == (recipients, repeated)


def test_a_line_end_counts_once() -> None:
    assert draft(msg="a\r\nb\rc\nd").text == "a\nb\nc\nd"


def test_the_same_form_with_the_same_message_has_the_same_ids() -> None:
    first = draft()
    assert first.client_ref("11987654321") == draft().client_ref("11987654321")
    others = {
        first.client_ref("11987654321"),
        first.client_ref("21999998888"),
        draft(msg="Olá").client_ref("11987654321"),
        draft(codificacao="auto").client_ref("11987654321"),
        draft(agendar="2026-12-01T09:00").client_ref("11987654321"),
        draft(nonce="ba9876543210").client_ref("11987654321"),
    }
    assert len(others) == 6
    assert all(len(ref) <= 64 and ref.isascii() for ref in others)


def test_what_no_form_of_ours_says_is_not_taken() -> None:
    read = draft(nonce="'; drop", codificacao="klingon")
    assert (len(read.nonce), read.text_mode) == (12, "")
    assert read.nonce != draft(nonce="").nonce
