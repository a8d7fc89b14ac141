"""An operator over TLS that wants a transmitter and a receiver for each bind."""

from pathlib import Path

from story_program import new_number, running, until
from story_smsc import Smsc

from certificates import Signer

NAME = "smpp.operadora.example"


def test_pairs_over_tls_carry_messages_receipts_and_replies_and_change_while_running(tmp_path: Path) -> None:
    signer = Signer()
    (tmp_path / "ca.pem").write_text(signer.pem)
    smsc = Smsc(pem=signer.file(tmp_path, NAME))
    try:
        with running() as program:
            program.add_smsc(
                smsc, "vivo", "--bind", "pair", "--binds", "2",
                "--tls", "--tls-ca", str(tmp_path / "ca.pem"), "--tls-name", NAME,
            )  # fmt: skip
            smsc.wait("bind", count=4, status=0)
            assert (
                sorted(e["command"] for e in smsc.of("bind"))
                == ["bind_receiver"] * 2 + ["bind_transmitter"] * 2
            )
            customer = program.add_account("loja")
            number = new_number()
            customer.wait_status(customer.send(number), "2")
            [submit] = smsc.submits(number)
            assert submit["over"] == "bind_transmitter"
            smsc.deliver(f"55{number}", b"SIM")
            customer.wait_reply("SIM")

            # One thing after the other, without a message lost: fewer binds, then none, then all again.
            program.run("smsc", "stop", "vivo")
            smsc.wait("unbind", count=4)
            waiting = customer.send(new_number())
            assert customer.status(waiting) == "0"
            program.run("smsc", "set", "vivo", "--bind", "transceiver", "--binds", "1")
            program.run("smsc", "start", "vivo")
            customer.wait_status(waiting, "2")
            until(lambda: program.sql("select from link where bound = 1"), what="one bind to stand")
            assert smsc.of("bind")[-1]["command"] == "bind_transceiver"
    finally:
        smsc.stop()
