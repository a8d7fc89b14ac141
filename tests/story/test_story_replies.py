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


@pytest.mark.parametrize("mode", ["udh16", "sar", "payload"])
def test_parts_of_a_long_reply_are_joined_however_the_operator_marks_them(
    customer: Customer, smsc: Smsc, mode: str
) -> None:
    number = _answered_number(customer, f"carta-{mode}")
    text = f"{mode}: " + "Não é 🕊 tão curta. " * 9
    octets = text.encode("utf-16-be")
    pieces = [octets[at : at + 120] for at in range(0, len(octets), 120)]

    for n in reversed(range(len(pieces))):
        place = (len(pieces), n + 1)
        header = bytes([12, 5, 4, 0x0B, 0x84, 0x23, 0xF0, 8, 4, 1, 77, *place])  # ports come first
        if mode == "udh16":
            smsc.deliver(f"55{number}", header + pieces[n], esm_class=0x40, data_coding=8)
        elif mode == "payload":
            payload = (header + pieces[n]).hex()
            smsc.deliver(f"55{number}", b"", esm_class=0x40, data_coding=8, message_payload=payload)
        else:
            sar = {"sar_msg_ref_num": 333, "sar_total_segments": place[0], "sar_segment_seqnum": place[1]}
            smsc.deliver(f"55{number}", pieces[n], data_coding=8, **sar)

    assert customer.wait_reply(text)["id"] == f"carta-{mode}"


def test_reply_that_answers_nothing_goes_to_the_owner_of_its_keyword_or_is_assigned_by_a_person(
    program: Program, smsc: Smsc, receiver: Receiver
) -> None:
    owner = program.add_account("dona da palavra")
    account = str(owner.account_id)
    program.run("callback", "set", account, "--kind", "mo", "--url", f"{receiver.url}/achada")
    stranger, other = new_number(), new_number()
    smsc.deliver(f"55{stranger}", b"Sorteio, quero", "before")
    smsc.wait("deliver_resp", tag="before", status=0)

    shown = program.run("reply", "list", "--unowned", "--number")["replies"]
    [reply_id] = [reply["reply"] for reply in shown if reply["number"] == f"55{stranger}"]
    program.run("shortcode", "add", "27300", "--account", account, "--keyword", "SORTEIO")
    smsc.deliver(f"55{other}", "sortéio".encode("latin-1"), data_coding=3)
    receiver.wait(f"numero={other}")
    assert not [t for t in receiver.targets if f"numero={stranger}" in t]

    program.run("reply", "assign", reply_id, "--account", account)
    receiver.wait(f"numero={stranger}")
    assert {reply["numero"] for reply in owner.replies(todas="1")} == {stranger, other}
    program.run("shortcode", "remove", "27300", "--keyword", "sorteio")


def test_who_replies_sair_hears_it_once_and_is_written_to_no_more(
    program: Program, smsc: Smsc, receiver: Receiver
) -> None:
    shop, other = program.add_account("descadastro"), program.add_account("outra que escreve")
    program.run(
        "callback", "set", str(shop.account_id), "--kind", "mo", "--url", f"{receiver.url}/descadastro"
    )
    number = new_number()
    shop.wait_status(shop.send(number, id="oferta"), "2")

    smsc.deliver(f"55{number}", b" Sair!")

    assert shop.wait_reply(" Sair!")["id"] == "oferta"
    receiver.wait(f"numero={number}")
    [confirmation] = until(
        lambda: program.sql(
            "select client_ref, body, price_milli, class from message where number = $1 and client_ref like 'descadastro-%'",
            int(f"55{number}"),
        )
    )
    assert (confirmation["price_milli"], confirmation["class"]) == (0, 1)
    assert "Descadastro feito" in confirmation["body"]
    shop.wait_status(confirmation["client_ref"], "2")
    refused = shop.form("/api/unitario.php", destino=number, msg="Oferta")["envio"][0]
    assert (refused["status"], refused["detailDescription"]) == (0, "Destino bloqueado")

    smsc.deliver(f"55{number}", b"PARE", "again")
    smsc.wait("deliver_resp", tag="again", status=0)
    until(lambda: not program.sql("select from block where owed_since is not null"))
    sent = program.sql("select from message where number = $1", int(f"55{number}"))
    assert len(sent) == 2, "no second confirmation"
    other.wait_status(other.send(number), "2")
