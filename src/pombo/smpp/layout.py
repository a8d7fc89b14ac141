"""How one class of body lies on the wire: its annotations, compiled into a reader and a builder.

The two functions are written out from the table when the program starts, as `dataclasses` does it: half the
time of a loop over the table, and this is the gateway's innermost loop.
"""

from collections.abc import Callable
from typing import Any, Final, get_type_hints

from pombo.smpp.fields import (
    BrokenBody,
    Compound,
    CString,
    EncodeError,
    LengthAndText,
    OneOctet,
    UnterminatedText,
)
from pombo.smpp.pdu import Body
from pombo.smpp.status import Status

HEADER_OCTETS: Final = 16  # SMPP 3.4 §3.2


class Layout:
    def __init__(self, cls: type[Body]) -> None:
        hints = get_type_hints(cls, include_extras=True)
        self.cls = cls
        self.table = {name: hints[name].__metadata__[0] for name in cls.__struct_fields__ if name != "tlvs"}
        self._read: Callable[[bytes], tuple[Body, int]] = _compile(
            _reader_source(self.table), cls, self.table
        )
        self._build: Callable[[Any], bytes | None] = _compile(_builder_source(self.table), cls, self.table)

    def read(self, pdu: bytes) -> tuple[Body, int]:
        """The body of a whole PDU without its TLVs, and where they begin. Raises BrokenBody."""
        try:
            return self._read(pdu)
        except ValueError:
            raise UnterminatedText(Status.ESME_RINVCMDLEN, "a C-octet string has no end") from None
        except IndexError:
            raise BrokenBody(Status.ESME_RINVCMDLEN, "the body ends too early") from None

    def build(self, body: Body) -> bytes:
        """The body's octets without its TLVs. Raises EncodeError."""
        try:
            octets = self._build(body)
        except (OverflowError, TypeError):
            octets = None
        if octets is None:
            raise EncodeError(self._fault(body))
        return octets

    def _fault(self, body: Body) -> str:
        """Which field cannot be carried, and why. Never quotes the value: it may be a password or a text."""
        for name, field in self.table.items():
            value = getattr(body, name)
            if isinstance(field, OneOctet):
                if not isinstance(value, int) or not 0 <= value <= 255:
                    return f"{name} is one octet, 0 to 255"
            elif isinstance(field, CString | LengthAndText) and not isinstance(value, bytes):
                return f"{name} is octets (bytes), not {type(value).__name__}"
            elif isinstance(field, CString):
                if len(value) >= field.most_octets:
                    return f"{name} carries at most {field.most_octets - 1} octets, not {len(value)}"
                if 0 in value:
                    return f"{name} is a C-octet string and cannot hold a NUL"
        return f"{body.command} holds a value of the wrong type"


def _compile(source: str, cls: type[Body], table: dict[str, Any]) -> Any:
    scope: dict[str, Any] = {"cls": cls, **{f"{name}_field": field for name, field in table.items()}}
    exec(source, scope)  # noqa: S102 (our own table, no outside text)
    return scope["compiled"]


def _reader_source(table: dict[str, Any]) -> str:
    lines = ["def compiled(pdu):", " index = pdu.index", f" at = {HEADER_OCTETS}"]
    offset = 0  # integers of one octet are read relative to `at`, which then moves once
    for name, field in table.items():
        if isinstance(field, OneOctet):
            lines.append(f" {name} = pdu[at + {offset}]")
            offset += 1
            continue
        if offset:
            lines.append(f" at += {offset}")
            offset = 0
        if isinstance(field, CString):
            lines += [" end = index(0, at)", f" {name} = pdu[at:end]", " at = end + 1"]
        else:
            lines.append(f" {name}, at = {name}_field.parse(pdu, at)")
    lines.append(f" return cls({', '.join(table)}), at + {offset}")
    return "\n".join(lines)


def _builder_source(table: dict[str, Any]) -> str:
    template, values, lines, doubts = "", [], ["def compiled(body):"], []
    for name, field in table.items():
        if isinstance(field, OneOctet):
            template += "%c"
            values.append(f"body.{name}")
        elif isinstance(field, CString):
            template += "%b\\0"
            lines.append(f" {name} = body.{name}")
            doubts.append(f"{name} and (len({name}) >= {field.most_octets} or 0 in {name})")
            values.append(name)
        elif isinstance(field, Compound):
            template += "%b"
            values.append(f"{name}_field.build(body.{name})")
    if doubts:
        lines.append(f" if {' or '.join(doubts)}: return None")
    lines.append(f" return b'{template}' % ({', '.join(values)},)")
    return "\n".join(lines)
