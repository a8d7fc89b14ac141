"""How the simulated operator behaves."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final, Literal, NamedTuple

from pombo.errors import PomboError
from pombo.smpp.status import Status, failure_of

DELIVERED: Final = "DELIVRD"

# What the last nine digits of a handset decide, in any DDD. None: no receipt ever comes.
MAGIC_NUMBERS: Final[dict[bytes, str | None]] = {
    b"900000001": DELIVERED,
    b"900000002": "UNDELIV",
    b"900000003": "EXPIRED",
    b"900000004": None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """Fractions are 0.0 to 1.0. Magic numbers are neither refused, lost nor failed by chance."""

    response_delay_s: float = 0.0
    receipt_delay_s: tuple[float, float] = (0.3, 1.2)  # least and most, after the submit
    refused: float = 0.0  # fraction of submits answered with `refusal_status`
    refusal_status: int = Status.ESME_RSYSERR
    failed: float = 0.0  # fraction of messages that end in `failure_code`
    failure_code: str = "UNDELIV"  # `stat` of their receipts: EXPIRED, REJECTD, a vendor's own…
    lost: float = 0.0  # fraction of receipts never sent
    id_form: Literal["dec", "hex"] = "dec"  # of the message_id in responses
    receipt_id_form: Literal["same", "dec", "hex"] = "same"
    most_per_s: int = (
        0  # submits of one system_id in a second; more are answered ESME_RTHROTTLED. 0: no limit
    )


def read(text: str) -> Script:
    """`refused=0.05,receipt_delay_s=1-20`: members of a Script, separated by commas. Raises PomboError."""
    given: dict[str, Any] = {}
    for pair in filter(None, map(str.strip, text.split(","))):
        name, _, value = (word.strip() for word in pair.partition("="))
        if name not in _READERS:
            raise PomboError(f"The simulated operator knows no {name!r}: {', '.join(_READERS)}.")
        reader, what = _READERS[name]
        try:
            given[name] = reader(value)
        except ValueError:
            raise PomboError(f"The simulated operator's {name} is {what}, not {value!r}.") from None
    return Script(**given)


def _seconds(text: str) -> float:
    return _up_to(86_400.0, text)


def _fraction(text: str) -> float:
    return _up_to(1.0, text)


def _up_to(most: float, text: str) -> float:
    number = float(text)
    if not 0 <= number <= most:  # NaN never is
        raise ValueError
    return number


def _range(text: str) -> tuple[float, float]:
    least, dash, most = text.partition("-")
    seconds = (_seconds(least), _seconds(most if dash else least))
    if seconds[0] > seconds[1]:
        raise ValueError
    return seconds


def _status(text: str) -> int:
    status = failure_of(text)
    if status is None:
        raise ValueError
    return status


def _word(text: str) -> str:
    if not (text.isascii() and text.isalpha() and len(text) <= 32):
        raise ValueError
    return text


def _one_of(*words: str) -> Callable[[str], str]:
    return lambda text: words[words.index(text)]


_SECONDS: Final = (_seconds, "a number of seconds")
_FRACTION: Final = (_fraction, "a fraction from 0 to 1")
_READERS: Final[dict[str, tuple[Callable[[str], Any], str]]] = {
    "response_delay_s": _SECONDS,
    "receipt_delay_s": (_range, "a number of seconds, or two as in 0.3-1.2"),
    "refused": _FRACTION,
    "refusal_status": (_status, "a command_status such as 0x45 or ESME_RSYSERR"),
    "failed": _FRACTION,
    "failure_code": (_word, "a word such as UNDELIV"),
    "lost": _FRACTION,
    "id_form": (_one_of("dec", "hex"), "dec or hex"),
    "receipt_id_form": (_one_of("same", "dec", "hex"), "same, dec or hex"),
    "most_per_s": (lambda text: int(_up_to(1e9, str(int(text)))), "a whole number, 0 for no limit"),
}


class Verdict(NamedTuple):
    """What becomes of one message."""

    status: int = 0  # command_status of the response
    stat: str | None = None  # of the receipt; None: it never comes
    receipt_delay_s: float = 0.0


def judge(script: Script, destination_addr: bytes, dice: Random) -> Verdict:
    least, most = script.receipt_delay_s
    delay_s = least + (most - least) * dice.random()
    magic = destination_addr[-9:]
    if magic in MAGIC_NUMBERS:
        return Verdict(0, MAGIC_NUMBERS[magic], delay_s)
    if script.refused and dice.random() < script.refused:
        return Verdict(script.refusal_status)
    stat: str | None = DELIVERED
    if script.failed and dice.random() < script.failed:
        stat = script.failure_code
    if script.lost and dice.random() < script.lost:
        stat = None
    return Verdict(0, stat, delay_s)
