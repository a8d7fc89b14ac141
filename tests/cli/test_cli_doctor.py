"""`pombo doctor`, as people and programs see it."""

from cli_commands import Pombo, rows


def test_a_sound_platform_ends_with_0(operator: Pombo) -> None:
    operator("send", "loja", "11987654321", "oi")

    ran = operator("doctor", "--json")

    assert (ran.code, ran.json["sound"], ran.json["faults"]) == (0, True, [])
    assert "everything agrees" in operator("doctor").out


def test_a_tampered_ledger_is_found_and_ends_with_1(operator: Pombo, database_url: str) -> None:
    """Somebody with the database's password gives an account money that nobody paid."""
    rows(database_url, "update account set balance_milli = 99000")

    ran = operator("doctor", "--json")

    assert (ran.code, ran.json["sound"]) == (1, False)
    assert [fault["look"] for fault in ran.json["faults"]] == ["books"]
    shown = operator("doctor")
    assert shown.code == 1
    assert "loja: the balance is 99000 thousandths, its ledger says 10000." in shown.out


def test_a_message_that_nothing_will_send_is_named(operator: Pombo, database_url: str) -> None:
    operator("send", "loja", "11987654321", "oi")
    rows(database_url, "delete from queue")

    ran = operator("doctor", "--json")

    [fault] = ran.json["faults"]
    assert (ran.code, fault["look"], fault["found"]) == (1, "waiting_nowhere", 1)
    [row] = rows(database_url, "select id from message")
    assert fault["examples"] == [str(row["id"])]


def test_a_secret_that_does_not_open_a_password_is_found(operator: Pombo, database_url: str) -> None:
    rows(database_url, "update smsc set password_sealed = 'x'")

    ran = operator("doctor")

    assert ran.code == 1
    assert "does not open the password of connection tim" in ran.out
