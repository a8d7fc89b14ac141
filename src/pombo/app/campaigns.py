"""The doors of campaigns: rows are judged and accepted as messages of the API are."""

import uuid
from collections.abc import Callable, Sequence

from pombo.accept.intake import Intake
from pombo.accept.submission import Submission, judge
from pombo.account.account import Account
from pombo.account.prices import Prices
from pombo.account.secret import Secrets
from pombo.campaign.doors import Doors, Judged, Letter, Outcome
from pombo.route.routes import Routes
from pombo.store import intake as keys
from pombo.store.database import Database


def doors(
    db: Database,
    intake: Intake,
    secrets: Secrets,
    *,
    routes: Callable[[], Routes],
    prices: Callable[[], Prices],
) -> Doors:
    def submission(
        account: Account, destination: str, text: str, client_ref: str, text_mode: str
    ) -> Submission:
        return judge(
            account,
            destination,
            text,
            client_ref,
            text_mode,
            routes=routes(),
            prices=prices(),
            secrets=secrets,
        )

    def judged(account: Account, destination: str, text: str, text_mode: str) -> Judged:
        one = submission(account, destination, text, "", text_mode)
        parts = one.outgoing.parts if one.outgoing else 0
        return Judged(
            one.refusal,
            one.number,
            parts,
            one.price_milli,
            one.outgoing.sent if one.outgoing else "",
            bool(one.outgoing and one.outgoing.ucs2),
        )

    async def submit(account: Account, letters: Sequence[Letter], text_mode: str) -> list[Outcome]:
        submissions = [
            submission(account, letter.destination, letter.text, letter.client_ref, text_mode)
            for letter in letters
        ]
        await intake.submit(submissions)
        refs = [one.client_ref for one in submissions if one.refusal is None]
        known = await keys.known_keys(db, [account.id] * len(refs), refs)
        return [
            Outcome(known[account.id, one.client_ref]["message_id"], None)
            if one.refusal is None
            else Outcome(None, one.refusal)
            for one in submissions
        ]

    return Doors(db, uuid.uuid4(), judged, submit, secrets.number_hmac)
