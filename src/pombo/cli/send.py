"""`send`: one message into the queue, by the same rules as the API."""

import uuid
from typing import Annotated

from cyclopts import Parameter
from rich.text import Text

from pombo.accept.intake import Intake
from pombo.accept.submission import Submission, judge
from pombo.account.account import Account
from pombo.app import Reached
from pombo.app.money import prices_now
from pombo.app.routing import at_this_moment
from pombo.cli import money
from pombo.cli.answer import Answer
from pombo.cli.options import EVERY, Every
from pombo.errors import PomboError
from pombo.number import masked
from pombo.store import accounts, nodes, wake
from pombo.store.ids import Ids

_COMMIT_TIMEOUT_S = 10.0


async def send(
    account: Annotated[str, Parameter(help="Name or id of the account that sends and pays.")],
    number: Annotated[
        str,
        Parameter(
            help="Mobile number with its area code; of other countries with +.",
            allow_leading_hyphen=True,
        ),
    ],
    text: Annotated[str, Parameter(help="The message.", allow_leading_hyphen=True)],
    /,
    *,
    client_ref: Annotated[
        str, Parameter(name="--id", help="Your id of the message: sent twice with one id, it goes out once.")
    ] = "",
    every: Every = EVERY,
) -> Answer:
    """Send one message, by the same rules as the API.

    It is in the queue when this returns; a running node takes it from there within a second.
    """
    async with every.reached(changes=True) as doors:
        routes, _ = await at_this_moment(doors.db, every.config().operators_file)
        sender = Account.of(await accounts.account(doors.db, account))
        prices = await prices_now(doors.db)
        submission = judge(
            sender, number, text, client_ref, routes=routes, prices=prices, secrets=doors.secrets
        )
        if submission.refusal is None or submission.may_be_retry:
            await _take_in(doors, submission)
    if submission.refusal is not None:
        raise PomboError(submission.refusal.text)
    assert submission.outgoing is not None
    facts = {
        "account": sender.id,
        "id": submission.client_ref,
        "parts": submission.outgoing.parts,
        "price_milli": submission.price_milli,
        "accepted_at": submission.accepted_at,
    }
    shown = Text(
        f"Accepted for {masked(submission.number)} as {submission.client_ref}:"
        f" {submission.outgoing.parts} part(s), {money.show_price(submission.price_milli)}."
    )
    return Answer(facts, shown)


async def _take_in(doors: Reached, submission: Submission) -> None:
    """Through an intake of our own, under a node number of our own. Running nodes find the message in the queue."""
    holder = uuid.uuid4()
    number = await nodes.lease_number(doors.db, holder)
    queued: set[int] = set()
    intake = Intake(
        doors.db,
        Ids(number, await nodes.newest_id(doors.db)),
        stored=queued.update,
        number_hmac=doors.secrets.number_hmac,
        limit_messages=1,
        commit_timeout_s=_COMMIT_TIMEOUT_S,
    )
    intake.start()
    try:
        await intake.submit([submission])
        if queued:
            await wake.tell_queued(doors.db, queued)
    finally:
        await intake.stop()
        await nodes.release_number(doors.db, number, holder)
