"""Where an account is called, by whatever way it is changed: commands or pages. Each change leaves its record.

The trail never has a URL whole: what stands behind the host may be the customer's password.
"""

import hashlib
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from pombo.account.secret import Secrets
from pombo.callback.address import check_url
from pombo.callback.sign import new_secret, show_secret
from pombo.config import Network
from pombo.message import CallbackKind
from pombo.store import callbacks
from pombo.store.audit import Change
from pombo.store.callbacks import EndpointRow
from pombo.store.database import Db


class NotRegistered(Exception):
    """The account has no URL of this kind."""


async def registered(db: Db, account_id: int, kind: CallbackKind) -> EndpointRow | None:
    return next((row for row in await callbacks.endpoints_of(db, account_id) if row.kind == kind), None)


async def register(
    change: Change,
    secrets: Secrets,
    account_id: int,
    kind: CallbackKind,
    url: str,
    allow: Iterable[Network],
    *,
    literal: bool,
    any_2xx: bool,
) -> EndpointRow:
    """A new URL, or the change of one, whose secret stays. Raises BadUrl.

    allow: networks inside the platform that it may lead to.
    """
    url = check_url(url, allow)
    before = await registered(change.db, account_id, kind)
    await callbacks.set_endpoint(
        change.db, account_id, kind, url,
        literal=literal, any_2xx=any_2xx, secret_sealed=secrets.seal(new_secret()),
    )  # fmt: skip
    kept = await _there(change.db, account_id, kind)
    change.record(
        f"account {account_id}", before=None if before is None else _told(before), after=_told(kept)
    )
    return kept


async def secret(
    change: Change, secrets: Secrets, account_id: int, kind: CallbackKind, *, rotate: bool = False
) -> str:
    """As receivers take it. rotate: a new one, with which all is signed from now on. Raises NotRegistered.

    Who looked at the secret may sign as we do: that is worth a record, too.
    """
    if rotate:
        await callbacks.set_endpoint_secret(change.db, account_id, kind, secrets.seal(new_secret()))
    kept = await _there(change.db, account_id, kind)
    change.record(f"account {account_id}", after={"kind": kind.name.lower(), "rotated": rotate})
    return show_secret(secrets.unseal(kept.secret_sealed))


async def remove(change: Change, account_id: int, kind: CallbackKind) -> None:
    """What waits for it is parked; its secret is forgotten. Raises NotRegistered."""
    gone = await _there(change.db, account_id, kind)
    await callbacks.delete_endpoint(change.db, account_id, kind)
    change.record(f"account {account_id}", before=_told(gone))


async def _there(db: Db, account_id: int, kind: CallbackKind) -> EndpointRow:
    found = await registered(db, account_id, kind)
    if found is None:
        raise NotRegistered
    return found


def _told(row: EndpointRow) -> dict[str, Any]:
    parts = urlsplit(row.url)
    origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return {
        "kind": CallbackKind(row.kind).name.lower(),
        "url": f"{origin}/… (SHA-256 {hashlib.sha256(row.url.encode()).hexdigest()[:7]}…)",
        "literal": row.literal,
        "any_2xx": row.any_2xx,
    }
