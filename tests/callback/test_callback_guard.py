from ipaddress import ip_address, ip_network

import pytest

from pombo.callback.guard import literal_address, may_dial

REFUSED = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "100.127.255.255",
    "127.0.0.1", "127.255.0.9",
    "168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.7", "224.0.0.1", "239.1.1.1",
    "240.0.0.1", "255.255.255.255",
    "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.1.2.3", "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1",
    "2001:0:7f00:1::1", "2001:db8::1",
    "2002:7f00:1::", "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254",
    "fe80::1", "fe80::1%lo",
    "fec0::1", "ff02::1",
]  # fmt: skip
DIALLED = [
    "1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "126.255.255.255", "128.0.0.1", "172.15.255.255",
    "172.32.0.1", "192.0.1.1", "200.147.3.157", "223.255.255.255",
    "2606:4700::1111", "2800:3f0:4001::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8",
]  # fmt: skip


@pytest.mark.parametrize("address", REFUSED)
def test_the_platforms_own_networks_are_refused(address: str) -> None:
    assert not may_dial(ip_address(address))


@pytest.mark.parametrize("address", DIALLED)
def test_the_internet_is_dialled(address: str) -> None:
    assert may_dial(ip_address(address))


def test_an_allowed_network_is_dialled_and_its_neighbours_are_not() -> None:
    allow = (ip_network("127.0.0.0/8"), ip_network("fd00::/64"))
    assert may_dial(ip_address("127.0.0.1"), allow)
    assert may_dial(ip_address("::ffff:127.0.0.1"), allow)
    assert may_dial(ip_address("fd00::1"), allow)
    assert not may_dial(ip_address("10.0.0.1"), allow)
    assert not may_dial(ip_address("::1"), allow)
    assert not may_dial(ip_address("fd00:0:0:1::1"), allow)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "017700000001",
        "0177.0.0.1",
        "0x7f.1",
        "0x7f.0.0.1",
    ],
)
def test_every_spelling_of_an_address_is_that_address(host: str) -> None:
    assert literal_address(host) == ip_address("127.0.0.1")


@pytest.mark.parametrize("host", ["localhost", "example.com", "1.2.3.4.5", "0x7g", "256.256.256.256", ""])
def test_a_name_is_no_address(host: str) -> None:
    assert literal_address(host) is None
