"""Which attempt a receipt speaks of: ids that come back in another form than they were given, and handsets.

An operator answers a submit with an id and repeats it in the receipt, but often not octet for octet: with
leading zeros, in the other case, in hex instead of decimal or the other way round; and ids come back after a
year.

For a batch of receipts: collect the keys of `candidates` of all of them, look them up in one statement
(`attempt.smsc_id`, `attempt.smsc_key`), newest attempt first, make a `Found` of each row, let `choose`
decide. A receipt that has to wait is judged again when new ids are committed, and when the connection's form
is learned.
"""

import re
from collections.abc import Hashable, Sequence
from typing import Generic, Literal, NamedTuple, TypeVar

from pombo.number import ERASED

ID_MAX = 256  # characters kept; SMPP 3.4 §5.2.23 and §5.3.2.12 allow 64
_CONVERT_MAX = 40  # digits; 128 bits in decimal are 39
_SURE_DIGITS = 6  # from here on a conversion changes the length, so two forms of neighbouring ids do not meet

Form = Literal["same", "hex_in_receipt", "dec_in_receipt", "other"]
"""How the id in the receipt relates to the one in submit_sm_resp: `hex_in_receipt` had decimal there, ….

`other`: the receipt's second id (`Receipt.other_id`), as it is. Asked only where the first finds nothing;
never learned.
"""

_HEX = re.compile(r"[0-9A-Fa-f]+")

FIXED: dict[str, Form] = {"raw": "same", "hex": "hex_in_receipt", "dec": "dec_in_receipt"}
"""What a person says of a connection (`smsc.receipt_ids`); `auto`, which is not here, learns."""

A = TypeVar("A", bound=Hashable)


class Candidate(NamedTuple):
    form: Form
    key: str


class Found(NamedTuple, Generic[A]):
    """An attempt whose `smsc_key` is one of a receipt's candidate keys."""

    form: Form  # of the candidate that found it
    raw_id: str  # `attempt.smsc_message_id`
    same_handset: bool | None  # None: the receipt carries no handset
    attempt: A  # whatever tells attempts apart


class Choice(NamedTuple, Generic[A]):
    """attempt None: park the receipt. ambiguous: something was found, but it is not sure to be the one."""

    attempt: A | None
    learned: Form | None  # the form to keep for this connection from now on; None: nothing new
    ambiguous: bool


def from_octets(octets: bytes) -> str:
    """An id as the operator wrote it in a PDU field: up to the first NUL, without blanks around it."""
    return octets.partition(b"\0")[0].decode("latin-1").strip()[:ID_MAX]


def key(raw_id: str) -> str:
    """The canonical form, stored in `attempt.smsc_key`: lower case, and no leading zeros if it is a number.

    key(key(x)) == key(x). Ids that are no hex numbers (UUIDs, …) keep every character.
    """
    text = raw_id[:ID_MAX]
    if not text.isascii():
        return text
    text = text.lower()
    return (text.lstrip("0") or "0") if _HEX.fullmatch(text) else text


def candidates(raw_id: str, learned: str | None = None, other_id: str | None = None) -> list[Candidate]:
    """Keys under which the attempt may be stored, the learned form first, each key once; [] without an id."""
    same = key(raw_id)
    forms = [Candidate("same", same)] if same else []
    decimal = same.isdigit()
    coincide = decimal and len(same) == 1
    if len(same) <= _CONVERT_MAX and not coincide and _HEX.fullmatch(same):
        forms.append(Candidate("hex_in_receipt", str(int(same, 16))))
        if decimal:
            forms.append(Candidate("dec_in_receipt", format(int(same), "x")))
    if learned is not None and learned != "same":
        forms.sort(key=lambda candidate: candidate.form != learned)
    if other_id:
        other = key(other_id)
        if all(candidate.key != other for candidate in forms):
            forms.append(Candidate("other", other))
    return forms


def learned_key(raw_id: str, learned: str) -> str:
    """The key of the candidate of this form; "" where the id cannot be of it."""
    if learned == "same":
        return key(raw_id)
    return next((candidate.key for candidate in candidates(raw_id) if candidate.form == learned), "")


def only(possible: list[Candidate], form: Form) -> list[Candidate]:
    """Of what `candidates` gave with this form in front: for a connection whose form a person has fixed. An id that
    cannot be of that form counts as it is."""
    return possible[:1] + [candidate for candidate in possible[1:] if candidate.form == "other"]


def choose(raw_id: str, found: Sequence[Found[A]], learned: str | None, waited: bool = False) -> Choice[A]:
    """Invariant 4: the attempt that a receipt speaks of, or that it has to wait.

    found: newest attempt first. An attempt at another handset is no match. Among attempts of one form the id
    that is equal octet for octet wins, then the newest: ids come back over time.

    While no form is learned, two forms that find two attempts decide nothing. Once one is learned it decides;
    what only another form finds waits, since the right attempt may just not be committed yet. Unless the handset
    and a long id leave no doubt: then the operator has changed its form, and that is learned instead. An id that
    has one form only, such as a UUID, needs no caution.

    waited: nothing better will come: the receipt was parked for longer than any response takes, or every submit to its
    handset has been answered.
    """
    agreeing = [f for f in found if f.same_handset is not False]
    expected = [f for f in agreeing if f.form == learned]
    if expected:
        return Choice(_best(raw_id, expected).attempt, None, False)
    convertible = len(candidates(raw_id)) > 1
    certain = agreeing
    if learned is not None and convertible:
        certain = [f for f in agreeing if f.same_handset and len(key(raw_id)) >= _SURE_DIGITS]
    matches = agreeing if waited else certain
    by_form: dict[Form, list[Found[A]]] = {}
    for f in [f for f in matches if f.form != "other"] or matches:
        by_form.setdefault(f.form, []).append(f)
    best = [_best(raw_id, of_form) for of_form in by_form.values()]
    if len({f.attempt for f in best}) != 1:
        return Choice(None, None, bool(agreeing))
    form = best[0].form
    teaches = convertible and form != "other" and best[0] in certain
    return Choice(best[0].attempt, form if teaches else None, False)


def _best(raw_id: str, found: Sequence[Found[A]]) -> Found[A]:
    return next((f for f in found if f.raw_id == raw_id), found[0])


def same_handset(written: str | bytes, number: int) -> bool | None:
    """Whether a receipt's address is the handset of E.164 `number`; None: no handset stands there.

    Takes what operators write: `+` or `00` in front, without 55, with a trunk 0 (and carrier code), without
    the ninth digit, without DDD. Empty, alphanumeric and short (under 8 digits: a short code) addresses say
    nothing; neither does a number that was erased.
    """
    if number == ERASED:
        return None
    text = written.decode("latin-1") if isinstance(written, bytes) else written
    wanted = str(number)
    if text == wanted:
        return True
    digits = re.sub(r"[\s\0+().-]", "", text)
    if len(digits) < 8 or not (digits.isascii() and digits.isdigit()):
        return None
    bare = digits.lstrip("0")
    forms = {wanted}
    if wanted.startswith("55") and len(wanted) in (12, 13):
        forms |= _brazilian_forms(wanted[2:])
    # 0 + carrier code + DDD + number
    return bare in forms or (digits.startswith("0") and len(bare) > 11 and bare[2:] in forms)


def _brazilian_forms(national: str) -> set[str]:
    """national: DDD + number."""
    area, local = national[:2], national[2:]
    forms = {national, local}
    if len(local) == 9:
        forms |= {f"55{area}{local[1:]}", area + local[1:], local[1:]}
    return forms
