"""How the simulated operator behaves."""

from dataclasses import dataclass
from random import Random
from typing import Final, Literal, NamedTuple

from pombo.smpp.status import Status

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
