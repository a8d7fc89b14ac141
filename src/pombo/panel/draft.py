"""A message as it stands in a form: to whom, what, how and when; and the ids that make sending it twice harmless."""

import hashlib
import re
import secrets
from collections.abc import Mapping
from typing import NamedTuple

from pombo import country
from pombo.text.outgoing import MODES

MOST_RECIPIENTS = 100  # more go as a campaign, which is checked before it is sent and can be stopped
_MOST_TYPED = 10_000  # characters: a hundred for each recipient
_BETWEEN = re.compile(r"[\n\r,;\t]+")
_BETWEEN_ANY = re.compile(r"[\s,;]+")
_NONCE = re.compile("[0-9a-f]{12}")


class Draft(NamedTuple):
    nonce: str  # of the form: whoever sends what it holds once more, sends nothing
    recipients: tuple[str, ...]  # as they were typed, each number once
    repeated: int  # that were left out
    text: str
    text_mode: str  # "": the account's
    schedule: str  # "": at once

    @classmethod
    def of(cls, form: Mapping[str, str]) -> "Draft":
        given = form.get("nonce", "")
        recipients, repeated = _recipients(form.get("destino", ""))
        mode = form.get("codificacao", "")
        return cls(
            given if _NONCE.fullmatch(given) else new_nonce(),
            recipients,
            repeated,
            # Forms send line ends as two characters, of which each would be counted.
            form.get("msg", "").replace("\r\n", "\n").replace("\r", "\n"),
            mode if mode in MODES else "",
            form.get("agendar", "").strip(),
        )

    def client_ref(self, recipient: str) -> str:
        """The same for the same message out of the same form, and another one for any other."""
        told = "\0".join((recipient, self.text, self.text_mode, self.schedule))
        digest = hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
        return f"painel-{self.nonce}-{digest}"


def new_nonce() -> str:
    return secrets.token_hex(6)


def _recipients(typed: str) -> tuple[tuple[str, ...], int]:
    """Each number once; and how many were left out. Of a list that is far too long each piece counts, whatever it is."""
    if len(typed) > _MOST_TYPED:
        pieces = tuple(dict.fromkeys(_BETWEEN_ANY.split(typed)))
        return pieces, 0
    found: dict[int | str, str] = {}
    count = 0
    for piece in _BETWEEN.split(typed):
        for one in _apart(piece.strip()):
            count += 1
            found.setdefault(country.normalise(one, None) or one, one)
    return tuple(found.values()), count - len(found)


def _apart(piece: str) -> list[str]:
    """Numbers with nothing but blanks between them, which one number may have as well."""
    if not piece:
        return []
    words = piece.split()
    if country.normalise(piece, None) is None and all(country.normalise(word, None) for word in words):
        return words
    return [piece]
