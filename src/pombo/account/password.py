"""Passwords of people: kept as argon2id (RFC 9106 §4, the second recommended option: 64 MiB, three passes)."""

import asyncio
from enum import StrEnum
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

LEAST_CHARACTERS, MOST_CHARACTERS = 10, 200
_AT_A_TIME = 2  # each takes 64 MiB and a core for a twentieth of a second

_hasher = PasswordHasher()


class Weak(StrEnum):
    """Why a password is none that can be kept."""

    SHORT = "short"
    LONG = "long"
    PLAIN = "plain"  # one character over and over, or the person's own address


@cache
def _turns(loop: asyncio.AbstractEventLoop) -> asyncio.Semaphore:
    return asyncio.Semaphore(_AT_A_TIME)


def weakness(password: str, email: str) -> Weak | None:
    """NIST SP 800-63B §5.1.1.2: length counts, not rules about kinds of characters."""
    if len(password) < LEAST_CHARACTERS:
        return Weak.SHORT
    if len(password) > MOST_CHARACTERS:
        return Weak.LONG
    if len(set(password)) < 4 or password.casefold() in (email, email.partition("@")[0]):
        return Weak.PLAIN
    return None


async def hashed(password: str) -> str:
    async with _turns(asyncio.get_running_loop()):
        return await asyncio.to_thread(_hasher.hash, password)


async def fits(password_hash: str | None, password: str) -> bool:
    """password_hash: None where there is none, which takes as long as any other that does not fit."""
    if len(password) > MOST_CHARACTERS:
        return False
    async with _turns(asyncio.get_running_loop()):
        return await asyncio.to_thread(_fits, password_hash or _nobodys(), password) and bool(password_hash)


def _fits(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobodys() -> str:
    return _hasher.hash("")
