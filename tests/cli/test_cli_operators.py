import base64
from typing import Any

import pytest
from cli_commands import Pombo, rows

_SMSC = ("smsc", "add", "tim", "--host", "smpp.example.com", "--port", "2775", "--system-id", "pombo")


def test_smsc_add_gives_the_id_and_keeps_everything(pombo: Pombo, database_url: str) -> None:
    ran = pombo(
        *_SMSC, "--password", "-pass", "--window", "50", "--rate", "12.5", "--system-type", "VMA", "--alphabet", "latin1",
        "--source", "27300", "--source-ton", "3", "--source-npi", "1", "--uncertain", "hold", "--validity-s", "600",
        "--json",
    )  # fmt: skip

    assert (ran.code, ran.json, ran.err) == (0, {"smsc": 1}, "")
    [row] = rows(database_url, "select * from smsc")
    assert b"-pass" not in row["password_sealed"]
    expected: dict[str, Any] = {
        "name": "tim", "host": "smpp.example.com", "port": 2775, "system_id": "pombo", "system_type": "VMA",
        "window_size": 50, "rate_per_s": 12.5, "alphabet": "latin1", "source_addr": "27300", "source_ton": 3,
        "source_npi": 1, "uncertain_policy": "hold", "validity_s": 600, "demo": False,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected


def test_a_password_is_read_from_stdin_where_asked_for(command: Pombo) -> None:
    ran = command(*_SMSC, "--password", "-", stdin=b"p" * 65 + b"\n")

    assert "password carries at most 64 octets" in ran.err


def test_smsc_list_shows_what_was_added_and_no_password(pombo: Pombo) -> None:
    pombo(*_SMSC, "--password", "hunter2")

    ran = pombo("smsc", "list", "--json")

    assert ran.json == {
        "smscs": [
            {
                "smsc": 1, "name": "tim", "host": "smpp.example.com", "port": 2775, "system_id": "pombo", "system_type": "",
                "bind": "transceiver", "binds": 1, "tls": False, "tls_ca": "", "tls_name": "", "window": 20, "rate": 0.0,
                "alphabet": "gsm", "long": "udh8", "source": "", "source_ton": 0, "source_npi": 0, "uncertain": "resend",
                "validity_s": 86400, "operator_validity_s": 0, "receipt_ids": "auto", "response_timeout_s": 60,
                "enquire_link_s": 30, "patience_s": 60, "verdicts": {}, "wanted": "started", "id_form": None, "bound": 0,
                "down_since": None, "waiting": 0, "writing": 0, "held": 0,
            }
        ]
    }  # fmt: skip
    assert "password" not in ran.out
    assert "smpp.example.com:2775" in pombo("smsc", "list").out


def test_names_longer_than_the_standard_allows_are_noted_and_kept(pombo: Pombo) -> None:
    ran = pombo(*_SMSC, "--password", "p" * 64, "--json")

    assert (ran.code, ran.json) == (0, {"smsc": 1})
    assert "longer than the 8 characters" in ran.err


@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        ("--system-id", "s" * 65, "system_id carries at most 64 octets"),
        ("--password", "p" * 65, "password carries at most 64 octets"),
        ("--system-type", "t" * 13, "system_type carries at most 12 octets"),
        ("--source", "9" * 21, "source_addr carries at most 20 octets"),
        ("--password", "señor€", "cannot carry"),
        ("--system-id", "a\nb", "control character"),
        ("--host", "http://example.com", "no host name"),
        ("--host", " ", "no host name"),
        ("--rate", "-1", "rate"),
        ("--rate", "nan", "rate"),
    ],
)
def test_what_smpp_cannot_carry_is_refused(command: Pombo, option: str, value: str, complaint: str) -> None:
    options = {"--host": "h", "--port": "2775", "--system-id": "s", "--password": "p", option: value}

    ran = command("smsc", "add", "tim", *(f"{name}={text}" for name, text in options.items()), "--json")

    assert ran.code == 1
    assert complaint in ran.json["error"]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--port", "0"), ("--port", "65536"), ("--port", "x"), ("--window", "0"), ("--window", "1001"),
        ("--alphabet", "utf8"), ("--uncertain", "maybe"), ("--source-ton", "256"), ("--validity-s", "0"),
    ],
)  # fmt: skip
def test_values_out_of_their_range_are_usage_errors(command: Pombo, option: str, value: str) -> None:
    options = {"--host": "h", "--port": "2775", "--system-id": "s", "--password": "p", option: value}

    ran = command("smsc", "add", "tim", *(f"{name}={text}" for name, text in options.items()), "--json")

    assert ran.code == 2
    assert option in ran.json["error"]


def test_route_add_gives_the_id_and_list_shows_it(pombo: Pombo) -> None:
    pombo(*_SMSC, "--password", "p")

    assert pombo("route", "add", "--prefix", "55", "--smsc", "tim", "--json").json == {"route": 1}
    assert pombo("route", "add", "--prefix", "", "--smsc", "tim", "--json").json == {"route": 2}
    plain = {
        "position": 100,
        "account": None,
        "account_name": None,
        "class": None,
        "operator": None,
        "weight": 0,
    }
    assert pombo("route", "list", "--json").json == {
        "routes": [
            {"route": 1, "prefix": "55", "smsc": "tim", **plain},
            {"route": 2, "prefix": "", "smsc": "tim", **plain},
        ]
    }


@pytest.mark.parametrize(
    ("prefix", "smsc", "complaint"),
    [("55", "claro", "no connection 'claro'"), ("5a", "tim", "A prefix is digits"), ("+55", "tim", "A prefix is digits")],
)  # fmt: skip
def test_a_route_that_cannot_be_is_refused(pombo: Pombo, prefix: str, smsc: str, complaint: str) -> None:
    pombo(*_SMSC, "--password", "p")

    ran = pombo("route", "add", "--prefix", prefix, "--smsc", smsc, "--json")

    assert ran.code == 1
    assert complaint in ran.json["error"]


@pytest.mark.parametrize(
    ("prefix", "noted"),
    [("11", True), ("5520", True), ("55119" + 9 * "0", True), ("5", False), ("5511", False)],
)
def test_a_prefix_that_no_number_has_is_noted(pombo: Pombo, prefix: str, noted: bool) -> None:
    pombo(*_SMSC, "--password", "p")

    ran = pombo("route", "add", "--prefix", prefix, "--smsc", "tim", "--json")

    assert ran.json == {"route": 1}
    assert ("No mobile number" in ran.err) is noted


def test_callback_set_gives_a_secret_that_outlives_a_change_of_url(pombo: Pombo) -> None:
    pombo("account", "add", "loja", "--balance", "1")

    first = pombo(
        "callback", "set", "loja", "--kind", "dlr", "--url", "https://example.com/dlr", "--json"
    ).json
    second = pombo("callback", "set", "1", "--kind", "dlr", "--url", "https://example.com/new", "--json").json

    assert first == {"account": 1, "kind": "dlr", "url": "https://example.com/dlr", "secret": first["secret"]}
    assert len(base64.b64decode(first["secret"].removeprefix("whsec_"))) == 32
    assert second == {**first, "url": "https://example.com/new"}


def test_callback_endpoints_shows_both_kinds_and_their_forms(pombo: Pombo) -> None:
    pombo("account", "add", "loja", "--balance", "1")
    pombo("callback", "set", "loja", "--kind", "mo", "--url", "https://example.com/mo", "--any-2xx")
    pombo("callback", "set", "loja", "--kind", "dlr", "--url", "https://example.com/dlr", "--literal")

    assert pombo("callback", "endpoints", "--json").json == {
        "endpoints": [
            {"account": 1, "name": "loja", "kind": "dlr", "url": "https://example.com/dlr", "literal": True,
             "any_2xx": False},
            {"account": 1, "name": "loja", "kind": "mo", "url": "https://example.com/mo", "literal": False,
             "any_2xx": True},
        ]
    }  # fmt: skip


@pytest.mark.parametrize(
    "url", ["ftp://example.com", "example.com", "http://a b", "http://", "http://user:pw@example.com"]
)
def test_what_cannot_be_called_is_refused(command: Pombo, url: str) -> None:
    ran = command("callback", "set", "loja", "--kind", "dlr", "--url", url, "--json")

    assert ran.code == 1
    assert "URL" in ran.json["error"]


def test_an_internal_address_is_kept_and_noted_unless_it_is_allowed(
    pombo: Pombo, monkeypatch: pytest.MonkeyPatch
) -> None:
    pombo("account", "add", "loja", "--balance", "1")
    register = ("callback", "set", "loja", "--kind", "dlr", "--url", "http://127.0.0.1:9000/dlr", "--json")

    ran = pombo(*register)
    assert ran.json["url"] == "http://127.0.0.1:9000/dlr"
    assert "POMBO_CALLBACK_ALLOW" in ran.err

    monkeypatch.setenv("POMBO_CALLBACK_ALLOW", "127.0.0.0/8")
    assert pombo(*register).err == ""
