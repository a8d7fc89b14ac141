"""Receipts as operators really send them: early, twice, late, in another order, with the id in another form."""

import pytest
from story_program import Customer, Program, new_number, until
from story_smsc import Smsc


def _sent(customer: Customer, smsc: Smsc, behaviour: dict | None = None) -> tuple[str, dict]:  # type: ignore[type-arg]
    """A message that the operator has taken, without a receipt of its own accord; and its submit."""
    number = new_number()
    smsc.plan(number, behaviour or {"receipts": []})
    message_id = customer.send(number)
    return message_id, smsc.wait("submit", to=f"55{number}")


def test_receipt_before_the_response_is_kept(customer: Customer, smsc: Smsc) -> None:
    number = new_number()
    smsc.plan(number, {"response": "held", "receipts": [{"stat": "DELIVRD", "before": True}]})

    message_id = customer.send(number)

    receipt = smsc.wait("submit", to=f"55{number}")["number"]
    smsc.wait("deliver_resp", tag=f"receipt {receipt}", status=0)
    assert customer.status(message_id) == "0"
    smsc.do("release")
    customer.wait_status(message_id, "2")


@pytest.mark.parametrize(
    ("given", "receipt"),
    [
        ("dec", {"form": "hex"}),
        ("dec", {"form": "upper"}),
        ("hex", {"form": "dec"}),
        ("hex", {"form": "padded"}),
        ("padded", {"form": "dec"}),
        ("dec", {"form": "padded"}),
        ("upper", {"form": "hex"}),
        ("uuid", {"form": "uuid-upper"}),
        ("dec", {"tlv": True}),
        ("dec", {"tlv": True, "form": "hex"}),
        ("dec", {}),
    ],
)  # fmt: skip
def test_receipt_with_the_id_in_another_form_finds_its_message(
    customer: Customer, smsc: Smsc, given: str, receipt: dict[str, object]
) -> None:
    """One after the other on one connection: each time it has learned another form before."""
    number = new_number()
    smsc.plan(number, {"id": given, "receipts": [{"stat": "DELIVRD", **receipt}]})

    customer.wait_status(customer.send(number), "2")


def test_receipt_for_an_unknown_id_waits_for_its_message(
    program: Program, customer: Customer, smsc: Smsc
) -> None:
    number = new_number()
    smsc.deliver(f"55{number}", b"id:990001 sub:001 dlvrd:001 stat:DELIVRD err:000 text:", "odd", esm_class=4)
    smsc.wait("deliver_resp", tag="odd", status=0)
    assert program.sql("select from parked_receipt where raw_id = '990001'")

    message_id, _ = _sent(customer, smsc)
    customer.wait_status(message_id, "1")

    assert program.sql("select from parked_receipt where raw_id = '990001'"), "it is nobody else's"


def test_receipts_twice_and_in_any_order_change_a_final_state_no_more(customer: Customer, smsc: Smsc) -> None:
    first, first_submit = _sent(customer, smsc)
    second, second_submit = _sent(customer, smsc)
    customer.wait_status(first, "1")
    customer.wait_status(second, "1")

    smsc.receipt(second_submit, "UNDELIV", times=3)
    smsc.receipt(first_submit, times=2)
    smsc.receipt(second_submit)
    smsc.receipt(first_submit, "EXPIRED")

    for submit, count in ((first_submit, 3), (second_submit, 4)):
        smsc.wait("deliver_resp", count=count, tag=f"receipt {submit['number']}", status=0)
    assert (customer.status(first), customer.status(second)) == ("2", "3")


def test_receipt_from_another_handset_is_not_taken_for_this_one(customer: Customer, smsc: Smsc) -> None:
    message_id, submit = _sent(customer, smsc)
    customer.wait_status(message_id, "1")

    smsc.receipt({**submit, "to": f"55{new_number()}"}, "UNDELIV")
    smsc.wait("deliver_resp", tag=f"receipt {submit['number']}", status=0)

    assert customer.status(message_id) == "1"
    smsc.receipt({**submit, "to": submit["to"].removeprefix("55")})
    customer.wait_status(message_id, "2")


def test_many_receipts_at_once_are_all_answered_and_counted(customer: Customer, smsc: Smsc) -> None:
    numbers = [new_number() for _ in range(300)]
    smsc.do("default", behaviour={"receipts": []})
    ids = customer.send_batch([{"destino": number, "msg": "Rajada"} for number in numbers])
    submits = [smsc.wait("submit", to=f"55{number}") for number in numbers]
    mark = smsc.mark

    for submit in reversed(submits):
        smsc.receipt(submit, times=2)

    smsc.wait("deliver_resp", count=600, since=mark, status=0, timeout_s=20)
    assert {customer.status(message_id) for message_id in ids} == {"2"}


GARBAGE = {
    "an unknown command": "00000010 00000777 00000000 00000001",
    "a text that ends too early": "00000015 00000005 00000000 00000002 0000003535",
    "a response nobody waits for": "00000010 80000004 00000000 00ffffff",
    "a nack for nothing": "00000010 80000000 00000003 00000000",
    "a receipt without anything": "00000021 00000005 00000000 00000003 00 0000 00 0000 00 04 0000 0000 000000 00 00",
    "a TLV past the end": "00000027 00000005 00000000 00000004 00 0000 00 0000 00 04 0000 0000 000000 00 00 001eff0041 00",
    "a bind by the operator": "00000010 00000009 00000000 00000005",
}


@pytest.mark.parametrize("octets", GARBAGE.values(), ids=GARBAGE.keys())
def test_nonsense_in_a_sound_frame_harms_nothing(
    program: Program, customer: Customer, smsc: Smsc, octets: str
) -> None:
    mark = smsc.mark

    smsc.do("raw", octets=octets.replace(" ", ""))

    number = new_number()
    customer.wait_status(customer.send(number), "2")
    assert not smsc.of("closed", mark), "the session goes on"


@pytest.mark.parametrize(
    "octets", ["00000008 00000005", "ffffffff 00000005", "474554202f20485454502f312e310d0a"]
)
def test_lost_framing_costs_only_the_session(
    program: Program, customer: Customer, smsc: Smsc, octets: str
) -> None:
    mark = smsc.mark

    smsc.do("raw", octets=octets.replace(" ", ""))

    smsc.wait("closed", since=mark)
    smsc.wait("bind", since=mark, status=0)
    customer.wait_status(customer.send(new_number()), "2")


def test_receipts_teach_the_connection_how_its_operator_writes_ids(
    program: Program, customer: Customer, smsc: Smsc
) -> None:
    def learned() -> list[str]:
        return [line["form"] for line in program.logged() if line["event"] == "receipt_id_form_learned"]

    for given, form, name in (("dec", "hex", "hex_in_receipt"), ("hex", "dec", "dec_in_receipt")):
        before = len(learned())
        number = new_number()
        smsc.plan(number, {"id": given, "receipts": [{"stat": "DELIVRD", "form": form}]})
        customer.wait_status(customer.send(number), "2")
        assert learned()[-1] == name and (len(learned()) > before or before > 0)
        until(lambda form=name: program.sql("select from smsc where id_form = $1", form))
