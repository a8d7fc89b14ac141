"""What stands in a request: forms of parameters, their names, and their text encoding."""

import asyncio
import json
import tracemalloc
from urllib.parse import quote, unquote_to_bytes

import pytest
from legacy_gateway import NUMBER, TOKEN, Gateway

from pombo.accept import parameters
from pombo.accept.parameters import Malformed, TooMany

T = quote(TOKEN)
FORM = "application/x-www-form-urlencoded"
MULTIPART = 'multipart/form-data; boundary="=ab="'


def multipart(**fields: bytes) -> bytes:
    parts = [
        b'--=ab=\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (name.encode(), value)
        for name, value in fields.items()
    ]
    return b"".join(parts) + b"--=ab=--\r\n"


@pytest.mark.anyio
async def test_parameters_may_stand_in_query_form_multipart_or_json(gateway: Gateway) -> None:
    form = f"token={T}&destino={NUMBER}&msg=Oi+voc%C3%AA".encode()
    document = json.dumps({"token": TOKEN, "destino": NUMBER, "msg": "Oi você"}).encode()
    fields = multipart(token=TOKEN.encode(), destino=NUMBER.encode(), msg="Oi você".encode())
    async with gateway.connected() as client:
        for path in ("/api/unitario.php", "/api/envio.php"):
            for body, content_type in (
                (form, FORM),
                (document, "application/json"),
                (b"[%s]" % document, "application/json"),
                (fields, MULTIPART),
            ):
                reply = await client.ask("POST", path, body, content_type)
                assert reply.told == ["OK"]
            assert (await client.ask("GET", f"{path}?{form.decode()}")).told == ["OK"]
            assert (await client.ask("GET", path, document)).told == ["OK"]  # a GET may have a body
    assert set(await gateway.texts()) == {"Oi você"}
    assert len(await gateway.stored()) == 12


@pytest.mark.anyio
async def test_parameters_are_merged_and_the_body_wins(gateway: Gateway) -> None:
    async with gateway.connected() as client:
        for path in ("/api/unitario.php", "/api/envio.php"):
            for body in (b"msg=body", b'{"msg":"body"}', b'\xef\xbb\xbf [{"Msg":"body"}]'):
                reply = await client.ask("POST", f"{path}?token={T}&destino={NUMBER}&msg=query", body)
                assert reply.told == ["OK"]
    assert await gateway.texts() == ["body"] * 6


@pytest.mark.anyio
async def test_names_do_not_depend_on_case(gateway: Gateway) -> None:
    query = f"?Token={T}&DESTINO={NUMBER}&Msg=Oi&Id=a"
    assert (await gateway.ask("GET", "/api/unitario.php" + query)).item["messageID"] == "a"
    document = {"TOKEN": TOKEN, "Mensagens": [{"Destino": NUMBER, "MSG": "Oi", "ID": "b"}]}
    assert (await gateway.envio(document)).item["messageID"] == "b"
    assert len((await gateway.ask("GET", f"/api/dlr.php?TOKEN={T}&ID=b")).json["dlr"]) == 1


@pytest.mark.anyio
async def test_the_content_type_is_not_trusted(gateway: Gateway) -> None:
    batch = json.dumps([{"token": TOKEN, "mensagens": [{"destino": NUMBER, "msg": "Oi"}]}]).encode()
    form = f"token={T}&destino={NUMBER}&msg=Oi".encode()
    async with gateway.connected() as client:
        for content_type in (
            FORM,
            "text/plain; charset=iso-8859-1",
            MULTIPART,
            "multipart/form-data",
            "",
            "x",
        ):
            assert (await client.ask("POST", "/api/envio.php", batch, content_type)).told == ["OK"]
        for content_type in ("application/json", "text/xml", ""):
            assert (await client.ask("POST", "/api/envio.php", form, content_type)).told == ["OK"]
            assert (await client.ask("POST", "/api/unitario.php", form, content_type)).told == ["OK"]


@pytest.mark.anyio
async def test_urls_may_hold_raw_utf_8_and_cp1252(gateway: Gateway) -> None:
    head = f"/api/unitario.php?token={T}&destino={NUMBER}&msg=".encode()
    async with gateway.connected() as client:
        for octets in (
            "ação €".encode(),
            "ação €".encode("cp1252"),
            quote("ação €".encode()).encode(),
            quote("ação €".encode("cp1252")).encode(),
        ):
            assert (await client.ask("GET", head + octets.replace(b" ", b"+"))).told == ["OK"]
            assert (await client.ask("POST", head + octets.replace(b" ", b"%20"), b"")).told == ["OK"]
        # A request line in pieces, the last of them raw
        await client.send(b"GET " + head + b"a")
        await client.send("ção".encode())
        await client.send(b"+\x80 HTTP/1.1\r\nHost: caf\xc3\xa9\r\n\r\n")
        assert (await client.read()).told == ["OK"]
    assert await gateway.texts() == ["ação €"] * 8 + ["aÃ§Ã£o €"]


@pytest.mark.anyio
async def test_raw_octets_of_a_body_in_pieces_are_not_taken_for_a_url(gateway: Gateway) -> None:
    body = f'{{"token":"{TOKEN}",\r\n"destino":"{NUMBER}","msg":"maçã%C3"}}'.encode()
    head = b"POST /api/unitario.php HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with gateway.connected() as client:
        for at in (len(head) - 3, len(head), len(head) + 10, len(head) + 60):
            await client.send((head + body)[:at])
            await asyncio.sleep(0.02)  # or the two come as one
            await client.send((head + body)[at:])
            assert (await client.read()).told == ["OK"]
    assert await gateway.texts() == ["maçã%C3"] * 4


@pytest.mark.anyio
async def test_cp1252_is_decided_value_by_value_in_every_kind_of_body(gateway: Gateway) -> None:
    """One value is UTF-8 and its neighbour cp1252; 0x81 is undefined in cp1252, so it is Latin-1."""
    async with gateway.connected() as client:
        for body, content_type in (
            (b"token=%s&destino=%s&msg=n\xe3o \x80\x81&id=1" % (T.encode(), NUMBER.encode()), FORM),
            (b"token=%s&destino=%s&msg=n%%E3o+%%80%%81&id=2" % (T.encode(), NUMBER.encode()), FORM),
            (
                multipart(token=TOKEN.encode(), destino=NUMBER.encode(), msg=b"n\xe3o \x80\x81", id=b"3"),
                MULTIPART,
            ),
            (
                b'{"token":"%s","destino":"%s","msg":"n\xe3o \x80\x81","x":"\xc3\xa3 \\"","id":4}'
                % (TOKEN.encode(), NUMBER.encode()),
                "",
            ),
        ):
            assert (await client.ask("POST", "/api/unitario.php", body, content_type)).told == ["OK"]
        mixed = (
            b'[{"token":"%s","mensagens":[{"destino":"%s","msg":"n\xe3o"},{"destino":"%s","msg":"n\xc3\xa3o"}]}]'
            % (TOKEN.encode(), NUMBER.encode(), NUMBER.encode())
        )
        assert (await client.ask("POST", "/api/envio.php", mixed)).told == ["OK", "OK"]
    assert await gateway.texts() == ["não €\x81"] * 4 + ["não"] * 2


@pytest.mark.anyio
async def test_bom_nul_and_lone_surrogates_never_reach_the_database(gateway: Gateway) -> None:
    """RELIABILITY "one bad value never fails another's message"."""
    document = json.dumps(
        {"token": TOKEN, "mensagens": [{"destino": "\0" + NUMBER, "msg": "a\0\ud800b \ud83d\ude00"}]}
    )
    reply = await gateway.ask("POST", "/api/envio.php", b"\xef\xbb\xbf" + document.encode())
    assert (reply.told, reply.item["destino"]) == (["OK"], NUMBER)
    assert (await gateway.send_one("a%00b\0\ufeff")).told == ["OK"]
    assert (
        await gateway.ask("GET", f"/api/unitario.php?token={T}&destino={NUMBER}&msg=%EF%BB%BFOi")
    ).told == ["OK"]
    assert await gateway.texts() == ["a\ufffdb \U0001f600", "a%00b\ufeff", "Oi"]


@pytest.mark.anyio
async def test_texts_are_never_trimmed(gateway: Gateway) -> None:
    text = " \t Oi \r\n\n "
    assert (await gateway.send_one(text)).told == ["OK"]
    assert (await gateway.send_many([{"destino": NUMBER, "msg": text}])).told == ["OK"]
    body = f"token={T}&destino={NUMBER}&msg= Oi \r\n".encode()
    assert (await gateway.ask("POST", "/api/unitario.php", body, FORM)).told == ["OK"]
    fields = multipart(token=TOKEN.encode(), destino=NUMBER.encode(), msg=text.encode())
    assert (await gateway.ask("POST", "/api/unitario.php", fields, MULTIPART)).told == ["OK"]
    assert await gateway.texts() == [text, text, " Oi \r\n", text]


@pytest.mark.anyio
async def test_the_destination_comes_back_as_it_was_written(gateway: Gateway) -> None:
    for written in (
        "+55 (11) 99999-9999",
        " 11999999999 ",
        "011999999999",
        "banana",
        "ação\U0001f600",
        'a"\\/<',
    ):
        assert (await gateway.send_one(destination=written)).item["destino"] == written
        assert (await gateway.send_many([{"destino": written, "msg": "Oi"}])).item["destino"] == written
    for given, echoed in (
        (11999999999, NUMBER),
        (11999999999.0, NUMBER),
        (None, ""),
        ([], ""),
        ({}, ""),
        (True, ""),
    ):
        assert (await gateway.send_many([{"destino": given, "msg": "Oi"}])).item["destino"] == echoed
    assert (await gateway.unitario(msg="Oi")).item["destino"] == ""
    assert (await gateway.send_many([{"msg": "Oi"}])).item["destino"] == ""


# Without a socket


def test_of_a_name_that_stands_twice_the_last_value_counts() -> None:
    assert parameters.of_urlencoded(b"a=1&A=2&&b&=x&c=1=2") == {"a": "2", "b": "", "": "x", "c": "1=2"}


def test_php_arrays_in_forms_are_read_as_php_writes_them() -> None:
    flat = {
        "0[mensagens][0][destino]": "1",
        "0[mensagens][0][msg]": "a",
        "0[mensagens][1][msg]": "b",
        "0[token]": "t",
    }
    assert parameters.nested(flat) == [
        {"mensagens": [{"destino": "1", "msg": "a"}, {"msg": "b"}], "token": "t"}
    ]
    assert parameters.nested({"token": "t", "m[0][a]": "1", "m[2][a]": "2"}) == {
        "token": "t",
        "m": [{"a": "1"}, {"a": "2"}],
    }
    assert parameters.nested({"a": "1", "a[b]": "2", "x]": "3", "[": "4"})["a"] == {"b": "2"}
    assert isinstance(parameters.nested({"a" + "[0]" * 10_000: "1"}), dict)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a b", "a b"), ("\0", ""), (0, "0"), (-5, "-5"), (10**63, "1" + "0" * 63), (1.0, "1"), (1.5, "1.5"),
        (1e20, "1" + "0" * 20),
        (1e300, "1e+300"), (float("inf"), ""), (float("nan"), ""), (None, ""), (True, ""), ([1], ""), ({}, ""),
    ],
)  # fmt: skip
def test_scalars_become_text(value: object, text: str) -> None:
    assert parameters.as_text(value) == text


@pytest.mark.parametrize(
    ("octets", "told"),
    [
        (b'{"a":1 "b"}', "^JSON invalido na linha 1, coluna 8$"),
        (b'[{"a":\r\n  1},\n {"b" 2}]', "linha 3, coluna 7"),
        (b"[1", "linha 1, coluna 3"),
        (b'{"a":"\xe3" x}', "linha 1, coluna 10"),
        (b"\xff\xfe", "linha 1, coluna 1"),
        (b"[" * 100_000, "aninhado demais"),
        (b"1" * 5000, "numeros longos demais"),
        (b'["\\ud83d\xe9', "linha 1, coluna 2"),
    ],
)
def test_broken_json_says_where(octets: bytes, told: str) -> None:
    with pytest.raises(Malformed, match=told):
        parameters.of_json(octets)


def test_numbers_and_surrogates_that_the_quick_parser_refuses_are_read_all_the_same() -> None:
    assert parameters.of_json(b'["\\ud800", 123456789012345678901234567890, 1e999]') == [
        "\ud800",
        123456789012345678901234567890,
        float("inf"),
    ]


LIMIT = 16 * 1024 * 1024


@pytest.mark.parametrize("unit", [b"{},", b"[],", b"0,", b'"",', b'"\\\\",', b'{"a":0},', b"[", b'{"a":'])
def test_a_body_of_nothings_is_refused_before_it_fills_the_memory(unit: bytes) -> None:
    """Invariant 9: 16 MiB of `{}` would be 400 MB of dictionaries."""
    with pytest.raises(TooMany):
        parameters.of_json(b"[" + unit * (LIMIT // len(unit)))


def test_a_large_batch_whose_texts_look_like_structure_is_read() -> None:
    messages = [{"destino": NUMBER, "msg": '{[,"' * 300, "x": None} for _ in range(1000)]
    assert parameters.of_json(json.dumps(messages).encode()) == messages


def test_strings_without_an_end_are_found_in_linear_time() -> None:
    """Quadratic time would make this test take hours."""
    for octets in (
        b'["' + b'\\"' * 1_000_000 + b"\xe9",
        b'["\xe9' + b"a" * 10_000_000,
        b'"\xe9' * 1_000_001 + b"\\",
    ):
        with pytest.raises(Malformed):
            parameters.of_json(octets)


def test_a_form_of_nothings_is_refused() -> None:
    for octets in (b"&" * LIMIT, b"a&" * 20_001):
        with pytest.raises(TooMany):
            parameters.of_urlencoded(octets)


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", MULTIPART, 'multipart/form-data; boundary="']
)
def test_broken_multipart_is_malformed(content_type: str) -> None:
    for octets in (b"--=ab=\r\nContent-Disp", b"--=ab=\r\nX\r\n\r\n", b"nothing", b"--=ab=\r\n" * 20_001):
        with pytest.raises(Malformed):
            parameters.of_multipart(octets, content_type)


@pytest.mark.parametrize(
    ("octets", "text"), [(b"%E7", "ç"), (b"\xe7", "ç"), (b"\x81\xe7", "\x81ç"), (b"=%3D", "==")]
)
def test_a_large_value_takes_a_few_times_its_size(octets: bytes, text: str) -> None:
    tracemalloc.start()
    try:
        given = parameters.of_urlencoded(b"msg=" + octets * 1_000_000)
        peak_octets = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert given == {"msg": text * 1_000_000}
    assert peak_octets < 8_000_000 * len(octets)


def test_more_escapes_than_any_batch_has_are_refused() -> None:
    for octets in (b"a=" + b"%E7" * 2_000_001, b"a=%" + b"&a=%z" * 1000 + b"%" * 100_000):
        with pytest.raises(Malformed, match="%"):
            parameters.of_urlencoded(octets)
    batch = "щ" * 670 * 1000
    assert parameters.of_urlencoded(f"mensagens={quote(batch)}".encode()) == {"mensagens": batch}


def test_a_percent_sign_without_its_digits_stands_for_itself() -> None:
    for octets in (b"%", b"%%", b"%4", b"%%41", b"%\n", b"a%\r\nb\n", b"%zz=%3D=%3d", b"100%+_%5f %\t\n"):
        expected = unquote_to_bytes(octets.replace(b"+", b" ")).decode()
        assert parameters.of_urlencoded(b"msg=" + octets + b"&x=%") == {"msg": expected, "x": "%"}


def test_cp1252_json_of_very_many_strings_is_refused() -> None:
    with pytest.raises(TooMany):
        parameters.of_json(b'"\xe7"' * 1_000_000)
