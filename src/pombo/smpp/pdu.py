"""The PDUs of SMPP 3.4 §4: one class each, whose annotations are the table `codec.py` reads and writes by.

Addresses, ids and texts are octets, never decoded. Integers are carried as they came, also vendor and
reserved ones. `tlvs` holds the optional parameters by tag, also unknown ones; when a tag comes twice the
last one stays.
"""

from typing import ClassVar, Final

import msgspec

from pombo.smpp.fields import (
    Address,
    AddressRange,
    DestAddresses,
    LongAddress,
    MessageId,
    Octet,
    Password,
    ServiceType,
    ShortMessage,
    SystemId,
    SystemType,
    Time,
    Tlvs,
    UnsuccessSmes,
)

RESPONSE_BIT: Final = 0x80000000  # SMPP 3.4 §5.1.2


class Body(msgspec.Struct, gc=False):
    """What follows the header (§3.2)."""

    command_id: ClassVar[int]
    command: ClassVar[str]


class Request(Body, gc=False):
    response: ClassVar[type["Response"] | None]  # None: the command is never answered


class Response(Body, gc=False):
    bodyless_when_refused: ClassVar[bool] = False  # §4.1.2, §4.4.2: "the body is not returned"


class BindResp(Response, gc=False):
    bodyless_when_refused = True
    system_id: SystemId = b""
    tlvs: Tlvs = {}


class BindReceiverResp(BindResp, gc=False):  # §4.1.4
    command_id = 0x80000001
    command = "bind_receiver_resp"


class BindTransmitterResp(BindResp, gc=False):  # §4.1.2
    command_id = 0x80000002
    command = "bind_transmitter_resp"


class BindTransceiverResp(BindResp, gc=False):  # §4.1.6
    command_id = 0x80000009
    command = "bind_transceiver_resp"


class Bind(Request, gc=False):
    """The three binds have one body."""

    response: ClassVar[type[BindResp]]

    system_id: SystemId = b""
    password: Password = b""
    system_type: SystemType = b""
    interface_version: Octet = 0x34
    addr_ton: Octet = 0
    addr_npi: Octet = 0
    address_range: AddressRange = b""
    tlvs: Tlvs = {}


class BindReceiver(Bind, gc=False):  # §4.1.3
    command_id = 0x00000001
    command = "bind_receiver"
    response = BindReceiverResp


class BindTransmitter(Bind, gc=False):  # §4.1.1
    command_id = 0x00000002
    command = "bind_transmitter"
    response = BindTransmitterResp


class BindTransceiver(Bind, gc=False):  # §4.1.5
    command_id = 0x00000009
    command = "bind_transceiver"
    response = BindTransceiverResp


class Outbind(Request, gc=False):  # §4.1.7
    command_id = 0x0000000B
    command = "outbind"
    response = None
    system_id: SystemId = b""
    password: Password = b""
    tlvs: Tlvs = {}


class UnbindResp(Response, gc=False):  # §4.2.2
    command_id = 0x80000006
    command = "unbind_resp"


class Unbind(Request, gc=False):  # §4.2.1
    command_id = 0x00000006
    command = "unbind"
    response = UnbindResp


class GenericNack(Response, gc=False):  # §4.3.1
    command_id = 0x80000000
    command = "generic_nack"


class SubmitSmResp(Response, gc=False):  # §4.4.2
    command_id = 0x80000004
    command = "submit_sm_resp"
    bodyless_when_refused = True
    message_id: MessageId = b""
    tlvs: Tlvs = {}


class _Message(Request, gc=False):
    """submit_sm and deliver_sm have one body."""

    service_type: ServiceType = b""
    source_addr_ton: Octet = 0
    source_addr_npi: Octet = 0
    source_addr: Address = b""
    dest_addr_ton: Octet = 0
    dest_addr_npi: Octet = 0
    destination_addr: Address = b""
    esm_class: Octet = 0
    protocol_id: Octet = 0
    priority_flag: Octet = 0
    schedule_delivery_time: Time = b""
    validity_period: Time = b""
    registered_delivery: Octet = 0
    replace_if_present_flag: Octet = 0
    data_coding: Octet = 0
    sm_default_msg_id: Octet = 0
    short_message: ShortMessage = b""
    tlvs: Tlvs = {}


class SubmitSm(_Message, gc=False):  # §4.4.1
    command_id = 0x00000004
    command = "submit_sm"
    response = SubmitSmResp


class SubmitMultiResp(Response, gc=False):  # §4.5.2
    command_id = 0x80000021
    command = "submit_multi_resp"
    message_id: MessageId = b""
    unsuccess_smes: UnsuccessSmes = []
    tlvs: Tlvs = {}


class SubmitMulti(Request, gc=False):  # §4.5.1
    command_id = 0x00000021
    command = "submit_multi"
    response = SubmitMultiResp
    service_type: ServiceType = b""
    source_addr_ton: Octet = 0
    source_addr_npi: Octet = 0
    source_addr: Address = b""
    dest_addresses: DestAddresses = []
    esm_class: Octet = 0
    protocol_id: Octet = 0
    priority_flag: Octet = 0
    schedule_delivery_time: Time = b""
    validity_period: Time = b""
    registered_delivery: Octet = 0
    replace_if_present_flag: Octet = 0
    data_coding: Octet = 0
    sm_default_msg_id: Octet = 0
    short_message: ShortMessage = b""
    tlvs: Tlvs = {}


class DeliverSmResp(Response, gc=False):  # §4.6.2
    command_id = 0x80000005
    command = "deliver_sm_resp"
    message_id: MessageId = b""
    tlvs: Tlvs = {}


class DeliverSm(_Message, gc=False):  # §4.6.1
    command_id = 0x00000005
    command = "deliver_sm"
    response = DeliverSmResp


class DataSmResp(Response, gc=False):  # §4.7.2
    command_id = 0x80000103
    command = "data_sm_resp"
    message_id: MessageId = b""
    tlvs: Tlvs = {}


class DataSm(Request, gc=False):  # §4.7.1
    command_id = 0x00000103
    command = "data_sm"
    response = DataSmResp
    service_type: ServiceType = b""
    source_addr_ton: Octet = 0
    source_addr_npi: Octet = 0
    source_addr: LongAddress = b""
    dest_addr_ton: Octet = 0
    dest_addr_npi: Octet = 0
    destination_addr: LongAddress = b""
    esm_class: Octet = 0
    registered_delivery: Octet = 0
    data_coding: Octet = 0
    tlvs: Tlvs = {}


class QuerySmResp(Response, gc=False):  # §4.8.2
    command_id = 0x80000003
    command = "query_sm_resp"
    message_id: MessageId = b""
    final_date: Time = b""
    message_state: Octet = 0
    error_code: Octet = 0
    tlvs: Tlvs = {}


class QuerySm(Request, gc=False):  # §4.8.1
    command_id = 0x00000003
    command = "query_sm"
    response = QuerySmResp
    message_id: MessageId = b""
    source_addr_ton: Octet = 0
    source_addr_npi: Octet = 0
    source_addr: Address = b""
    tlvs: Tlvs = {}


class CancelSmResp(Response, gc=False):  # §4.9.2
    command_id = 0x80000008
    command = "cancel_sm_resp"


class CancelSm(Request, gc=False):  # §4.9.1
    command_id = 0x00000008
    command = "cancel_sm"
    response = CancelSmResp
    service_type: ServiceType = b""
    message_id: MessageId = b""
    source_addr_ton: Octet = 0
    source_addr_npi: Octet = 0
    source_addr: Address = b""
    dest_addr_ton: Octet = 0
    dest_addr_npi: Octet = 0
    destination_addr: Address = b""
    tlvs: Tlvs = {}


class ReplaceSmResp(Response, gc=False):  # §4.10.2
    command_id = 0x80000007
    command = "replace_sm_resp"


class ReplaceSm(Request, gc=False):  # §4.10.1
    command_id = 0x00000007
    command = "replace_sm"
    response = ReplaceSmResp
    message_id: MessageId = b""
    source_addr_ton: Octet = 0
    source_addr_npi: Octet = 0
    source_addr: Address = b""
    schedule_delivery_time: Time = b""
    validity_period: Time = b""
    registered_delivery: Octet = 0
    sm_default_msg_id: Octet = 0
    short_message: ShortMessage = b""
    tlvs: Tlvs = {}


class EnquireLinkResp(Response, gc=False):  # §4.11.2
    command_id = 0x80000015
    command = "enquire_link_resp"


class EnquireLink(Request, gc=False):  # §4.11.1
    command_id = 0x00000015
    command = "enquire_link"
    response = EnquireLinkResp


class AlertNotification(Request, gc=False):  # §4.12.1
    command_id = 0x00000102
    command = "alert_notification"
    response = None
    source_addr_ton: Octet = 0
    source_addr_npi: Octet = 0
    source_addr: LongAddress = b""
    esme_addr_ton: Octet = 0
    esme_addr_npi: Octet = 0
    esme_addr: LongAddress = b""
    tlvs: Tlvs = {}


BODIES: Final[dict[int, type[Body]]] = {
    body.command_id: body
    for body in (
        *(GenericNack, BindReceiver, BindReceiverResp, BindTransmitter, BindTransmitterResp),
        *(BindTransceiver, BindTransceiverResp, Outbind, Unbind, UnbindResp, EnquireLink, EnquireLinkResp),
        *(SubmitSm, SubmitSmResp, SubmitMulti, SubmitMultiResp, DeliverSm, DeliverSmResp, DataSm, DataSmResp),
        *(QuerySm, QuerySmResp, CancelSm, CancelSmResp, ReplaceSm, ReplaceSmResp, AlertNotification),
    )
}
