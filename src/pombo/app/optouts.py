"""What follows an opt-out: waiting marketing messages end, and the handset hears once that it worked.

The block itself is committed with the reply (inbound/replies.py), and says what is owed. What is done about it here may
be done again after a crash, or by two nodes at once: the confirmation has the same id each time, and so goes out once.
"""

import uuid
from collections.abc import Callable

import asyncpg
import structlog

from pombo import country
from pombo.accept.intake import Intake
from pombo.accept.submission import judge
from pombo.account.account import Account
from pombo.account.prices import Prices
from pombo.account.secret import Secrets
from pombo.errors import Refusal
from pombo.message import MessageClass
from pombo.route.routes import Routes
from pombo.store import accounts, blocks, endings
from pombo.store.audit import Actor, changing
from pombo.store.blocks import Owed
from pombo.store.callbacks import Job
from pombo.store.database import Database

log = structlog.get_logger()

CONFIRMATION = "Descadastro feito. Você não receberá mais nossas mensagens."  # one part in every alphabet
_OWED_HOURS = 24.0  # a confirmation that could not go by then would only surprise
_PAGE = 100
_PERSON = Actor("reply", "")  # whoever wrote it


class OptOuts:
    """`step` now and then, on any number of nodes."""

    def __init__(
        self,
        db: Database,
        intake: Intake,
        secrets: Secrets,
        *,
        routes: Callable[[], Routes],
        holder: uuid.UUID | None,
        notify: Callable[[list[Job]], None],
    ) -> None:
        """notify: given the callbacks of messages that ended, leased to `holder`."""
        self._db = db
        self._intake = intake
        self._secrets = secrets
        self._routes = routes
        self._holder = holder
        self._notify = notify

    async def step(self) -> None:
        await self._record()
        for owed in await blocks.owed(self._db, _OWED_HOURS, _PAGE):
            number = country.of_address(f"+{owed.source}")  # as it is kept: with its country
            if number is None:  # none that we could have written to
                await blocks.settle(self._db, owed)
                continue
            try:
                await self._end_waiting(owed.account_id, number)
                if await self._confirm(owed, number):
                    await blocks.settle(self._db, owed)
            except asyncpg.PostgresError as error:  # the others must not wait for this one
                log.error("opt_out_failed", reply=owed.inbox_id, error=type(error).__name__)

    async def _record(self) -> None:
        """Not in the reply's own commit: the chain of records is locked to the end of the transaction, and replies come with
        receipts, whose refunds lock accounts."""
        for opt_out in await blocks.untold(self._db, _PAGE):
            async with changing(self._db, _PERSON, "block.add") as change:
                if await blocks.tell(change.db, opt_out):
                    told = {"number": opt_out.source, "reason": "reply", "reply": opt_out.inbox_id}
                    change.record(
                        f"account {opt_out.account_id}", after={**told, "since": opt_out.created_at}
                    )
                else:
                    change.nothing()

    async def _end_waiting(self, account_id: int, number: int) -> None:
        async with self._db.transaction() as tx:
            ended = await blocks.end_waiting(tx, account_id, [number])
            jobs = await endings.ended(tx, self._holder, ended)
        self._notify(jobs)

    async def _confirm(self, owed: Owed, number: int) -> bool:
        """Whether nothing is owed any more. Raises Unavailable."""
        row = await accounts.optout(self._db, owed.account_id)
        # At any hour, whatever the account sends otherwise.
        account = Account.of(row)._replace(message_class=int(MessageClass.TRANSACTIONAL))
        submission = judge(
            account,
            f"+{number}",
            row["optout_text"] or CONFIRMATION,
            f"descadastro-{owed.inbox_id}",
            routes=self._routes(),
            prices=Prices(),
            secrets=self._secrets,
        )
        submission.ours, submission.price_milli, submission.held_for = True, 0, ""
        if submission.refusal is None:
            await self._intake.submit([submission])
        match submission.refusal:
            case None:
                log.info("opt_out_confirmed", account=owed.account_id, reply=owed.inbox_id)
            case Refusal.NO_ROUTE:
                return False  # there may be one later
            case refusal:
                log.warning(
                    "opt_out_not_confirmed",
                    account=owed.account_id,
                    reply=owed.inbox_id,
                    reason=refusal.name.lower(),
                )
        return True
