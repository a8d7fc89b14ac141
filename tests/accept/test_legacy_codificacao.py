"""How one message goes out: `codificacao`, an extension."""

import pytest
from legacy_gateway import NUMBER, TOKEN, Gateway

pytestmark = pytest.mark.anyio

LONG = "á" * 100  # one part in ascii and auto, two as UCS-2


async def sent(gateway: Gateway) -> list[tuple[object, ...]]:
    """Of each message: was it typed so, what went out where that differs, UCS-2, parts, price."""
    return [
        (row["body"], row["sent_body"], row["ucs2"], row["parts"], row["price_milli"])
        for row in await gateway.stored()
    ]


@pytest.mark.parametrize(
    ("mode", "sent_body", "ucs2", "parts"),
    [
        ("ascii", "a" * 100, False, 1),
        ("ASCII", "a" * 100, False, 1),
        ("auto", None, True, 2),
        ("Unicode", None, True, 2),
        (" unicode ", None, True, 2),
        ("", "a" * 100, False, 1),
    ],
)
async def test_a_message_goes_out_as_it_says(
    gateway: Gateway, mode: str, sent_body: str | None, ucs2: bool, parts: int
) -> None:
    assert (await gateway.send_one(LONG, codificacao=mode)).told == ["OK"]
    assert await sent(gateway) == [(LONG, sent_body, ucs2, parts, parts * 80)]


async def test_without_a_word_the_account_s_mode_counts(gateway: Gateway, alfa: int) -> None:
    await gateway.change(alfa, text_mode="unicode")
    await gateway.send_one("a")
    await gateway.send_one("a", codificacao="auto")
    assert [row[2] for row in await sent(gateway)] == [True, False]


async def test_in_a_batch_the_message_s_word_goes_before_its_object_s(gateway: Gateway) -> None:
    messages = [
        {"destino": NUMBER, "msg": "1"},
        {"destino": NUMBER, "msg": "2", "codificacao": "ascii"},
        {"destino": NUMBER, "msg": "3", "Codificacao": None},
    ]
    document = [
        {"token": TOKEN, "codificacao": "unicode", "mensagens": messages},
        {"token": TOKEN, "mensagens": messages[:1]},
        {"token": TOKEN, "codificacao": "unicode", "destino": NUMBER, "msg": "flat"},
    ]
    assert (await gateway.envio(document)).told == ["OK"] * 5
    assert [(row[0], row[2]) for row in await sent(gateway)] == [
        ("1", True), ("2", False), ("3", True), ("1", False), ("flat", True)
    ]  # fmt: skip


async def test_in_the_query_it_counts_for_the_whole_batch(gateway: Gateway) -> None:
    message = {"destino": NUMBER, "msg": "a"}
    one, two = {"token": TOKEN, "mensagens": [message]}, [{"token": TOKEN, "mensagens": [message]}] * 2
    await gateway.envio(one, "?codificacao=unicode")
    await gateway.envio(two, "?codificacao=unicode")
    assert [row[2] for row in await sent(gateway)] == [True] * 3


@pytest.mark.parametrize("mode", ["gsm", "utf8", 0, [], {"a": 1}, True])
async def test_another_word_is_refused_for_its_message_only(gateway: Gateway, mode: object) -> None:
    good, bad = {"destino": NUMBER, "msg": "a"}, {"destino": NUMBER, "msg": "b", "codificacao": mode}
    assert (await gateway.send_many([good, bad])).told == [
        "OK",
        "Requisicao invalida: codificacao deve ser ascii, auto ou unicode",
    ]
    assert await gateway.texts() == ["a"]


async def test_the_same_id_with_another_word_is_still_a_retry(gateway: Gateway, alfa: int) -> None:
    first = (await gateway.send_one(LONG, id="x")).item
    for mode in ("unicode", "auto", "nonsense"):
        assert (await gateway.send_one(LONG, id="x", codificacao=mode)).item == first
    assert len(await sent(gateway)) == 1
    assert await gateway.balance(alfa) == 1_000_000 - 80
    fresh = (await gateway.send_one(LONG, id="y", codificacao="nonsense")).item
    assert (fresh["status"], fresh["messageID"]) == (0, "y")
