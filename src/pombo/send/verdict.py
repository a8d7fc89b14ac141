"""What an operator's answer to a submit means for the message."""

from typing import Final

from pombo.smpp.status import Status

# The operator did not take the message because of the moment: it waits, and no attempt is used up.
THROTTLING: Final = frozenset({Status.ESME_RTHROTTLED, Status.ESME_RMSGQFUL})
THROTTLED_DELAY_S: Final = 1.0

# Refusals that may go away by themselves. All others are about the message and are final, those of vendors too:
# sending again what was refused for good is what operators block accounts for.
TEMPORARY: Final = frozenset(
    {
        Status.ESME_RSYSERR,
        Status.ESME_RINVBNDSTS,
        Status.ESME_RSUBMITFAIL,
        Status.ESME_RX_T_APPN,
        Status.ESME_RUNKNOWNERR,
    }
)
_PAUSES_S: Final = (5.0, 30.0, 120.0, 300.0, 600.0)


def retry_delay_s(status: int, attempts: int) -> float | None:
    """Seconds until the next submit; None when the refusal is final. SMPP 3.4 §5.1.3.

    attempts: submits committed so far, this one included (1 or more).
    """
    if status in THROTTLING:
        return THROTTLED_DELAY_S
    if status in TEMPORARY:
        return _PAUSES_S[min(attempts, len(_PAUSES_S)) - 1]
    return None


def resend_delay_s(attempts: int) -> float:
    """Seconds until the next submit of one that was never answered: at once the first time, then ever later.

    Else an operator that takes messages and does not answer would send the same one to a handset every minute, and a
    message that makes it drop the connection would do so at each bind.

    attempts: as above.
    """
    return 0.0 if attempts <= 1 else _PAUSES_S[min(attempts - 1, len(_PAUSES_S)) - 1]
