"""Pseudonyms for hosts and addresses: the same one for the same original, in ranges that belong to nobody.

Addresses become those of RFC 5737 and RFC 3849 (then RFC 2544 when 762 do not suffice), hosts become names under
``.example`` (RFC 2606). What is such a name or address already is its own pseudonym, so that redacting twice changes
nothing. Within text the pseudonym must fit into the place of the original: its number stays, the rest gives way.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TypeAlias

_IP: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"

_OWN_HOST = re.compile(r"host-(\d+)x*\.example|h\d+x*|x+")
_DOCUMENTATION = tuple(
    ipaddress.ip_network(net)
    for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15", "2001:db8::/32", "0.0.0.0/8")
)
_BLOCKS = (("192.0.2.", 254), ("198.51.100.", 254), ("203.0.113.", 254))
_PUBLIC = frozenset((
    "type.googleapis.com", "www.w3.org", "schemas.xmlsoap.org", "nginx.org", "nginx.com", "openresty.org",
    "httpd.apache.org", "www.apache.org", "cloudflare.com", "www.cloudflare.com", "support.cloudflare.com",
    "developers.cloudflare.com", "static.cloudflareinsights.com", "envoyproxy.io", "www.envoyproxy.io", "grpc.io",
    "tools.ietf.org", "datatracker.ietf.org", "localhost", "localhost.localdomain", "fonts.googleapis.com",
    "connectrpc.com", "aka.ms", "docs.rs",
))  # fmt: skip
"""Hosts that everybody names: they tell about software, not about whose it is."""
_RESERVED = (".example", ".test", ".invalid", ".localhost", "example.com", "example.net", "example.org")
_PORT = re.compile(r":\d{1,5}\Z")


def parse_ip(text: str) -> _IP | None:
    """Return the address that `text` is, also with leading zeros, or None."""
    try:
        if ":" in text:
            return ipaddress.IPv6Address(text.partition("%")[0])
        return ipaddress.IPv4Address(".".join(str(int(part)) for part in text.split(".")) if text.isascii() else text)
    except ValueError:
        return None


def split_port(text: str) -> tuple[str, str]:
    """Return (host, ``:port`` or ``""``); brackets around an IPv6 address stay with it."""
    found = _PORT.search(text)
    if found is None or (text.count(":") > 1 and not text.startswith("[")):
        return text, ""
    return text[: found.start()], found.group()


def is_reserved_host(name: str) -> bool:
    """Tell whether a host name says nothing about anybody."""
    low = name.lower().rstrip(".")
    return low in _PUBLIC or low.endswith(_RESERVED) or _OWN_HOST.fullmatch(low) is not None


def _is_plain(address: _IP) -> bool:
    return address.is_loopback or address.is_unspecified or str(address) == "255.255.255.255"


class Places:
    """The two maps."""

    __slots__ = ("_addresses", "_hosts", "_numbers", "_taken_hosts", "_used", "words")

    def __init__(self) -> None:
        self._addresses: dict[_IP, str] = {}
        self._used: set[str] = set()
        self._numbers = {4: 0, 6: 0}
        self._hosts: dict[str, int] = {}
        self._taken_hosts: set[int] = set()
        self.words: dict[bytes, None] = {}
        """Names of hosts without a dot, as they were met: text is searched for them too."""

    @property
    def hosts(self) -> list[str]:
        """The pseudonyms of hosts that were given out."""
        return [f"host-{number}.example" for number in self._hosts.values()]

    @property
    def addresses(self) -> list[str]:
        """The addresses that were given out."""
        return [alias for original, alias in self._addresses.items() if str(original) != alias]

    def ip(self, address: _IP) -> str:
        """Return the pseudonym of an address; loopback and the unspecified address stay."""
        if _is_plain(address):
            return str(address)
        alias = self._addresses.get(address)
        if alias is None:
            own = str(address)
            documentation = any(address.version == net.version and address in net for net in _DOCUMENTATION)
            alias = own if documentation and own not in self._used else self._next(address.version)
            self._addresses[address] = alias
            self._used.add(alias)
        return alias

    def _next(self, version: int) -> str:
        while True:
            self._numbers[version] += 1
            alias = _numbered(self._numbers[version], version)
            if alias not in self._used:
                return alias

    def ip_text(self, text: str) -> str:
        """Return the pseudonym of a dotted address, written as long as `text`."""
        address = parse_ip(text)
        if address is None or (alias := self.ip(address)) == str(address):
            return text
        return _stretch(alias, len(text))

    def host(self, name: str) -> str:
        """Return the pseudonym of a host name without a port."""
        if is_reserved_host(name):
            self._reserve(name)
            return name
        return f"host-{self._number(name)}.example"

    def _number(self, name: str) -> int:
        key = name.lower().rstrip(".")
        number = self._hosts.get(key)
        if number is None:
            number = len(self._hosts) + 1
            while number in self._taken_hosts:
                number += 1
            self._hosts[key] = number
            self._taken_hosts.add(number)
            if "." not in key and _is_telling(key) and len(self.words) < 1000:
                self.words[key.encode("latin-1", "replace")] = None
        return number

    def _reserve(self, name: str) -> None:
        # the number of a pseudonym that stands in the input already is not given out again
        own = _OWN_HOST.fullmatch(name)
        if own is not None and own.group(1) and len(own.group(1)) < 9:
            self._taken_hosts.add(int(own.group(1)))

    def host_text(self, name: str) -> str:
        """Return the pseudonym of a host name, as long as `name`."""
        if is_reserved_host(name):
            self._reserve(name)
            return name
        number = self._number(name)
        short = f"host-{number}"
        room = len(name) - len(short) - len(".example")
        if room >= 0:
            return short + "x" * room + ".example"
        return (f"h{number}" + "x" * len(name))[: len(name)] if len(name) > len(str(number)) else "x" * len(name)


def _is_telling(name: str) -> bool:
    """Tell whether a name without a dot is no common word: it would be found in every sentence."""
    return len(name) >= 6 and ("-" in name or any(char.isdigit() for char in name))


def _numbered(number: int, version: int) -> str:
    if version == 6:
        return str(ipaddress.IPv6Address((0x20010DB8 << 96) + number))
    for prefix, size in _BLOCKS:
        if number <= size:
            return f"{prefix}{number}"
        number -= size
    return str(ipaddress.IPv4Address(int(ipaddress.IPv4Address("198.18.0.0")) + number % (1 << 17)))


def _stretch(alias: str, length: int) -> str:
    """Return `alias` as a dotted address of `length` characters: with leading zeros, or cut to its last part."""
    parts = alias.split(".")
    if len(alias) > length:
        parts = ["0", "0", "0", parts[3][: max(length - 6, 1)]]
    missing = length - sum(map(len, parts)) - 3
    for i in (3, 2, 1, 0):
        add = min(missing, 3 - len(parts[i]))
        parts[i] = "0" * add + parts[i]
        missing -= add
    return ".".join(parts)
