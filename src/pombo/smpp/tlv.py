"""Optional parameters: the table of SMPP 3.4 §5.3.2.

Read them with `receipted_message_id(body)`, None when absent; make them with
`tlvs=dict([user_message_reference.item(7), message_payload.item(text)])`.

Reading is forgiving, because vendors are not exact: an integer may be of any width up to 4 octets, a C-octet
string may lack its NUL. Tags that are not in the table stay in `body.tlvs` as octets.
"""

from typing import Any, Final, Generic, NamedTuple, TypeVar

from pombo.smpp.fields import EncodeError

T = TypeVar("T")


class Tlv(Generic[T]):
    def __init__(self, tag: int, name: str, octets: int | None = None) -> None:
        """octets: the width of an integer"""
        self.tag = tag
        self.name = name
        self.octets = octets

    def __call__(self, body: Any) -> T | None:
        """The value in a body with optional parameters; None when absent."""
        octets = body.tlvs.get(self.tag)
        return None if octets is None else self.read(octets)

    def item(self, value: T) -> tuple[int, bytes]:
        """For `dict([...])` as a body's `tlvs`. Raises EncodeError."""
        return self.tag, self.build(value)

    def read(self, octets: bytes) -> T | None:
        raise NotImplementedError

    def build(self, value: T) -> bytes:
        raise NotImplementedError


class Number(Tlv[int]):
    def read(self, octets: bytes) -> int | None:
        return int.from_bytes(octets, "big") if 1 <= len(octets) <= 4 else None

    def build(self, value: int) -> bytes:
        try:
            return value.to_bytes(self.octets or 1, "big")
        except OverflowError:
            raise EncodeError(f"{self.name} is an integer of {self.octets} octets, 0 or more") from None


class Text(Tlv[bytes]):
    """C-octet string."""

    def read(self, octets: bytes) -> bytes:
        return octets.split(b"\0", 1)[0]

    def build(self, value: bytes) -> bytes:
        if 0 in value:
            raise EncodeError(f"{self.name} is a C-octet string and cannot hold a NUL")
        return value + b"\0"


class Octets(Tlv[bytes]):
    def read(self, octets: bytes) -> bytes:
        return octets

    def build(self, value: bytes) -> bytes:
        return value


class Flag(Tlv[bool]):
    """Says what it says by being there; it has no value."""

    def read(self, octets: bytes) -> bool:
        return True

    def build(self, value: bool) -> bytes:
        return b""


class NetworkError(NamedTuple):
    """SMPP 3.4 §5.3.2.31. network_type: 1 ANSI-136, 2 IS-95, 3 GSM, 4 reserved; vendors use others."""

    network_type: int
    error_code: int


class NetworkErrorCode(Tlv[NetworkError]):
    def read(self, octets: bytes) -> NetworkError | None:
        if len(octets) != 3:
            return None
        return NetworkError(octets[0], int.from_bytes(octets[1:], "big"))

    def build(self, value: NetworkError) -> bytes:
        try:
            return bytes((value.network_type,)) + value.error_code.to_bytes(2, "big")
        except (OverflowError, ValueError):
            raise EncodeError(f"{self.name} is a type of one octet and a code of two") from None


dest_addr_subunit: Final = Number(0x0005, "dest_addr_subunit", 1)
dest_network_type: Final = Number(0x0006, "dest_network_type", 1)
dest_bearer_type: Final = Number(0x0007, "dest_bearer_type", 1)
dest_telematics_id: Final = Number(0x0008, "dest_telematics_id", 2)
source_addr_subunit: Final = Number(0x000D, "source_addr_subunit", 1)
source_network_type: Final = Number(0x000E, "source_network_type", 1)
source_bearer_type: Final = Number(0x000F, "source_bearer_type", 1)
source_telematics_id: Final = Number(0x0010, "source_telematics_id", 1)
qos_time_to_live: Final = Number(0x0017, "qos_time_to_live", 4)
payload_type: Final = Number(0x0019, "payload_type", 1)
additional_status_info_text: Final = Text(0x001D, "additional_status_info_text")
receipted_message_id: Final = Text(0x001E, "receipted_message_id")
ms_msg_wait_facilities: Final = Number(0x0030, "ms_msg_wait_facilities", 1)
privacy_indicator: Final = Number(0x0201, "privacy_indicator", 1)
source_subaddress: Final = Octets(0x0202, "source_subaddress")
dest_subaddress: Final = Octets(0x0203, "dest_subaddress")
user_message_reference: Final = Number(0x0204, "user_message_reference", 2)
user_response_code: Final = Number(0x0205, "user_response_code", 1)
source_port: Final = Number(0x020A, "source_port", 2)
destination_port: Final = Number(0x020B, "destination_port", 2)
sar_msg_ref_num: Final = Number(0x020C, "sar_msg_ref_num", 2)
language_indicator: Final = Number(0x020D, "language_indicator", 1)
sar_total_segments: Final = Number(0x020E, "sar_total_segments", 1)
sar_segment_seqnum: Final = Number(0x020F, "sar_segment_seqnum", 1)
sc_interface_version: Final = Number(0x0210, "sc_interface_version", 1)
callback_num_pres_ind: Final = Number(0x0302, "callback_num_pres_ind", 1)
callback_num_atag: Final = Octets(0x0303, "callback_num_atag")
number_of_messages: Final = Number(0x0304, "number_of_messages", 1)
callback_num: Final = Octets(0x0381, "callback_num")
dpf_result: Final = Number(0x0420, "dpf_result", 1)
set_dpf: Final = Number(0x0421, "set_dpf", 1)
ms_availability_status: Final = Number(0x0422, "ms_availability_status", 1)
network_error_code: Final = NetworkErrorCode(0x0423, "network_error_code")
message_payload: Final = Octets(0x0424, "message_payload")
delivery_failure_reason: Final = Number(0x0425, "delivery_failure_reason", 1)
more_messages_to_send: Final = Number(0x0426, "more_messages_to_send", 1)
message_state: Final = Number(0x0427, "message_state", 1)
ussd_service_op: Final = Number(0x0501, "ussd_service_op", 1)
display_time: Final = Number(0x1201, "display_time", 1)
sms_signal: Final = Number(0x1203, "sms_signal", 2)
ms_validity: Final = Number(0x1204, "ms_validity", 1)
alert_on_message_delivery: Final = Flag(0x130C, "alert_on_message_delivery")
its_reply_type: Final = Number(0x1380, "its_reply_type", 1)
its_session_info: Final = Octets(0x1383, "its_session_info")

TLVS: Final[dict[int, Tlv[Any]]] = {
    parameter.tag: parameter for parameter in list(vars().values()) if isinstance(parameter, Tlv)
}
