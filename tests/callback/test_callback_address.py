from datetime import UTC, datetime
from ipaddress import ip_network

import pytest

from pombo.callback.address import BadUrl, Wrong, check_url, opening, query, split_url
from pombo.message import CallbackKind
from pombo.number import national_form
from pombo.store.callbacks import Job

DELIVERED = Job(
    callback_id=1,
    account_id=1,
    kind=CallbackKind.DLR,
    subject_id=1,
    status="2",
    client_ref="5b678259ef213",
    number="11999999999",
    text="",
    at=datetime(2026, 11, 22, 13, 0, 4, 999_999, tzinfo=UTC),
    time_zone="America/Sao_Paulo",
)
REPLY = DELIVERED._replace(kind=CallbackKind.MO, status="", number="5511999999999", text="SIM")
DLR = "status=2&id=5b678259ef213&destino=11999999999&entrega=2026-11-22%2010:00:04"


def test_a_receipt_has_the_four_parameters_in_the_order_of_the_contract() -> None:
    assert query(DELIVERED) == DLR


def test_a_reply_has_the_four_parameters_in_the_order_of_the_contract() -> None:
    assert query(REPLY) == "data=2026-11-22%2010:00:04&numero=11999999999&mensagem=SIM&id=5b678259ef213"


def test_texts_are_percent_encoded_utf8_and_a_space_is_never_a_plus() -> None:
    told = query(REPLY._replace(text="Olá, é 1+1=2? 50% & #já\r\n😀/", client_ref="a+b&c=%20/?#"))
    assert told == (
        "data=2026-11-22%2010:00:04&numero=11999999999"
        "&mensagem=Ol%C3%A1%2C%20%C3%A9%201%2B1%3D2%3F%2050%25%20%26%20%23j%C3%A1%0D%0A%F0%9F%98%80%2F"
        "&id=a%2Bb%26c%3D%2520%2F%3F%23"
    )


def test_the_destination_stands_as_the_customer_wrote_it() -> None:
    assert "&destino=%2B55%20(11)%2099999-9999&".replace("(", "%28").replace(")", "%29") in query(
        DELIVERED._replace(number="+55 (11) 99999-9999")
    )


def test_a_reply_to_no_message_has_an_empty_id() -> None:
    assert query(REPLY._replace(client_ref="")).endswith("&mensagem=SIM&id=")


def test_dates_are_in_the_accounts_time_zone() -> None:
    assert query(DELIVERED._replace(time_zone="America/Manaus")).endswith("entrega=2026-11-22%2009:00:04")
    assert query(DELIVERED._replace(time_zone="Not/AZone")).endswith("entrega=2026-11-22%2010:00:04")
    assert query(DELIVERED._replace(time_zone="")).endswith("entrega=2026-11-22%2010:00:04")


@pytest.mark.parametrize(
    ("number", "told"),
    [
        ("5511999999999", "11999999999"),
        ("551133334444", "1133334444"),
        ("11999999999", "11999999999"),
        ("55119999", "55119999"),
        ("27182", "27182"),
        ("351912345678", "351912345678"),
        ("55119999999999", "55119999999999"),
        ("55ABCDEFGHIJK", "55ABCDEFGHIJK"),
    ],
)
def test_only_brazilian_numbers_lose_their_country_code(number: str, told: str) -> None:
    assert national_form(number) == told


@pytest.mark.parametrize(
    ("url", "literal", "target"),
    [
        ("http://h.example", False, "/?" + DLR),
        ("http://h.example/", False, "/?" + DLR),
        ("http://h.example/dlr", False, "/dlr?" + DLR),
        ("http://h.example/dlr.php?", False, "/dlr.php?" + DLR),
        ("http://h.example/dlr?key=a%20b", False, "/dlr?key=a%20b&" + DLR),
        ("http://h.example/dlr?key=1&", False, "/dlr?key=1&" + DLR),
        ("http://h.example?key=1", False, "/?key=1&" + DLR),
        ("http://h.example/dlr?key=1#top", False, "/dlr?key=1&" + DLR),
        ("http://h.example/dlr#top?", False, "/dlr?" + DLR),
        ("http://h.example/a%2Fb/%7Ec/../d", False, "/a%2Fb/%7Ec/../d?" + DLR),
        (
            "http://h.example/notificação?ação={1}",
            False,
            "/notifica%C3%A7%C3%A3o?a%C3%A7%C3%A3o=%7B1%7D&" + DLR,
        ),
        ("http://h.example", True, "/" + DLR),
        ("http://h.example/", True, "/" + DLR),
        ("http://h.example/url", True, "/url/" + DLR),
        ("http://h.example/url/", True, "/url/" + DLR),
        ("http://h.example/url?", True, "/url?" + DLR),
        ("http://h.example?", True, "/?" + DLR),
        ("http://h.example/url#top", True, "/url/" + DLR),
    ],
)
def test_the_request_target_is_exact_to_the_octet(url: str, literal: bool, target: str) -> None:
    assert opening(split_url(url).target, literal=literal) + query(DELIVERED) == target
    stored = check_url(url)
    assert opening(split_url(stored).target, literal=literal) + query(DELIVERED) == target


@pytest.mark.parametrize(
    ("url", "stored"),
    [
        ("http://WWW.Example.com:80/a", "http://www.example.com/a"),
        ("https://example.com:443", "https://example.com"),
        ("https://example.com:8443/?", "https://example.com:8443/?"),
        ("HTTP://example.com/A#b", "http://example.com/A"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://[2606:4700::1111]:81/x", "http://[2606:4700::1111]:81/x"),
        ("http://my_host.example/", "http://my_host.example/"),
    ],
)
def test_a_url_is_stored_in_one_spelling(url: str, stored: str) -> None:
    assert check_url(url) == stored


@pytest.mark.parametrize(
    "url",
    [
        "", "example.com", "//example.com", "ftp://example.com/", "file:///etc/passwd",
        "javascript:alert(1)", "http://",
        "http:///path", "http://?a=1", "http://user:pass@example.com/", "http://user@example.com/",
        "http://a b.example/", "http://example.com/a b", "http://example.com/a\r\nHost: b",
        "http://example.com/\x00",
        "http://example.com/a\tb", "\thttp://example.com/", "http://example.com/\u00a0",
        "http://example.com:0/",
        "http://example.com:65536/", "http://example.com:x/", "http://[::1",
        "http://[fe80::1%25lo]/", "http://[x]/",
        "http://exa$mple.com/", "http://..example/", "http://" + "a" * 64 + ".example/",
        "http://example.com\\@10.0.0.1/",
        "http://example.com/" + "a" * 2000,
    ],
)  # fmt: skip
def test_what_cannot_be_called_is_refused_with_a_reason(url: str) -> None:
    with pytest.raises(BadUrl, match=r"URL"):
        check_url(url)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/", "http://127.1/", "http://2130706433/", "http://0x7f.1:81/", "http://[::1]/",
     "http://[::ffff:10.0.0.1]/", "http://169.254.169.254/latest/meta-data", "http://10.1.2.3/"],
)  # fmt: skip
def test_an_inner_address_is_refused_at_registration(url: str) -> None:
    with pytest.raises(BadUrl) as bad:
        check_url(url)
    assert bad.value.wrong is Wrong.INTERNAL


def test_an_inner_address_that_the_operator_allows_is_registered() -> None:
    assert check_url("http://127.0.0.1:8081/x", (ip_network("127.0.0.0/8"),)) == "http://127.0.0.1:8081/x"
