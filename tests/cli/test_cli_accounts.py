from pathlib import Path

import pytest
from cli_commands import Pombo, rows

from pombo.account import secret


def test_account_add_gives_the_id_and_a_token(pombo: Pombo, database_url: str, tmp_path: Path) -> None:
    ran = pombo("account", "add", "loja", "--balance", "1000.00", "--json")

    assert ran.code == 0
    assert list(ran.json) == ["account", "token"]
    account, token = ran.json["account"], ran.json["token"]
    assert rows(database_url, "select id, name, balance_milli, price_milli, demo from account") == [
        (account, "loja", 1_000_000, 80, False)
    ]
    assert rows(database_url, "select kind, amount_milli from ledger") == [("recharge", 1_000_000)]
    [(hmac, prefix)] = rows(database_url, "select hmac, prefix from token where account_id = $1", account)
    assert hmac == secret.load(tmp_path, "").token_hmac(token)
    assert token.startswith(prefix)
    assert len(prefix) == len("pombo_") + 4


def test_the_price_of_a_part_can_be_given(pombo: Pombo, database_url: str) -> None:
    pombo("account", "add", "loja", "--balance", "0", "--price", "0,079")

    assert rows(database_url, "select price_milli from account") == [(79,)]


def test_an_account_has_the_class_that_it_is_given_until_it_is_set_to_another(
    pombo: Pombo, database_url: str
) -> None:
    pombo("account", "add", "loja", "--balance", "0", "--class", "marketing")
    assert rows(database_url, "select class from account") == [(2,)]

    ran = pombo("account", "set", "loja", "--class", "otp", "--json")

    assert (ran.json["account"], ran.json["class"]) == (1, "otp")
    assert rows(database_url, "select class from account") == [(0,)]


@pytest.mark.parametrize("balance", ["-5", "1.000", "muito", ""])
def test_a_balance_that_is_none_makes_no_account(command: Pombo, balance: str) -> None:
    ran = command("account", "add", "loja", "--balance", balance, "--json")

    assert ran.code == 1
    assert repr(balance) in ran.json["error"]


@pytest.mark.parametrize("name", ["", "  ", "a\tb", "x" * 101])
def test_a_name_that_cannot_be_shown_is_refused(command: Pombo, name: str) -> None:
    ran = command("account", "add", name, "--balance", "1")

    assert ran.code == 1
    assert "name" in ran.err


def test_a_name_in_use_is_refused_in_one_line(pombo: Pombo) -> None:
    pombo("account", "add", "loja", "--balance", "1")

    ran = pombo("account", "add", "loja", "--balance", "1", "--json")

    assert (ran.code, ran.json) == (1, {"error": "There is an account 'loja' already."})
    assert ran.err == "error: There is an account 'loja' already.\n"


def test_account_list_shows_balances_and_prices(pombo: Pombo) -> None:
    pombo("account", "add", "Café & Cia", "--balance", "1.234,50")

    assert pombo("account", "list", "--json").json == {
        "accounts": [
            {
                "account": 1, "name": "Café & Cia", "active": True, "balance_milli": 1_234_500,
                "available_milli": 1_234_500, "billing": "prepaid", "limit_milli": 0, "low_balance_milli": 0,
                "price_milli": 80, "refund_rejected": True, "refund_undelivered": False, "class": "transactional",
                "text_mode": "ascii", "addresses": [], "window": "mon-sat 09:00-22:00", "retention_days": 90, "demo": False,
                    "time_zone": "America/Sao_Paulo",
                    "requests_per_s": 0, "messages_per_s": 0, "messages_per_day": 0, "spend_per_day_milli": 0,
                    "messages_per_prefix": 0, "max_parts": 10, "countries": ["BR"],
            }
        ]
    }  # fmt: skip
    shown = pombo("account", "list").out
    assert "Café & Cia" in shown
    assert "R$ 1.234,50" in shown
    assert "R$ 0,080" in shown


def test_a_new_token_leaves_the_old_one_valid(pombo: Pombo, database_url: str) -> None:
    first = pombo("account", "add", "loja", "--balance", "1", "--json").json["token"]

    second = pombo("token", "add", "1", "--json").json

    assert second["account"] == 1
    assert second["token"] != first
    assert rows(database_url, "select revoked_at from token") == [(None,), (None,)]


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
def test_an_imported_token_is_kept_without_the_end_of_its_line(
    pombo: Pombo, database_url: str, tmp_path: Path, ending: bytes
) -> None:
    pombo("account", "add", "loja", "--balance", "1")

    ran = pombo("token", "add", "loja", "--import", "--json", stdin="se nha-ção ".encode() + ending)

    assert ran.json == {"account": 1, "token_id": 2, "imported": True}
    [(hmac, prefix)] = rows(database_url, "select hmac, prefix from token order by id desc limit 1")
    assert hmac == secret.load(tmp_path, "").token_hmac("se nha-ção ")
    assert prefix == "se"  # no more than a quarter of a short token


@pytest.mark.parametrize(
    ("stdin", "complaint"),
    [
        (b"", "no token on stdin"),
        (b"\n", "no token on stdin"),
        (b"   \n", "no token on stdin"),
        (b"one\ntwo\n", "more than one line"),
        (b"a\x00b", "control characters"),
        (b"a\x1bb\n", "control characters"),
        (b"x" * 513, "too long"),
        (b"x" * 100_000, "too long"),
        (b"\xe9\xff", "not UTF-8"),
    ],
)
def test_what_is_no_token_is_not_imported(command: Pombo, stdin: bytes, complaint: str) -> None:
    ran = command("token", "add", "loja", "--import", "--json", stdin=stdin)

    assert ran.code == 1
    assert complaint in ran.json["error"]


def test_the_longest_token_is_imported(pombo: Pombo) -> None:
    pombo("account", "add", "loja", "--balance", "1")

    assert pombo("token", "add", "loja", "--import", stdin=b"x" * 512 + b"\r\n").code == 0


def test_a_token_belongs_to_one_account_only(pombo: Pombo) -> None:
    pombo("account", "add", "loja", "--balance", "1")
    pombo("account", "add", "rival", "--balance", "1")
    pombo("token", "add", "loja", "--import", stdin=b"the-same-token")

    ran = pombo("token", "add", "rival", "--import", "--json", stdin=b"the-same-token")

    assert (ran.code, ran.json) == (1, {"error": "This token is in use already."})


def test_a_token_is_added_under_the_account_too(pombo: Pombo, database_url: str) -> None:
    """Scripts of operators say `account token NAME --import`."""
    pombo("account", "add", "loja", "--balance", "1")

    imported = pombo("account", "token", "loja", "--import", "--json", stdin=b"the-old-token\n").json
    made = pombo("account", "token", "loja", "--json").json

    assert imported == {"account": 1, "token_id": 2, "imported": True}
    assert made["token"].startswith("pombo_")
    assert len(rows(database_url, "select 1 from token")) == 3


def test_an_imported_token_is_never_repeated(pombo: Pombo) -> None:
    pombo("account", "add", "loja", "--balance", "1")

    ran = pombo("token", "add", "loja", "--import", stdin=b"secret-of-the-customer")

    assert "secret-of-the-customer" not in ran.out + ran.err


def test_a_suspended_account_sends_nothing_until_it_is_resumed(operator: Pombo) -> None:
    assert operator("account", "suspend", "loja", "--json").json == {"account": 1, "active": False}
    assert operator("account", "show", "loja", "--json").json["active"] is False
    refused = operator("send", "loja", "11999999999", "Oi")
    assert (refused.code, "Conta bloqueada" in refused.err) == (1, True)
    assert operator("account", "suspend", "1").code == 0  # again: nothing happens, and nothing is recorded
    assert operator("account", "resume", "loja", "--json").json == {"account": 1, "active": True}
    assert operator("send", "loja", "11999999999", "Oi").code == 0
    records = operator("audit", "list", "--subject", "account", "--json").json["records"]
    assert [(r["action"], r["before"], r["after"]) for r in records][:2] == [
        ("account.resume", {"active": False}, {"active": True}),
        ("account.suspend", {"active": True}, {"active": False}),
    ]


@pytest.mark.parametrize("zone", ["Brasil", "", "UTC+3", "../../etc/passwd", "america/manaus", "localtime"])
def test_what_is_no_time_zone_is_refused(operator: Pombo, zone: str) -> None:
    ran = operator("account", "set", "loja", "--time-zone", zone)
    assert (ran.code, "is no time zone" in ran.err) == (1, True)
    assert operator("account", "show", "loja", "--json").json["time_zone"] == "America/Sao_Paulo"


def test_an_account_has_a_time_zone_of_its_own(operator: Pombo) -> None:
    ran = operator("account", "set", "loja", "--time-zone", "America/Manaus", "--json")
    assert ran.json["time_zone"] == "America/Manaus"
