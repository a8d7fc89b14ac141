"""What old clients send, as parameters: query strings, forms, multipart and JSON, in UTF-8 or cp1252.

Parameters are dictionaries of lower-case names. Values are str, or what JSON gave (`as_text` makes them str).
"""

import codecs
import contextlib
import json
import math
import re
from binascii import a2b_qp
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import multipart

from pombo.errors import Refusal

Parameters = dict[str, Any]

_BOM = b"\xef\xbb\xbf"
# Atomic, and an unclosed one ends with the text: linear in time, without a stack, whatever the octets are.
_JSON_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_MOST_JSON_VALUES = (
    250_000  # 1000 messages from a table of 250 columns; a body of `{},{},…` would be millions
)
_MOST_PARAMETERS = 20_000  # in a form: 1000 messages as PHP writes arrays, with room
_MOST_ESCAPES = 2_000_000  # 1000 messages of ten UCS-2 parts, every octet of them escaped, have 1,340,000
_MOST_BARE_PERCENTS = 100_000
_BARE_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_SPACES = bytes.maketrans(b"+", b" ")
_DEEPEST = 5  # `0[mensagens][0][destino]` is 4
_NAMES = {name.encode(): name for name in ("token", "destino", "msg", "id")}  # the usual ones need no reading
_decode_json = msgspec.json.Decoder().decode


class Malformed(Exception):
    """The request cannot be read; the text says what is wrong and where, in Portuguese without accents."""

    refusal = Refusal.MALFORMED


class TooMany(Malformed):
    """So many values that it is not worth reading them."""

    refusal = Refusal.BATCH_SIZE


def moment(given: Parameters, name: str, zone: ZoneInfo) -> datetime | None:
    """A day, or a time, in this zone; None where there is none. `ate` is the end of its day or second. Raises Malformed."""
    text = as_text(given.get(name)).strip()
    if not text:
        return None
    with contextlib.suppress(ValueError):
        day_only = len(text) == 10
        at = datetime.strptime(text, "%Y-%m-%d" if day_only else "%Y-%m-%d %H:%M:%S")
        if name == "ate":  # to the end of that day, or of that second: replies show no fraction
            at = at.replace(microsecond=999999)
            at = at.replace(hour=23, minute=59, second=59) if day_only else at
        try:
            return at.replace(tzinfo=zone).astimezone(UTC)
        except OverflowError:  # the last evening of the year 9999
            return datetime.max.replace(tzinfo=UTC)
    raise Malformed(f"{name} deve ser AAAA-MM-DD ou AAAA-MM-DD HH:MM:SS")


def decode_text(octets: bytes) -> str:
    """UTF-8; a value that is not valid UTF-8 is cp1252, and where that has no character, Latin-1."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return codecs.charmap_decode(octets, "strict", _CP1252)[0]


def _cp1252(octet: int) -> str:
    try:
        return bytes((octet,)).decode("cp1252")
    except UnicodeDecodeError:
        return chr(octet)


_CP1252 = "".join(map(_cp1252, range(256)))


def of_urlencoded(octets: bytes) -> Parameters:
    """A query string or form body. Of a name that stands twice, the last value counts, as in PHP.

    Raises Malformed; also for more `%` than any batch has, since each of them takes time.
    """
    if len(octets) > _MOST_PARAMETERS and octets.count(b"&") > _MOST_PARAMETERS:
        raise TooMany
    octets = octets.removeprefix(_BOM).translate(_SPACES)
    if octets.count(b"%") > _MOST_ESCAPES:
        raise Malformed("octetos demais escritos como %XX")
    octets, bare = _BARE_PERCENT.subn(b"%25", octets, _MOST_BARE_PERCENTS)
    if bare == _MOST_BARE_PERCENTS:
        raise Malformed("sinais de % demais sem dois digitos hexadecimais")
    parameters: Parameters = {}
    for pair in octets.split(b"&"):
        if pair:
            name, _, value = pair.partition(b"=")
            parameters[_NAMES.get(name) or _unquote(name).lower()] = _unquote(value)
    return parameters


def _unquote(octets: bytes) -> str:
    """Every `%` of them has its two digits.

    As quoted-printable, which is the same with another sign: its decoder is one loop in C, without a piece per escape.
    """
    if b"%" in octets:
        octets = a2b_qp((octets.replace(b"=", b"=3D") if b"=" in octets else octets).replace(b"%", b"="))
    return decode_text(octets)


def of_multipart(octets: bytes, content_type: str) -> Parameters:
    """Raises Malformed."""
    _, options = multipart.parse_options_header(content_type)
    parameters: Parameters = {}
    name, value = "", b""
    try:
        with multipart.PushMultipartParser(
            options.get("boundary", ""), max_segment_count=_MOST_PARAMETERS
        ) as parser:
            for event in parser.parse(octets):
                if isinstance(event, multipart.MultipartSegment):
                    name, value = event.name, b""
                elif event is None:
                    parameters[name.lower()] = decode_text(value)
                else:
                    value += event
    except (multipart.MultipartError, ValueError):
        raise Malformed("formulario multipart invalido") from None
    return parameters


def nested(flat: Parameters) -> Any:
    """Names as PHP's http_build_query writes them: {"a[0][b]": 1} is {"a": [{"b": 1}]}; the outermost may be a list."""
    if not any("[" in name for name in flat):
        return flat
    root: Parameters = {}
    for name, value in flat.items():
        *path, last = name.replace("]", "").split("[", _DEEPEST)
        at = root
        for step in path:
            inner = at.get(step)
            if not isinstance(inner, dict):
                inner = at[step] = {}
            at = inner
        at[last] = value
    return _with_lists(root)


def _with_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    members = {name: _with_lists(member) for name, member in value.items()}
    return list(members.values()) if members and all(map(str.isdecimal, members)) else members


def of_json(octets: bytes) -> Any:
    """The value, whatever its shape. Raises Malformed with line and column."""
    octets = octets.removeprefix(_BOM)
    if len(octets) > _MOST_JSON_VALUES and _has_too_many_values(octets):
        raise TooMany
    try:
        octets.decode()
    except UnicodeDecodeError:
        if _has_too_many_strings(octets):
            raise TooMany from None
        octets = _JSON_STRING.sub(lambda literal: decode_text(literal[0]).encode(), octets)
    try:
        return _decode_json(octets)
    except (msgspec.DecodeError, RecursionError, ValueError):
        pass  # the standard parser is more lenient (big numbers, lone surrogates), and says where it failed
    try:
        return json.loads(octets.decode(errors="replace"))
    except json.JSONDecodeError as error:
        raise Malformed(f"JSON invalido na linha {error.lineno}, coluna {error.colno}") from None
    except (RecursionError, ValueError):
        raise Malformed("JSON invalido: aninhado demais ou com numeros longos demais") from None


def _has_too_many_values(octets: bytes) -> bool:
    """Before anything is built of them: an empty object is 2 octets here, and 64 in memory."""
    if _structure(octets) <= _MOST_JSON_VALUES:
        return False
    return _has_too_many_strings(octets) or _structure(_JSON_STRING.sub(b"", octets)) > _MOST_JSON_VALUES


def _has_too_many_strings(octets: bytes) -> bool:
    """A name and a string per value are well."""
    return octets.count(b'"') - octets.count(b'\\"') > 4 * _MOST_JSON_VALUES


def _structure(octets: bytes) -> int:
    return octets.count(b",") + octets.count(b"{") + octets.count(b"[")


def lower_names(value: Any) -> Parameters:
    """A JSON object's members with lower-case names; of names that differ in case only, the last one counts."""
    return {str(name).lower(): member for name, member in value.items()}


def of_body(octets: bytes, content_type: str) -> Any:
    """A body of any kind, believed for what it looks like: JSON, or the parameters of a form. Raises Malformed."""
    if octets.removeprefix(_BOM).lstrip()[:1] in (b"{", b"["):
        return of_json(octets)
    if content_type.lower().startswith("multipart/"):
        return nested(of_multipart(octets, content_type))
    return nested(of_urlencoded(octets))


def of_request(query: bytes, body: bytes, content_type: str) -> Parameters:
    """One set of parameters; the body wins over the query. Raises Malformed."""
    given = of_urlencoded(query)
    if not body:
        return given
    value = of_body(body, content_type)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        raise Malformed("o corpo JSON deve ser um objeto")
    return {**given, **lower_names(value)}


def as_text(value: Any) -> str:
    """A scalar as its text: numbers as digits, without `.0`. Null, and what is no scalar, is ""."""
    match value:
        case str():
            return value if value.isascii() and "\0" not in value else clean(value)
        case bool() | None:
            return ""
        case int():
            return str(value)
        case float():
            if not math.isfinite(value):
                return ""
            return str(int(value)) if value.is_integer() and abs(value) < 1e40 else repr(value)
        case _:
            return ""


def as_ref(value: Any) -> str | None:
    """A client's id as its text; "" where there is none; None for what cannot be an id (a list, true)."""
    if value is None:
        return ""
    text = as_text(value)
    return text if text or isinstance(value, str) else None


def clean(text: str) -> str:
    """Without U+0000 and a leading BOM; lone surrogates, which have no octets, become U+FFFD."""
    text = text.replace("\0", "").removeprefix("\ufeff")
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
