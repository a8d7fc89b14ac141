"""CONTRACT "unitario.php", "envio.php" and "Refusals": what is accepted, what is refused, and the octets that say so."""

import json
import re
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from legacy_gateway import NUMBER, TOKEN, Gateway

pytestmark = pytest.mark.anyio

DATE = rb"20\d\d-[01]\d-[0-3]\d [0-2]\d:[0-5]\d:[0-5]\d"
GENERATED = re.compile(r"[0-9a-f]{13}")


def message(text: Any = "Oi", destination: Any = NUMBER, **more: Any) -> dict[str, Any]:
    return {"destino": destination, "msg": text, **more}


async def test_an_accepted_message_is_answered_octet_for_octet(gateway: Gateway) -> None:
    reply = await gateway.send_one(id="5b678259ef213")
    expected = (
        rb'\{"envio":\[\{"destino":"11999999999","status":200,"messageID":"5b678259ef213","mesageID":"5b678259ef213",'
        rb'"data":"%s","detailDescription":"OK"\}\]\}' % DATE
    )
    assert re.fullmatch(expected, reply.body)
    reply = await gateway.send_many([message(id=1234), message(id=12345, destination="41999999999")])
    item = rb'\{"destino":"%s","status":200,"messageID":"%s","mesageID":"%s","data":"%s","detailDescription":"OK"\}'
    first = item % (b"11999999999", b"1234", b"1234", DATE)
    second = item % (b"41999999999", b"12345", b"12345", DATE)
    assert re.fullmatch(rb'\{"detalhes":\[%s,%s\]\}' % (first, second), reply.body)


async def test_a_refused_message_is_answered_octet_for_octet(gateway: Gateway) -> None:
    reply = await gateway.send_one(destination="não é \U0001f600", id="a b")
    expected = (
        rb'\{"envio":\[\{"destino":"n\\u00e3o \\u00e9 \\ud83d\\ude00","status":0,"messageID":"a b","mesageID":"a b",'
        rb'"data":"%s","detailDescription":"ID invalido"\}\]\}' % DATE
    )
    assert re.fullmatch(expected, reply.body)


async def test_dates_are_those_of_the_accounts_time_zone(gateway: Gateway, alfa: int) -> None:
    for zone in ("America/Sao_Paulo", "America/Manaus", "Asia/Tokyo"):
        await gateway.change(alfa, time_zone=zone)
        for reply in (await gateway.send_one(), await gateway.send_one(destination="1")):
            told = datetime.strptime(reply.item["data"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=ZoneInfo(zone))
            assert abs(datetime.now(ZoneInfo(zone)) - told) < timedelta(minutes=1)
    told = datetime.strptime((await gateway.unitario(token="x")).item["data"], "%Y-%m-%d %H:%M:%S")
    here = told.replace(tzinfo=ZoneInfo("America/Sao_Paulo"))
    assert abs(datetime.now(ZoneInfo("America/Sao_Paulo")) - here) < timedelta(minutes=1)


async def test_a_customer_who_counts_successes_by_pattern_counts_right(gateway: Gateway) -> None:
    """`"status":200` stands once per accepted item, and nowhere else, whatever customers write."""
    pattern = '"status":200'
    messages = [
        message(pattern, id='"status":200'),
        message(id='{"status":200}', destination=pattern),
        message(destination=f'11999999999,{pattern},"x'),
        message(destination="\\" + pattern),
        message(),
    ]
    reply = await gateway.send_many(messages)
    assert reply.body.count(pattern.encode()) == 2
    assert [item["status"] for item in reply.items] == [200, 0, 0, 0, 200]
    await gateway.send_one(pattern, id="q")
    for reply in (
        await gateway.get("dlr", id="q"),
        await gateway.get("dlr", id=pattern),
        await gateway.get("mo"),
    ):
        assert pattern.encode() not in reply.body


# Ids


async def test_ids_may_be_numbers_or_strings_and_come_back_as_strings(gateway: Gateway) -> None:
    ids = [1234, "1235", 1236.0, -7, 0, 10**63, "!", "~", "a" * 64, "00012", 1.5]
    reply = await gateway.send_many([message(id=ref) for ref in ids])
    expected = ["1234", "1235", "1236", "-7", "0", "1" + "0" * 63, "!", "~", "a" * 64, "00012", "1.5"]
    assert [item["messageID"] for item in reply.items] == expected
    assert [item["mesageID"] for item in reply.items] == expected
    assert [row["client_ref"] for row in await gateway.stored()] == expected


async def test_without_an_id_13_hex_digits_are_made_that_were_never_used(gateway: Gateway) -> None:
    messages = [message(), message(id=None), message(id=""), message(id="\0"), *[message()] * 200]
    refs = [item["messageID"] for item in (await gateway.send_many(messages)).items]
    refs += [(await gateway.send_one()).item["messageID"], (await gateway.send_one(id="")).item["messageID"]]
    assert len(set(refs)) == 206
    assert all(GENERATED.fullmatch(ref) for ref in refs)


async def test_a_customer_may_have_used_the_id_that_would_be_made_next(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made ids are looked up like a customer's: before, and in the same batch."""
    made = iter(["0000000000001", "0000000000001", "0000000000002"] + [f"{n:013x}" for n in range(3, 99)])
    monkeypatch.setattr(gateway.intake, "_new_reference", lambda: next(made))
    assert (await gateway.send_one("first", id="0000000000001")).told == ["OK"]
    reply = await gateway.send_many([message("a"), message("b", id="0000000000003"), message("c")])
    refs = [item["messageID"] for item in reply.items]
    assert reply.told == ["OK"] * 3
    assert refs[1] == "0000000000003"
    assert len({*refs, "0000000000001"}) == 4


async def test_what_cannot_be_an_id_is_refused(gateway: Gateway) -> None:
    texts = ["a" * 65, 10**64, "a b", " a", "a\n", "ação", "\x7f", "é"]
    others = [True, False, [], ["a"], {}, {"a": 1}]
    reply = await gateway.send_many([message(id=ref) for ref in texts + others])
    assert set(reply.told) == {"ID invalido"}
    assert [item["messageID"] for item in reply.items] == [str(ref) for ref in texts] + [""] * len(others)
    assert await gateway.stored() == []


async def test_a_refused_message_carries_the_customers_id_or_none(gateway: Gateway, alfa: int) -> None:
    """Also where the store refused it, after an id had been made for it."""
    await gateway.change(alfa, price_milli=600_000)
    reply = await gateway.send_many([message(), message(), message(id="c"), message("", id="d"), message("")])
    assert reply.told == [
        "OK",
        "Saldo insuficiente",
        "Saldo insuficiente",
        "Mensagem vazia",
        "Mensagem vazia",
    ]
    assert [item["messageID"] for item in reply.items][1:] == ["", "c", "d", ""]


# Refusals


async def test_every_refusal_has_its_text(gateway: Gateway, alfa: int) -> None:
    assert (await gateway.unitario(token="", destino=NUMBER, msg="Oi")).told == ["Token invalido"]
    assert (await gateway.unitario(token="x" * 600, destino=NUMBER, msg="Oi")).told == ["Token invalido"]
    assert (await gateway.unitario(token=TOKEN + " ", destino=NUMBER, msg="Oi")).told == ["Token invalido"]
    assert (await gateway.send_one(destination="")).told == ["Destino invalido"]
    assert (await gateway.send_one(destination="1133334444")).told == ["Destino invalido"]
    assert (await gateway.send_one("")).told == ["Mensagem vazia"]
    assert (await gateway.send_one(" \r\n\t\u00a0")).told == ["Mensagem vazia"]
    assert (await gateway.send_one("a" * 1530)).told == ["OK"]
    assert (await gateway.send_one("a" * 1531)).told == ["Mensagem muito longa"]
    assert (await gateway.send_one("\U0001f600" * 331)).told == ["Mensagem muito longa"]
    assert (await gateway.send_many([message("a" * 5_000_000)])).told == ["Mensagem muito longa"]
    assert (await gateway.send_one(id="a" * 65)).told == ["ID invalido"]
    gateway.routes.clear()
    assert (await gateway.send_one()).told == ["Sem rota"]
    assert (await gateway.ask("POST", "/api/envio.php", b"[")).told == [
        "Requisicao invalida: JSON invalido na linha 1, coluna 2"
    ]
    await gateway.change(alfa, active=False)
    assert (await gateway.send_one()).told == ["Conta bloqueada"]
    await gateway.db.execute("update token set revoked_at = now()")
    gateway.authenticator.forget()
    assert (await gateway.send_one()).told == ["Token invalido"]
    assert len(await gateway.stored()) == 1


async def test_the_first_broken_rule_is_told_from_the_sender_to_the_money(
    gateway: Gateway, alfa: int
) -> None:
    await gateway.change(alfa, price_milli=10_000_000, max_parts=1)
    gateway.routes.clear()
    wrong: dict[str, object] = {"msg": " ", "destino": "1", "id": "a b"}
    assert (await gateway.unitario(**{**wrong, "token": "x"})).told == ["Token invalido"]
    await gateway.change(alfa, active=False)
    assert (await gateway.unitario(**wrong)).told == ["Conta bloqueada"]
    await gateway.change(alfa, active=True)
    steps: list[tuple[str, dict[str, object]]] = [
        ("ID invalido", {"id": "a"}),
        ("Destino invalido", {"destino": NUMBER}),
        ("Mensagem vazia", {"msg": "a" * 161}),
        ("Mensagem muito longa", {"msg": "a"}),
    ]
    for told, mend in steps:
        assert (await gateway.unitario(**wrong)).told == [told]
        wrong.update(mend)
    assert (await gateway.unitario(**wrong)).told == ["Sem rota"]


async def test_a_parameter_that_is_missing_is_refused_like_an_empty_one(gateway: Gateway) -> None:
    assert (await gateway.unitario(msg="Oi")).told == ["Destino invalido"]
    assert (await gateway.unitario(destino=NUMBER)).told == ["Mensagem vazia"]
    reply = await gateway.send_many([{}, {"destino": NUMBER, "msg": None}, {"msg": "Oi", "destino": None}])
    assert reply.told == ["Destino invalido", "Mensagem vazia", "Destino invalido"]


async def test_unitario_takes_an_object_and_nothing_else_as_json(gateway: Gateway) -> None:
    for body in (b"[]", b"[1,2]", b"[{},{}]"):
        reply = await gateway.ask("POST", "/api/unitario.php", body)
        assert reply.told == ["Requisicao invalida: o corpo JSON deve ser um objeto"]
        assert (reply.item["destino"], reply.item["messageID"]) == ("", "")


# Batches


async def test_the_known_client_of_this_api_works_unchanged(gateway: Gateway) -> None:
    """It sends rows of a data table as they are: numbers, nulls, columns that nobody asked for."""
    rows = [
        {
            "destino": 11999990000 + n,
            "msg": f"Olá {n}",
            "id": n or None,
            "nome": None,
            "valor": 1.5,
            "ok": True,
        }
        for n in range(1000)
    ]
    body = json.dumps([{"token": TOKEN, "mensagens": rows}]).encode()
    reply = await gateway.ask("POST", "/api/envio.php", body, "application/json")
    assert reply.status == 200
    assert len(re.findall('"status":200', reply.body.decode("ascii"))) == 1000
    assert [item["destino"] for item in reply.items] == [str(row["destino"]) for row in rows]
    assert len(await gateway.stored()) == 1000


async def test_shapes_of_a_batch(gateway: Gateway) -> None:
    for document, query in (
        ([{"token": TOKEN, "mensagens": [message()]}], ""),
        ({"token": TOKEN, "mensagens": [message()]}, ""),
        ({"token": TOKEN, "mensagens": message()}, ""),
        ({"token": TOKEN, **message()}, ""),
        ([{"token": TOKEN, **message()}], ""),
        ([{"mensagens": [message()]}], f"?token={TOKEN.replace(' ', '+')}"),
        ({"token": None, "mensagens": [message()]}, f"?token={TOKEN.replace(' ', '+')}"),
        (message(), f"?token={TOKEN.replace(' ', '+')}"),
        ({"token": TOKEN, "mensagens": json.dumps([message()])}, ""),
        ({"token": TOKEN, "mensagens": None, **message()}, ""),
    ):
        reply = await gateway.envio(document, query)
        assert (list(reply.json), reply.told) == (["detalhes"], ["OK"])


async def test_forms_of_a_batch(gateway: Gateway) -> None:
    token = TOKEN.replace(" ", "+")
    inner = json.dumps([message("a"), message("b")])
    whole = json.dumps([{"token": TOKEN, "mensagens": [message("a"), message("b")]}])
    first = "mensagens%5B0%5D%5Bdestino%5D=11999999999&mensagens%5B0%5D%5Bmsg%5D=a"
    php = f"{first}&mensagens[1][destino]=11999999999&mensagens[1][msg]=b"
    nested = php.replace("mensagens%5B", "0[mensagens]%5B").replace("mensagens[", "0%5Bmensagens%5D[")
    for form in (
        f"token={token}&mensagens={inner}",
        f"mensagens={whole}",
        f"mensagens={inner}&token={token}",
        f"token={token}&{php}",
        f"0[token]={token}&{nested}",
    ):
        form = form.replace(" ", "+")
        assert (await gateway.ask("POST", "/api/envio.php", form.encode())).told == ["OK", "OK"]
        query = form.replace('"', "%22").encode()
        assert (await gateway.ask("GET", b"/api/envio.php?" + query)).told == ["OK", "OK"]
    assert await gateway.texts() == ["a", "b"] * 10


async def test_what_is_no_batch_is_one_item_that_says_what_is_wrong(gateway: Gateway) -> None:
    shape = "Requisicao invalida: o corpo deve ser uma lista de objetos com token e mensagens"
    for body, told in (
        (b"", "Requisicao invalida: o corpo esta vazio"),
        (b" \r\n", "Requisicao invalida: o corpo esta vazio"),
        (b"[]", shape),
        (b"[1]", shape),
        (b"null", shape),
        (b'"x"', shape),
        (b'[{"token":', "Requisicao invalida: JSON invalido na linha 1, coluna 11"),
        (b"ola", "Requisicao invalida: JSON invalido na linha 1, coluna 1"),
        (b"a=b", "Requisicao invalida: JSON invalido na linha 1, coluna 1"),
        (b"{}", "Token invalido"),
        (b'[{"token":"x","mensagens":[]}]', "Token invalido"),
    ):
        reply = await gateway.ask("POST", "/api/envio.php", body)
        assert (reply.status, reply.told, reply.item["status"]) == (200, [told], 0)


async def test_a_batch_of_nothing_is_one_refused_item(gateway: Gateway) -> None:
    told = ["Requisicao invalida: mensagens vazio ou ausente"]
    for nothing in ([], {}, None, "", 0, "[]"):
        assert (await gateway.envio([{"token": TOKEN, "mensagens": nothing}])).told == told
    assert (await gateway.envio({"token": TOKEN})).told == told
    assert (await gateway.ask("POST", "/api/envio.php", f"token={TOKEN}".encode())).told == told


async def test_every_message_stands_alone_and_is_answered_in_its_place(gateway: Gateway) -> None:
    messages = [
        message("1"),
        message("2", "banana"),
        None,
        message("4"),
        "x",
        ["y"],
        message("", id="7"),
        message("8"),
    ]
    reply = await gateway.send_many(messages)
    no_object = "Requisicao invalida: cada mensagem deve ser um objeto com destino e msg"
    assert reply.told == [
        "OK", "Destino invalido", no_object, "OK", no_object, no_object, "Mensagem vazia", "OK",
    ]  # fmt: skip
    assert [item["destino"] for item in reply.items] == [NUMBER, "banana", "", NUMBER, "", "", NUMBER, NUMBER]
    assert await gateway.texts() == ["1", "4", "8"]


async def test_objects_are_authenticated_each_by_itself(gateway: Gateway, alfa: int) -> None:
    beta = await gateway.add_account("beta", "the token of beta")
    gama = await gateway.add_account("gama", "the token of gama", active=False)
    reply = await gateway.envio(
        [
            {"token": "nobody", "mensagens": [message("0"), None]},
            {"token": "the token of beta", "mensagens": [message("1", id="same"), message("2")]},
            {"token": "the token of gama", "mensagens": [message("3")]},
            {"token": TOKEN, "mensagens": [message("4", id="same")]},
            {"token": "the token of beta", "mensagens": []},
            message("5"),
        ]
    )
    assert reply.told == [
        "Token invalido", "Token invalido", "OK", "OK", "Conta bloqueada", "OK",
        "Requisicao invalida: mensagens vazio ou ausente", "Token invalido",
    ]  # fmt: skip
    assert [(row["account_id"], row["body"]) for row in await gateway.stored()] == [
        (beta, "1"),
        (beta, "2"),
        (alfa, "4"),
    ]
    assert [await gateway.balance(account) for account in (alfa, beta, gama)] == [999_920, 999_840, 1_000_000]


async def test_1000_messages_are_a_batch_and_with_1001_nothing_is_accepted(gateway: Gateway) -> None:
    reply = await gateway.send_many([message(id=n) for n in range(1001)])
    assert reply.status == 200
    assert reply.told == ["Limite de 1000 mensagens excedido"] * 1001
    assert [item["messageID"] for item in reply.items] == [str(n) for n in range(1001)]
    halves = [{"token": TOKEN, "mensagens": [message()] * count} for count in (500, 501)]
    assert (await gateway.envio(halves)).told == ["Limite de 1000 mensagens excedido"] * 1001
    assert await gateway.stored() == []
    halves[1]["mensagens"] = [message()] * 500
    assert (await gateway.envio(halves)).told == ["OK"] * 1000


async def test_far_too_many_messages_are_one_item(gateway: Gateway) -> None:
    """Invariant 9: the answer must not grow with a request that is nonsense."""
    for document in (
        {"token": TOKEN, "mensagens": [{}] * 10_001},
        [{}] * 10_001,
        [{"mensagens": [{}] * 6000}] * 2,
        {"token": TOKEN, "mensagens": [0] * 300_000},
    ):
        reply = await gateway.envio(document)
        assert reply.told == ["Limite de 1000 mensagens excedido"]
    assert len((await gateway.envio({"mensagens": [{}] * 10_000})).items) == 10_000
