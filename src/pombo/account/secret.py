"""The platform's one secret, and what is made with it: token hashes, sealed passwords, content hashes."""

import base64
import contextlib
import hashlib
import hmac
import os
import secrets
import tempfile
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pombo.errors import PomboError

_FILE = "secret"
TOKEN_PREFIX = "pombo_"  # noqa: S105 - so that a leaked token is recognised by scanners


class Secrets:
    """Keys derived from one secret, the same on every node of a platform."""

    def __init__(self, secret: bytes) -> None:
        """Raises PomboError for a secret that could be guessed."""
        if len(secret) < 16:
            raise PomboError("The secret is too short: at least 16 octets, better 32 random ones.")
        self._token_key = _derive(secret, b"token")
        self._content_key = _derive(secret, b"content")
        self._number_key = _derive(secret, b"number")
        self._panel_key = _derive(secret, b"panel")
        self._seal = AESGCM(_derive(secret, b"seal"))
        self.fingerprint = _derive(secret, b"fingerprint").hex()[:16]

    def token_hmac(self, token: str) -> bytes:
        """HMAC-SHA256 of an API token: what the database keeps of it."""
        return hmac.digest(self._token_key, token.encode("utf-8", "surrogatepass"), "sha256")

    def content_hmac(self, number: int, text: str) -> bytes:
        """16 octets that tell a retry from a clash of ids, also after the text is erased."""
        return hashlib.blake2b(
            b"%d:" % number + text.encode(), key=self._content_key, digest_size=16
        ).digest()

    def number_hmac(self, number: int) -> bytes:
        """16 octets by which a number is found on a block list that does not hold it."""
        return hashlib.blake2b(b"%d" % number, key=self._number_key, digest_size=16).digest()

    def panel_hmac(self, purpose: str, text: str) -> bytes:
        """32 octets of what the panel gives to browsers and must know again: `session`, `code`, `csrf` and the like."""
        return hmac.digest(self._panel_key, f"{purpose} {text}".encode("utf-8", "surrogatepass"), "sha256")

    def seal(self, octets: bytes) -> bytes:
        """Encrypt (AES-256-GCM) for a database column."""
        nonce = os.urandom(12)
        return nonce + self._seal.encrypt(nonce, octets, None)

    def unseal(self, sealed: bytes) -> bytes:
        """Raises PomboError when it was sealed with another secret."""
        try:
            return self._seal.decrypt(sealed[:12], sealed[12:], None)
        except (InvalidTag, ValueError):
            raise PomboError(
                "This was sealed with another secret (POMBO_SECRET, or the file `secret`)."
            ) from None


def _derive(secret: bytes, purpose: bytes) -> bytes:
    return hmac.digest(secret, b"pombo " + purpose, "sha256")


def load(data: Path, configured: str) -> Secrets:
    """The secret from the setting, or from the file `secret` in the data directory, made at first use."""
    return Secrets(octets(data, configured))


def octets(data: Path, configured: str) -> bytes:
    """What `load` makes its keys of. Raises PomboError."""
    if configured:
        return configured.encode()
    try:
        return made_once(data / _FILE, base64.b64encode(os.urandom(32)) + b"\n").strip()
    except OSError as error:
        raise PomboError(f"The secret cannot be read or made: {error}") from None


def keep(data: Path, secret: bytes) -> None:
    """Put the secret of another platform into a data directory that has none, or this one. Raises PomboError."""
    try:
        kept = made_once(data / _FILE, secret + b"\n").strip()
    except OSError as error:
        raise PomboError(f"The secret cannot be written: {error}") from None
    if kept != secret:
        raise PomboError(f"{data / _FILE} is the secret of another platform. Choose a new data directory.")


def made_once(file: Path, fresh: bytes) -> bytes:
    """What the file holds, which is `fresh` where it was not there. Whoever makes it at the same time gets the same,
    and no crash leaves it empty. Only its owner can read it. Raises OSError."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(prefix=f"{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(fresh)
            handle.flush()
            os.fsync(handle.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, file)
    finally:
        Path(draft).unlink()
    directory = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return file.read_bytes()


def new_token() -> str:
    """256 random bits with a prefix."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)
