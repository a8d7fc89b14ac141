"""A backup made under load lives on in another data directory."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from story_program import Customer, Program, new_number, until
from story_smsc import Smsc

from places import new_directory


@pytest.fixture
def restored() -> Iterator[Program]:
    """Not started yet, and without a data directory."""
    home = new_directory("pombo-story-")
    program = Program(home / "data")
    program.data.rmdir()
    yield program
    program.close()
    shutil.rmtree(home)


def test_a_backup_of_a_live_platform_is_restored_and_served(
    program: Program, customer: Customer, smsc: Smsc, restored: Program, tmp_path: Path
) -> None:
    smsc.do("default", behaviour={"response_ms": 300, "receipts": [{"stat": "DELIVRD"}]})
    messages = [{"destino": new_number(), "msg": f"B {n}", "id": f"b{n}"} for n in range(600)]
    customer.send_batch(messages[:300])
    file = tmp_path / "pombo.backup"

    made = program.run("backup", str(file))  # some of them are on their way

    smsc.do("default", behaviour={"receipts": [{"stat": "DELIVRD"}]})
    customer.send_batch(messages[300:])
    until(lambda: customer.status("b299") == "2", timeout_s=20)
    assert made["octets"] == file.stat().st_size
    assert file.stat().st_mode & 0o777 == 0o600
    facts = restored.run("restore", str(file))
    assert (facts["accounts"], facts["messages"], facts["stopped"]) == (1, 300, ["vivo"])
    assert facts["waiting"] > 0
    assert restored.run("doctor")["sound"]

    binds = len(smsc.of("bind"))
    restored.start()
    [record] = restored.sql("select * from audit order by id desc limit 1")
    assert (record["action"], record["subject"]) == ("platform.restore", "platform")
    there = Customer(restored, customer.token, customer.account_id)
    balance = restored.sql("select balance_milli from account")
    assert there.send(messages[0]["destino"], "B 0", id="b0") == "b0", "it is known there, too"
    assert restored.sql("select balance_milli from account") == balance
    assert restored.run("status")["smscs"][0]["bound"] == 0
    assert len(smsc.of("bind")) == binds, "a copy of a platform sends nothing by itself"

    program.stop()  # as after a disaster; the operator lets one of the two in
    restored.run("smsc", "start", "vivo")
    smsc.wait("bind", count=binds + 1, status=0)
    there.wait_status(there.send(new_number()), "2", timeout_s=20)
    until(lambda: not restored.sql("select from queue"), timeout_s=30, what="what waited to be sent")
    assert restored.run("doctor")["sound"]
    restored.stop()
    program.start()


def test_only_its_owner_can_read_the_restored_secret(
    program: Program, restored: Program, tmp_path: Path
) -> None:
    program.run("backup", str(tmp_path / "b"))
    restored.run("restore", str(tmp_path / "b"))

    secret = restored.data / "secret"
    assert secret.read_bytes() == (program.data / "secret").read_bytes()
    assert secret.stat().st_mode & 0o777 == 0o600
    assert secret.stat().st_uid == os.geteuid()
