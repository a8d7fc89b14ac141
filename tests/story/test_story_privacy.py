"""Somebody asks to be forgotten while everything runs: nothing of them is found any more, and the platform goes on."""

from datetime import datetime, timedelta

from story_program import Program, new_number
from story_receiver import Receiver
from story_smsc import Smsc


def test_a_number_is_erased_while_messages_receipts_and_callbacks_go_on(
    program: Program, smsc: Smsc, receiver: Receiver
) -> None:
    customer = program.add_account("banco", "1.00")
    for kind in ("dlr", "mo"):
        program.run("callback", "set", "banco", "--kind", kind, "--url", f"{receiver.url}/{kind}")
    number = new_number()
    customer.wait_status(customer.send(number, "Segredo amarelo", id="entregue"), "2")
    smsc.deliver(f"55{number}", b"RESPOSTA AMARELA", "answer")
    receiver.wait("RESPOSTA")
    smsc.plan(number, {"receipts": []})
    customer.send(number, "Segredo verde", id="enviada")
    customer.wait_status("enviada", "1")
    submit = smsc.submits(number)[-1]
    customer.send(
        number,
        "Segredo azul",
        id="agendada",
        agendar=f"{datetime.now() + timedelta(days=2):%Y-%m-%d %H:%M:%S}",
    )
    before = program.run("account", "show", "banco")["balance_milli"]

    erased = program.run("privacy", "erase", number, "--yes")

    assert (erased["erased"], erased["ended"]) == (True, 1)
    assert program.run("privacy", "search", number)["found"] is False
    assert program.run("account", "show", "banco")["balance_milli"] == before + 80
    states = {ref: customer.dlr(ref) for ref in ("entregue", "enviada", "agendada")}
    assert {ref: dlr["status"] for ref, dlr in states.items()} == {
        "entregue": "2",
        "enviada": "1",
        "agendada": "4",
    }
    assert {(dlr["mensagem"], dlr["destino"], dlr["numero"]) for dlr in states.values()} == {("", "", "")}

    # A retry is known for one, and sends nothing; another text under its id is a clash.
    submits = len(smsc.submits(number))
    customer.send(number, "Segredo verde", id="enviada")
    clash = customer.form("/api/unitario.php", destino=number, msg="Outro", id="enviada")["envio"][0]
    assert clash["detailDescription"] == "ID duplicado"
    assert len(smsc.submits(number)) == submits

    # The receipt of a message whose number is gone comes late, and settles it all the same.
    smsc.receipt(submit)
    customer.wait_status("enviada", "2")
    assert "destino=&" in receiver.wait("id=enviada")
    assert program.sql("select from parked_receipt where body::text like '%' || $1 || '%'", number) == []

    assert program.run("privacy", "search", number)["found"] is False
    assert program.run("doctor")["sound"] is True
    assert number not in program.log.read_text()
