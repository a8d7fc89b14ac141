"""What the links of a node are given from outside their stage."""

import uuid
from collections.abc import Callable

from pombo.send.elsewhere import Elsewhere, nowhere
from pombo.send.owner import Lease
from pombo.send.settlement import Incoming
from pombo.store.accounts import Source
from pombo.store.callbacks import Job
from pombo.store.database import Database
from pombo.store.smscs import Smsc


class Doors:
    def __init__(
        self,
        *,
        db: Database,
        holder: uuid.UUID,
        unseal: Callable[[bytes], bytes],
        incoming: Callable[[Smsc], Incoming],
        source_of: Callable[[int], Source | None],
        read_id: Callable[[bytes], tuple[str, str]],
        notify: Callable[[list[Job]], None],
        live_sessions: set[int],
        lease: Callable[[int], Lease | None],
        callback_holder: uuid.UUID | None,
        elsewhere: Elsewhere = nowhere,
        queued: Callable[[set[int]], None],
    ) -> None:
        """source_of: what an account's messages are sent from; None: what the connection says.
        read_id: a message_id's octets as (id as the operator wrote it, canonical key).
        live_sessions: kept up to date with the sessions that are being served.
        lease: of a connection, while this node owns it.
        queued: told of other connections that got messages.
        callback_holder: who delivers the callbacks given to `notify`; None: whoever finds them in the table."""
        self.db = db
        self.holder = holder
        self.lease = lease
        self.callback_holder = callback_holder
        self.unseal = unseal
        self.incoming = incoming
        self.source_of = source_of
        self.read_id = read_id
        self.notify = notify
        self.live_sessions = live_sessions
        self.elsewhere = elsewhere
        self.queued = queued
