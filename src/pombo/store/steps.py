"""How far somebody has come who tries the platform for the first time."""

from typing import NamedTuple

from pombo.message import CallbackKind, CallbackState, State
from pombo.store.database import Db

_NEWEST = 1000  # messages that are looked at


class Steps(NamedTuple):
    delivered: bool  # a message of the account's
    called: bool  # and its receiver took the callback about one
    replied: bool  # somebody has written to it
    by_api: bool  # a message came from a program
    connected: bool  # there is an operator beside the simulated one


# What the panel sends has an id that says so.
_OURS = "^(painel|resposta|campanha|descadastro)-"

_STEPS = f"""
with newest as materialized (
    select id, state, client_ref from message where account_id = $1 order by id desc limit $2
)
select exists (select from newest where state = {State.DELIVERED:d}),
    exists (select from newest n join callback c on c.kind = {CallbackKind.DLR:d} and c.subject_id = n.id
            where c.state = {CallbackState.CONFIRMED:d}),
    exists (select from conversation where account_id = $1 and replies > 0),
    exists (select from newest where client_ref !~ '{_OURS}'),
    exists (select from smsc where not demo)
"""


async def taken(db: Db, account_id: int) -> Steps:
    row = await db.fetchrow(_STEPS, account_id, _NEWEST)
    assert row is not None
    return Steps(*row)
