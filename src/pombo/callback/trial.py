"""One call with a made-up event, so that a customer sees what a receiver says: dialled, guarded and signed as all are."""

import asyncio
import ssl
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from pombo.callback.address import query
from pombo.callback.connection import KEPT_OCTETS, Answer, Call, Connection
from pombo.callback.dial import DialError, Dialler
from pombo.callback.figures import Cause, cause_of
from pombo.callback.lane import Lane, endpoint
from pombo.callback.names import Resolve, system_resolve
from pombo.callback.request import write_request
from pombo.config import Network
from pombo.message import CallbackKind
from pombo.store.callbacks import EndpointRow, Job

CALLBACK_ID = 0  # `webhook-id: cb_0`: no callback of a message has it
CLIENT_REF = "5b678259ef213"
NUMBER = "11987654321"
TEXT = "SIM"


class Trial(NamedTuple):
    url: str  # as it was called
    cause: Cause
    status: int | None  # of the HTTP answer, where there was one
    error: str  # why not, in English
    took_s: float
    answer: bytes  # its first octets, as they came


def sample(kind: CallbackKind, at: datetime, time_zone: str) -> Job:
    """A delivered message, or the reply to it."""
    is_dlr = kind == CallbackKind.DLR
    return Job(
        CALLBACK_ID, 0, kind, 0, "2" if is_dlr else "", CLIENT_REF, NUMBER, "" if is_dlr else TEXT, at, time_zone
    )  # fmt: skip


def as_it_will_arrive(row: EndpointRow, at: datetime, time_zone: str) -> str:
    """The URL that a receiver is called with."""
    known = endpoint(row, lambda sealed: b"")
    return known.origin + known.opening + query(sample(CallbackKind(row.kind), at, time_zone))


async def call(
    row: EndpointRow,
    unseal: Callable[[bytes], bytes],
    at: datetime,
    time_zone: str,
    *,
    allow: Sequence[Network],
    timeout_s: float,
    resolve: Resolve = system_resolve,
) -> Trial:
    """row: need not be registered; its URL has passed `check_url`."""
    loop = asyncio.get_running_loop()
    known = endpoint(row, unseal)
    assert known.place is not None, known.error
    answered: asyncio.Future[Answer] = loop.create_future()

    def on_answer(connection: Connection, call: Call, answer: Answer) -> None:
        connection.close()
        if not answered.done():
            answered.set_result(answer)

    started = loop.time()
    made = Call(
        Lane((row.account_id, row.kind), 1, 1), known, sample(CallbackKind(row.kind), at, time_zone),
        time.time(), started, started + timeout_s,
    )  # fmt: skip
    write_request(made, known, known.place.authority)
    dialler = Dialler(allow=allow, tls=ssl.create_default_context(), resolve=resolve)
    try:
        async with asyncio.timeout(timeout_s):
            connection = await dialler.connect(
                known.place.host, known.place.port, tls=known.place.tls, make=lambda: Connection(on_answer)
            )
            connection.send(made)
            answer = await asyncio.shield(answered)
    except DialError as error:
        answer = Answer(None, str(error), error.cause)
    except TimeoutError:
        if made.connection is not None:
            made.connection.give_up()  # a status decides, where one has come
        answer = answered.result() if answered.done() else Answer(None, "timeout", Cause.TIMEOUT)
    finally:
        if made.connection is not None:
            made.connection.close()
        dialler.close()
    ok = answer.status == 200 or (row.any_2xx and answer.status is not None and 200 <= answer.status < 300)
    cause = Cause.CONFIRMED if ok else cause_of(answer.status) if answer.status else answer.cause
    url = known.origin + made.target
    return Trial(url, cause, answer.status, answer.error, loop.time() - started, answer.octets[:KEPT_OCTETS])
