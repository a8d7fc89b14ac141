"""What the end of messages brings with it, in the transaction that ends them: refunds, and callbacks.

A message that was never submitted (no operator took a part of it, or may have taken one without an answer) is refunded
whole. One that an operator rejected is refunded where its account has `refund_rejected`; any other that was submitted and
not delivered, where it has `refund_undelivered`. Then it is refunded whole when a receipt says that it failed, else for
the parts that no operator took or may have taken.
"""

import uuid
from collections.abc import Sequence

from pombo.message import AttemptState, State
from pombo.store import outbox
from pombo.store.callbacks import Job
from pombo.store.database import Connection


async def ended(tx: Connection, holder: uuid.UUID | None, message_ids: Sequence[int]) -> list[Job]:
    """To be called once in a transaction, when it has ended all its messages and just before it commits: what waits
    for an account's lock must not be waited for by one that holds it.

    message_ids: those that this transaction has made final. Their callbacks are leased to `holder`.
    """
    if not message_ids:
        return []
    written = await outbox.of_messages(tx, holder, message_ids)
    if written.undelivered:
        await _refund(tx, written.undelivered)
    return written.jobs


_SUBMITTED = f"({AttemptState.UNCERTAIN:d}, {AttemptState.TAKEN:d}, {AttemptState.DELIVERED:d})"

# message_id, account_id, amount. The price is that of all parts, which cost the same each.
_OWED = f"""
select id, account_id, amount from (
    select m.id, m.account_id,
           case when t.attempts = 0 then m.price_milli
                when t.kept = 0 and not t.failed and m.state <> {State.REJECTED:d} then m.price_milli
                when not case m.state when {State.REJECTED:d} then a.refund_rejected else a.refund_undelivered end then 0
                when t.failed then m.price_milli
                else m.price_milli / m.parts * (m.parts - t.kept) end as amount
    from message m join account a on a.id = m.account_id
    cross join lateral (
        select count(*) as attempts, count(distinct part) filter (where state in {_SUBMITTED}) as kept,
               coalesce(bool_or(state = {AttemptState.FAILED:d}), false) as failed
        from attempt where message_id = m.id
    ) t
    where m.id = any($1::bigint[]) and m.price_milli > 0
      and m.state in ({State.UNDELIVERED:d}, {State.EXPIRED:d}, {State.REJECTED:d}, {State.CANCELLED:d})
) owed where amount > 0
"""

# The messages are this transaction's own already. The accounts are locked in order of id, as the intake does it.
_REFUND = """
with locked as materialized (
    select id from account where id = any($2::bigint[]) order by id for no key update
), noted as (
    update message m set refunded_milli = t.amount
    from unnest($1::bigint[], $3::bigint[]) t(id, amount)
    where m.id = t.id and m.refunded_milli is null and (select count(*) from locked) > 0
    returning m.account_id, m.refunded_milli
), sums as materialized (
    select account_id, sum(refunded_milli)::bigint as amount, count(*)::int as messages from noted group by account_id
), entered as (
    insert into ledger (account_id, kind, amount_milli, messages)
    select account_id, 'refund', amount, messages from sums order by account_id
)
update account a set balance_milli = a.balance_milli + s.amount from sums s where a.id = s.account_id
"""


async def _refund(tx: Connection, message_ids: Sequence[int]) -> None:
    """Once per message: a message becomes final once, and keeps what it was refunded."""
    owed = await tx.fetch(_OWED, message_ids)
    if owed:
        await tx.execute(
            _REFUND,
            [row["id"] for row in owed], [row["account_id"] for row in owed], [row["amount"] for row in owed],
        )  # fmt: skip
