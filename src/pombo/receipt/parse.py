"""Delivery receipts: from octets and TLVs to what they say. SMPP 3.4 §5.2.12, Appendix B, and the wild.

Appendix B calls its format vendor specific, and it is: fields are missing, misspelt, in another order or
case, with other dates. What cannot be read is left out; nothing here raises. A state that is not surely final
is not final, because a final state cannot be taken back.
"""

import re
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from pombo.message import AttemptState, State
from pombo.receipt import identity

_TYPE_BITS = 0x3C  # bits 5-2 of esm_class, SMPP 3.4 §5.2.12
_RECEIPT = 0x04
_INTERMEDIATE = 0x20

_TEXT_MAX = 4096  # characters looked at; a receipt is some 120, plus what it quotes
_WORD_MAX = 32

# message_state, SMPP 3.4 §5.2.28; 0 and 9 are from SMPP 5.0 §4.7.15, where 9 is final: "not transmitted".
_STATE_WORDS = {
    0: "SCHEDLD",
    1: "ENROUTE",
    2: "DELIVRD",
    3: "EXPIRED",
    4: "DELETED",
    5: "UNDELIV",
    6: "ACCEPTD",
    7: "UNKNOWN",
    8: "REJECTD",
    9: "SKIPPED",
}

# The usual receipt, whole: most traffic is read with this alone.
_CANONICAL = re.compile(
    rb"id:([0-9A-Za-z.-]{1,64})(?: sub:\d{1,4} dlvrd:\d{1,4})? submit date:\d{10,14} done date:(\d{10,14})"
    rb" stat:([A-Z]{1,32}) err:([0-9A-Za-z]{1,10})(?: [Tt]ext:|[\s\0]*\Z)"
)
_KEY = re.compile(
    r"(?<![a-z0-9_])(id|sub|dlvrd|submit[ _-]?date|done[ _-]?date|stat|err|te?xt)[ \t]?[:=]", re.IGNORECASE
)
_DONE_AND_STAT = re.compile(r"(?=.*\bdone[ _-]?date:\s?\d)(?=.*\bstat:\s?\w)", re.IGNORECASE | re.DOTALL)
_CLOCK = re.compile(r"\d\d:\d\d(:\d\d)?")
# `done date:1809031208 DELIVRD err:000`: the key `stat:` is lost, the word stands in its place.
_BARE_STAT = re.compile(r"\d[ ](DELIVRD|EXPIRED|DELETED|UNDELIV|ACCEPTD|ENROUTE|UNKNOWN|REJECTD)\s*\Z")

_DELIVERED_WORDS = frozenset({"DELIVRD", "DELIVERD", "DELIVERED"})
_FAILURE = re.compile(
    r"UNDELIV|NO[NT][_-]?DELIV[A-Z]*\Z|REJECT|FAIL|EXPIR|DELETED|CANCEL|BLOCKED|BLACKLIST|SKIPPED"
)
_PERHAPS_LATER = re.compile(r"TEMP|RETR|SOFT|PEND|YET|WAIT")


class Receipt(NamedTuple):
    raw_id: str  # the TLV's, else the text's; "" when there is none
    other_id: str | None  # the text's, where the TLV says something else
    outcome: AttemptState | None  # DELIVERED, FAILED; None: not final
    final_state: State | None  # DELIVERED, UNDELIVERED, REJECTED; None exactly when outcome is
    stat: str  # as received; the TLV's word where the text has none
    error: str  # the operator's code; "" when there is none
    done_at: str  # as received; see done_datetime()


def is_receipt(esm_class: int, has_receipted_message_id: bool, text: bytes = b"") -> bool:
    """Whether a deliver_sm is a receipt or an intermediate notification, and not somebody's reply.

    Acknowledgements by a handset or its user (0x08, 0x10) are none. Some operators leave esm_class 0: then
    the TLV tells, or a text that is the whole Appendix B line from its first character on, with a standard
    state. Nobody types that by accident, and whoever does it on purpose still needs the operator's id of a
    message to his own handset. A looser rule would take replies for receipts, and a reply must not get lost.
    """
    kind = esm_class & _TYPE_BITS
    if kind:
        return kind & ~(_RECEIPT | _INTERMEDIATE) == 0
    if has_receipted_message_id:
        return True
    canonical = _CANONICAL.match(_readable(text).encode())
    return canonical is not None and canonical[3].decode() in _STATE_WORDS.values()


def is_intermediate(esm_class: int) -> bool:
    return bool(esm_class & _INTERMEDIATE)


def parse(
    text: bytes,
    receipted_message_id: bytes | None = None,
    message_state: int | None = None,
    network_error_code: bytes | None = None,
    intermediate: bool = False,
) -> Receipt:
    """What a receipt says. text: short_message or message_payload, in whatever data_coding.

    Where text and message_state disagree: a final state beats one that is not final, whichever says it, since
    "not known yet" contradicts nothing; of two final states the TLV's counts, as the text is vendor specific.
    An intermediate notification is never final. err counts unless it is missing or 0 and network_error_code
    is not.
    """
    canonical = _CANONICAL.match(text)
    if canonical:
        text_id, done_at, stat, error = [group.decode() for group in canonical.groups()]
    else:
        has_tlvs = receipted_message_id is not None or message_state is not None
        text_id, done_at, stat, error = _read(_readable(text), has_tlvs)
    tlv_word = "" if message_state is None else _STATE_WORDS.get(message_state, "")
    final_state = _final_state(tlv_word) or _final_state(stat)
    if intermediate:
        final_state = None
    outcome = None
    if final_state is not None:
        outcome = AttemptState.DELIVERED if final_state is State.DELIVERED else AttemptState.FAILED
    if network_error_code and not error.strip("0"):
        error = _network_error(network_error_code) or error
    raw_id = identity.from_octets(receipted_message_id) if receipted_message_id else ""
    other_id = text_id if raw_id and text_id and text_id != raw_id else None
    return Receipt(raw_id or text_id, other_id, outcome, final_state, stat or tlv_word, error, done_at)


@lru_cache(maxsize=256)
def _final_state(word: str) -> State | None:
    upper = word.upper()
    if upper in _DELIVERED_WORDS:
        return State.DELIVERED
    if not _FAILURE.search(upper) or _PERHAPS_LATER.search(upper):
        return None
    return State.REJECTED if "REJECT" in upper else State.UNDELIVERED


def _readable(text: bytes) -> str:
    """ASCII or Latin-1 whatever data_coding says; UCS-2 is told by its zero octets. NUL is dropped."""
    text = text[: 2 * _TEXT_MAX]
    start = text[:8]
    if text.startswith(b"\xfe\xff") or (not any(start[::2]) and all(start[1::2]) and len(start) > 1):
        readable = text.decode("utf-16-be", "replace").lstrip("\ufeff")
    elif text.startswith(b"\xff\xfe") or (not any(start[1::2]) and all(start[::2]) and len(start) > 1):
        readable = text.decode("utf-16-le", "replace").lstrip("\ufeff")
    else:
        readable = text.decode("latin-1")
    return readable.replace("\0", "")[:_TEXT_MAX]


def _read(text: str, has_tlvs: bool) -> tuple[str, str, str, str]:
    """(id, done date, stat, err) of a text in any order; "" for what is missing."""
    fields = _fields(text, has_tlvs)
    done_at = fields.get("donedate", "")
    bare = _BARE_STAT.search(done_at)
    stat = fields.get("stat", "") or (bare[1] if bare else "")
    words = done_at.split()
    if len(words) > 1 and _CLOCK.fullmatch(words[1]):
        done_at = f"{words[0]} {words[1]}"
    else:
        done_at = _first_word(done_at, _WORD_MAX)
    return (
        _first_word(fields.get("id", ""), identity.ID_MAX),
        done_at[:_WORD_MAX],
        _first_word(stat, _WORD_MAX),
        _first_word(fields.get("err", ""), _WORD_MAX),
    )


def _first_word(value: str, longest: int) -> str:
    words = value.split(maxsplit=1)
    return words[0].rstrip(",;")[:longest] if words else ""


def _fields(text: str, has_tlvs: bool) -> dict[str, str]:
    """Key → what stands between it and the next key. The first of several counts.

    What follows `text:` is the customer's own and may say anything, so it ends the fields. But not where
    nothing came before it (and no TLV speaks), nor where stat is still missing and the fields go on for all
    to see.
    """
    marks = list(_KEY.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    fields: dict[str, str] = {}
    past_text = False
    for mark, end in zip(marks, ends, strict=False):
        name = re.sub("[ _-]", "", mark[1].lower())
        if name in ("text", "txt"):
            if past_text or not (fields or has_tlvs):
                continue
            if "stat" in fields or not _goes_on(text, mark.end(), end):
                break
            past_text = True
        elif value := text[mark.end() : end].strip():
            fields.setdefault(name, value)
    return fields


def _goes_on(text: str, start: int, next_key: int) -> bool:
    """Whether fields follow a `text:` that ends at start: at once after a blank, or done date and stat."""
    between = text[start:next_key]
    if between.isspace() and next_key < len(text):
        return True
    return _DONE_AND_STAT.match(text, start) is not None


def _network_error(code: bytes) -> str:
    """network_error_code, SMPP 3.4 §5.3.2.31: network type and two octets, as `3:34`; some send digits."""
    if len(code) == 3 and code[0] < 0x20:
        return f"{code[0]}:{code[1] << 8 | code[2]}" if any(code[1:]) else ""
    text = code.decode("latin-1").strip("\0 ")
    if text.isascii() and text.isalnum():
        return text[:_WORD_MAX] if text.strip("0") else ""
    return code.hex()[:_WORD_MAX]


_ABSOLUTE = re.compile(r"(\d{12})\d{0,3}[+-]")  # YYMMDDhhmmsstnnp, SMPP 3.4 §7.1.1; sometimes cut short
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d)(?::(\d\d))?")


def done_datetime(done_at: str) -> datetime | None:
    """A receipt's date, naive: the operator's local time. None for what is no date (zeros, too).

    YYMMDDhhmm, YYMMDDhhmmss, YYYYMMDDhhmm, YYYYMMDDhhmmss, YYMMDDhhmmsstnnp, ISO 8601. Twelve digits are read
    without the century first: from 2013 on a four-digit year would make the month impossible.
    """
    if absolute := _ABSOLUTE.fullmatch(done_at):
        return _moment("20" + absolute[1])
    if iso := _ISO.fullmatch(done_at):
        return _moment("".join(group or "" for group in iso.groups()))
    if not (done_at.isascii() and done_at.isdigit()):
        return None
    if len(done_at) == 10:
        return _moment("20" + done_at)
    if len(done_at) == 12:
        return _moment("20" + done_at) or _moment(done_at)
    return _moment(done_at) if len(done_at) == 14 else None


def _moment(digits: str) -> datetime | None:
    """digits: YYYYMMDDhhmm or YYYYMMDDhhmmss."""
    pairs = [int(digits[i : i + 2]) for i in range(4, len(digits), 2)]
    try:
        return datetime(int(digits[:4]), *pairs)  # type: ignore[arg-type]  # naive on purpose
    except ValueError:
        return None
