"""`agendar`, and marketing outside its window: when a message is due, and until when it is valid."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from legacy_gateway import NUMBER, Gateway

from pombo.message import MessageClass

pytestmark = pytest.mark.anyio

ZONE = ZoneInfo("America/Sao_Paulo")
_VALID = timedelta(seconds=86400)  # of the gateway's route


def local(ahead: timedelta, form: str = "%Y-%m-%d %H:%M:%S", zone: ZoneInfo = ZONE) -> tuple[str, datetime]:
    """A time as a customer writes it, and what it means."""
    text = (datetime.now(zone) + ahead).strftime(form)
    return text, datetime.strptime(text, form).replace(tzinfo=zone)


async def queued(gateway: Gateway) -> list[Mapping[str, Any]]:
    return list(
        await gateway.db.fetch(
            "select q.*, m.scheduled_at, m.accepted_at from queue q join message m on m.id = q.message_id order by m.id"
        )
    )


@pytest.mark.parametrize(
    "form", ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", " %Y-%m-%d %H:%M "]
)
async def test_a_scheduled_message_is_due_at_its_time_and_valid_from_then_on(
    gateway: Gateway, form: str
) -> None:
    text, at = local(timedelta(days=3), form)

    reply = await gateway.send_one(agendar=text)

    assert reply.told == ["OK"]
    (row,) = await queued(gateway)
    assert (row["scheduled_at"], row["due_at"], row["opens_at"]) == (at, at, at)
    assert row["expires_at"] == at + _VALID
    assert row["closes_at"] is None
    accepted = row["accepted_at"].astimezone(ZONE)
    assert accepted < at
    assert reply.item["data"] == f"{accepted:%Y-%m-%d %H:%M:%S}"


async def test_until_then_dlr_says_that_it_is_in_the_queue(gateway: Gateway) -> None:
    await gateway.send_one(id="a", agendar=local(timedelta(days=3))[0])

    (row,) = (await gateway.get("dlr", id="a")).json["dlr"]

    assert (row["status"], row["enviado"]) == ("0", "")


async def test_the_time_is_that_of_the_accounts_zone(gateway: Gateway, alfa: int) -> None:
    await gateway.change(alfa, time_zone="America/Manaus")
    text, at = local(timedelta(days=3), zone=ZoneInfo("America/Manaus"))

    await gateway.send_one(agendar=text)

    assert (await queued(gateway))[0]["due_at"] == at


@pytest.mark.parametrize("ago", [timedelta(seconds=5), timedelta(hours=23)])
async def test_a_time_that_has_just_passed_is_now(gateway: Gateway, ago: timedelta) -> None:
    reply = await gateway.send_one(agendar=local(-ago)[0])

    assert reply.told == ["OK"]
    (row,) = await queued(gateway)
    assert (row["due_at"], row["expires_at"]) == (row["accepted_at"], row["accepted_at"] + _VALID)


@pytest.mark.parametrize("blank", ["", "  ", None])
async def test_without_a_time_it_goes_at_once(gateway: Gateway, blank: object) -> None:
    assert (await gateway.send_many([{"destino": NUMBER, "msg": "Oi", "agendar": blank}])).told == ["OK"]
    (row,) = await queued(gateway)
    assert row["due_at"] == row["accepted_at"]
    assert row["scheduled_at"] is None


_FORM = "Requisicao invalida: agendar deve ser AAAA-MM-DD HH:MM:SS"


@pytest.mark.parametrize(
    "given",
    [
        "amanha", "2027-02-30 10:00", "2027-02-20", "2027-02-20 25:00", "20/02/2027 10:00", "2027-02-20 10:00:00-03:00",
        "2027-02-20 10:00:00.5", 1800000000, True, ["2027-02-20 10:00"], "9" * 5000, "٢٠٢٧-02-20 10:00",
    ],
)  # fmt: skip
async def test_what_is_no_time_is_refused(gateway: Gateway, given: object) -> None:
    assert (await gateway.send_many([{"destino": NUMBER, "msg": "Oi", "agendar": given}])).told == [_FORM]
    assert await queued(gateway) == []


async def test_times_too_far_away_are_refused(gateway: Gateway) -> None:
    far, gone = local(timedelta(days=367))[0], local(-timedelta(hours=25))[0]
    messages = [{"destino": NUMBER, "msg": "Oi", "agendar": text} for text in (far, gone, "0001-01-01 00:00")]
    gone_text = "Requisicao invalida: agendar ja passou ha mais de 24 horas"

    told = (await gateway.send_many(messages)).told

    assert told == ["Requisicao invalida: agendar deve ser dentro de 366 dias", gone_text, gone_text]


async def test_the_same_id_with_another_time_is_a_retry_and_the_first_time_stays(gateway: Gateway) -> None:
    text, at = local(timedelta(days=3))
    first = await gateway.send_one(id="a", agendar=text)

    for again in (local(timedelta(days=5))[0], "", "amanha"):
        assert (await gateway.send_one(id="a", agendar=again)).item == first.item

    assert [row["due_at"] for row in await queued(gateway)] == [at]


async def test_a_message_of_a_batch_has_its_own_time_or_that_of_the_batch(gateway: Gateway) -> None:
    (of_batch, batch_at), (own, own_at) = local(timedelta(days=3)), local(timedelta(days=1))
    messages = [{"destino": NUMBER, "msg": "Oi"}, {"destino": NUMBER, "msg": "Oi", "Agendar": own}]
    messages.append({"destino": NUMBER, "msg": "Oi", "agendar": ""})

    await gateway.envio([{"token": "the token of alfa", "agendar": of_batch, "mensagens": messages}])

    assert [row["due_at"] for row in await queued(gateway)] == [batch_at, own_at, batch_at]


async def test_a_flat_message_and_a_form_with_json_in_it_take_a_time(gateway: Gateway) -> None:
    text, at = local(timedelta(days=3))
    await gateway.envio({"token": "the token of alfa", "destino": NUMBER, "msg": "Oi", "agendar": text})
    inner = f'[{{"destino":"{NUMBER}","msg":"Oi"}}]'
    await gateway.envio({"token": "the token of alfa", "agendar": text, "mensagens": inner})
    nested = f'[{{"mensagens":{inner}}}]'
    await gateway.envio({"token": "the token of alfa", "agendar": text, "mensagens": nested})

    assert [row["due_at"] for row in await queued(gateway)] == [at] * 3


async def test_marketing_outside_its_window_is_accepted_and_waits_where_its_recipient_is(
    gateway: Gateway, alfa: int
) -> None:
    tomorrow = datetime.now(ZONE) + timedelta(days=1)
    day = f"{tomorrow:%a}".lower()
    await gateway.change(alfa, **{"class": int(MessageClass.MARKETING)})
    await gateway.change(alfa, marketing_window=f"{day} 10:00-11:00")

    told = (await gateway.send_many([{"destino": n, "msg": "Oi"} for n in (NUMBER, "92999999999")])).told

    assert told == ["OK", "OK"]
    near, far = await queued(gateway)
    assert near["opens_at"] >= tomorrow.replace(hour=10, minute=0, second=0, microsecond=0)
    assert f"{near['opens_at'].astimezone(ZONE):%H:%M}" == "10:00"
    assert near["due_at"] == near["opens_at"]
    assert near["closes_at"] == near["opens_at"] + timedelta(hours=1)
    assert near["expires_at"] == near["opens_at"] + _VALID
    assert far["opens_at"] == near["opens_at"] + timedelta(hours=1)
    assert near["scheduled_at"] is None


async def test_a_schedule_does_not_lead_marketing_out_of_its_window(gateway: Gateway, alfa: int) -> None:
    day, midnight = local(timedelta(days=30), "%Y-%m-%d")
    at = midnight.replace(hour=3)
    await gateway.change(alfa, **{"class": int(MessageClass.MARKETING)})

    await gateway.send_one(agendar=f"{day} 03:00")

    (row,) = await queued(gateway)
    assert row["scheduled_at"] == at
    assert row["due_at"] >= at + timedelta(hours=6)
    assert f"{row['due_at'].astimezone(ZONE):%H:%M}" == "09:00"


async def test_other_classes_go_at_any_hour(gateway: Gateway, alfa: int) -> None:
    day = f"{datetime.now(UTC) + timedelta(days=3):%a}".lower()
    await gateway.change(alfa, marketing_window=f"{day} 10:00-11:00")
    for message_class in (MessageClass.OTP, MessageClass.TRANSACTIONAL):
        await gateway.change(alfa, **{"class": int(message_class)})
        await gateway.send_one()
    assert [(row["opens_at"], row["closes_at"]) for row in await queued(gateway)] == [(None, None)] * 2
