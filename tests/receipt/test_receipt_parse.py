from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pombo.message import AttemptState, State
from pombo.receipt.parse import Receipt, done_datetime, is_intermediate, is_receipt, parse

LINE = (
    b"id:7300451928 sub:001 dlvrd:001 submit date:2403151210 done date:2403151212"
    b" stat:DELIVRD err:000 text:Ola"
)


def with_state(word: str) -> Receipt:
    return parse(LINE.replace(b"DELIVRD", word.encode()))


def test_the_line_of_appendix_b_is_read_whole():
    assert parse(LINE) == Receipt(
        raw_id="7300451928",
        other_id=None,
        outcome=AttemptState.DELIVERED,
        final_state=State.DELIVERED,
        stat="DELIVRD",
        error="000",
        done_at="2403151212",
    )


@pytest.mark.parametrize(
    "text",
    [
        LINE.replace(b"id:", b"ID:").replace(b"stat", b"Stat").replace(b"text", b"TEXT"),
        b"stat:DELIVRD err:000 done date:2403151212 submit date:2403151210 id:7300451928 text:Ola",
        b"id:7300451928  sub:001  dlvrd:001  done date:2403151212  stat:DELIVRD  err:000",
        b"id: 7300451928 sub: 001 dlvrd: 001 done date: 2403151212 stat: DELIVRD err: 000 text: Ola",
        b"id:7300451928,sub:001,dlvrd:001,done date:2403151212,stat:DELIVRD,err:000,text:Ola",
        b"id:7300451928\r\ndone_date:2403151212\r\nstat:DELIVRD\r\nerr:000\r\n",
        b"id:7300451928 sb:001 dlvr:001 sbmit date:x done date:2403151212 stat:DELIVRD err:000 txt:Ola",
        b"id:7300451928 sub:001 done date:2403151212 stat:DELIVRD err:000 Ola, tudo bem?",
        b"id:7300451928 done date:2403151212 text: stat:DELIVRD err:000",
        b"id:7300451928 err:000 text:Ola id:1 err:9 submit date:2403151210 done date:2403151212 stat:DELIVRD",
        b"text:Ola id:7300451928 done date:2403151212 stat:DELIVRD err:000",
        b"text:Ola id:7300451928 stat:DELIVRD err:000",
        b"id:7300451928 submit date:2403151210 done date:2403151212 DELIVRD err:000 text:Ola",
        LINE + b" \x84\xff\x1b\x00",
        LINE.replace(b" text:Ola", b"\0\0"),
        LINE.replace(b" text:Ola", b"      "),
        b"\0" + LINE,
        b"\x05\x00\x03\x07\x01\x01" + LINE,
        LINE.decode().encode("utf-16-be"),
        LINE.decode().encode("utf-16-le"),
        LINE.decode().encode("utf-16"),
    ],
)
def test_wild_variants_say_the_same_as_the_line(text: bytes):
    receipt = parse(text)
    assert receipt._replace(done_at="") == parse(LINE)._replace(done_at="")
    assert receipt.done_at in ("2403151212", "")


@pytest.mark.parametrize("word", ["DELIVRD", "delivrd", "Delivered"])
def test_delivered_words_are_final(word: str):
    assert with_state(word).final_state is State.DELIVERED


@pytest.mark.parametrize(
    "word",
    ["EXPIRED", "DELETED", "UNDELIV", "UNDELIVERABLE", "FAILED", "SKIPPED", "NOT_DELIVERED", "X_FAILURE"],
)
def test_words_of_failure_are_undelivered(word: str):
    receipt = with_state(word)
    assert (receipt.outcome, receipt.final_state) == (AttemptState.FAILED, State.UNDELIVERED)


@pytest.mark.parametrize("word", ["REJECTD", "REJECTED", "DND_REJECT"])
def test_words_of_refusal_are_rejected(word: str):
    receipt = with_state(word)
    assert (receipt.outcome, receipt.final_state) == (AttemptState.FAILED, State.REJECTED)


@pytest.mark.parametrize(
    "word",
    [
        "ENROUTE",
        "ACCEPTD",
        "SCHEDLD",
        "UNKNOWN",
        "BUFFERED",
        "DELIVERED_TO_SMSC",
        "TEMP_FAIL",
        "FAILED_RETRYING",
    ],
)
def test_other_words_are_not_final(word: str):
    receipt = with_state(word)
    assert (receipt.outcome, receipt.final_state, receipt.stat) == (None, None, word)


@pytest.mark.parametrize(
    ("state", "final"),
    [
        (0, None),
        (1, None),
        (2, State.DELIVERED),
        (3, State.UNDELIVERED),
        (4, State.UNDELIVERED),
        (5, State.UNDELIVERED),
        (6, None),
        (7, None),
        (8, State.REJECTED),
        (9, State.UNDELIVERED),
        (200, None),
    ],
)
def test_tlvs_alone_are_enough(state: int, final: State | None):
    receipt = parse(b"", b"9f01\0", state)
    assert (receipt.raw_id, receipt.other_id, receipt.final_state) == ("9f01", None, final)


def test_the_state_in_words_stands_for_a_missing_stat():
    assert parse(b"", b"9f01\0", 5).stat == "UNDELIV"


def test_tlv_id_wins_and_the_text_id_is_kept():
    receipt = parse(LINE, b"1B32451F8\0", 2)
    assert (receipt.raw_id, receipt.other_id) == ("1B32451F8", "7300451928")


@pytest.mark.parametrize("tlv", [b"7300451928\0", b"7300451928", b"\0", b"", None])
def test_one_id_is_not_told_twice(tlv: bytes | None):
    receipt = parse(LINE, tlv)
    assert (receipt.raw_id, receipt.other_id) == ("7300451928", None)


@pytest.mark.parametrize(
    ("word", "state", "final"),
    [
        ("DELIVRD", 5, State.UNDELIVERED),
        ("UNDELIV", 2, State.DELIVERED),
        ("REJECTD", 5, State.UNDELIVERED),
        ("DELIVRD", 1, State.DELIVERED),
        ("DELIVRD", 99, State.DELIVERED),
        ("UNKNOWN", 8, State.REJECTED),
        ("ENROUTE", 7, None),
    ],
)
def test_final_beats_not_final_and_then_the_tlv_beats_the_text(word: str, state: int, final: State | None):
    assert parse(LINE.replace(b"DELIVRD", word.encode()), None, state).final_state is final


def test_the_count_of_delivered_parts_contradicts_no_state():
    assert parse(LINE.replace(b"dlvrd:001", b"dlvrd:000")).final_state is State.DELIVERED


def test_an_intermediate_notification_is_never_final():
    receipt = parse(LINE, b"1\0", 2, intermediate=True)
    assert (receipt.outcome, receipt.final_state, receipt.stat) == (None, None, "DELIVRD")


@pytest.mark.parametrize(
    "text",
    [
        b"id:1 sub:001 done date:2403151212 stat:UNDELIV err:001 text:id:2 stat:DELIVRD err:002",
        b"id:1 stat:UNDELIV err:001 text: id:2 stat:DELIVRD err:002",
        b"id:1 stat:UNDELIV err:001 txt: id:2 stat:DELIVRD done date:2403151212",
    ],
)
def test_the_quoted_text_cannot_forge_fields(text: bytes):
    receipt = parse(text)
    assert (receipt.raw_id, receipt.final_state, receipt.error) == ("1", State.UNDELIVERED, "001")


def test_a_quoted_text_without_state_in_front_cannot_forge_one():
    assert parse(b"id:1 sub:001 dlvrd:001 text:pedido stat:DELIVRD").final_state is None
    assert parse(b"text:pedido id:5 stat:DELIVRD", b"1\0", 1) == parse(b"", b"1\0", 1)


def test_missing_and_misspelt_keys_leave_fields_empty():
    assert parse(b"submit date:2403151210") == Receipt("", None, None, None, "", "", "")
    assert parse(b"idd:1 sstat:DELIVRD err:").stat == ""
    receipt = parse(b"id: done date: stat:ACCEPTD err: text:")
    assert receipt == Receipt("", None, None, None, "ACCEPTD", "", "")


def test_ids_are_kept_as_the_operator_wrote_them():
    for raw in ("0E1F-55aa-00", "171026125222636445993424531920", "00000042", "SAR-55-1EEF-2-1", "a_b:c@d"):
        assert parse(LINE.replace(b"7300451928", raw.encode())).raw_id == raw


def test_very_long_ids_and_words_are_bounded():
    receipt = parse(b"id:" + b"9" * 3000 + b" stat:" + b"X" * 600 + b" err:" + b"1" * 600)
    assert (len(receipt.raw_id), len(receipt.stat), len(receipt.error)) == (256, 32, 32)
    assert len(parse(b"", b"a" * 60000).raw_id) == 256


@pytest.mark.parametrize(
    ("err", "tlv", "error"),
    [
        (b"err:021", b"\x03\x00\x22", "021"),
        (b"err:000", b"\x03\x00\x22", "3:34"),
        (b"", b"\x03\x01\x00", "3:256"),
        (b"err:000", b"\x03\x00\x00", "000"),
        (b"err:0", b"075", "075"),
        (b"err:000", b"000", "000"),
        (b"", b"\xff\xfe\xfd\xfc", "fffefdfc"),
        (b"err:21b", None, "21b"),
        (b"", None, ""),
    ],
)
def test_network_error_code_stands_in_where_err_says_nothing(err: bytes, tlv: bytes | None, error: str):
    assert parse(b"id:1 stat:UNDELIV " + err, network_error_code=tlv).error == error


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2403151212", datetime(2024, 3, 15, 12, 12)),
        ("240315121259", datetime(2024, 3, 15, 12, 12, 59)),
        ("202403151212", datetime(2024, 3, 15, 12, 12)),
        ("20240315121259", datetime(2024, 3, 15, 12, 12, 59)),
        ("240315121259012+", datetime(2024, 3, 15, 12, 12, 59)),
        ("240315121259-", datetime(2024, 3, 15, 12, 12, 59)),
        ("2024-03-15 12:12:59", datetime(2024, 3, 15, 12, 12, 59)),
        ("2024-03-15T12:12", datetime(2024, 3, 15, 12, 12)),
        ("0000000000", None),
        ("000000000000", None),
        ("000007000000000R", None),
        ("2403321212", None),
        ("24031512", None),
        ("240315ab1212", None),
        ("²403151212", None),
        ("", None),
    ],
)
def test_dates_come_in_many_forms(written: str, moment: datetime | None):
    assert done_datetime(written) == moment


def test_a_date_with_a_blank_is_kept_whole():
    assert parse(b"id:1 done date:2024-03-15 12:12:59 stat:DELIVRD").done_at == "2024-03-15 12:12:59"


@pytest.mark.parametrize("esm_class", [0x04, 0x20, 0x05, 0x24, 0x44, 0x84, 0x60])
def test_message_type_bits_make_a_receipt(esm_class: int):
    assert is_receipt(esm_class, False, b"")
    assert is_intermediate(esm_class) == bool(esm_class & 0x20)


@pytest.mark.parametrize("esm_class", [0x08, 0x10, 0x18, 0x0C, 0x14])
def test_acknowledgements_and_reserved_types_are_no_receipts(esm_class: int):
    assert not is_receipt(esm_class, True, LINE)


@pytest.mark.parametrize("esm_class", [0x00, 0x03, 0x40, 0xC0])
def test_without_type_bits_the_tlv_or_the_whole_line_tells(esm_class: int):
    assert is_receipt(esm_class, True, b"")
    assert is_receipt(esm_class, False, LINE)
    assert is_receipt(esm_class, False, LINE.decode().encode("utf-16-be"))
    assert not is_receipt(esm_class, False, b"")


@pytest.mark.parametrize(
    "text",
    [
        b"SAIR",
        b"> " + LINE,
        b"Recebi isto: " + LINE,
        b"id:1 stat:DELIVRD",
        LINE.replace(b"stat:DELIVRD ", b""),
        LINE.replace(b"DELIVRD", b"ENTREGUE"),
        LINE.replace(b" done date:2403151212", b""),
        LINE.replace(b"id:7300451928 ", b""),
    ],
)
def test_a_reply_that_looks_a_little_like_a_receipt_stays_a_reply(text: bytes):
    assert not is_receipt(0, False, text)


KEYS = st.sampled_from(
    [b"id:", b"ID=", b" stat:", b" text:", b" done date:", b" err:", b"\0", b" ", b"DELIVRD", b"1"]
)


@given(
    st.one_of(st.binary(max_size=300), st.lists(KEYS | st.binary(max_size=8), max_size=20).map(b"".join)),
    st.none() | st.binary(max_size=80),
    st.none() | st.integers(0, 255),
    st.none() | st.binary(max_size=6),
)
def test_whatever_octets_come_the_answer_can_be_stored(
    text: bytes, tlv_id: bytes | None, state: int | None, code: bytes | None
):
    receipt = parse(text, tlv_id, state, code)
    for value in (receipt.raw_id, receipt.other_id or "", receipt.stat, receipt.error, receipt.done_at):
        value.encode()
        assert "\0" not in value
        assert len(value) <= 256
    assert (receipt.outcome is None) == (receipt.final_state is None)
    done_datetime(receipt.done_at)
    is_receipt(0, False, text)


@given(
    st.from_regex(r"[0-9A-Za-z.-]{1,64}", fullmatch=True),
    st.from_regex(r"[0-9]{10,14}", fullmatch=True),
    st.from_regex(r"[A-Z]{1,12}", fullmatch=True),
    st.from_regex(r"[0-9A-Za-z]{1,4}", fullmatch=True),
)
def test_the_fast_way_and_the_patient_way_read_the_same(raw_id: str, done_at: str, stat: str, err: str):
    dates = f"submit date:{done_at} done date:{done_at}"
    line = f"id:{raw_id} sub:001 dlvrd:001 {dates} stat:{stat} err:{err} text:x"
    assert parse(line.encode()) == parse(line.replace("sub:", "SUB:").encode())
