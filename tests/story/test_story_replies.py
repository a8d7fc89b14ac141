"""Replies: whose they are, what they say, and how often they are told."""

import re

import pytest
from story_program import Customer, Program, new_number, until
from story_receiver import Receiver
from story_smsc import Smsc
from test_story_messages import TIME


def _answered_number(customer: Customer, message_id: str) -> str:
    """A handset that has just got a message with this id."""
    number = new_number()
    customer.wait_status(customer.send(number, id=message_id), "2")
    return number


def test_reply_names_the_message_it_answers_and_is_offered_until_it_is_read(
    customer: Customer, smsc: Smsc
) -> None:
    number = _answered_number(customer, "pergunta")
    newer = customer.send(number, "Outra", id="pergunta-2")
    customer.wait_status(newer, "2")

    smsc.deliver(f"55{number}", b"SIM", "yes")

    smsc.wait("deliver_resp", tag="yes", status=0)
    [reply] = customer.replies()
    assert (reply["id"], reply["mensagem"], reply["numero"]) == ("pergunta-2", "SIM", number)
    until(lambda: not customer.replies(), what="the reply to be read")
    assert any(r["mo_id"] == reply["mo_id"] for r in customer.replies(todas="1"))


@pytest.mark.parametrize(
    ("octets", "coding", "text"),
    [
        (b"N\x07o, obrigado \x1b\x65", 0, "Nìo, obrigado €"),
        ("Não 🕊 é".encode("utf-16-be"), 8, "Não 🕊 é"),
        ("Não é".encode("latin-1"), 3, "Não é"),
    ],
)
def test_reply_is_read_in_its_alphabet(
    customer: Customer, smsc: Smsc, octets: bytes, coding: int, text: str
) -> None:
    number = new_number()
    customer.wait_status(customer.send(number), "2")

    smsc.deliver(f"+55{number}", octets, data_coding=coding)

    assert customer.wait_reply(text)["numero"] == number


def test_parts_of_a_long_reply_are_joined_whatever_their_order(customer: Customer, smsc: Smsc) -> None:
    number = _answered_number(customer, "carta")
    text = "Primeira parte é longa. " * 5 + "🕊" * 40
    octets = text.encode("utf-16-be")
    parts = [octets[at : at + 120] for at in range(0, len(octets), 120)]

    for n in [2, 0, 1, 2, *range(3, len(parts))]:
        header = bytes([5, 0, 3, 77, len(parts), n + 1])
        smsc.deliver(f"55{number}", header + parts[n], esm_class=0x40, data_coding=8)

    assert customer.wait_reply(text)["id"] == "carta"


def test_reply_goes_by_callback_and_is_then_not_offered_again(
    program: Program, smsc: Smsc, receiver: Receiver
) -> None:
    customer = program.add_account("chamada")
    account = str(customer.account_id)
    program.run("callback", "set", account, "--kind", "mo", "--url", f"{receiver.url}/mo")
    number = _answered_number(customer, "com-callback")

    smsc.deliver(f"55{number}", b"SIM & nao=1?")

    target = receiver.wait("id=com-callback")
    expected = rf"/mo\?data={TIME}&numero={number}&mensagem=SIM%20%26%20nao%3D1%3F&id=com-callback"
    assert re.fullmatch(expected, target)
    until(lambda: program.sql("select from inbox where read_at is not null and client_ref = 'com-callback'"))
    assert customer.replies() == []
    assert len(customer.replies(todas="1")) == 1


def test_nobody_sees_what_belongs_to_another_account(
    program: Program, customer: Customer, smsc: Smsc
) -> None:
    other = program.add_account("curiosa")
    number = _answered_number(customer, "segredo")
    smsc.deliver(f"55{number}", b"so para a loja")
    customer.wait_reply("so para a loja")
    mo_id = customer.wait_reply("so para a loja")["mo_id"]

    assert other.form("/api/dlr.php", id="segredo") == other.form("/api/dlr.php", id="nunca") == {"dlr": []}
    assert other.replies(todas="1") == other.replies(todas="1", apos=mo_id) == other.replies() == []
    assert other.send(new_number(), id="segredo") == "segredo", "the same id may be used by both"
    smsc.deliver(f"55{number}", b"ainda para a loja")
    customer.wait_reply("ainda para a loja")
    assert other.replies(todas="1") == []
