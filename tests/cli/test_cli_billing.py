"""What people do with accounts' money and prices."""

import pytest
from cli_commands import Pombo, in_database, rows

from pombo.store import ledger


@pytest.fixture
def loja(pombo: Pombo) -> Pombo:
    """With an account `loja`, which has R$ 10,00."""
    pombo("account", "add", "loja", "--balance", "10.00")
    return pombo


def test_a_recharge_is_added_once_for_its_reference(loja: Pombo, database_url: str) -> None:
    for before in (False, True):
        ran = loja("account", "recharge", "loja", "5,50", "--note", "pix", "--reference", "nf 1", "--json")
        assert ran.json == {
            "account": 1, "entry": 2, "amount_milli": 5500, "balance_milli": 15_500, "booked_before": before,
        }  # fmt: skip
    assert in_database(database_url, ledger.faults) == []


def test_an_adjustment_goes_up_or_down_but_not_below_what_may_be_owed(loja: Pombo) -> None:
    assert loja("account", "adjust", "loja", "-10", "--note", "x", "--json").json["balance_milli"] == 0
    ran = loja("account", "adjust", "loja", "-0.001", "--note", "x", "--json")
    assert (ran.code, ran.json) == (
        1,
        {"error": "The account may not owe so much: raise its limit, or take off less."},
    )
    assert loja("account", "adjust", "loja", "1.00", "--note", "x", "--json").json["balance_milli"] == 1000


@pytest.mark.parametrize("amount", ["0", "-5", "1.000", "x"])
def test_what_is_no_recharge_is_refused(command: Pombo, amount: str) -> None:
    ran = command("account", "recharge", "loja", amount, "--json")
    assert ran.code == 1
    assert "error" in ran.json


def test_terms_are_changed_one_by_one(loja: Pombo) -> None:
    ran = loja(
        "account", "set", "loja", "--price", "0,07", "--billing", "postpaid", "--limit", "100.00", "--low-balance", "50",
        "--no-refund-rejected", "--refund-undelivered", "--class", "otp", "--json",
    )  # fmt: skip
    expected = {
        "account": 1, "name": "loja", "active": True, "balance_milli": 10_000, "available_milli": 110_000,
        "billing": "postpaid", "limit_milli": 100_000, "low_balance_milli": 50_000, "price_milli": 70,
        "refund_rejected": False, "refund_undelivered": True, "class": "otp", "text_mode": "ascii", "addresses": [],
        "window": "mon-sat 09:00-22:00", "retention_days": 90, "time_zone": "America/Sao_Paulo", "demo": False,
        "requests_per_s": 0, "messages_per_s": 0, "messages_per_day": 0,
        "spend_per_day_milli": 0, "messages_per_prefix": 0, "max_parts": 10, "countries": ["BR"],
        "used_today": {"messages": 0, "spent_milli": 0}, "prefixes_at_limit": [],
    }  # fmt: skip
    assert ran.json == expected
    assert loja("account", "set", "loja", "--low-balance", "0", "--json").json == {
        **expected,
        "low_balance_milli": 0,
    }
    assert loja("account", "show", "1", "--json").json == {**expected, "low_balance_milli": 0}
    assert "postpaid, may owe R$ 100,00" in loja("account", "show", "loja").out


def test_who_owes_too_much_keeps_the_terms(loja: Pombo) -> None:
    loja("account", "set", "loja", "--billing", "postpaid", "--limit", "5")
    loja("account", "adjust", "loja", "-15", "--note", "x")
    for terms in (["--limit", "4.99"], ["--billing", "prepaid"]):
        ran = loja("account", "set", "loja", *terms)
        assert ran.code == 1
        assert "owes more than it may" in ran.err


def test_to_change_nothing_is_no_command(loja: Pombo) -> None:
    ran = loja("account", "set", "loja")
    assert ran.code == 1
    assert "Say what is to be changed" in ran.err


def test_a_statement_shows_entries_and_days(loja: Pombo) -> None:
    loja("account", "recharge", "loja", "5", "--note", "pix", "--reference", "nf 1")
    facts = loja("account", "statement", "loja", "--json").json
    assert (facts["opening_milli"], facts["closing_milli"]) == (0, 15_000)
    assert [
        (e["kind"], e["amount_milli"], e["balance_milli"], e["note"], e["reference"])
        for e in facts["entries"]
    ] == [
        ("recharge", 10_000, 10_000, "first balance", None),
        ("recharge", 5000, 15_000, "pix", "nf 1"),
    ]
    (day,) = facts["days"]
    assert (day["booked_milli"], day["balance_milli"]) == (15_000, 15_000)
    day_only = ["--since", day["day"], "--until", day["day"]]
    assert len(loja("account", "statement", "loja", *day_only, "--json").json["entries"]) == 2
    later = loja("account", "statement", "loja", "--since", "2999-01-01", "--json").json
    assert (later["opening_milli"], later["closing_milli"], later["entries"]) == (15_000, 15_000, [])
    assert loja("account", "statement", "loja", "--until", "2020-01-01T10:00", "--json").json["entries"] == []
    assert "pix [nf 1]" in loja("account", "statement", "loja").out
    ran = loja("account", "statement", "loja", "--since", "ontem")
    assert ran.code == 1
    assert "'ontem' is no day or moment" in ran.err


def test_prices_are_listed_in_the_order_in_which_they_count(loja: Pombo) -> None:
    loja("price", "set", "0,09")
    loja("price", "set", "0,10", "--prefix", "5511")
    loja("price", "set", "0,11", "--prefix", "5511", "--class", "otp")
    ran = loja("price", "set", "0", "--account", "loja", "--json")
    own = {"price": 4, "account": 1, "account_name": "loja", "prefix": "", "class": None, "price_milli": 0}
    assert ran.json == own
    listed = loja("price", "list", "--json").json["prices"]
    assert listed[0] == own
    assert [price["price_milli"] for price in listed] == [0, 110, 100, 90]
    loja("price", "set", "0,12", "--prefix", "5511", "--class", "otp")
    assert [price["price_milli"] for price in loja("price", "list", "--json").json["prices"]] == [
        0,
        120,
        100,
        90,
    ]
    assert loja("price", "remove", "4", "--json").json == {"price": 4, "removed": True}
    assert loja("price", "remove", "4").code == 1
    assert "R$ 0,120" in loja("price", "list").out


@pytest.mark.parametrize(
    "arguments", [["10.000,01"], ["-1"], ["0.05", "--prefix", "55a"], ["0.05", "--account", "nobody"]]
)
def test_what_is_no_price_is_refused(loja: Pombo, arguments: list[str]) -> None:
    ran = loja("price", "set", *arguments, "--json")
    assert ran.code == 1
    assert loja("price", "list", "--json").json == {"prices": []}


def test_a_message_that_people_send_takes_its_price(operator: Pombo, database_url: str) -> None:
    operator("price", "set", "0,05", "--prefix", "5511")
    assert operator("send", "loja", "11999999999", "oi", "--json").json["price_milli"] == 50
    assert rows(database_url, "select balance_milli from account") == [(9950,)]


def test_a_low_balance_stands_in_the_status_until_it_is_recharged(loja: Pombo) -> None:
    assert loja("status", "--json").json["notices"] == []
    loja("account", "set", "loja", "--low-balance", "10.01")
    (notice,) = loja("status", "--json").json["notices"]
    assert (notice["account"], notice["kind"], notice["available_milli"]) == ("loja", "balance_low", 10_000)
    assert "loja may spend R$ 10,00 only" in loja("status").out
    loja("account", "recharge", "loja", "0.01")
    assert loja("status", "--json").json["notices"] == []
