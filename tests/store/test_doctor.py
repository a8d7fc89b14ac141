"""`pombo doctor` finds nothing on a sound platform, and whatever does not agree."""

import uuid

import pytest

from pombo.account.secret import Secrets
from pombo.store import doctor, intake, leases, ledger, queue, sessions, smscs
from pombo.store.database import Database
from rows import SECRETS, claim, one_message

pytestmark = pytest.mark.anyio

HOLDER = uuid.UUID(int=1)
WAITS, WRITTEN, SENT = 1, 2, 3  # messages


@pytest.fixture
async def platform(database: Database) -> Database:
    """One message that waits, one that is being written, one that was sent; and money."""
    db = database
    account_id = await db.fetchval("insert into account (name) values ('loja') returning id")
    await ledger.book(db, account_id, "recharge", 1000)
    smsc_id = await smscs.add_smsc(
        db, "vivo", host="127.0.0.1", port=1, system_id="p", password_sealed=SECRETS.seal(b"x")
    )
    await db.execute(
        "insert into node (number, holder, lease_until, roles) values (1, $1, now() + interval '1 h', '{send}')",
        HOLDER,
    )
    taken = await leases.take(db, smsc_id, HOLDER, 3600)
    assert taken is not None
    session_id = await sessions.begin_session(db, smsc_id, HOLDER, taken.epoch)
    assert session_id is not None
    for message_id in (WRITTEN, SENT):
        await intake.accept(db, one_message(account_id, message_id, 5511900000001, smsc_id))
    claimed = {c.message_id: c for c in await claim(db, smsc_id, session_id, 10)}
    sent = queue.Attempt(SENT, 1, 1, 5511900000001, "a1", "a1", 1, 0, claimed[SENT].due_at, False)
    await queue.commit_results(db, smsc_id, session_id, [sent], [SENT])
    await intake.accept(db, one_message(account_id, WAITS, 5511900000001, smsc_id))
    return db


async def test_a_sound_platform_has_no_fault(platform: Database) -> None:
    assert await doctor.examine(platform) == []
    assert [SECRETS.unseal(octets) for _, octets in await doctor.sealed(platform)] == [b"x"]


_CHARGED = "insert into ledger (account_id, kind, amount_milli) select id, 'adjustment', -1 from account"
_OLD = "now() - interval '2 h'"
_ENDPOINT = (
    "insert into endpoint (account_id, kind, url, secret_sealed, updated_at)"
    " select id, 1, 'x', '', '-infinity' from account;"
)
_CALLBACK = "insert into callback (account_id, kind, subject_id) select id, 1, 1 from account"
TAMPERED = {
    "books": _CHARGED,
    "waiting_nowhere": "delete from queue where message_id = 1",
    "sent_by_nobody": "delete from attempt",
    "final_and_queued": "update message set state = 4, final_at = now() where id = 1",
    "ended_without_time": "update message set state = 4 where id = 3",
    "delivered_in_part": "update message set state = 3, final_at = now() where id = 3",
    "queued_without_message": "update queue set parts = 2 where message_id = 1",
    "written_by_nobody": "update session set ended_at = now()",
    "uncertain_and_not_held": "update message set state = 2 where id = 1",
    "attempt_without_message": "delete from message where id = 3",
    "unprotected": "delete from message_key where message_id = 3",
    "not_told": f"{_ENDPOINT} update message set state = 4, final_at = now() where id = 3",
    "told_too_early": _CALLBACK,
    "session_of_another_owner": "update session set holder = gen_random_uuid()",
    "stuck_in_writing": f"update lease set lease_until = {_OLD}",
    "overdue": f"update queue set expires_at = {_OLD}",
    "parked_too_long": "insert into parked_receipt (smsc_id, raw_id, command_id, body, received_at)"
    " values (1, 'x', 5, '', now() - interval '97 h')",
    "audit": "insert into audit values"
    " (1, now(), 'a', '', 'b', 'c', null, null, decode(repeat('00', 32), 'hex'), decode(repeat('11', 32), 'hex'))",
}  # fmt: skip


async def test_each_look_has_its_fault() -> None:
    assert set(TAMPERED) == {"books", *doctor.LOOKS, "audit"}


@pytest.mark.parametrize("look", TAMPERED)
async def test_what_does_not_agree_is_found(platform: Database, look: str) -> None:
    await platform.execute(
        "alter table message disable trigger user; alter table ledger disable trigger user"
    )
    await platform.execute(TAMPERED[look])

    faults = await doctor.examine(platform)

    assert look in [fault.look for fault in faults]
    assert all(fault.found for fault in faults)


async def test_another_secret_opens_nothing(platform: Database) -> None:
    with pytest.raises(Exception, match="another secret"):
        [Secrets(b"another secret of 16").unseal(octets) for _, octets in await doctor.sealed(platform)]
