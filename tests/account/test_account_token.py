import ipaddress

import pytest

from pombo.account.token import parse_networks
from pombo.errors import PomboError


@pytest.mark.parametrize(
    ("text", "networks"),
    [
        ("192.0.2.7", ["192.0.2.7/32"]),
        (" 198.51.100.0/24 , 192.0.2.7,192.0.2.7/32,", ["192.0.2.7/32", "198.51.100.0/24"]),
        ("2001:db8::/32", ["2001:db8::/32"]),
        ("::ffff:192.0.2.0/120", ["192.0.2.0/24"]),
        ("any", []),
        (" Any ", []),
    ],
)
def test_networks_are_read_as_people_write_them(text: str, networks: list[str]) -> None:
    assert parse_networks(text) == [ipaddress.ip_network(network) for network in networks]


@pytest.mark.parametrize(
    "text", ["", ",", "192.0.2.7/24", "192.0.2", "loja", ",".join(f"10.0.0.{n}" for n in range(101))]
)
def test_what_is_no_network_is_refused_with_the_way_out(text: str) -> None:
    with pytest.raises(PomboError, match=r"any\.|at most"):
        parse_networks(text)
