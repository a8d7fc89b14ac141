"""CONTRACT "dlr.php": the status of one message."""

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from legacy_gateway import NUMBER, TOKEN, Gateway

from pombo.message import LEGACY_STATUS, State

pytestmark = pytest.mark.anyio

ACCEPTED = datetime(2026, 11, 22, 13, 0, 0, tzinfo=UTC)
SENT = datetime(2026, 11, 22, 13, 0, 1, 999999, tzinfo=UTC)
FINAL = datetime(2026, 11, 22, 13, 0, 4, tzinfo=UTC)


async def _becomes(gateway: Gateway, state: State, **times: Any) -> None:
    times = {"accepted_at": ACCEPTED, "sent_at": None, "final_at": None, **times}
    await gateway.db.execute(
        "update message set state = $1, accepted_at = $2, sent_at = $3, final_at = $4",
        int(state),
        *times.values(),
    )


async def test_a_delivered_message_is_answered_octet_for_octet(gateway: Gateway) -> None:
    await gateway.send_one("Não é", destination="(11) 99999-9999", id="5b6457cc6003b")
    await _becomes(gateway, State.DELIVERED, sent_at=SENT, final_at=FINAL)
    reply = await gateway.get("dlr", id="5b6457cc6003b")
    assert reply.status == 200
    assert reply.body == (
        b'{"dlr":[{"data":"2026-11-22 10:00:00","enviado":"2026-11-22 10:00:01","entregue":"2026-11-22 10:00:04",'
        b'"status":"2","destino":"(11) 99999-9999","numero":"(11) 99999-9999","mensagem":"N\\u00e3o \\u00e9",'
        b'"id":"5b6457cc6003b"}]}'
    )


async def test_every_state_has_its_number_and_its_dates(gateway: Gateway) -> None:
    expected = {
        State.WAITING: "0",
        State.SUBMITTED: "1",
        State.UNCERTAIN: "1",
        State.DELIVERED: "2",
        State.UNDELIVERED: "3",
        State.EXPIRED: "3",
        State.REJECTED: "4",
        State.CANCELLED: "4",
    }
    assert expected == LEGACY_STATUS
    for state, number in expected.items():
        await gateway.db.execute("truncate message cascade")  # no state leads to all the others
        await gateway.send_one(id=f"a{state:d}")
        await _becomes(gateway, state, sent_at=SENT, final_at=FINAL)
        (shown,) = (await gateway.get("dlr", id=f"a{state:d}")).json["dlr"]
        assert shown["status"] == number
        assert shown["enviado"] == "2026-11-22 10:00:01"
        # Clients test `entregue` for emptiness: a failure must leave it empty.
        assert shown["entregue"] == ("2026-11-22 10:00:04" if number == "2" else "")


async def test_dates_that_are_not_there_yet_are_empty(gateway: Gateway) -> None:
    await gateway.send_one(id="a")
    (shown,) = (await gateway.get("dlr", id="a")).json["dlr"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", shown["data"])
    assert (shown["enviado"], shown["entregue"], shown["status"]) == ("", "", "0")


async def test_dates_are_in_the_accounts_time_zone(gateway: Gateway, alfa: int) -> None:
    await gateway.send_one(id="a")
    await _becomes(gateway, State.DELIVERED, sent_at=SENT, final_at=FINAL)
    await gateway.change(alfa, time_zone="America/Rio_Branco")
    (shown,) = (await gateway.get("dlr", id="a")).json["dlr"]
    assert (shown["data"], shown["entregue"]) == ("2026-11-22 08:00:00", "2026-11-22 08:00:04")


async def test_another_accounts_id_is_answered_like_an_unknown_one_octet_for_octet(gateway: Gateway) -> None:
    """Invariant 7."""
    await gateway.add_account("beta", "the token of beta")
    await gateway.send_one(id="of-alfa")
    async with gateway.connected() as client:
        replies = [
            await client.ask("GET", f"/api/dlr.php?token=the+token+of+beta&id={ref}")
            for ref in ("of-alfa", "unknown", "a" * 65, "%00", "%FF", "", "1%0A")
        ]
        replies.append(await client.ask("GET", "/api/dlr.php?token=the+token+of+beta"))
    assert {(reply.status, reply.body) for reply in replies} == {(200, b'{"dlr":[]}')}
    (date,) = {name for reply in replies for name in reply.headers} - {"content-type", "content-length"}
    assert date == "date"


async def test_a_bad_token_is_told(gateway: Gateway) -> None:
    await gateway.send_one(id="a")
    for query in ("", "?id=a", "?token=&id=a", "?token=x&id=a"):
        reply = await gateway.ask("GET", "/api/dlr.php" + query)
        assert reply.status == 200
        assert reply.body == b'{"dlr":[],"status":0,"detailDescription":"Token invalido"}'


async def test_the_id_may_stand_in_the_body_and_be_a_number(gateway: Gateway) -> None:
    await gateway.send_one(id=1234)
    token = quote(TOKEN)
    for target, body in (
        (f"/api/dlr.php?token={token}&id=1", b'{"id":1234}'),
        ("/api/dlr.php", b'[{"Token":"%s","Id":1234.0}]' % TOKEN.encode()),
        ("/api/dlr.php", f"token={token}&id=1234".encode()),
    ):
        assert len((await gateway.ask("POST", target, body)).json["dlr"]) == 1


async def test_a_refused_message_has_no_status(gateway: Gateway) -> None:
    await gateway.send_one("", id="a")
    assert (await gateway.get("dlr", id="a")).json == {"dlr": []}
    assert (await gateway.send_one(destination=NUMBER, id="a")).told == ["OK"]
    assert len((await gateway.get("dlr", id="a")).json["dlr"]) == 1
