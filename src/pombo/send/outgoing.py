"""One claimed message while it is being submitted: its parts, and what became of each."""

from datetime import UTC, datetime

from pombo.message import AttemptState
from pombo.send.verdict import THROTTLING, resend_delay_s, retry_delay_s
from pombo.smpp.pdu import SubmitSm
from pombo.smpp.status import status_name
from pombo.store.queue import Attempt, Claimed
from pombo.store.smscs import Smsc
from pombo.text.outgoing import segments

_TON_INTERNATIONAL, _NPI_E164 = 1, 1  # SMPP 3.4 §5.2.5, §5.2.6
_RECEIPT_WANTED = 1  # registered_delivery, SMPP 3.4 §5.2.17


class Part:
    """One submit. It is the token that comes back with the response."""

    __slots__ = ("message", "number", "submitted_at")

    def __init__(self, message: "Outgoing", number: int) -> None:
        self.message = message
        self.number = number  # from 1
        self.submitted_at: datetime | None = None


class Outgoing:
    """What is known so far of one attempt at a message; `settled` once every part has its outcome."""

    __slots__ = ("claimed", "error", "expired", "open", "retry_delay_s", "taken", "tried", "uncertain")

    def __init__(self, claimed: Claimed) -> None:
        self.claimed = claimed
        self.open = 0
        self.taken = 0  # bits of the parts that the operator took in this attempt
        self.retry_delay_s: float | None = None
        self.tried = False  # some part leaves a row for this attempt
        self.uncertain = False
        self.error: int | None = None  # a final refusal
        self.expired = False

    def submits(self, smsc: Smsc) -> list[tuple[Part, SubmitSm]]:
        """A PDU for every part that the operator has not taken before."""
        claimed = self.claimed
        # The low bits count up from message to message, so neighbours to one handset differ.
        pieces = segments(claimed.text, claimed.ucs2, smsc.alphabet, claimed.message_id)
        submits = []
        for n, piece in enumerate(pieces, start=1):
            if claimed.parts_taken >> (n - 1) & 1:
                continue
            body = SubmitSm(
                source_addr_ton=smsc.source_ton,
                source_addr_npi=smsc.source_npi,
                source_addr=smsc.source_addr.encode("latin-1", "replace"),
                dest_addr_ton=_TON_INTERNATIONAL,
                dest_addr_npi=_NPI_E164,
                destination_addr=b"%d" % claimed.number,
                esm_class=piece.esm_class,
                registered_delivery=_RECEIPT_WANTED,
                data_coding=piece.data_coding,
                short_message=piece.octets,
            )
            submits.append((Part(self, n), body))
        self.open = len(submits)
        return submits

    def expire(self) -> None:
        """Its validity ended before it could be submitted."""
        self.expired = True

    @property
    def settled(self) -> bool:
        return self.open == 0

    def answered(
        self, part: Part, status: int, smsc_message_id: str | None, key: str | None
    ) -> Attempt | None:
        """The outcome of one part as a row; None for one that leaves none (throttled)."""
        self.open -= 1
        if status == 0:
            self.taken |= 1 << (part.number - 1)
            return self.row(part, AttemptState.TAKEN, 0, smsc_message_id, key)
        delay_s = retry_delay_s(status, self.claimed.n)
        if delay_s is None:
            self.error = status
        else:
            self.retry_delay_s = max(self.retry_delay_s or 0.0, delay_s)
        if status in THROTTLING:
            return None
        return self.row(part, AttemptState.REFUSED, status, None, None)

    def unanswered(self, part: Part) -> Attempt:
        """No response: not known whether the operator has it."""
        self.open -= 1
        self.uncertain = True
        self.retry_delay_s = max(self.retry_delay_s or 0.0, resend_delay_s(self.claimed.n))
        return self.row(part, AttemptState.UNCERTAIN, 0, None, None)

    def row(
        self, part: Part, state: AttemptState, status: int, smsc_message_id: str | None, key: str | None
    ) -> Attempt:
        claimed = self.claimed
        self.tried = True
        return Attempt(
            claimed.message_id,
            part.number,
            claimed.n,
            claimed.number,
            smsc_message_id,
            key,
            state,
            status,
            part.submitted_at or datetime.now(UTC),
            claimed.parts > 1,
        )

    def unwritten(self) -> None:
        """One part's octets never left us: it waits, as if this attempt had not been."""
        self.open -= 1
        self.retry_delay_s = self.retry_delay_s or 0.0

    @property
    def uncounted(self) -> bool:
        """Every part was throttled or never left us: no attempt was used up, and the next one may have its number."""
        return not self.tried

    @property
    def error_name(self) -> str:
        return "" if self.error is None else status_name(self.error)
