"""Octets to bodies and back. The vectors are assembled by hand from the tables of SMPP 3.4 §4."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pombo.smpp.codec import Malformed, decode, encode
from pombo.smpp.fields import (
    Compound,
    CString,
    Destinations,
    DistributionList,
    EncodeError,
    LengthAndText,
    SmeAddress,
    UnsuccessSme,
)
from pombo.smpp.layout import Layout
from pombo.smpp.pdu import (
    BODIES,
    AlertNotification,
    BindReceiver,
    BindReceiverResp,
    BindTransceiver,
    BindTransceiverResp,
    BindTransmitter,
    BindTransmitterResp,
    CancelSm,
    CancelSmResp,
    DataSm,
    DataSmResp,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Outbind,
    QuerySm,
    QuerySmResp,
    ReplaceSm,
    ReplaceSmResp,
    SubmitMulti,
    SubmitMultiResp,
    SubmitSm,
    SubmitSmResp,
    Unbind,
    UnbindResp,
)
from pombo.smpp.status import Status, status_name

HI = b"hi"

# (octets, sequence_number, status, body)
VECTORS = [
    # the example of SMPP 3.4 §3.2.3
    (
        "0000002F 00000002 00000000 00000001 534D50503354455354 00 7365637265743038 00 5355424D495431 00"
        "00 01 01 00",
        1,
        0,
        BindTransmitter(b"SMPP3TEST", b"secret08", b"SUBMIT1", 0x00, 1, 1, b""),
    ),
    (
        "0000001A 00000001 00000000 00000002 61 00 62 00 00 34 05 00 39 00",
        2,
        0,
        BindReceiver(b"a", b"b", addr_ton=5, address_range=b"9"),
    ),
    (
        "0000001A 00000009 00000000 7FFFFFFF 61 00 62 00 63 00 34 00 00 00",
        0x7FFFFFFF,
        0,
        BindTransceiver(b"a", b"b", b"c"),
    ),
    ("00000013 80000001 00000000 00000002 6162 00", 2, 0, BindReceiverResp(b"ab")),
    (
        "00000018 80000002 00000000 00000003 6162 00 0210 0001 34",
        3,
        0,
        BindTransmitterResp(b"ab", {0x0210: b"\x34"}),
    ),
    ("00000010 80000009 0000000E 00000004", 4, 0x0E, BindTransceiverResp()),
    ("00000014 0000000B 00000000 00000001 61 00 62 00", 1, 0, Outbind(b"a", b"b")),
    ("00000010 00000006 00000000 00000005", 5, 0, Unbind()),
    ("00000010 80000006 00000000 00000005", 5, 0, UnbindResp()),
    ("00000010 00000015 00000000 00000006", 6, 0, EnquireLink()),
    ("00000010 80000015 00000000 00000006", 6, 0, EnquireLinkResp()),
    ("00000010 80000000 00000003 00000007", 7, 3, GenericNack()),
    (
        "00000039 00000004 00000000 00000008 57 00 05 00 3237333030 00 01 01 3535313139 00 40 7F 03"
        "00 00 01 00 F6 00 02 6869 0204 0002 0007 1400 0001 2A",
        8,
        0,
        SubmitSm(
            service_type=b"W",
            source_addr_ton=5,
            source_addr=b"27300",
            dest_addr_ton=1,
            dest_addr_npi=1,
            destination_addr=b"55119",
            esm_class=0x40,
            protocol_id=0x7F,
            priority_flag=3,
            registered_delivery=1,
            data_coding=0xF6,
            short_message=HI,
            tlvs={0x0204: b"\x00\x07", 0x1400: b"\x2a"},
        ),
    ),
    ("00000013 80000004 00000000 00000008 3132 00", 8, 0, SubmitSmResp(b"12")),
    ("00000010 80000004 00000058 00000008", 8, 0x58, SubmitSmResp()),
    (
        "00000023 00000005 00000000 00000009 00 00 00 00 00 00 00 04 00 00 00 00 00 00 00 00 02 6869",
        9,
        0,
        DeliverSm(esm_class=4, short_message=HI),
    ),
    ("00000011 80000005 00000000 00000009 00", 9, 0, DeliverSmResp()),
    ("00000011 80000005 00000064 00000009 00", 9, 0x64, DeliverSmResp()),
    (
        "00000022 00000103 00000000 0000000A 00 00 00 31 00 00 00 32 00 00 00 08 0424 0002 6869",
        10,
        0,
        DataSm(source_addr=b"1", destination_addr=b"2", data_coding=8, tlvs={0x0424: HI}),
    ),
    ("00000012 80000103 00000000 0000000A 37 00", 10, 0, DataSmResp(b"7")),
    ("00000016 00000003 00000000 0000000B 37 00 01 01 35 00", 11, 0, QuerySm(b"7", 1, 1, b"5")),
    ("00000015 80000003 00000000 0000000B 37 00 00 02 09", 11, 0, QuerySmResp(b"7", b"", 2, 9)),
    (
        "0000001B 00000008 00000000 0000000C 00 37 00 01 01 35 00 02 03 36 00",
        12,
        0,
        CancelSm(b"", b"7", 1, 1, b"5", 2, 3, b"6"),
    ),
    ("00000010 80000008 00000011 0000000C", 12, 0x11, CancelSmResp()),
    (
        "0000001D 00000007 00000000 0000000D 37 00 01 01 35 00 00 00 01 00 02 6869",
        13,
        0,
        ReplaceSm(b"7", 1, 1, b"5", registered_delivery=1, short_message=HI),
    ),
    ("00000010 80000007 00000000 0000000D", 13, 0, ReplaceSmResp()),
    (
        "00000029 00000021 00000000 0000000E 00 00 00 00 02 01 01 01 35 00 02 4C 00 00 00 00 00 00 00 00 00 00"
        "02 6869",
        14,
        0,
        SubmitMulti(dest_addresses=[SmeAddress(b"5", 1, 1), DistributionList(b"L")], short_message=HI),
    ),
    (
        "0000001B 80000021 00000000 0000000E 37 00 01 01 01 35 00 0000000B",
        14,
        0,
        SubmitMultiResp(b"7", [UnsuccessSme(b"5", 0x0B, 1, 1)]),
    ),
    (
        "0000001D 00000102 00000000 0000000F 01 01 35 00 02 03 36 00 0422 0001 00",
        15,
        0,
        AlertNotification(1, 1, b"5", 2, 3, b"6", {0x0422: b"\x00"}),
    ),
]


def pdu(hexed):
    octets = bytes.fromhex(hexed)
    assert int.from_bytes(octets[:4], "big") == len(octets), "the vector's own command_length is wrong"
    return octets


@pytest.mark.parametrize(
    ("hexed", "number", "status", "body"), VECTORS, ids=lambda v: getattr(v, "command", "")
)
def test_every_pdu_reads_and_writes_the_octets_of_the_standard(hexed, number, status, body):
    octets = pdu(hexed)
    read = decode(octets)
    assert (read.status, read.sequence_number, read.body) == (status, number, body)
    assert encode(body, number, status) == octets


def test_the_vectors_cover_every_command():
    assert {type(body) for *_, body in VECTORS} == set(BODIES.values())


def of_field(field):
    """Values a field can carry."""
    address = st.builds(SmeAddress, text(21), octet, octet)
    if isinstance(field, CString):
        return text(field.most_octets)
    if isinstance(field, LengthAndText):
        return st.binary(max_size=254)
    if isinstance(field, Destinations):
        return st.lists(address | st.builds(DistributionList, text(21)), max_size=5)
    if isinstance(field, Compound):
        status = st.integers(0, 0xFFFFFFFF)
        return st.lists(st.builds(UnsuccessSme, text(21), status, octet, octet), max_size=5)
    return octet


def text(most_octets):
    return st.binary(max_size=most_octets - 1).map(lambda octets: octets.replace(b"\0", b"\1"))


octet = st.integers(0, 255)
tlvs = st.dictionaries(st.integers(0, 0xFFFF), st.binary(max_size=20), max_size=4)


@st.composite
def bodies(draw):
    cls = draw(st.sampled_from(list(BODIES.values())))
    if not cls.__struct_fields__:
        return cls()
    values = {name: draw(of_field(field)) for name, field in Layout(cls).table.items()}
    return cls(**values, tlvs=draw(tlvs))


@settings(deadline=None, derandomize=True)
@given(bodies(), st.integers(0, 0x7FFFFFFF), st.sampled_from([0, 8, 0x45F]))
def test_what_is_written_is_read_back(body, number, status):
    octets = encode(body, number, status)
    assert int.from_bytes(octets[:4], "big") == len(octets)
    read = decode(octets)
    assert (read.command_id, read.sequence_number, read.status) == (body.command_id, number, status)
    assert read.body == body


@settings(deadline=None, derandomize=True)
@given(bodies(), st.data())
def test_a_body_cut_short_is_a_value_and_never_an_exception(body, data):
    octets = encode(body, 1)
    cut = octets[: data.draw(st.integers(16, len(octets)))]
    read = decode(cut).body
    assert isinstance(read, Malformed | type(body))


@settings(deadline=None, derandomize=True)
@given(st.sampled_from(sorted(BODIES)), st.integers(0, 0xFFFFFFFF), st.binary(max_size=80))
def test_any_octets_after_a_header_are_a_body_or_malformed(command_id, status, octets):
    header = b"".join(n.to_bytes(4, "big") for n in (16 + len(octets), command_id, status, 1))
    read = decode(header + octets).body
    assert isinstance(read, Malformed | BODIES[command_id])


@st.composite
def broken_pdus(draw):
    """A PDU that was sound until octets of it were changed, left out or repeated: lengths, NULs and counts are wrong."""
    octets = bytearray(encode(draw(bodies()), 1, draw(st.sampled_from([0, 8]))))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(16, len(octets)))
        end = at + draw(st.integers(0, 4))
        kept = octets[at:end]
        octets[at:end] = draw(
            st.sampled_from([b"", kept * 2, kept[::-1], bytes(len(kept)), b"\xff" * len(kept)])
            | st.binary(max_size=4)
        )
    octets[:4] = len(octets).to_bytes(4, "big")
    return bytes(octets)


@settings(deadline=None, derandomize=True, max_examples=600)
@given(broken_pdus())
def test_a_sound_pdu_that_was_broken_is_a_body_or_malformed(octets):
    read = decode(octets)
    assert isinstance(read.body, Malformed | BODIES[read.command_id])


def test_vendor_values_are_carried_as_numbers():
    body = SubmitSm(source_addr_ton=0x7E, dest_addr_npi=0xFF, data_coding=0xEE, tlvs={0x1401: b"\0\xff"})
    read = decode(encode(body, 1, 0x45F))
    assert read.body == body
    assert read.status == 0x45F
    assert status_name(read.status) == "0x0000045F"
    assert status_name(0x58) == "ESME_RTHROTTLED"


def test_one_body_does_not_share_its_tlvs_with_the_next():
    SubmitSm().tlvs[1] = b"x"
    assert SubmitSm().tlvs == {}


# What we refuse to send


def test_a_text_over_254_octets_is_refused_with_the_way_out():
    assert decode(encode(SubmitSm(short_message=bytes(254)), 1)).body.short_message == bytes(254)
    with pytest.raises(ValueError, match="at most 254 octets, not 255: use the message_payload"):
        encode(SubmitSm(short_message=bytes(255)), 1)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (SubmitSm(destination_addr=b"1\x002"), "destination_addr is a C-octet string and cannot hold a NUL"),
        (SubmitSm(destination_addr=b"1" * 21), "destination_addr carries at most 20 octets, not 21"),
        (SubmitSm(source_addr="27300"), "source_addr is octets"),
        (SubmitSm(esm_class=256), "esm_class is one octet"),
        (SubmitSm(data_coding=-1), "data_coding is one octet"),
        (SubmitSm(data_coding=None), "data_coding is one octet"),
        (SubmitSm(short_message="oi"), "short_message is octets"),
        (SubmitSm(tlvs={0x0424: bytes(65_536)}), "at most 65535 octets"),
        (SubmitSm(tlvs={0x10000: b""}), "a tag is 0 to 65535"),
        (SubmitSm(tlvs={0x0424: bytes(65_535)}), "a PDU has at most 65536 octets"),
        (SubmitSm(tlvs={0x0424: "text"}), "octets"),
        (SubmitMulti(dest_addresses=[SmeAddress(b"1")] * 255), "at most 254 destinations"),
        (SubmitMulti(dest_addresses=[SmeAddress(b"1" * 21)]), "destination_addr carries at most 20"),
        (SubmitMulti(dest_addresses=[SmeAddress(b"1", 256)]), "TON and NPI are one octet"),
        (SubmitMulti(dest_addresses=[DistributionList(b"a\0")]), "dl_name"),
        (SubmitMultiResp(unsuccess_smes=[UnsuccessSme(b"1", -1)]), "error_status_code"),
        (SubmitMultiResp(unsuccess_smes=[UnsuccessSme(b"1", 1)] * 256), "at most 255 failures"),
    ],
)
def test_a_value_smpp_cannot_carry_is_refused_by_name(body, reason):
    with pytest.raises(EncodeError, match=reason):
        encode(body, 1)


def test_a_refusal_never_quotes_the_value():
    with pytest.raises(EncodeError) as refused:
        encode(BindTransceiver(password=b"hunter2\0"), 1)
    assert "hunter2" not in str(refused.value)


def test_a_password_longer_than_the_standard_is_sent():
    """SMPP 3.4 §5.2.2 has 8 octets; operators hand out more, and only they can say no."""
    read = decode(encode(BindTransceiver(password=b"0123456789ab"), 1))
    assert read.body.password == b"0123456789ab"


# What we read although it is wrong


@pytest.mark.parametrize(
    ("hexed", "body"),
    [
        ("00000010 80000004 00000000 00000001", SubmitSmResp()),  # accepted, without a message_id
        ("00000012 80000004 00000000 00000001 3132", SubmitSmResp(b"12")),
        ("00000012 80000004 0000000B 00000001 3132", SubmitSmResp(b"12")),
        ("00000010 80000005 00000000 00000001", DeliverSmResp()),
        ("00000015 80000004 00000000 00000001 31 00 042300", SubmitSmResp(b"1")),
        (
            "0000001B 80000004 00000000 00000001 31 00 0427 0001 02 0423 0003",
            SubmitSmResp(b"1", {0x0427: b"\2"}),
        ),
        ("00000014 80000009 00000000 00000001 61 00 0210", BindTransceiverResp(b"a")),
        ("00000016 80000009 00000000 00000001 61 00 0210 0001", BindTransceiverResp(b"a")),
        ("00000010 80000003 00000067 00000001", QuerySmResp()),
        ("00000012 80000003 00000067 00000001 37 00", QuerySmResp()),
        ("00000013 80000021 00000045 00000001 37 00 01", SubmitMultiResp()),
        ("00000011 00000006 00000000 00000001 FF", Unbind()),
        ("00000013 00000015 00000000 00000001 010203", EnquireLink()),
    ],
)
def test_a_sloppy_peer_is_understood(hexed, body):
    assert decode(pdu(hexed)).body == body


def test_an_overlong_string_from_a_peer_is_carried():
    octets = pdu("00000057 80000004 00000000 00000001" + "41" * 70 + "00")
    assert decode(octets).body.message_id == b"A" * 70


# What nobody can read

DELIVER = "00 01 01 35 00 01 01 36 00 00 00 00 00 00 00 00 00 00"


@pytest.mark.parametrize(
    ("hexed", "status"),
    [
        ("00000010 00000004 00000000 00000000", Status.ESME_RINVCMDLEN),
        ("00000013 00000004 00000000 00000000 00 01 01", Status.ESME_RINVCMDLEN),
        ("00000012 00000004 00000000 00000000 00 01", Status.ESME_RINVCMDLEN),
        (f"00000022 00000005 00000000 00000000 {DELIVER}", Status.ESME_RINVCMDLEN),  # no sm_length
        (f"00000025 00000005 00000000 00000000 {DELIVER} 03 6869", Status.ESME_RINVMSGLEN),
        (f"00000026 00000005 00000000 00000000 {DELIVER} 00 001E00", Status.ESME_RINVOPTPARSTREAM),
        (f"00000029 00000005 00000000 00000000 {DELIVER} 00 001E 0041 4133", Status.ESME_RINVOPTPARSTREAM),
        ("00000018 00000021 00000000 00000001 00 00 00 00 02 01 01 01", Status.ESME_RINVCMDLEN),
        ("00000018 00000021 00000000 00000001 00 00 00 00 01 03 01 01", Status.ESME_RINVDESTFLAG),
        ("00000013 80000021 00000000 00000001 37 00 01", Status.ESME_RINVCMDLEN),  # a failure is announced
        ("00000019 80000021 00000000 00000001 37 00 01 01 01 35 00 0000", Status.ESME_RINVCMDLEN),
        ("0000001A 80000021 00000000 00000001 37 00 01 01 01 35 00 000000", Status.ESME_RINVCMDLEN),
        ("00000013 80000003 00000000 00000001 37 00 00", Status.ESME_RINVCMDLEN),  # ESME_ROK without a state
        ("00000010 80000003 00000000 00000001", Status.ESME_RINVCMDLEN),
        ("00000010 00000110 00000000 00000001", Status.ESME_RINVCMDID),
    ],
)
def test_a_body_nobody_can_read_says_what_to_answer(hexed, status):
    read = decode(pdu(hexed)).body
    assert isinstance(read, Malformed)
    assert read.status == status
    assert read.reason
