"""One claimed message while it is being submitted: its parts, and what became of each."""

from datetime import UTC, datetime
from functools import lru_cache

from pombo.message import AttemptState
from pombo.send.verdict import Verdict, resend_delay_s, retry_delay_s
from pombo.smpp import tlv
from pombo.smpp.pdu import SubmitSm
from pombo.smpp.status import status_name
from pombo.store.accounts import Source
from pombo.store.queue import Attempt, Claimed
from pombo.store.smscs import Smsc
from pombo.text.outgoing import UDH_INDICATOR, Segment, segments, whole

_TON_INTERNATIONAL, _NPI_E164 = 1, 1  # SMPP 3.4 §5.2.5, §5.2.6
_PUT_OFF_S = 60.0
_RECEIPT_WANTED = 1  # registered_delivery, SMPP 3.4 §5.2.17


class Part:
    """One submit. It is the token that comes back with the response."""

    __slots__ = ("bits", "message", "number", "submitted_at")

    def __init__(self, message: "Outgoing", number: int, bits: int) -> None:
        """bits: the parts that this submit carries."""
        self.message = message
        self.number = number  # from 1
        self.bits = bits
        self.submitted_at: datetime | None = None


class Outgoing:
    """What is known so far of one attempt at a message; `settled` once every part has its outcome."""

    __slots__ = (
        "claimed",
        "error",
        "expired",
        "open",
        "retry_delay_s",
        "source_addr",
        "taken",
        "tried",
        "uncertain",
    )

    def __init__(self, claimed: Claimed) -> None:
        self.claimed = claimed
        self.open = 0
        self.taken = 0  # bits of the parts that the operator took in this attempt
        self.retry_delay_s: float | None = None
        self.tried = False  # some part leaves a row for this attempt
        self.uncertain = False
        self.error: int | None = None  # a final refusal
        self.expired = False
        self.source_addr = ""

    def submits(self, smsc: Smsc, source: Source) -> list[tuple[Part, SubmitSm]]:
        """A PDU for every part that the operator has not taken before.

        In one piece (`payload`) the message has one submit and one receipt for all parts; it counts as its first part,
        which carries the others. Of what was begun in parts only the rest goes.
        """
        claimed = self.claimed
        self.source_addr = source.addr
        if smsc.long_mode == "payload" and claimed.parts > 1 and not claimed.parts_taken:
            every = (1 << claimed.parts) - 1
            body = self._body(smsc, source, whole(claimed.text, claimed.ucs2, smsc.alphabet))
            body.tlvs = dict([tlv.message_payload.item(body.short_message)])
            body.short_message = b""
            submits = [(Part(self, 1, every), body)]
        else:
            # The low bits count up from message to message, so neighbours to one handset differ.
            pieces = segments(claimed.text, claimed.ucs2, smsc.alphabet, claimed.message_id, smsc.long_mode)
            submits = [
                (Part(self, n, 1 << (n - 1)), self._placed(self._body(smsc, source, piece), n, len(pieces)))
                for n, piece in enumerate(pieces, start=1)
                if not claimed.parts_taken >> (n - 1) & 1
            ]
        self.open = len(submits)
        return submits

    def _body(self, smsc: Smsc, source: Source, piece: Segment) -> SubmitSm:
        return SubmitSm(
            source_addr_ton=source.ton,
            source_addr_npi=source.npi,
            source_addr=source.addr.encode("latin-1", "replace"),
            dest_addr_ton=_TON_INTERNATIONAL,
            dest_addr_npi=_NPI_E164,
            destination_addr=b"%d" % self.claimed.number,
            esm_class=piece.esm_class,
            validity_period=_relative(smsc.operator_validity_s),
            registered_delivery=_RECEIPT_WANTED,
            data_coding=piece.data_coding,
            short_message=piece.octets,
        )

    def _placed(self, body: SubmitSm, number: int, total: int) -> SubmitSm:
        """A part without a header says its place in optional parameters. SMPP 3.4 §5.3.2.22 to §5.3.2.24."""
        if total > 1 and not body.esm_class & UDH_INDICATOR:
            body.tlvs = dict(
                [
                    tlv.sar_msg_ref_num.item(self.claimed.message_id & 0xFFFF),
                    tlv.sar_total_segments.item(total),
                    tlv.sar_segment_seqnum.item(number),
                ]
            )
        return body

    def expire(self) -> None:
        """Its validity ended before it could be submitted."""
        self.expired = True

    def put_off(self) -> None:
        """Its account's window has closed: it waits, and what looks after windows moves it to the next opening."""
        self.retry_delay_s = _PUT_OFF_S

    @property
    def settled(self) -> bool:
        return self.open == 0

    @property
    def taken_whole(self) -> bool:
        """Of a settled one: nothing of it goes again, is in doubt, or was refused."""
        return not (self.expired or self.uncertain) and self.error is None and self.retry_delay_s is None

    def answered(
        self, part: Part, status: int, verdict: Verdict, smsc_message_id: str | None, key: str | None
    ) -> Attempt | None:
        """The outcome of one part as a row; None for one that leaves none (throttled). verdict: of a refusal."""
        self.open -= 1
        if status == 0:
            self.taken |= part.bits
            return self.row(part, AttemptState.TAKEN, 0, smsc_message_id, key)
        delay_s = retry_delay_s(verdict, self.claimed.n)
        if delay_s is None:
            self.error = status
        else:
            self.retry_delay_s = max(self.retry_delay_s or 0.0, delay_s)
        if verdict == "throttling":
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
            part.bits != (1 << claimed.parts) - 1,
            self.source_addr,
            part.bits & ~(1 << (part.number - 1)),
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


@lru_cache(maxsize=256)
def _relative(seconds: int) -> bytes:
    """SMPP 3.4 §7.1.1.2: YYMMDDhhmmss000R, from when the operator takes it; a month is 30 days. Empty for 0."""
    if not seconds:
        return b""
    minutes, s = divmod(seconds, 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    months, d = divmod(days, 30)
    years, mo = divmod(months, 12)
    return b"%02d%02d%02d%02d%02d%02d000R" % (min(years, 99), mo, d, h, m, s)
