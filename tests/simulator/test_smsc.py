"""The simulated operator against our own session, over a real loopback socket."""

import asyncio
import contextlib
import struct
from typing import Any

import pytest
from esme_client import QUICK, bound, connect, in_time, message, parts, running, until_shown

from pombo.simulator.script import Script
from pombo.smpp import pdu, tlv
from pombo.smpp.events import BindRefused, Bound
from pombo.smpp.status import Status
from pombo.text import incoming

HANDSET = "5511987654321"
DELIVERS, FAILS, EXPIRES, SILENT = (f"551190000000{n}" for n in (1, 2, 3, 4))


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


pytestmark = pytest.mark.anyio


def fields(receipt: pdu.DeliverSm) -> dict[str, str]:
    """The words of Appendix B by name."""
    text = receipt.short_message.decode()
    names = ("id:", "sub:", "dlvrd:", "submit date:", "done date:", "stat:", "err:", "text:")
    starts = [text.index(name) for name in names]
    ends = [*starts[1:], len(text)]
    return {
        name[:-1]: text[start + len(name) : end].strip()
        for name, start, end in zip(names, starts, ends, strict=True)
    }


@pytest.mark.parametrize("kind", [pdu.BindTransceiver, pdu.BindTransmitter, pdu.BindReceiver])
async def test_every_bind_is_taken(kind: type[pdu.Bind]) -> None:
    async with running() as (_, port):
        client = await connect(port)
        assert isinstance(await client.bind(kind(system_id=b"quem quiser")), Bound)


async def test_configured_operator_refuses_other_names_and_passwords() -> None:
    async with running(system_id="pombo", password="certa") as (_, port):
        for name, password, status in (
            (b"outro", b"certa", Status.ESME_RINVSYSID),
            (b"pombo", b"errada", Status.ESME_RINVPASWD),
        ):
            client = await connect(port)
            outcome = await client.bind(pdu.BindTransceiver(system_id=name, password=password))
            assert outcome == BindRefused(status)
        client = await connect(port)
        assert isinstance(
            await client.bind(pdu.BindTransceiver(system_id=b"pombo", password=b"certa")), Bound
        )


async def test_submit_is_answered_and_its_receipt_says_delivered_in_text_and_tlvs() -> None:
    async with running() as (_, port):
        client = await bound(port)
        answer = await client.submit(HANDSET, "Sua senha e 123")
        assert answer.status == 0
        receipt = await client.receipt()
        said = fields(receipt)
        assert said["id"] == answer.body.message_id.decode()
        assert (said["stat"], said["err"], said["dlvrd"]) == ("DELIVRD", "000", "001")
        assert said["text"] == "Sua senha e 123"
        assert len(said["done date"]) == 10
        assert receipt.esm_class == 0x04
        assert (receipt.source_addr, receipt.destination_addr) == (HANDSET.encode(), b"27300")
        assert tlv.receipted_message_id(receipt) == answer.body.message_id
        assert tlv.message_state(receipt) == 2


async def test_ids_are_unique_also_after_a_restart() -> None:
    ids = set()
    for _ in range(2):
        async with running() as (_, port):
            client = await bound(port)
            for _ in range(50):
                ids.add((await client.submit(SILENT)).body.message_id)
    assert len(ids) == 100


@pytest.mark.parametrize(
    ("number", "stat", "state"), [(DELIVERS, "DELIVRD", 2), (FAILS, "UNDELIV", 5), (EXPIRES, "EXPIRED", 3)]
)
async def test_magic_numbers_end_as_they_say_whatever_the_script_does(
    number: str, stat: str, state: int
) -> None:
    hard = Script(receipt_delay_s=(0, 0), refused=1.0, lost=1.0, failed=1.0, failure_code="REJECTD")
    async with running(hard) as (_, port):
        client = await bound(port)
        for destination in (number, number[:2] + "85" + number[4:]):
            assert (await client.submit(destination)).status == 0
            receipt = await client.receipt()
            assert fields(receipt)["stat"] == stat
            assert tlv.message_state(receipt) == state


async def test_silent_magic_number_never_gets_a_receipt() -> None:
    async with running() as (operator, port):
        client = await bound(port)
        silent = await client.submit(SILENT)
        await client.submit(DELIVERS)
        assert fields(await client.receipt())["id"] != silent.body.message_id.decode()
        assert client.delivered.empty()
        assert operator.handsets.bubbles(SILENT)[0].state == "enviada"


async def test_receipt_is_sent_only_where_it_was_asked_for() -> None:
    async with running() as (_, port):
        client = await bound(port)
        await client.submit(DELIVERS, registered_delivery=0)
        await client.submit(DELIVERS, registered_delivery=2)  # failures only
        failed = await client.submit(FAILS, registered_delivery=2)
        assert fields(await client.receipt())["id"] == failed.body.message_id.decode()
        assert client.delivered.empty()


async def test_receipts_are_lost_and_submits_refused_as_often_as_the_script_says() -> None:
    script = Script(receipt_delay_s=(0, 0), lost=0.5, refused=0.2, refusal_status=0x45F)
    seen = []
    for _ in range(2):
        async with running(script, seed=42) as (operator, port):
            client = await bound(port)
            statuses = [(await client.submit(HANDSET)).status for _ in range(200)]
            assert set(statuses) == {0, 0x45F}
            assert 20 <= statuses.count(0x45F) <= 60
            operator.script = QUICK
            last = (await client.submit(HANDSET)).body.message_id
            receipts = 0
            while tlv.receipted_message_id(await client.receipt()) != last:
                receipts += 1
            assert 50 <= receipts <= 110
            seen.append((statuses, receipts))
    assert seen[0] == seen[1], "the same seed gives the same run"


async def test_script_may_change_while_it_runs() -> None:
    async with running() as (operator, port):
        client = await bound(port)
        assert (await client.submit(HANDSET)).status == 0
        operator.script = Script(refused=1.0, refusal_status=Status.ESME_RMSGQFUL)
        assert (await client.submit(HANDSET)).status == Status.ESME_RMSGQFUL
        operator.script = Script(receipt_delay_s=(0, 0), failed=1.0, failure_code="REJECTD")
        await client.receipt()
        await client.submit(HANDSET)
        assert fields(await client.receipt())["stat"] == "REJECTD"


async def test_receipt_may_overtake_the_response() -> None:
    async with running(Script(response_delay_s=0.2, receipt_delay_s=(0, 0))) as (_, port):
        client = await bound(port)
        client.session.request(message(HANDSET), client.now())
        client.flush()
        receipt = await client.receipt()
        assert client.answered.empty()
        answer = await in_time(client.answered.get())
        assert fields(receipt)["id"] == answer.body.message_id.decode()


@pytest.mark.parametrize(
    ("id_form", "receipt_id_form", "base"), [("dec", "hex", 16), ("hex", "dec", 10), ("hex", "same", 16)]
)
async def test_receipt_id_comes_in_the_form_the_script_says(
    id_form: Any, receipt_id_form: Any, base: int
) -> None:
    script = Script(receipt_delay_s=(0, 0), id_form=id_form, receipt_id_form=receipt_id_form)
    async with running(script) as (_, port):
        client = await bound(port)
        given = (await client.submit(HANDSET)).body.message_id.decode()
        number = int(given, 10 if id_form == "dec" else 16)
        receipt = await client.receipt()
        assert int(fields(receipt)["id"], base) == number
        assert fields(receipt)["id"].encode() == tlv.receipted_message_id(receipt)
        assert (fields(receipt)["id"] == given) is (receipt_id_form == "same")


async def test_submits_above_the_rate_are_throttled_by_system_id() -> None:
    async with running(Script(most_per_s=5)) as (_, port):
        client, other = await bound(port), await bound(port, b"outro")
        statuses = [(await client.submit(HANDSET)).status for _ in range(30)]
        assert set(statuses) == {0, Status.ESME_RTHROTTLED}
        assert statuses.count(0) in (5, 10), "5 in each second the run touched"
        assert (await other.submit(HANDSET)).status == 0


async def test_unanswered_receipt_is_sent_again_after_the_next_bind() -> None:
    async with running() as (_, port):
        client = await bound(port, answers=None)
        answer = await client.submit(HANDSET)
        first = await client.receipt()
        await client.leave()
        again = await bound(port)
        assert await again.receipt() == first
        assert fields(first)["id"] == answer.body.message_id.decode()
        await again.leave()
        last = await bound(port)
        await last.submit(FAILS)
        assert fields(await last.receipt())["stat"] == "UNDELIV", "what was acknowledged is not sent again"


async def test_refused_receipt_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pombo.simulator.smsc.RETRY_S", 0.02)
    async with running() as (_, port):
        client = await bound(port, answers=Status.ESME_RX_T_APPN)
        await client.submit(HANDSET)
        first = await client.receipt()
        client.answers = 0
        assert await client.receipt() == first


async def test_receipts_wait_for_the_receiver_of_the_same_system_id() -> None:
    async with running() as (_, port):
        transmitter = await bound(port, kind=pdu.BindTransmitter)
        stranger = await bound(port, b"outro")
        answer = await transmitter.submit(HANDSET)
        receiver = await bound(port, kind=pdu.BindReceiver)
        assert fields(await receiver.receipt())["id"] == answer.body.message_id.decode()
        assert stranger.delivered.empty() and transmitter.delivered.empty()


async def test_no_more_receipts_are_in_flight_than_the_window_holds() -> None:
    async with running(window=3) as (operator, port):
        client = await bound(port, answers=None)
        for _ in range(10):
            await client.submit(DELIVERS)
        await until_shown(operator, DELIVERS, "entregue", 10)
        for _ in range(3):
            await client.receipt()
        await client.submit(SILENT)  # its response comes behind whatever was written before
        assert client.delivered.empty()
        await client.leave()
        eager = await bound(port)
        assert len({fields(await eager.receipt())["id"] for _ in range(10)}) == 10


@pytest.mark.parametrize("text", ["Olá! " * 60, "Promoção 😀 " * 30], ids=["gsm", "ucs2"])
async def test_long_message_is_one_bubble_and_every_part_has_its_receipt(text: str) -> None:
    async with running() as (operator, port):
        client = await bound(port)
        bodies = parts(DELIVERS, text)
        assert len(bodies) > 1
        ids = {(await client.ask(body)).body.message_id.decode() for body in reversed(bodies)}
        assert {fields(await client.receipt())["id"] for _ in bodies} == ids
        (shown,) = await until_shown(operator, DELIVERS, "entregue")
        assert shown.read() == text
        assert shown.total == len(bodies)


async def test_parts_by_sar_parameters_are_joined_too() -> None:
    async with running() as (operator, port):
        client = await bound(port)
        for n, text in ((2, "mundo"), (1, "Oi, ")):
            place = [
                tlv.sar_msg_ref_num.item(9),
                tlv.sar_total_segments.item(2),
                tlv.sar_segment_seqnum.item(n),
            ]
            await client.submit(DELIVERS, text, tlvs=dict(place))
        (shown,) = await until_shown(operator, DELIVERS, "entregue")
        assert shown.read() == "Oi, mundo"


async def test_same_reference_of_two_senders_is_two_messages() -> None:
    async with running() as (operator, port):
        for system_id in (b"um", b"dois"):
            client = await bound(port, system_id)
            await client.ask(parts(SILENT, "a" * 200)[0])
        assert [bubble.read() for bubble in operator.handsets.bubbles(SILENT)] == ["a" * 153 + "…"] * 2


async def test_failed_part_fails_the_bubble() -> None:
    async with running() as (operator, port):
        client = await bound(port)
        for body in parts(FAILS, "a" * 200):
            await client.ask(body)
        (shown,) = await until_shown(operator, FAILS, "falhou")
        assert shown.failure == "UNDELIV"


async def test_payload_and_data_sm_are_read() -> None:
    async with running() as (operator, port):
        client = await bound(port)
        text = dict([tlv.message_payload.item("ação".encode("utf-16-be"))])
        await client.submit(SILENT, "", data_coding=8, tlvs=text)
        body = pdu.DataSm(source_addr=b"27300", destination_addr=SILENT.encode(), data_coding=8, tlvs=text)
        assert (await client.ask(body)).status == 0
        assert [bubble.read() for bubble in operator.handsets.bubbles(SILENT)] == ["ação"] * 2


@pytest.mark.parametrize("text", ["SIM", "Não, obrigado 😀", "Olé " * 80])
async def test_reply_reaches_the_short_code_that_wrote_last(text: str) -> None:
    async with running() as (operator, port):
        client, other = await bound(port), await bound(port, b"outro")
        await client.submit(SILENT, source_addr=b"11111")
        await other.submit(SILENT, source_addr=b"22222")
        await client.submit(SILENT, source_addr=b"28149")
        operator.reply(SILENT, text)
        shown = (await until_shown(operator, SILENT, "entregue", 4))[-1]
        assert (shown.number, shown.short_code, shown.read(), shown.direction) == (
            SILENT,
            "28149",
            text,
            "mo",
        )
        octets, bodies = b"", []
        while not client.delivered.empty():
            bodies.append(await client.receipt())
        for body in bodies:
            assert (body.source_addr, body.destination_addr) == (SILENT.encode(), b"28149")
            assert body.esm_class == (0x40 if len(bodies) > 1 else 0)
            octets += body.short_message[6:] if len(bodies) > 1 else body.short_message
        assert incoming.decode(octets, bodies[0].data_coding, "gsm") == text
        assert bodies[0].data_coding == (8 if "😀" in text else 0)
        assert other.delivered.empty()


async def test_reply_to_another_short_code_goes_to_its_owner() -> None:
    async with running() as (operator, port):
        client, other = await bound(port), await bound(port, b"outro")
        await other.submit(SILENT, source_addr=b"22222")
        await client.submit(SILENT, source_addr=b"28149")
        operator.reply("(11) 90000-0004", "SIM", to="22222")
        reply = await other.receipt()
        assert (reply.source_addr, reply.destination_addr) == (SILENT.encode(), b"22222")


async def test_reply_waits_until_its_receiver_is_back() -> None:
    async with running() as (operator, port):
        client = await bound(port)
        await client.submit(SILENT)
        await client.leave()
        operator.reply(SILENT, "SIM")
        again = await bound(port)
        assert (await again.receipt()).short_message == b"SIM"


async def test_reply_from_a_number_nobody_wrote_to_is_refused() -> None:
    async with running() as (operator, _):
        with pytest.raises(LookupError):
            operator.reply(SILENT, "SIM")


async def test_query_and_cancel_know_the_messages_of_their_own_customer() -> None:
    async with running(Script(receipt_delay_s=(60, 60))) as (_, port):
        client, other = await bound(port), await bound(port, b"outro")
        message_id = (await client.submit(HANDSET)).body.message_id
        query, cancel = pdu.QuerySm(message_id=message_id), pdu.CancelSm(message_id=message_id)
        assert (await client.ask(query)).body.message_state == 1
        assert (await other.ask(query)).status == Status.ESME_RQUERYFAIL
        assert (await other.ask(cancel)).status == Status.ESME_RCANCELFAIL
        assert (await client.ask(cancel)).status == 0
        assert fields(await client.receipt())["stat"] == "DELETED"
        found = (await client.ask(query)).body
        assert (found.message_state, len(found.final_date)) == (4, 16)
        assert (await client.ask(cancel)).status == Status.ESME_RCANCELFAIL


async def test_what_the_operator_does_not_do_is_refused() -> None:
    async with running() as (_, port):
        client = await bound(port)
        assert (await client.ask(pdu.ReplaceSm(message_id=b"1"))).status == Status.ESME_RINVCMDID
        assert (await client.submit("")).status == Status.ESME_RINVDSTADR


@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\xff" * 4096,
        bytes(4096),
        struct.pack(">IIII", 16, 0x00000004, 0, 1) + struct.pack(">IIII", 17, 0x00000009, 0, 2) + b"x",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=["http", "ff", "zeros", "unbound", "tls"],
)
async def test_hostile_peer_loses_only_its_own_session(octets: bytes) -> None:
    async with running() as (_, port):
        client = await bound(port)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(octets)
        writer.write_eof()
        with contextlib.suppress(ConnectionResetError):
            await in_time(reader.read())
        writer.close()
        assert (await client.submit(HANDSET)).status == 0
        await client.receipt()


async def test_garbage_in_a_bound_session_is_answered_and_the_others_go_on() -> None:
    async with running() as (_, port):
        client, broken = await bound(port), await bound(port)
        broken.transport.write(struct.pack(">IIII", 20, 0x00000004, 0, 9) + b"\x00\x01\x01a")
        broken.transport.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await in_time(broken.gone.wait())
        assert (await client.submit(HANDSET)).status == 0


async def test_many_sessions_work_at_once() -> None:
    async with running() as (_, port):
        clients = [await bound(port, b"c%d" % n) for n in range(60)]

        async def one(client: Any) -> bool:
            given = {(await client.submit(HANDSET)).body.message_id.decode() for _ in range(10)}
            return given == {fields(await client.receipt())["id"] for _ in range(10)}

        assert all(await asyncio.gather(*(one(client) for client in clients)))


async def test_stop_unbinds_the_peers() -> None:
    async with running() as (_, port):
        client = await bound(port)
        stranger = await connect(port)
    assert client.closed.get_nowait() == "unbound by the peer"
    await in_time(stranger.gone.wait())


async def test_stop_does_not_wait_for_a_peer_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pombo.simulator.smsc._STOP_S", 0.05)
    async with running() as (_, port):
        client = await bound(port)
        client.deaf = True
    await in_time(client.gone.wait())
