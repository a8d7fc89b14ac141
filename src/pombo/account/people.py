"""What is done with the people of an account, by whatever way it comes: commands or pages. Each leaves its record."""

import re
import secrets as random
from datetime import timedelta
from enum import StrEnum
from typing import Any, NamedTuple

import asyncpg

from pombo.account import password
from pombo.account.secret import Secrets
from pombo.store import users
from pombo.store.audit import Change

MOST_EMAIL = 254  # RFC 5321 §4.5.3.1.3
MOST_NAME = 100
CODE_LENGTH = timedelta(hours=24)
_EMAIL = re.compile(r"[^\s@,;<>\"()\[\]\\]{1,64}@[^\s@,;<>\"()\[\]\\.]+(\.[^\s@,;<>\"()\[\]\\.]+)*")


class Role(StrEnum):
    ADMIN = "admin"
    SENDER = "sender"  # sends, campaigns, contacts, replies
    VIEWER = "viewer"  # looks
    DEVELOPER = "developer"  # tokens, callbacks, documentation

    @property
    def sees_numbers(self) -> bool:
        """Whole; else masked."""
        return self in (Role.ADMIN, Role.SENDER)


class Fault(StrEnum):
    """Why something cannot be done with a person."""

    EMAIL = "email"  # it is no address
    NAME = "name"  # too long
    TAKEN = "taken"  # somebody has this address, perhaps in another account
    GONE = "gone"  # there is no such person (any more)
    LAST_ADMIN = "last_admin"  # nobody would be left who may do everything
    WRONG = "wrong"  # the password that they have is another
    CODE = "code"  # of the second factor: wrong, too old, or used already
    SPENT = "spent"  # so many codes were wrong that only a recovery code counts
    ON = "on"  # the second factor is on already


class Refused(Exception):
    def __init__(self, fault: "Fault | password.Weak") -> None:
        super().__init__(fault)
        self.fault = fault


class Added(NamedTuple):
    person_id: int
    code: str  # lets them in once


def an_email(text: str) -> str:
    """As it is kept. Raises Refused."""
    email = text.strip().lower()
    if len(email) > MOST_EMAIL or not email.isprintable() or not _EMAIL.fullmatch(email):
        raise Refused(Fault.EMAIL)
    return email


async def add(
    change: Change, secrets: Secrets, account_id: int, email: str, role: Role, name: str = ""
) -> Added:
    """Raises Refused. They choose a password once the code has let them in."""
    email, name = an_email(email), " ".join(name.split())
    if len(name) > MOST_NAME or not name.isprintable():
        raise Refused(Fault.NAME)
    person_id = await users.add(change.db, account_id, email, name, role)
    if person_id is None:
        raise Refused(Fault.TAKEN)
    code = await _new_code(change, secrets, person_id)
    change.record(f"person {person_id}", after={"account": account_id, "email": email, "role": role.value})
    return Added(person_id, code)


async def invite(change: Change, secrets: Secrets, account_id: int | None, person_id: int) -> str:
    """A new code, which lets them in once and to choose a new password. Until then their password stays. Raises Refused."""
    row = await _there(change, account_id, person_id)
    code = await _new_code(change, secrets, person_id)
    change.record(f"person {person_id}", after={"email": row["email"], "one_time_link": True})
    return code


async def set_role(change: Change, account_id: int | None, person_id: int, role: Role) -> None:
    """Raises Refused, also for the last admin."""
    row = await _there(change, account_id, person_id)
    if row["role"] == role:
        change.nothing()
        return
    await _spare_last_admin(change, row)
    await users.set_role(change.db, person_id, role)
    before = {"email": row["email"], "role": row["role"]}
    change.record(f"person {person_id}", before=before, after={**before, "role": role.value})


async def set_name(change: Change, person_id: int, name: str) -> None:
    """Raises Refused."""
    name = " ".join(name.split())
    if len(name) > MOST_NAME or not name.isprintable():
        raise Refused(Fault.NAME)
    row = await _there(change, None, person_id)
    if row["person_name"] == name:
        change.nothing()
        return
    await users.set_name(change.db, person_id, name)
    change.record(f"person {person_id}", before={"name": row["person_name"]}, after={"name": name})


async def remove(change: Change, account_id: int | None, person_id: int) -> None:
    """With all their sessions, at once. Raises Refused, also for the last admin."""
    row = await _there(change, account_id, person_id)
    await _spare_last_admin(change, row)
    await users.remove(change.db, person_id)
    change.record(f"person {person_id}", before=_told(row))


async def choose_password(
    change: Change, person: asyncpg.Record, new: str, old: str | None, session_id: int
) -> int:
    """Ends all other sessions of theirs; how many. old: None where they need not know it. Raises Refused."""
    person_id = person["person_id"]
    if old is not None and not await password.fits(await users.password_hash(change.db, person_id), old):
        raise Refused(Fault.WRONG)
    if weak := password.weakness(new, person["email"]):
        raise Refused(weak)
    await users.set_password(change.db, person_id, await password.hashed(new))
    ended = await users.end_sessions(change.db, person_id, but=session_id)
    change.record(f"person {person_id}", after={"new_password": True, "sessions_ended": ended})
    return ended


async def _new_code(change: Change, secrets: Secrets, person_id: int) -> str:
    code = random.token_urlsafe(24)
    await users.add_code(change.db, person_id, secrets.panel_hmac("code", code), CODE_LENGTH)
    return code


async def _there(change: Change, account_id: int | None, person_id: int) -> asyncpg.Record:
    row = await users.person(change.db, account_id, person_id)
    if row is None:
        raise Refused(Fault.GONE)
    return row


async def _spare_last_admin(change: Change, row: asyncpg.Record) -> None:
    admins = await users.lock_people(change.db, row["account_id"])
    if row["role"] == Role.ADMIN and admins <= 1:
        raise Refused(Fault.LAST_ADMIN)


def _told(row: asyncpg.Record) -> dict[str, Any]:
    """For the audit trail."""
    return {"account": row["account_id"], "email": row["email"], "role": row["role"]}
