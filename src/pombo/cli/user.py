"""`user add|list|role|password|onefactor|remove`: the people of an account, who use the panel."""

from typing import Annotated, Any, Literal

import asyncpg
from cyclopts import Parameter
from rich.console import Group
from rich.text import Text

from pombo.account import people, second_factor
from pombo.account.people import Fault, Refused, Role
from pombo.cli.answer import Answer, age, iso, table
from pombo.cli.options import EVERY, Every
from pombo.config import Config
from pombo.errors import PomboError
from pombo.store import accounts, users
from pombo.store.audit import Change

Email = Annotated[str, Parameter(help="The person's e-mail address, by which they sign in.")]
RoleName = Literal["admin", "sender", "viewer", "developer"]
_ROLE = "What they may do: admin (all), sender, viewer or developer."

_WHY = {
    Fault.EMAIL: "This is no e-mail address.",
    Fault.NAME: f"The name is too long: {people.MOST_NAME} characters at most.",
    Fault.TAKEN: "Somebody has this e-mail address already. `pombo user list` shows who.",
    Fault.GONE: "There is no such person. `pombo user list` shows those there are.",
    Fault.LAST_ADMIN: "This is the account's last admin: give the role to somebody else before.",
}


async def add(
    account: str,
    email: Email,
    /,
    *,
    role: Annotated[RoleName, Parameter(help=_ROLE)] = "admin",
    name: Annotated[str, Parameter(help="What they are called.")] = "",
    every: Every = EVERY,
) -> Answer:
    """Let somebody into an account's panel. Prints a link that lets them in once, to choose a password."""
    async with every.changing("user.add") as (doing, secrets):
        row = await accounts.account(doing.db, account)
        try:
            added = await people.add(doing, secrets, row["id"], email, Role(role), name)
        except Refused as refused:
            raise _told(refused) from None
    facts = {"account": row["id"], "user": added.person_id, "email": people.an_email(email), "role": role}
    return _with_link(
        facts, added.code, every.config(), f"{facts['email']} may use the panel of {row['name']}."
    )


async def show(
    *,
    account: Annotated[str | None, Parameter(help="Those of this account: name or id.")] = None,
    every: Every = EVERY,
) -> Answer:
    """Who uses the panel."""
    async with every.reached() as (db, _):
        account_id = None if account is None else (await accounts.account(db, account))["id"]
        rows = await users.people(db, account_id)
    facts = [_facts(row) for row in rows]
    shown = table(
        ">user", "account", "e-mail", "name", "role", "password", "2FA", "signed in",
        rows=(
            (
                str(row["person_id"]), row["account"], row["email"], row["person_name"], row["role"],
                "yes" if row["has_password"] else "none yet",
                "on" if row["has_second_factor"] else "off",
                "never" if row["signed_in_at"] is None else f"{age(row['signed_in_at'])} ago",
            )
            for row in rows
        ),
        empty="Nobody: pombo user add ACCOUNT EMAIL",
    )  # fmt: skip
    return Answer({"users": facts}, shown)


async def role(
    email: Email, new: Annotated[RoleName, Parameter(help=_ROLE)], /, *, every: Every = EVERY
) -> Answer:
    """Change what somebody may do. Takes effect with their next click."""
    async with every.changing("user.role") as (doing, _):
        row = await _found(doing, email)
        try:
            await people.set_role(doing, None, row["person_id"], Role(new))
        except Refused as refused:
            raise _told(refused) from None
    return Answer({**_facts(row), "role": new}, Text(f"{row['email']} is {new} of {row['account']}."))


async def password(email: Email, /, *, every: Every = EVERY) -> Answer:
    """For somebody who forgot their password: a link that lets them in once, to choose another one."""
    async with every.changing("user.password") as (doing, secrets):
        row = await _found(doing, email)
        code = await people.invite(doing, secrets, None, row["person_id"])
    facts = {"account": row["account_id"], "user": row["person_id"], "email": row["email"]}
    sentence = f"{row['email']} keeps the old password until they choose another."
    if row["has_second_factor"]:
        sentence += " The second step stays on: the link asks for a code, too (see `pombo user onefactor`)."
    return _with_link(facts, code, every.config(), sentence)


async def second_factor_off(email: Email, /, *, every: Every = EVERY) -> Answer:
    """For somebody who lost the telephone and the recovery codes: the password alone lets them in again.

    Make sure that it is them who asks: whoever knows the password comes in.
    """
    async with every.changing("user.second_factor") as (doing, _):
        row = await _found(doing, email)
        try:
            await second_factor.turn_off(doing, row["person_id"])
        except Refused:
            raise PomboError(f"{row['email']} has no second factor.") from None
    facts = {**_facts(row), "has_second_factor": False}
    return Answer(facts, Text(f"{row['email']} of {row['account']} comes in with the password alone."))


async def remove(email: Email, /, *, every: Every = EVERY) -> Answer:
    """Take somebody's access away, at once."""
    async with every.changing("user.remove") as (doing, _):
        row = await _found(doing, email)
        try:
            await people.remove(doing, None, row["person_id"])
        except Refused as refused:
            raise _told(refused) from None
    facts = {"account": row["account_id"], "user": row["person_id"], "email": row["email"], "removed": True}
    return Answer(facts, Text(f"{row['email']} is out of {row['account']}."))


async def _found(doing: Change, email: str) -> asyncpg.Record:
    row = await users.by_email(doing.db, email.strip().lower())
    if row is None:
        raise PomboError(_WHY[Fault.GONE])
    return row


def _told(refused: Refused) -> PomboError:
    assert isinstance(refused.fault, Fault)
    return PomboError(_WHY[refused.fault])


def _with_link(facts: dict[str, Any], code: str, config: Config, sentence: str) -> Answer:
    host = f"[{config.host}]" if ":" in config.host else config.host
    link = f"{config.panel_url.rstrip('/') or f'http://{host}:{config.port}'}/entrar/{code}"
    hours = int(people.CODE_LENGTH.total_seconds() // 3600)
    shown = Group(
        Text(sentence),
        Text(f"Link: {link}", style="bold", no_wrap=True, overflow="ignore"),
        f"[dim]It lets them in once, within {hours} hours. Whoever has it is let in: give it to them alone.[/]",
    )
    return Answer({**facts, "login_url": link}, shown)


def _facts(row: asyncpg.Record) -> dict[str, Any]:
    return {
        "user": row["person_id"],
        "account": row["account_id"],
        "account_name": row["account"],
        "email": row["email"],
        "name": row["person_name"],
        "role": row["role"],
        "has_password": row["has_password"],
        "has_second_factor": row["has_second_factor"],
        "created_at": iso(row["created_at"]),
        "signed_in_at": iso(row["signed_in_at"]),
    }
