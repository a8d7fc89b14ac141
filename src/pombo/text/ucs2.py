"""UCS-2 as phones speak it: UTF-16, big end first, surrogate pairs included."""

import re

_SURROGATES = re.compile("[\ud800-\udfff]")


def without_surrogates(text: str) -> str:
    """The text with U+FFFD for each lone surrogate: those can neither be encoded nor stored."""
    return _SURROGATES.sub("\ufffd", text)


def encode(text: str) -> bytes:
    """UTF-16BE without a mark; a lone surrogate goes as U+FFFD."""
    try:
        return text.encode("utf-16-be")
    except UnicodeEncodeError:
        return without_surrogates(text).encode("utf-16-be")


def decode(octets: bytes) -> str:
    """The text of UTF-16 octets; takes whatever comes, and never raises.

    A byte order mark is obeyed and dropped. A lone surrogate and an odd octet at the end show as U+FFFD.
    """
    if octets[:2] == b"\xff\xfe":
        return octets[2:].decode("utf-16-le", "replace")
    return octets.removeprefix(b"\xfe\xff").decode("utf-16-be", "replace")
