"""`account set` with limits: they are shown, recorded, and count for what is sent next."""

import pytest
from cli_commands import Pombo, Ran

SETS = {
    "requests_per_s": 20,
    "messages_per_s": 100,
    "messages_per_day": 2,
    "spend_per_day_milli": 12_500,
    "messages_per_prefix": 50,
    "max_parts": 3,
    "countries": ["BR", "AR", "US"],
}
OPTIONS = [
    "--requests-per-s", "20", "--messages-per-s", "100", "--messages-per-day", "2", "--spend-per-day", "12,50",
    "--messages-per-prefix", "50", "--max-parts", "3", "--countries", "us, ar,BR,AR",
]  # fmt: skip
NONE = {
    "requests_per_s": 0,
    "messages_per_s": 0,
    "messages_per_day": 0,
    "spend_per_day_milli": 0,
    "messages_per_prefix": 0,
    "max_parts": 10,
    "countries": ["BR"],
}


def limits_of(ran: Ran) -> dict[str, object]:
    return {name: value for name, value in ran.json.items() if name in SETS}


def test_limits_are_set_shown_recorded_and_taken_away(operator: Pombo):
    assert limits_of(operator("account", "show", "loja", "--json")) == NONE
    assert limits_of(operator("account", "set", "loja", *OPTIONS, "--json")) == SETS
    assert limits_of(operator("account", "show", "loja", "--json")) == SETS
    (record,) = operator("audit", "list", "--action", "account.set", "--json").json["records"]
    assert record["before"] == NONE
    assert record["after"] == SETS
    away = [word if n % 2 == 0 else ("none", "0")[n // 2 % 2] for n, word in enumerate(OPTIONS[:-1])]
    assert limits_of(operator("account", "set", "loja", *away, "none", "--json")) == NONE


def test_what_is_used_today_is_shown_beside_its_limit(operator: Pombo):
    operator("account", "set", "loja", "--messages-per-day", "2", "--spend-per-day", "1.00")
    for n in range(2):
        assert operator("send", "loja", "11999999999", f"Oi {n}").code == 0
    refused = operator("send", "loja", "11999999999", "Oi")
    assert (refused.code, "Limite de requisicoes excedido" in refused.err) == (1, True)
    shown = operator("account", "show", "loja", "--json").json
    assert shown["used_today"] == {"messages": 2, "spent_milli": 160}
    text = operator("account", "show", "loja").out
    assert "2 of 2" in text
    assert "R$ 0,16 of R$ 1,00" in text


def test_numbers_in_a_row_that_reached_their_limit_are_named_and_want_attention(operator: Pombo):
    operator("account", "set", "loja", "--messages-per-prefix", "1")
    for n in range(3):
        operator("send", "loja", "11999999999", f"Oi {n}")
    assert operator("account", "show", "loja", "--json").json["prefixes_at_limit"] == [
        {"prefix": "5511999999", "messages": 1, "refused": 2}
    ]
    assert "5511999999…: 1 messages, 2 more refused" in operator("account", "show", "loja").out
    (sentence,) = [s for s in operator("status", "--json").json["attention"] if s.startswith("loja")]
    assert "numbers in a row" in sentence


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--requests-per-s", "-1"), ("--requests-per-s", "1.5"), ("--requests-per-s", "many"), ("--messages-per-s", ""),
        ("--messages-per-s", "1e3"), ("--messages-per-s", "１００"), ("--messages-per-day", "99999999999999999999"),
        ("--messages-per-day", "1_000"), ("--messages-per-prefix", "0x10"), ("--messages-per-day", "5; drop table account"),
        ("--spend-per-day", "-1"), ("--spend-per-day", "1.000"), ("--spend-per-day", "9" * 13), ("--spend-per-day", "NaN"),
        ("--max-parts", "33"), ("--max-parts", "-3"), ("--countries", ""), ("--countries", "Brasil"),
        ("--countries", "BR;AR"), ("--countries", "XX"), ("--countries", "BR,\0"), ("--countries", "001"),
    ],
)  # fmt: skip
def test_what_is_no_limit_is_refused_and_changes_nothing(operator: Pombo, option: str, value: str):
    ran = operator("account", "set", "loja", option, value, "--price", "0.123", "--json")
    assert ran.code == 1
    assert any(words in ran.err for words in (f"not {value!r}", "amount", "two ways", "countries")), ran
    assert operator("account", "show", "loja", "--json").json["price_milli"] == 80


def test_numbers_of_other_countries_are_understood_by_commands(operator: Pombo):
    assert operator("send", "loja", "+5491123456789", "Oi").err.strip().endswith("Destino invalido")
    operator("account", "set", "loja", "--countries", "BR,AR")
    assert "Sem rota" in operator("send", "loja", "+5491123456789", "Oi").err
    operator("route", "add", "--prefix", "54", "--smsc", "tim")
    assert operator("send", "loja", "+5491123456789", "Oi").code == 0
    assert operator("route", "explain", "+54 9 11 2345-6789", "--json").json["number"] == "5491123456789"
    assert operator("block", "add", "+54 9 11 2345-6789", "--account", "loja").code == 0
    assert "Destino bloqueado" in operator("send", "loja", "+5491123456789", "Oi").err
