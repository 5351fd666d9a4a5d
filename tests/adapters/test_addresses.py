from ipaddress import ip_address

import pytest

from commonplace.adapters.web.addresses import public

OPEN = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "192.31.196.1",  # AS112 anycast
    "192.52.193.1",  # AMT anycast
    "2606:4700:4700::1111",
    "2a00:1450:4001:81b::200e",
    "::ffff:8.8.8.8",
]
INSIDE = [
    "0.0.0.0",  # noqa: S104 - nothing is bound to it
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "198.18.0.1",
    "::",
    "::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "64:ff9b:1::",
    "5f00::1",
]
DISGUISED = [
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::7f00:1",
    "::8.8.8.8",
    "2002:7f00:1::",
    "2002:808:808::",
    "2001:0:7f00:1::",
    "64:ff9b::c0a8:0",
    "64:ff9b::808:808",
]
NO_HOST = [
    "192.0.0.1",
    "192.0.0.9",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "100::1",
    "2001:db8::1",
    "3fff::1",
    "4000::1",
    "ff02::1",
    "ff0e::1",
    "::ffff:224.0.0.1",
]


@pytest.mark.parametrize("address", OPEN)
def test_an_address_on_the_open_internet_is_public(address: str) -> None:
    assert public(ip_address(address))


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_inside_a_network_is_not_public(address: str) -> None:
    assert not public(ip_address(address))


@pytest.mark.parametrize("address", DISGUISED)
def test_an_address_that_carries_another_is_not_public(address: str) -> None:
    assert not public(ip_address(address))


@pytest.mark.parametrize("address", NO_HOST)
def test_an_address_that_no_host_may_have_is_not_public(address: str) -> None:
    assert not public(ip_address(address))


@pytest.mark.parametrize("address", ["fe80::1%eth0", "2606:4700:4700::1111%1", "::ffff:8.8.8.8%1"])
def test_an_address_with_a_scope_is_not_public(address: str) -> None:
    assert not public(ip_address(address))
