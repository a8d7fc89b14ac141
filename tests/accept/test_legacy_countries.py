"""Where an account may send to: Brazil only, unless somebody said otherwise."""

from datetime import datetime, time
from zoneinfo import ZoneInfo

import pytest
from legacy_gateway import Gateway

from pombo.account.prices import Price
from pombo.route.routes import Route

pytestmark = pytest.mark.anyio

BUENOS_AIRES = "+54 9 11 2345-6789"


async def test_other_countries_are_refused_unless_the_account_may_send_there(
    gateway: Gateway, alfa: int
) -> None:
    gateway.routes = [Route("", 1, 86400)]
    assert (await gateway.send_one(destination=BUENOS_AIRES)).told == ["Destino invalido"]
    await gateway.change(alfa, countries=["BR", "AR"])
    item = (await gateway.send_one(destination=BUENOS_AIRES)).item
    assert (item["status"], item["destino"]) == (200, BUENOS_AIRES)
    assert (await gateway.send_one(destination="+1 415 555 2671")).told == ["Destino invalido"]
    assert (await gateway.send_one()).told == ["OK"]
    await gateway.change(alfa, countries=["AR"])
    assert (await gateway.send_one()).told == ["Destino invalido"]
    assert [row["number"] for row in await gateway.stored()] == [5491123456789, 5511999999999]


async def test_another_country_has_its_own_routes_and_prices(gateway: Gateway, alfa: int) -> None:
    await gateway.change(alfa, countries=["BR", "AR"])
    assert (await gateway.send_one(destination=BUENOS_AIRES)).told == ["Sem rota"]
    gateway.routes = [Route("55", 1, 86400), Route("54", 2, 86400)]
    gateway.prices = [Price("54", 450)]
    assert (await gateway.send_one("a" * 161, destination=BUENOS_AIRES)).told == ["OK"]
    (stored,) = await gateway.stored()
    assert (stored["smsc_id"], stored["price_milli"]) == (2, 900)


async def test_a_retry_is_one_however_its_number_is_written(gateway: Gateway, alfa: int) -> None:
    gateway.routes = [Route("", 1, 86400)]
    await gateway.change(alfa, countries=["BR", "AR"])
    first = (await gateway.send_one(destination=BUENOS_AIRES, id="a")).item
    again = (await gateway.send_one(destination="005491123456789", id="a")).item
    assert (again["status"], again["data"]) == (200, first["data"])
    assert (await gateway.send_one(destination="+5491123456780", id="a")).told == ["ID duplicado"]


async def test_its_status_shows_the_number_as_it_was_sent(gateway: Gateway, alfa: int) -> None:
    gateway.routes = [Route("", 1, 86400)]
    await gateway.change(alfa, countries=["AR"])
    await gateway.send_one(destination=BUENOS_AIRES, id="a")
    (status,) = (await gateway.get("dlr", id="a")).json["dlr"]
    assert (status["destino"], status["numero"]) == (BUENOS_AIRES, BUENOS_AIRES)


async def test_marketing_waits_for_the_window_in_the_accounts_zone(gateway: Gateway, alfa: int) -> None:
    """A recipient's zone is known by area code, which other countries do not have."""
    gateway.routes = [Route("", 1, 86400)]
    zones = ("Asia/Tokyo", "Asia/Dubai")  # five hours apart: in one of them it is not three o'clock
    zone = next(zone for zone in zones if datetime.now(ZoneInfo(zone)).hour != 3)
    await gateway.change(
        alfa, countries=["AR"], **{"class": 2}, marketing_window="mon-sun 03:00-03:01", time_zone=zone
    )
    assert (await gateway.send_one(destination=BUENOS_AIRES)).told == ["OK"]
    opens_at = await gateway.db.fetchval("select opens_at from queue")
    assert opens_at.astimezone(ZoneInfo(zone)).time() == time(3)


async def test_a_reply_from_abroad_can_be_answered_as_it_is_shown(gateway: Gateway, alfa: int) -> None:
    await gateway.db.execute(
        "insert into inbox (id, account_id, smsc_id, source, destination, body, data_coding, body_hash, session_id,"
        " sequence_number) values (1, $1, 1, '5491123456789', '28149', 'SI', 0, '', 1, 1)",
        alfa,
    )
    (reply,) = (await gateway.get("mo")).json["mo"]
    assert (reply["destino"], reply["numero"]) == ("+5491123456789", "+5491123456789")
    gateway.routes = [Route("", 1, 86400)]
    await gateway.change(alfa, countries=["AR"])
    assert (await gateway.send_one(destination=reply["numero"])).told == ["OK"]


async def test_pumping_is_counted_by_prefix_abroad_too(gateway: Gateway, alfa: int) -> None:
    gateway.routes = [Route("", 1, 86400)]
    await gateway.change(alfa, countries=["AR"], messages_per_prefix=3)
    row = [{"destino": f"+5491123456{n:03}", "msg": "Oi"} for n in range(5)]
    assert (await gateway.send_many(row)).told == ["OK"] * 3 + ["Limite de requisicoes excedido"] * 2
