"""The operator's side of our SMPP against a client that others wrote (PyPI smpplib), over a real socket."""

import asyncio
from typing import Any

import pytest
import smpplib.client
import smpplib.consts
import smpplib.gsm
from esme_client import QUICK, running

pytestmark = pytest.mark.anyio

DELIVERS, FAILS = "5511900000001", "5511900000002"


class Customer:
    """A program on smpplib. Blocking, so it lives in a thread."""

    def __init__(self, port: int) -> None:
        self.sent: list[Any] = []  # submit_sm_resp
        self.came: list[Any] = []  # deliver_sm
        self.client = smpplib.client.Client("127.0.0.1", port, timeout=5, allow_unknown_opt_params=True)
        self.client.set_message_sent_handler(lambda pdu: self.sent.append(pdu))
        self.client.set_message_received_handler(lambda pdu: self.came.append(pdu))
        self.client.connect()

    def submit(self, to: str, text: str) -> int:
        """In as many parts as smpplib makes of it; how many."""
        parts, coding, esm_class = smpplib.gsm.make_parts(text)
        for part in parts:
            self.client.send_message(
                source_addr_ton=smpplib.consts.SMPP_TON_ALNUM, source_addr="LOJA",
                dest_addr_ton=smpplib.consts.SMPP_TON_INTL, destination_addr=to, short_message=part,
                data_coding=coding, esm_class=esm_class, registered_delivery=True,
            )  # fmt: skip
        return len(parts)

    def listen(self, receipts: int) -> list[str]:
        """What the receipts say, once there are so many."""
        while len(self.came) < receipts:
            self.client.read_once()
        return [pdu.short_message.decode() for pdu in self.came]

    def leave(self) -> None:
        self.client.unbind()
        self.client.disconnect()


@pytest.mark.parametrize("text", ["Ola", "a" * 200, "Olá, coração ç " * 12])
async def test_a_client_of_another_library_submits_and_gets_its_receipts(text: str) -> None:
    async with running(QUICK) as (_, port):

        def use() -> tuple[list[str], Customer]:
            customer = Customer(port)
            customer.client.bind_transceiver(system_id="loja", password="x")
            parts = customer.submit(DELIVERS, text) + customer.submit(FAILS, text)
            said = customer.listen(parts)
            customer.leave()
            return said, customer

        said, customer = await asyncio.to_thread(use)

    ids = [pdu.message_id.decode() for pdu in customer.sent]
    assert len(set(ids)) == len(said) == len(customer.came)
    for words in said:
        assert words.split()[0].removeprefix("id:") in ids
    assert (
        sum("stat:DELIVRD" in words for words in said)
        == sum("stat:UNDELIV" in words for words in said)
        == len(said) // 2
    )


async def test_a_refusal_reads_as_one_in_another_library() -> None:
    async with running(system_id="loja", password="certa") as (_, port):

        def use() -> int:
            customer = Customer(port)
            try:
                with pytest.raises(smpplib.exceptions.PDUError) as refused:
                    customer.client.bind_transmitter(system_id="loja", password="errada")
            finally:
                customer.client.disconnect()
            return int(refused.value.args[1])

        assert await asyncio.to_thread(use) == smpplib.consts.SMPP_ESME_RINVPASWD
