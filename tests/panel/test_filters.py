"""What the address of the page of messages says, and what the store is asked then."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from pombo.message import MessageClass, State
from pombo.panel import filters
from pombo.panel.filters import Filters

_ZONE = ZoneInfo("America/Sao_Paulo")
_NOW = datetime(2026, 11, 22, 1, 30, tzinfo=UTC)  # the 21st, 22:30 in São Paulo


def local(*when: int) -> datetime:
    return datetime(2026, *when, tzinfo=_ZONE)


@pytest.mark.parametrize(
    ("query", "since", "until"),
    [
        ({}, local(11, 21), _NOW),
        ({"periodo": "hora"}, _NOW - timedelta(hours=1), _NOW),
        ({"periodo": "ontem"}, local(11, 20), local(11, 21)),
        ({"periodo": "7d"}, local(11, 15), _NOW),
        ({"periodo": "30d"}, local(10, 23), _NOW),
        ({"periodo": "datas", "de": "2026-11-01", "ate": "2026-11-03"}, local(11, 1), local(11, 4)),
        ({"periodo": "datas", "de": "2026-11-03", "ate": "2026-11-01"}, local(11, 3), local(11, 4)),
        ({"periodo": "datas", "ate": "2026-11-03"}, local(11, 3), local(11, 4)),
        ({"periodo": "datas", "de": "ontem"}, local(11, 21), _NOW),
        ({"periodo": "sempre"}, local(11, 21), _NOW),
        ({"q": "Olá"}, local(10, 23), _NOW),  # who looks for something does not mean today
    ],
)
def test_a_period_is_of_days_in_the_accounts_time_zone(
    query: dict[str, str], since: datetime, until: datetime
) -> None:
    assert Filters.of(query).span(_ZONE, _NOW) == (since, until)


def test_the_address_says_what_the_page_shows() -> None:
    for query in (
        {},
        {
            "q": "a&b=c#",
            "periodo": "7d",
            "situacao": "falhas",
            "conexao": "vivo sp",
            "classe": "otp",
            "token": "7",
        },
        {"token": "painel"},
        {"periodo": "datas", "de": "2026-11-01", "ate": "2026-11-03"},
    ):
        chosen = Filters.of(query)
        again = dict(pair.split("=", 1) for pair in chosen.query().split("&") if pair)
        assert again.keys() == query.keys()
    assert Filters.of({"q": "x", "periodo": "30d"}).query() == "q=x"
    assert Filters.of({"periodo": "datas", "de": "2026-11-01"}).since_day == date(2026, 11, 1)


def test_what_makes_no_sense_is_left_out() -> None:
    assert (
        Filters.of({"situacao": "x", "classe": "y", "token": "z", "de": "2026-11-01", "ate": "9999-12-31"})
        == Filters()
    )
    assert len(Filters.of({"q": "x" * 10_000}).q) == 200


def test_the_store_is_asked_for_what_was_chosen() -> None:
    def which(**query: str) -> filters.Which:
        return Filters.of(query).which(7, _ZONE, _NOW, {"vivo": 3})

    assert which(situacao="falhas").states == (State.UNDELIVERED, State.EXPIRED, State.REJECTED)
    assert which(situacao="sem-dlr").sent_before == _NOW - timedelta(minutes=10)
    assert which(conexao="vivo").smsc_id == 3
    assert which(conexao="outra").smsc_id == 0  # which none has
    assert which(classe="otp").message_class == MessageClass.OTP
    assert (which(q="(11) 98765-4321").number, which(q="(11) 98765-4321").text) == (5511987654321, "")
    assert (which(q="Olá").number, which(q="Olá").text) == (None, "Olá")
    assert which().account_id == 7


def test_a_message_that_is_named_is_found_whenever_it_was_accepted() -> None:
    which = Filters.of({"q": "pedido-1", "situacao": "falhas"}).which(7, _ZONE, _NOW, {})
    named = filters.of_one(which, client_ref="pedido-1")
    assert (named.account_id, named.client_ref, named.states, named.text) == (7, "pedido-1", (), "")
    assert named.since < _NOW - timedelta(days=400) and named.until > _NOW
    assert [filters.message_id(text) for text in ("12", "²", "9" * 30, "9223372036854775808", "-1", "")] == [
        12, None, None, None, None, None,
    ]  # fmt: skip
