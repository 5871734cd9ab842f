"""Pseudonyms of hosts and addresses."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirecase.case.redact import Policy, Redactor
from wirecase.case.redact.places import Places

DOCUMENTATION = [
    ipaddress.ip_network(n) for n in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15")
]


def test_addresses_go_to_documentation_ranges_and_keep_their_ports() -> None:
    redactor = Redactor(Policy())
    assert redactor.address("10.0.0.1:443") == "192.0.2.1:443"
    assert redactor.address("10.0.0.2:443") == "192.0.2.2:443"
    assert redactor.address("10.0.0.1:5000") == "192.0.2.1:5000"
    assert redactor.address("[2a00::5]:443") == "[2001:db8::1]:443"
    assert redactor.address("2a00::5") == "2001:db8::1"
    assert redactor.secrets == [b"10.0.0.1", b"10.0.0.2", b"2a00::5"]


@pytest.mark.parametrize(
    "address", ["127.0.0.1:80", "[::1]:80", "0.0.0.0:1", "192.0.2.9:1", "[2001:db8::7]:1", "::1", "", "?"]
)
def test_addresses_that_tell_nothing_stay(address: str) -> None:
    assert Redactor(Policy()).address(address) in (address, "x", "host-1.example")


def test_a_documentation_address_that_is_taken_gets_another() -> None:
    redactor = Redactor(Policy())
    assert [redactor.address(a) for a in ("10.0.0.1", "192.0.2.1", "192.0.2.2", "10.0.0.3")] == [
        "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4",
    ]  # fmt: skip


@given(st.lists(st.ip_addresses(), max_size=40), st.booleans())
def test_pseudonyms_are_distinct_and_their_own(
    addresses: list[ipaddress.IPv4Address | ipaddress.IPv6Address], texts: bool
) -> None:
    places = Places()
    made = {address: places.ip(address) for address in addresses}
    assert len(set(made.values())) == len(made)
    assert all(ipaddress.ip_address(alias).version == address.version for address, alias in made.items())
    again = Places()
    assert [again.ip(ipaddress.ip_address(alias)) for alias in made.values()] == list(made.values())


def test_more_addresses_than_the_documentation_has() -> None:
    places = Places()
    made = [places.ip(ipaddress.IPv4Address(0x0A000000 + i)) for i in range(2000)]
    assert len(set(made)) == 2000
    assert all(any(ipaddress.ip_address(alias) in net for net in DOCUMENTATION) for alias in made)


@given(st.ip_addresses(v=4), st.integers(0, 300))
def test_an_address_in_text_keeps_its_length(address: ipaddress.IPv4Address, before: int) -> None:
    places = Places()
    for i in range(before):
        places.ip(ipaddress.IPv4Address(0x0A000000 + i))
    made = places.ip_text(str(address))
    assert len(made) == len(str(address))
    assert all(0 <= int(part) <= 255 for part in made.split("."))
    assert Places().ip_text(made) == made


def test_hosts() -> None:
    redactor = Redactor(Policy())
    assert redactor.host("DB.acme.internal") == "host-1.example"
    assert redactor.host("web.acme.internal:443") == "host-2.example:443"
    assert redactor.host("db.acme.internal.") == "host-1.example"
    assert [redactor.host(name) for name in ("localhost", "example.com", "host-1.example", "type.googleapis.com")] == [
        "localhost", "example.com", "host-1.example", "type.googleapis.com",
    ]  # fmt: skip
    assert Redactor(Policy(keep_hosts=True)).host("db.acme.internal") == "db.acme.internal"


def test_a_pseudonym_in_the_input_is_not_given_out_again() -> None:
    places = Places()
    assert places.host("host-1.example") == "host-1.example"
    assert places.host("db.acme.internal") == "host-2.example"


@given(st.from_regex(r"[a-z]{1,12}(\.[a-z]{2,9}){1,3}", fullmatch=True))
def test_a_host_in_text_keeps_its_length(name: str) -> None:
    made = Places().host_text(name)
    assert len(made) == len(name)
    assert Places().host_text(made) == made
