"""Links in a text, and what only looks like one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pombo.text.links import elsewhere, host_of, hosts


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("Veja http://loja.com.br/oferta", "loja.com.br"),
        ("Veja HTTPS://Loja.COM.br", "loja.com.br"),
        ("https://user:pass@mau.example/x", "mau.example"),
        ("https://banco.com.br@mau.example/x", "mau.example"),
        ("http://10.0.0.1:8080/x", "10.0.0.1"),
        ("http://intranet/x", "intranet"),
        ("http://[2001:db8::1]/x", "[2001:db8::1]"),
        ("hxxp://mau.example/x", "mau.example"),
        ("www.mau.example", "www.mau.example"),
        ("WWW.MAU.EXAMPLE.", "www.mau.example"),
        ("Acesse BIT.LY/x", "bit.ly"),
        ("(bit.ly/x)", "bit.ly"),
        ("oferta:loja.com.br", "loja.com.br"),
        ("Pague em loja.com.br, hoje.", "loja.com.br"),
        ("wa.me/5511999999999", "wa.me"),
        ("abc.museum/x", "abc.museum"),
        ("abc.museum:8080", "abc.museum"),
        ("1.2.3.4/x", "1.2.3.4"),
        ("promoção.com.br", "xn--promoo-7ta5a.com.br"),
        ("http://bücher.example", "xn--bcher-kva.example"),
        ("ｂｉｔ．ｌｙ/x", "bit.ly"),
        ("bit。ly/x", "bit.ly"),
        ("bit\u200b.ly/x", "bit.ly"),
        ("b\u00adit.l\u2060y/x", "bit.ly"),
        ("bit[.]ly/x", "bit.ly"),
        ("bit (ponto) ly/x", "bit.ly"),
        ("bit{dot}ly", "bit.ly"),
        ("http : // mau . example / x", "mau.example"),
        ("www . mau . example", "www.mau.example"),
        ("Fim da frase.https://mau.example", "mau.example"),
    ],
)
def test_a_link_is_found_however_it_is_written(text: str, host: str) -> None:
    assert host in hosts(text)
    assert elsewhere(text, set())


@pytest.mark.parametrize(
    "text",
    [
        "", "Seu codigo e 123456", "Total: R$ 1.234,56", "Dia 22.11.2026 as 10.30", "Versao 1.2.3",
        "Ola, Sr. Silva. Tudo bem?", "Ola.Tudo bem?", "Fim.Comeco", "e/ou", "24/7", "10/11/2026", "...", "a...b",
        "Etc.", "km/h", "S.A.", "Av. Paulista, 1000", "nota 9.5/10", "No. 5/2026", "1.2.3.4",
    ],
)  # fmt: skip
def test_ordinary_texts_hold_no_link(text: str) -> None:
    assert hosts(text) == set()


@pytest.mark.parametrize(
    "text", ["https://loja.com.br/x", "www.loja.com.br", "m.loja.com.br/x", "LOJA.com.br"]
)
def test_an_allowed_host_and_what_lies_below_it_may_be_linked(text: str) -> None:
    assert not elsewhere(text, {"loja.com.br"})


@pytest.mark.parametrize(
    "text", ["falsaloja.com.br", "loja.com.br.mau.example/x", "https://loja.com.br@mau.example", "com.br/x"]
)
def test_a_host_that_only_resembles_an_allowed_one_is_elsewhere(text: str) -> None:
    assert elsewhere(text, {"loja.com.br"})


def test_one_link_elsewhere_is_enough() -> None:
    assert elsewhere("loja.com.br e bit.ly/x", {"loja.com.br"})


@pytest.mark.parametrize(
    ("typed", "host"),
    [
        (" *.Loja.com.br ", "loja.com.br"),
        ("https://loja.com.br/x?y", "loja.com.br"),
        ("loja.com.br:8080", "loja.com.br"),
        ("promoção.com.br", "xn--promoo-7ta5a.com.br"),
        ("loja", None),
        ("", None),
        ("a b.com", None),
        ("loja..com", None),
    ],
)
def test_a_host_is_kept_in_one_form(typed: str, host: str | None) -> None:
    assert host_of(typed) == host


@given(st.text())
def test_any_text_can_be_searched(text: str) -> None:
    assert all(host == host.casefold() for host in hosts(text))
