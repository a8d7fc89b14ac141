from pathlib import Path
from typing import Any

import pytest
from cli_commands import Pombo, rows


def _smsc(pombo: Pombo, name: str) -> None:
    pombo("smsc", "add", name, "--host", "h", "--port", "2775", "--system-id", "s", "--password", "p")


@pytest.fixture
def two(operator: Pombo, database_url: str) -> Pombo:
    """`tim` with route 1 (prefix 55), and `vivo` without one; both bound."""
    _smsc(operator, "vivo")
    rows(database_url, "insert into link (smsc_id, bound, down_since) select id, 1, null from smsc")
    return operator


def _explained(pombo: Pombo, *arguments: str) -> tuple[Any, dict[int, str]]:
    ran = pombo("route", "explain", *arguments, "--json")
    assert ran.code == 0, ran
    return ran.json, {rule["route"]: rule["outcome"] for rule in ran.json["rules"]}


def test_a_route_with_every_condition_is_kept_and_shown(two: Pombo) -> None:
    ran = two(
        "route", "add", "--prefix", "5511", "--smsc", "vivo", "--account", "loja", "--class", "OTP", "--operator", " Vivo",
        "--position", "7", "--weight", "3", "--json",
    )  # fmt: skip

    assert ran.json == {"route": 2}
    listed = two("route", "list", "--json").json["routes"]
    assert [route["route"] for route in listed] == [2, 1]  # in the order in which they are tried
    assert listed[0] == {
        "route": 2, "prefix": "5511", "smsc": "vivo", "position": 7, "account": 1, "account_name": "loja", "class": "otp",
        "operator": "vivo", "weight": 3,
    }  # fmt: skip
    shown = two("route", "list").out
    assert all(word in shown for word in ("5511", "loja", "otp", "vivo"))


def test_the_same_route_again_is_refused_and_one_with_another_condition_is_not(two: Pombo) -> None:
    again = two("route", "add", "--prefix", "55", "--smsc", "tim", "--json")
    assert (again.code, "already" in again.json["error"]) == (1, True)
    assert two("route", "add", "--prefix", "55", "--smsc", "tim", "--class", "otp").code == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--class", "urgent"), "otp, transactional or marketing"),
        (("--account", "nobody"), "no account 'nobody'"),
        (("--operator", " "), "needs a name"),
        (("--weight", "1001"), "route_weight_check"),
        (("--prefix", "+55"), "A prefix is digits"),
    ],
)
def test_what_cannot_be_a_condition_is_refused(
    two: Pombo, arguments: tuple[str, ...], complaint: str
) -> None:
    ran = two("route", "add", "--smsc", "tim", *arguments, "--json")
    assert ran.code == 1
    assert complaint in ran.json["error"]


def test_a_route_is_removed_and_an_unknown_one_is_not(two: Pombo) -> None:
    assert two("route", "remove", "1", "--json").json == {"route": 1, "removed": True}
    assert two("route", "list", "--json").json == {"routes": []}
    gone = two("route", "remove", "1", "--json")
    assert (gone.code, "no route 1" in gone.json["error"]) == (1, True)


def test_explain_says_what_the_number_became_and_who_takes_it(two: Pombo) -> None:
    two("route", "add", "--prefix", "5511", "--smsc", "vivo", "--account", "loja")

    facts, outcomes = _explained(two, "(011) 9999-9999")
    assert (facts["number"], facts["route"], facts["smsc"]) == ("5511999999999", 1, "tim")
    assert outcomes == {2: "does not fit", 1: "taken"}
    facts, outcomes = _explained(two, "11999999999", "--account", "loja")
    assert (facts["route"], facts["class"], facts["account"]) == (2, "transactional", 1)
    assert outcomes == {2: "taken", 1: "next"}


def test_explain_takes_the_class_from_the_account_unless_it_is_said(two: Pombo, database_url: str) -> None:
    rows(database_url, "update account set class = 2")
    two("route", "add", "--smsc", "vivo", "--class", "marketing", "--position", "1")

    assert _explained(two, "11999999999", "--account", "loja")[0]["smsc"] == "vivo"
    assert _explained(two, "11999999999", "--account", "loja", "--class", "otp")[0]["smsc"] == "tim"


def test_explain_reads_the_operators_of_the_file(
    two: Pombo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "operators.csv"
    file.write_text("11999999999,VIVO\n")
    monkeypatch.setenv("POMBO_OPERATORS_FILE", str(file))
    two("route", "add", "--smsc", "vivo", "--operator", "vivo", "--position", "1")

    facts, _ = _explained(two, "11999999999")
    assert (facts["operator"], facts["smsc"]) == ("vivo", "vivo")
    facts, outcomes = _explained(two, "11999999998")
    assert (facts["operator"], facts["smsc"], outcomes[2]) == (None, "tim", "does not fit")


def test_explain_passes_over_a_stopped_connection_and_says_so(two: Pombo) -> None:
    two("route", "add", "--prefix", "5511", "--smsc", "vivo")
    two("smsc", "stop", "vivo")

    facts, outcomes = _explained(two, "11999999999")
    assert (facts["smsc"], outcomes) == ("tim", {2: "passed over", 1: "taken"})
    assert "its connection is stopped" in two("route", "explain", "11999999999").out


def test_explain_says_that_a_number_without_a_route_is_refused(two: Pombo) -> None:
    two("route", "remove", "1")
    two("route", "add", "--prefix", "5521", "--smsc", "tim")

    facts, outcomes = _explained(two, "11999999999")
    assert (facts["route"], facts["smsc"], outcomes) == (None, None, {2: "does not fit"})
    assert "Sem rota" in two("route", "explain", "11999999999").out
    assert two("route", "explain", "1133334444", "--json").code == 1
