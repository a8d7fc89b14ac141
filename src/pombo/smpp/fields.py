"""Field types, and the mandatory parameters of SMPP 3.4 §5.2 as types for the bodies in `pdu.py`.

A body's annotations are its field table: in their order they say how it is read and how it is written. All
text is octets as they stood on the wire; every integer is carried as it came, reserved values too.
"""

from struct import Struct as Pack
from typing import Annotated, Final, Generic, NamedTuple, TypeVar

from pombo.smpp.status import Status

T = TypeVar("T")


class EncodeError(ValueError):
    """A value that SMPP cannot carry. Our own fault, raised before anything is written."""


class BrokenBody(Exception):
    """Octets that are no such body; `status` is what to answer with."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class UnterminatedText(BrokenBody):
    """The body's last C-octet string has no NUL."""


class CString:
    """C-Octet String (SMPP 3.4 §3.1). `most_octets` counts the closing NUL, as the tables of the standard do.

    It binds what we send. What we receive may be longer: the peer's habit is no reason to refuse its message.
    """

    def __init__(self, most_octets: int) -> None:
        self.most_octets = most_octets


class OneOctet:
    """Integer of one octet, 0 to 255."""


class Compound(Generic[T]):
    """A parameter with a length or a count of its own in front."""

    def build(self, value: T) -> bytes:
        raise NotImplementedError

    def parse(self, pdu: bytes, at: int) -> tuple[T, int]:
        """The value and where it ends. Raises BrokenBody."""
        raise NotImplementedError


class LengthAndText(Compound[bytes]):
    """sm_length and short_message, SMPP 3.4 §5.2.21 and §5.2.22."""

    most_octets: Final = 254

    def build(self, value: bytes) -> bytes:
        if len(value) > self.most_octets:
            raise EncodeError(
                f"short_message carries at most 254 octets, not {len(value)}: use the message_payload TLV"
            )
        return b"%c%b" % (len(value), value)

    def parse(self, pdu: bytes, at: int) -> tuple[bytes, int]:
        if at >= len(pdu):
            raise BrokenBody(Status.ESME_RINVCMDLEN, "sm_length is missing")
        end = at + 1 + pdu[at]
        if end > len(pdu):
            raise BrokenBody(Status.ESME_RINVMSGLEN, f"sm_length {pdu[at]} runs past the end of the PDU")
        return pdu[at + 1 : end], end


class SmeAddress(NamedTuple):
    """One handset among the destinations of a submit_multi, dest_flag 1 (SMPP 3.4 §4.5.1.1)."""

    destination_addr: bytes
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0


class DistributionList(NamedTuple):
    """A list kept by the SMSC, dest_flag 2 (SMPP 3.4 §4.5.1.2)."""

    dl_name: bytes


class UnsuccessSme(NamedTuple):
    """One destination that a submit_multi did not reach (SMPP 3.4 §4.5.2.1)."""

    destination_addr: bytes
    error_status_code: int
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0


class Destinations(Compound[list[SmeAddress | DistributionList]]):
    """number_of_dests and dest_address(es), SMPP 3.4 §5.2.24 and §4.5.1.1."""

    most: Final = 254

    def build(self, value: list[SmeAddress | DistributionList]) -> bytes:
        if len(value) > self.most:
            raise EncodeError(f"submit_multi carries at most 254 destinations, not {len(value)}")
        built = [b"%c" % len(value)]
        for destination in value:
            if isinstance(destination, DistributionList):
                built.append(b"\2" + terminated("dl_name", destination.dl_name, 21))
            else:
                address = terminated("destination_addr", destination.destination_addr, 21)
                ton_npi = octet_pair(destination.dest_addr_ton, destination.dest_addr_npi)
                built.append(b"\1" + ton_npi + address)
        return b"".join(built)

    def parse(self, pdu: bytes, at: int) -> tuple[list[SmeAddress | DistributionList], int]:
        destinations: list[SmeAddress | DistributionList] = []
        count, at = octet_at(pdu, at)
        for _ in range(count):
            flag, at = octet_at(pdu, at)
            if flag == 1:
                ton, at = octet_at(pdu, at)
                npi, at = octet_at(pdu, at)
                address, at = text_at(pdu, at)
                destinations.append(SmeAddress(address, ton, npi))
            elif flag == 2:
                name, at = text_at(pdu, at)
                destinations.append(DistributionList(name))
            else:
                raise BrokenBody(Status.ESME_RINVDESTFLAG, f"dest_flag {flag} is neither 1 nor 2")
        return destinations, at


class Unsuccess(Compound[list[UnsuccessSme]]):
    """no_unsuccess and unsuccess_sme(s), SMPP 3.4 §5.2.26 and §4.5.2.1."""

    _code: Final = Pack(">I")

    def build(self, value: list[UnsuccessSme]) -> bytes:
        if len(value) > 255:
            raise EncodeError(f"submit_multi_resp carries at most 255 failures, not {len(value)}")
        built = [b"%c" % len(value)]
        for sme in value:
            built.append(octet_pair(sme.dest_addr_ton, sme.dest_addr_npi))
            built.append(terminated("destination_addr", sme.destination_addr, 21))
            if not 0 <= sme.error_status_code <= 0xFFFFFFFF:
                raise EncodeError("error_status_code is four octets, 0 or more")
            built.append(self._code.pack(sme.error_status_code))
        return b"".join(built)

    def parse(self, pdu: bytes, at: int) -> tuple[list[UnsuccessSme], int]:
        failures = []
        count, at = octet_at(pdu, at)
        for _ in range(count):
            ton, at = octet_at(pdu, at)
            npi, at = octet_at(pdu, at)
            address, at = text_at(pdu, at)
            if at + 4 > len(pdu):
                raise BrokenBody(Status.ESME_RINVCMDLEN, "unsuccess_sme is cut short")
            failures.append(UnsuccessSme(address, self._code.unpack_from(pdu, at)[0], ton, npi))
            at += 4
        return failures, at


def terminated(name: str, value: bytes, most_octets: int) -> bytes:
    """`value` and its NUL. Raises EncodeError where the field cannot hold it."""
    if len(value) >= most_octets:
        raise EncodeError(f"{name} carries at most {most_octets - 1} octets, not {len(value)}")
    if 0 in value:
        raise EncodeError(f"{name} is a C-octet string and cannot hold a NUL")
    return value + b"\0"


def octet_pair(first: int, second: int) -> bytes:
    try:
        return bytes((first, second))
    except ValueError:
        raise EncodeError(f"TON and NPI are one octet each, not {first} and {second}") from None


def octet_at(pdu: bytes, at: int) -> tuple[int, int]:
    if at >= len(pdu):
        raise BrokenBody(Status.ESME_RINVCMDLEN, "the body ends too early")
    return pdu[at], at + 1


def text_at(pdu: bytes, at: int) -> tuple[bytes, int]:
    end = pdu.find(0, at)
    if end < 0:
        raise BrokenBody(Status.ESME_RINVCMDLEN, "a C-octet string has no end")
    return pdu[at:end], end + 1


Octet = Annotated[int, OneOctet()]  # §5.2.4 .. §5.2.28
# §5.2.1 says 16, §5.2.2 says 9. Operators hand out longer ones, and it is theirs to refuse them.
SystemId = Annotated[bytes, CString(65)]
Password = Annotated[bytes, CString(65)]
SystemType = Annotated[bytes, CString(13)]  # §5.2.3
AddressRange = Annotated[bytes, CString(41)]  # §5.2.7
Address = Annotated[bytes, CString(21)]  # §5.2.8, §5.2.9
LongAddress = Annotated[bytes, CString(65)]  # §4.7.1, §5.2.10
ServiceType = Annotated[bytes, CString(6)]  # §5.2.11
Time = Annotated[bytes, CString(17)]  # §5.2.15, §5.2.16, §7.1.1
MessageId = Annotated[bytes, CString(65)]  # §5.2.23
ShortMessage = Annotated[bytes, LengthAndText()]  # §5.2.21, §5.2.22
DestAddresses = Annotated[list[SmeAddress | DistributionList], Destinations()]
UnsuccessSmes = Annotated[list[UnsuccessSme], Unsuccess()]
Tlvs = dict[int, bytes]  # tag -> value, §5.3.1; `tlv.py` names them
