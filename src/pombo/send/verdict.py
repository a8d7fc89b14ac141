"""What an operator's answer to a submit means for the message."""

from collections.abc import Mapping
from typing import Final, Literal

from pombo.smpp.status import Status

Verdict = Literal["final", "temporary", "throttling"]

# SMPP 3.4 §5.1.3. What is not in this table is about the message and final, statuses of vendors too: sending again
# what was refused for good is what operators block accounts for. A connection may see it otherwise (`verdicts`).
_VERDICTS: Final[dict[int, Verdict]] = {
    # Not taken because of the moment: the message waits, and no attempt is used up.
    Status.ESME_RTHROTTLED: "throttling",
    Status.ESME_RMSGQFUL: "throttling",
    # The operator's fault, and may go away by itself.
    Status.ESME_RSYSERR: "temporary",
    Status.ESME_RSUBMITFAIL: "temporary",
    Status.ESME_RX_T_APPN: "temporary",
    Status.ESME_RUNKNOWNERR: "temporary",
    # About the session and not about the message, which another session may carry.
    Status.ESME_RINVBNDSTS: "temporary",
    Status.ESME_RALYBND: "temporary",
    Status.ESME_RBINDFAIL: "temporary",
    Status.ESME_RINVPASWD: "temporary",
    Status.ESME_RINVSYSID: "temporary",
    Status.ESME_RINVCMDID: "temporary",
}
_THROTTLED_S: Final = 1.0
_PAUSES_S: Final = (5.0, 30.0, 120.0, 300.0, 600.0)


def verdict_of(status: int, own: Mapping[int, str]) -> Verdict:
    """own: what this connection's statuses mean where that is not the usual (`Smsc.verdicts`)."""
    return own.get(status) or _VERDICTS.get(status, "final")  # type: ignore[return-value]


def retry_delay_s(verdict: Verdict, attempts: int) -> float | None:
    """Seconds until the next submit; None when the refusal is final. The message's validity bounds them all.

    attempts: submits committed so far, this one included (1 or more).
    """
    if verdict == "throttling":
        return _THROTTLED_S
    if verdict == "temporary":
        return _PAUSES_S[min(attempts, len(_PAUSES_S)) - 1]
    return None


def resend_delay_s(attempts: int) -> float:
    """Seconds until the next submit of one that was never answered: at once the first time, then ever later.

    Else an operator that takes messages and does not answer would send the same one to a handset every minute, and a
    message that makes it drop the connection would do so at each bind.

    attempts: as above.
    """
    return 0.0 if attempts <= 1 else _PAUSES_S[min(attempts - 1, len(_PAUSES_S)) - 1]
