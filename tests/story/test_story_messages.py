"""From an HTTP request to the handset and back, with an operator that does what it should, or refuses."""

import re
import time

import pytest
from story_program import Customer, Program, new_number, until
from story_receiver import Receiver
from story_smsc import Smsc

TIME = r"\d{4}-\d\d-\d\d%20\d\d:\d\d:\d\d"


def _called(program: Program, customer: Customer, kind: str, url: str) -> None:
    program.run("callback", "set", str(customer.account_id), "--kind", kind, "--url", url)


def test_message_goes_out_and_its_receipt_comes_back_by_query_and_by_callback(
    program: Program, smsc: Smsc, receiver: Receiver
) -> None:
    customer = program.add_account("avisada")
    _called(program, customer, "dlr", f"{receiver.url}/dlr")
    number = new_number()

    assert customer.send(number, "Codigo {1} [a]", id="pedido-1") == "pedido-1"

    entry = customer.wait_status("pedido-1", "2")
    [submit] = smsc.submits(number)
    assert bytes.fromhex(submit["octets"]) == b"Codigo \x1b(1\x1b) \x1b<a\x1b>"
    assert (submit["source"], submit["dest_ton"], submit["dest_npi"]) == ("27300", 1, 1)
    assert (submit["esm_class"], submit["data_coding"], submit["registered_delivery"]) == (0, 0, 1)
    assert entry["data"] <= entry["enviado"] <= entry["entregue"]
    assert (entry["destino"], entry["numero"], entry["mensagem"]) == (number, number, "Codigo {1} [a]")
    target = receiver.wait("id=pedido-1")
    assert re.fullmatch(rf"/dlr\?status=2&id=pedido-1&destino={number}&entrega={TIME}", target)
    assert {"webhook-id", "webhook-timestamp", "webhook-signature"} <= receiver.headers[0].keys()
    until(lambda: program.sql("select from callback where state = 1"), what="the callback to be confirmed")
    assert len(receiver.targets) == 1


def test_text_outside_gsm_goes_out_as_ucs2_where_the_account_wants_that(
    program: Program, customer: Customer, smsc: Smsc
) -> None:
    unicode = program.add_account("unicode")
    program.sql("update account set text_mode = 'auto' where id = $1", unicode.account_id)
    number, other = new_number(), new_number()

    until(lambda: "\u20ac" in unicode.dlr(unicode.send(new_number(), "\u20ac"))["mensagem"])
    unicode.wait_status(unicode.send(number, "Olá 🕊"), "2")
    customer.wait_status(customer.send(other, "Ação já é às 7"), "2")

    [submit], [plain] = smsc.submits(number), smsc.submits(other)
    assert (submit["data_coding"], bytes.fromhex(submit["octets"])) == (8, "Olá 🕊".encode("utf-16-be"))
    assert (plain["data_coding"], bytes.fromhex(plain["octets"])) == (0, b"Acao ja e as 7")


def test_long_message_goes_out_in_parts_and_is_delivered_when_all_are(customer: Customer, smsc: Smsc) -> None:
    number, text = new_number(), "0123456789" * 40
    smsc.plan(number, *[{"receipts": []}] * 3)

    message_id = customer.send(number, text)
    smsc.wait("submit", count=3, to=f"55{number}")

    parts = [bytes.fromhex(submit["octets"]) for submit in smsc.submits(number)]
    headers = sorted(part[: part[0] + 1] for part in parts)
    assert [header[-2:] for header in headers] == [b"\x03\x01", b"\x03\x02", b"\x03\x03"]
    assert len({header[:-1] for header in headers}) == 1, "one reference for all"
    assert b"".join(part[part[0] + 1 :] for part in sorted(parts)).decode() == text
    assert {submit["esm_class"] for submit in smsc.submits(number)} == {0x40}
    for submit, status in zip(reversed(smsc.submits(number)), "112", strict=True):
        smsc.receipt(submit)
        smsc.wait("deliver_resp", tag=f"receipt {submit['number']}", status=0)
        assert customer.status(message_id) == status


@pytest.mark.parametrize(
    ("stat", "status"), [("UNDELIV", "3"), ("EXPIRED", "3"), ("DELETED", "3"), ("REJECTD", "4")]
)
def test_failure_receipt_is_final(customer: Customer, smsc: Smsc, stat: str, status: str) -> None:
    number = new_number()
    smsc.plan(number, {"receipts": [{"stat": stat, "err": "034"}, {"stat": "DELIVRD"}]})

    message_id = customer.send(number)

    entry = customer.wait_status(message_id, status)
    smsc.wait(
        "deliver_resp", count=2, where=lambda event: str(smsc.submits(number)[0]["number"]) in event["tag"]
    )
    assert customer.dlr(message_id) == entry, "a later receipt changes nothing"
    assert entry["entregue"] == ""


def test_intermediate_receipts_leave_a_message_sent(customer: Customer, smsc: Smsc) -> None:
    number = new_number()
    early = [{"stat": "ACCEPTD"}, {"stat": "ENROUTE", "intermediate": True}, {"stat": "UNKNOWN", "err": "0"}]
    smsc.plan(number, {"receipts": [*early[:2], {"stat": "DELIVRD", "after_ms": 300}]})

    message_id = customer.send(number)

    customer.wait_status(message_id, "1")
    customer.wait_status(message_id, "2")


def test_batch_of_a_thousand_arrives_each_once(customer: Customer, smsc: Smsc) -> None:
    numbers = [new_number() for _ in range(1000)]
    mark = smsc.mark

    ids = customer.send_batch([{"destino": number, "msg": "Lote"} for number in numbers])

    assert len(ids) == 1000
    smsc.wait("submit", count=1000, since=mark, timeout_s=20)
    until(
        lambda: customer.status(ids[-1]) == "2" and all(customer.status(i) == "2" for i in ids), timeout_s=20
    )
    assert sorted(event["to"][2:] for event in smsc.of("submit", mark)) == sorted(numbers)


def test_long_messages_keep_the_window_full(customer: Customer, smsc: Smsc) -> None:
    """Three parts do not fill a window of 20 evenly; the rest of the window must not mean a pause."""
    began = time.monotonic()

    ids = customer.send_batch([{"destino": new_number(), "msg": "y" * 400} for _ in range(60)])

    for message_id in ids:
        customer.wait_status(message_id, "2")
    assert time.monotonic() - began < 5


def test_throttled_messages_wait_and_use_up_no_attempt(
    program: Program, customer: Customer, smsc: Smsc
) -> None:
    mark = smsc.mark
    smsc.do("throttle", count=60)

    ids = customer.send_batch([{"destino": new_number(), "msg": "Calma"} for _ in range(200)])
    until(lambda: all(customer.status(i) == "2" for i in ids), timeout_s=20, what="all to be delivered")

    assert len(smsc.of("submit", mark)) == 260
    at_s = [event["at_ms"] / 1000 for event in smsc.of("submit", mark)]
    assert at_s[-1] - at_s[0] < 260 / 20 + 1, "never slower than 20 messages a second"
    attempts = program.sql(
        "select count(*) as rows, max(a.n) as n from attempt a join message m on m.id = a.message_id"
        " where m.client_ref = any($1)", ids,
    )  # fmt: skip
    assert attempts == [{"rows": 200, "n": 1}]


def test_message_that_the_operator_refuses_for_good_is_rejected(
    program: Program, smsc: Smsc, receiver: Receiver
) -> None:
    customer = program.add_account("recusada")
    _called(program, customer, "dlr", f"{receiver.url}/r?x=1")
    number, long = new_number(), new_number()
    smsc.plan(number, {"status": 0x0B})
    smsc.plan(long, {"receipts": []}, {"status": 0x045A}, {"receipts": []})

    customer.send(number, id="errada")
    customer.send(long, "z" * 400, id="longa")

    customer.wait_status("errada", "4")
    customer.wait_status("longa", "4")
    assert receiver.wait("id=errada").startswith("/r?x=1&status=4&id=errada&destino=")
    receiver.wait("id=longa")
    assert len(smsc.submits(number)) == 1


def test_refusal_of_the_moment_is_tried_again(customer: Customer, smsc: Smsc) -> None:
    """Of two parts one is refused for now, the other throttled: that is one attempt, and the next is another."""
    number = new_number()
    smsc.plan(number, {"status": 0x08}, {"status": 0x58})

    message_id = customer.send(number, "w" * 300)

    customer.wait_status(message_id, "2", timeout_s=15)
    assert len(smsc.submits(number)) == 4


def test_part_that_was_taken_does_not_go_again(customer: Customer, smsc: Smsc) -> None:
    number = new_number()
    smsc.plan(number, {"receipts": [{"stat": "DELIVRD"}]}, {"status": 0x58})

    message_id = customer.send(number, "w" * 300)

    customer.wait_status(message_id, "2")
    assert len(smsc.submits(number)) == 3
