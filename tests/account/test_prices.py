"""Who wins among prices: the account's own, then the longer prefix, then the one that names the class."""

from zoneinfo import ZoneInfo

import pytest

from pombo.account.account import Account
from pombo.account.prices import Price, Prices
from pombo.message import MessageClass

NUMBER = 5511999999999
OTP, TRANSACTIONAL, MARKETING = map(int, MessageClass)


def account(account_id: int = 1) -> Account:
    return Account(account_id, "a", True, 80, 10, "ascii", ZoneInfo("America/Sao_Paulo"))


def of(*prices: Price, message_class: int = TRANSACTIONAL, account_id: int = 1, number: int = NUMBER) -> int:
    return Prices(prices).of(account(account_id), number, message_class)


def test_where_no_price_fits_the_default_of_the_account_counts():
    assert of() == 80
    assert of(Price("5521", 50), Price("", 60, account_id=2), Price("", 70, message_class=OTP)) == 80


@pytest.mark.parametrize(
    ("stronger", "weaker"),
    [
        (Price("", 1, account_id=1), Price("5511999", 2, message_class=TRANSACTIONAL)),
        (Price("5511", 1), Price("55", 2, message_class=TRANSACTIONAL)),
        (Price("5511", 1, account_id=1), Price("55", 2, account_id=1, message_class=TRANSACTIONAL)),
        (Price("55", 1, message_class=TRANSACTIONAL), Price("55", 2)),
        (Price("", 1), Price("5521", 2)),
        (Price("", 0), Price("5521", 2)),
    ],
)
def test_the_most_specific_price_wins_whatever_the_order(stronger: Price, weaker: Price):
    assert of(stronger, weaker) == of(weaker, stronger) == stronger.price_milli


def test_a_price_of_a_class_is_for_that_class_only():
    prices = Prices([Price("55", 60), Price("55", 40, message_class=MARKETING)])
    assert [prices.of(account(), NUMBER, class_) for class_ in (OTP, TRANSACTIONAL, MARKETING)] == [
        60,
        60,
        40,
    ]


def test_a_price_of_an_account_is_for_that_account_only():
    prices = Prices([Price("55", 60), Price("", 40, account_id=2)])
    assert [prices.of(account(n), NUMBER, OTP) for n in (1, 2)] == [60, 40]
