"""People of an account: two admins who remove each other at once, and passwords."""

import asyncio

import pytest

from pombo.account import password, people
from pombo.account.people import Fault, Refused, Role
from pombo.account.secret import Secrets
from pombo.store import accounts, users
from pombo.store.audit import Actor, changing
from pombo.store.database import Database

pytestmark = pytest.mark.anyio
ACTOR = Actor("test", "")


async def test_two_admins_cannot_remove_each_other_at_the_same_time(database: Database) -> None:
    secrets = Secrets(b"0123456789abcdef")
    account_id = await accounts.add_account(database, "loja", 0, b"h", "p")
    ids = []
    for email in ("a@loja.example", "b@loja.example"):
        async with changing(database, ACTOR, "user.add") as change:
            ids.append((await people.add(change, secrets, account_id, email, Role.ADMIN)).person_id)

    async def remove(person_id: int) -> Fault | password.Weak | None:
        try:
            async with changing(database, ACTOR, "user.remove") as change:
                await people.remove(change, account_id, person_id)
        except Refused as refused:
            return refused.fault
        return None

    found = await asyncio.gather(*map(remove, ids))
    assert sorted(found, key=str) == [None, Fault.LAST_ADMIN]
    assert len(await users.people(database, account_id)) == 1


async def test_people_of_another_account_are_not_there(database: Database) -> None:
    secrets = Secrets(b"0123456789abcdef")
    mine = await accounts.add_account(database, "loja", 0, b"h", "p")
    other = await accounts.add_account(database, "outra", 0, b"i", "p")
    async with changing(database, ACTOR, "user.add") as change:
        person_id = (await people.add(change, secrets, other, "a@outra.example", Role.ADMIN)).person_id
    with pytest.raises(Refused, match="gone"):
        async with changing(database, ACTOR, "user.role") as change:
            await people.set_role(change, mine, person_id, Role.VIEWER)


async def test_a_password_fits_itself_alone_and_nobodys_fits_nothing() -> None:
    kept = await password.hashed("uma senha bem comprida")
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert await password.fits(kept, "uma senha bem comprida")
    assert not await password.fits(kept, "uma senha bem comprid")
    assert not await password.fits(kept, "x" * 100_000)
    assert not await password.fits(None, "") and not await password.fits("no hash", "x")


@pytest.mark.parametrize(
    ("text", "weak"),
    [
        ("curta", password.Weak.SHORT),
        ("x" * 201, password.Weak.LONG),
        ("aaaaaaaaaaaaaa", password.Weak.PLAIN),
        ("Ana.Souza@loja.example", password.Weak.PLAIN),
        ("cavalo correto", None),
    ],
)
def test_a_password_must_be_long_and_no_more(text: str, weak: password.Weak | None) -> None:
    assert password.weakness(text, "ana.souza@loja.example") is weak
