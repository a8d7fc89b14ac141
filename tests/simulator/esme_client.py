"""A customer of the simulated operator: our own Session in the role of the ESME, over a real socket."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from pombo.simulator.bubbles import Bubble
from pombo.simulator.script import Script
from pombo.simulator.smsc import Operator
from pombo.smpp import pdu
from pombo.smpp.events import Answered, BindRefused, Bound, Closed, Requested
from pombo.smpp.session import Session
from pombo.smpp.states import Role
from pombo.text import outgoing

PATIENCE_S = 5.0
QUICK = Script(receipt_delay_s=(0.0, 0.0))

T = TypeVar("T")


async def in_time(waited: Awaitable[T]) -> T:
    async with asyncio.timeout(PATIENCE_S):
        return await waited


class Client(asyncio.Protocol):
    """Takes what comes into queues. answers: the command_status for each deliver_sm; None: it is not answered"""

    def __init__(self, answers: int | None) -> None:
        self.answers = answers
        self.deaf = False  # reads, and reacts to nothing
        self.session = Session(Role.ESME, now=self.now(), window=1000)
        self.bound: asyncio.Queue[Bound | BindRefused] = asyncio.Queue()
        self.answered: asyncio.Queue[Answered] = asyncio.Queue()
        self.delivered: asyncio.Queue[pdu.DeliverSm] = asyncio.Queue()
        self.closed: asyncio.Queue[str] = asyncio.Queue()
        self.gone = asyncio.Event()

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()

    def data_received(self, data: bytes) -> None:
        if self.deaf:
            return
        for event in self.session.receive(data, self.now()):
            match event:
                case Bound() | BindRefused():
                    self.bound.put_nowait(event)
                case Answered():
                    self.answered.put_nowait(event)
                case Requested(body=pdu.DeliverSm()):
                    self.delivered.put_nowait(event.body)
                    if self.answers is not None:
                        self.session.respond(event.sequence_number, pdu.DeliverSmResp(), self.answers)
                case Closed():
                    self.closed.put_nowait(event.reason)
        self.flush()

    def flush(self) -> None:
        self.transport.write(self.session.outgoing())

    async def bind(self, body: pdu.Bind) -> Bound | BindRefused:
        self.session.request(body, self.now())
        self.flush()
        return await in_time(self.bound.get())

    async def ask(self, body: pdu.Request) -> Answered:
        self.session.request(body, self.now())
        self.flush()
        return await in_time(self.answered.get())

    async def submit(self, destination: str, text: str = "Oi", **fields: Any) -> Answered:
        return await self.ask(message(destination, text, **fields))

    async def receipt(self) -> pdu.DeliverSm:
        return await in_time(self.delivered.get())

    async def leave(self) -> None:
        """Without a word, as a crash does."""
        self.transport.abort()
        await in_time(self.gone.wait())


def message(destination: str, text: str = "Oi", **fields: Any) -> pdu.SubmitSm:
    return pdu.SubmitSm(
        **{
            "source_addr": b"27300",
            "dest_addr_ton": 1,
            "dest_addr_npi": 1,
            "destination_addr": destination.encode(),
            "registered_delivery": 1,
            "short_message": text.encode(),
        }
        | fields
    )


def parts(destination: str, text: str, reference: int = 7) -> list[pdu.SubmitSm]:
    prepared = outgoing.prepare(text, "auto")
    return [
        message(
            destination, esm_class=part.esm_class, data_coding=part.data_coding, short_message=part.octets
        )
        for part in outgoing.segments(prepared.sent, prepared.ucs2, "gsm", reference)
    ]


async def connect(port: int, answers: int | None = 0) -> Client:
    _, client = await asyncio.get_running_loop().create_connection(lambda: Client(answers), "127.0.0.1", port)
    return client


async def bound(
    port: int,
    system_id: bytes = b"cliente",
    kind: type[pdu.Bind] = pdu.BindTransceiver,
    answers: int | None = 0,
) -> Client:
    client = await connect(port, answers)
    outcome = await client.bind(kind(system_id=system_id, password=b"segredo"))
    assert isinstance(outcome, Bound), outcome
    return client


class running:  # noqa: N801 (reads as what it is: `async with running(...) as (operator, port)`)
    def __init__(self, script: Script = QUICK, **options: Any) -> None:
        self.operator = Operator(script=script, **options)

    async def __aenter__(self) -> tuple[Operator, int]:
        return self.operator, await self.operator.start()

    async def __aexit__(self, *error: object) -> None:
        await self.operator.stop()


async def until_shown(operator: Operator, number: str, state: str, texts: int = 1) -> list[Bubble]:
    """The bubbles of a number, as soon as there are so many and the last one has that state."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            shown = operator.handsets.bubbles(number)
            if len(shown) >= texts and shown[-1].state == state:
                return shown
            await asyncio.sleep(0)
