"""Optional parameters, SMPP 3.4 §5.3.2."""

import pytest

from pombo.smpp import tlv
from pombo.smpp.codec import decode, encode
from pombo.smpp.fields import EncodeError
from pombo.smpp.pdu import DeliverSm


@pytest.mark.parametrize(
    ("parameter", "value", "octets"),
    [
        (tlv.user_message_reference, 0x0102, b"\1\2"),
        (tlv.qos_time_to_live, 60, b"\0\0\0\x3c"),
        (tlv.receipted_message_id, b"A3", b"A3\0"),
        (tlv.message_payload, b"oi", b"oi"),
        (tlv.message_state, 2, b"\2"),
        (tlv.network_error_code, tlv.NetworkError(3, 0x0105), b"\3\1\5"),
        (tlv.alert_on_message_delivery, True, b""),
        (tlv.sar_msg_ref_num, 7, b"\0\7"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_typed_value_travels_and_comes_back(parameter, value, octets):
    body = DeliverSm(tlvs=dict([parameter.item(value)]))
    assert body.tlvs == {parameter.tag: octets}
    read = decode(encode(body, 1)).body
    assert parameter(read) == value


def test_an_absent_parameter_is_none():
    assert tlv.receipted_message_id(DeliverSm()) is None
    assert tlv.message_state(DeliverSm()) is None


@pytest.mark.parametrize(
    ("parameter", "octets", "value"),
    [
        (tlv.receipted_message_id, b"A3", b"A3"),  # without its NUL
        (tlv.receipted_message_id, b"A3\0\0\0", b"A3"),  # padded
        (tlv.message_state, b"\0\2", 2),  # wider than the table
        (tlv.message_state, b"", None),
        (tlv.message_state, b"12345", None),
        (tlv.network_error_code, b"\3\1", None),
        (tlv.network_error_code, b"\3\0\1\0", None),
    ],
)
def test_an_inexact_vendor_is_read_as_far_as_it_makes_sense(parameter, octets, value):
    assert parameter(DeliverSm(tlvs={parameter.tag: octets})) == value


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        (tlv.message_state, 256),
        (tlv.user_message_reference, -1),
        (tlv.receipted_message_id, b"a\0b"),
        (tlv.network_error_code, tlv.NetworkError(3, 65_536)),
        (tlv.network_error_code, tlv.NetworkError(256, 1)),
    ],
)
def test_a_value_the_parameter_cannot_hold_is_refused_by_name(parameter, value):
    with pytest.raises(EncodeError, match=parameter.name):
        parameter.item(value)


def test_the_table_is_that_of_the_standard():
    """44 parameters, SMPP 3.4 table 5-7; every tag once, every name that of the module attribute."""
    assert len(tlv.TLVS) == 44
    assert all(getattr(tlv, parameter.name) is parameter for parameter in tlv.TLVS.values())
