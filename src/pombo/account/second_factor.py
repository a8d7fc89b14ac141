"""The second step of signing in: codes of an application on the person's telephone (TOTP, RFC 6238), which are made of a
secret that both sides have and of the time; and recovery codes for whoever lost the telephone."""

import base64
import hmac
import os
import secrets as random
from enum import Enum
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from pombo.account import password
from pombo.account.people import Fault, Refused
from pombo.account.secret import Secrets
from pombo.store import second_factors, users
from pombo.store.audit import Actor, Change, changing
from pombo.store.database import Database, Db

RECOVERY_CODES: Final = 10
MOST_WRONG: Final = 100  # codes in a row (NIST SP 800-63B §5.2.2); then only a recovery code
_STEP_S, _DIGITS = 30, 6  # and SHA-1: what all applications take for granted, whatever the QR code says
_DRIFT_STEPS = 1  # that the telephone's clock may be away from ours
_SECRET_OCTETS = 20  # RFC 4226 §4, R6
_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"  # without those that are taken for each other
_RECOVERY_CHARACTERS = 10  # 49 bits
_ISSUER = "Pombo"


class Shown(Enum):
    """What a person showed."""

    APP = "app"
    RECOVERY = "recovery"


def code_at(secret: bytes, at_s: float) -> str:
    return _totp(secret).generate(int(at_s)).decode()


def step_of(secret: bytes, code: str, now_s: float) -> int | None:
    """Which step of thirty seconds this is the code of: this one, the one before it or the next; None of none."""
    now, found = int(now_s) // _STEP_S, None
    for step in range(now - _DRIFT_STEPS, now + _DRIFT_STEPS + 1):
        if hmac.compare_digest(code_at(secret, step * _STEP_S).encode(), code.encode()):
            found = step
    return found


def uri(secret: bytes, email: str) -> str:
    """What the QR code says."""
    return _totp(secret).get_provisioning_uri(email, _ISSUER)


def written(secret: bytes) -> str:
    """The secret as people type it."""
    text = base64.b32encode(secret).decode()
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


async def begin(db: Db, secrets: Secrets, person_id: int) -> None:
    """A new secret, which counts for nothing until a code of it was seen. Raises Refused where one is on."""
    if not await second_factors.begin(db, person_id, secrets.seal(os.urandom(_SECRET_OCTETS))):
        raise Refused(Fault.ON)


async def turn_on(
    change: Change, secrets: Secrets, person_id: int, given_password: str, code: str, *, session_id: int, now_s: float
) -> list[str]:  # fmt: skip
    """The recovery codes. Ends all other sessions of theirs: those knew the password alone. Raises Refused."""
    row = await second_factors.of(change.db, person_id)
    if row is None or row["on_since"] is not None:
        raise Refused(Fault.ON if row else Fault.GONE)
    await _know_password(change.db, person_id, given_password)
    step = step_of(secrets.unseal(row["secret_sealed"]), _plain(code), now_s)
    if step is None or not await second_factors.turn_on(change.db, person_id, row["secret_sealed"], step):
        raise Refused(Fault.CODE)
    codes = await _new_codes(change, secrets, person_id)
    ended = await users.end_sessions(change.db, person_id, but=session_id)
    change.record(f"person {person_id}", after={"second_factor": True, "sessions_ended": ended})
    return codes


async def turn_off(change: Change, person_id: int) -> None:
    """For whoever has proved who they are, or an operator, who knows. Raises Refused where none is on."""
    if not await second_factors.turn_off(change.db, person_id):
        raise Refused(Fault.GONE)
    change.record(f"person {person_id}", before={"second_factor": True}, after={"second_factor": False})


async def renew_codes(change: Change, secrets: Secrets, person_id: int) -> list[str]:
    """Recovery codes in place of those there are. Raises Refused where none is on."""
    row = await second_factors.of(change.db, person_id)
    if row is None or row["on_since"] is None:
        raise Refused(Fault.GONE)
    codes = await _new_codes(change, secrets, person_id)
    change.record(f"person {person_id}", after={"new_recovery_codes": len(codes)})
    return codes


async def prove(
    db: Database, secrets: Secrets, actor: Actor, person_id: int, given_password: str, code: str, now_s: float
) -> None:
    """Before something is changed: both factors once more. Raises Refused."""
    await _know_password(db, person_id, given_password)
    await show(db, secrets, actor, person_id, code, now_s)


async def show(
    db: Database, secrets: Secrets, actor: Actor, person_id: int, code: str, now_s: float
) -> Shown:
    """A code that is good, from now on used. Raises Refused; who tries how often is the caller's to see to."""
    row = await second_factors.of(db, person_id)
    if row is None or row["on_since"] is None:
        raise Refused(Fault.GONE)
    code = _plain(code)
    if len(code) == _RECOVERY_CHARACTERS:
        async with changing(db, actor, "user.recovery_code") as change:
            if await second_factors.use_recovery_code(change.db, person_id, _hmac(secrets, person_id, code)):
                left = row["codes_left"] - 1
                change.record(f"person {person_id}", after={"recovery_codes_left": left})
                return Shown.RECOVERY
            change.nothing()
    step = step_of(secrets.unseal(row["secret_sealed"]), code, now_s)
    if step is not None and await second_factors.use_step(db, person_id, step, MOST_WRONG):
        return Shown.APP
    await second_factors.count_wrong(db, person_id)
    raise Refused(Fault.SPENT if row["wrong"] >= MOST_WRONG else Fault.CODE)


async def _know_password(db: Db, person_id: int, given: str) -> None:
    if not await password.fits(await users.password_hash(db, person_id), given):
        raise Refused(Fault.WRONG)


async def _new_codes(change: Change, secrets: Secrets, person_id: int) -> list[str]:
    plain = [_random() for _ in range(RECOVERY_CODES)]
    hmacs = [_hmac(secrets, person_id, code) for code in plain]
    await second_factors.replace_recovery_codes(change.db, person_id, hmacs)
    middle = _RECOVERY_CHARACTERS // 2
    return [f"{code[:middle]}-{code[middle:]}" for code in plain]


def _random() -> str:
    return "".join(random.choice(_ALPHABET) for _ in range(_RECOVERY_CHARACTERS))


def _hmac(secrets: Secrets, person_id: int, code: str) -> bytes:
    return secrets.panel_hmac("recovery code", f"{person_id} {code}")


def _plain(code: str) -> str:
    """As people type it, with blanks, dashes and capitals."""
    return "".join(code.split()).replace("-", "").lower()


def _totp(secret: bytes) -> TOTP:
    return TOTP(secret, _DIGITS, SHA1(), _STEP_S)  # noqa: S303 - RFC 6238 has it in an HMAC
