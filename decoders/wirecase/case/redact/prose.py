"""Text that is evidence: kept, with the secrets, addresses, hosts and e-mail addresses in it masked in place."""

from __future__ import annotations

import re

from wirecase.case.redact.fill import BY_CLASS, OPAQUE, opaque
from wirecase.case.redact.ledger import SHORTEST, Ledger
from wirecase.case.redact.places import Places, is_reserved_host, parse_ip
from wirecase.case.redact.policy import Policy
from wirecase.case.redact.shapes import find_shapes

_EMAIL = re.compile(rb"(?<![0-9A-Za-z._%+-])[0-9A-Za-z._%+-]{1,64}+@[0-9A-Za-z-]{1,63}+(?:\.[0-9A-Za-z-]{1,63}+)++")
_IPV4 = re.compile(rb"(?<![0-9A-Za-z._/-])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9A-Za-z_]|\.[0-9])")
_IPV4_IN_URL = re.compile(rb"(?<=://)[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9A-Za-z_]|\.[0-9])")
_IPV4_IN_NAME = re.compile(rb"\b(ip[-_])([0-9]{1,3}(?:-[0-9]{1,3}){3})(?![0-9A-Za-z-])")
_IPV6 = re.compile(rb"(?<![0-9A-Za-z:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![0-9A-Za-z:])")
_NAME = re.compile(rb"(?<![0-9A-Za-z._-])[0-9A-Za-z_-]++(?:\.[0-9A-Za-z_-]++)++")
_URL_HOST = re.compile(rb"(?<=://)(?:[^\s/@'\"<>]{1,200}+@)?([0-9A-Za-z_-]++(?:\.[0-9A-Za-z_-]++)*+)")
_HEX_DIGITS = bytes.maketrans(b"0123456789abcdefABCDEF", b"x" * 22)

_TOP = frozenset(
    b"com net org io dev app cloud internal local localdomain corp lan intra intranet private home svc info biz xyz "
    b"tech online site store gov edu mil int name pro eu us uk de fr nl be ch at es pt ru cn jp kr ca br mx ar au nz "
    b"za se no dk fi pl cz sk hu ro bg gr tr ua il ae sa sg hk tw th vn id my ph pk lk ie lu lt lv ee hr si is me tv "
    b"fm gg ai co la cc to ly gl consul arpa onion network systems services company bank finance zone host mesh "
    b"google aws azure".split()
)
"""Last labels that make a dotted name a host rather than a package, a file or a class."""
_FILES = frozenset(b"at cc id is la me my no pl to py rs sh so".split())
"""Of those, the ones that are also endings of files or words: a host under them needs three labels."""
_KNOWN_WORK = 256 << 20
"""Comparisons (bytes of text times known values) that one text may cost."""


class Prose:
    """Masks text in place; every result is as long as what it was made from."""

    __slots__ = ("_ledger", "_places", "_policy", "known")

    def __init__(self, policy: Policy, ledger: Ledger, places: Places) -> None:
        self._policy = policy
        self._ledger = ledger
        self._places = places
        self.known: dict[bytes, None] = {}
        """Secrets that were removed elsewhere: a server may quote them in its answer."""

    def learn(self, value: bytes) -> None:
        """Mask `value` in every text from now on."""
        if len(value) >= SHORTEST and len(self.known) < 4096:
            self.known[value] = None

    def mask(self, text: bytes, *, places: bool = True, random: bool = True) -> bytes:
        """Return `text` with everything in it masked that tells a secret, or (with `places`) who and where."""
        if len(text) < 4:
            return text
        out = bytearray(text)
        self._mask_known(out)
        self.mask_shapes(out, random=random)
        if places:
            if b"@" in out:
                self._mask_emails(out)
            if not self._policy.keep_addresses:
                self._mask_addresses(out)
            if not self._policy.keep_hosts:
                self._mask_hosts(out)
        return bytes(out)

    def _mask_known(self, out: bytearray) -> None:
        for value in list(self.known)[: max(_KNOWN_WORK // (len(out) or 1), 64)]:
            at = out.find(value)
            while at >= 0:
                out[at : at + len(value)] = opaque(value)
                self._ledger.counts["quoted"] += 1
                at = out.find(value, at + len(value))

    def mask_shapes(self, out: bytearray, *, random: bool = True) -> None:
        """Mask what has the shape of a secret."""
        for shape in find_shapes(bytes(out), random=random):
            if shape.kind in self._policy.keep:
                continue
            value = bytes(out[shape.start : shape.stop])
            self._ledger.secret(value)
            self._ledger.counts[shape.kind] += 1
            out[shape.start : shape.stop] = value.translate(BY_CLASS if shape.kind == "url-password" else OPAQUE)

    def _mask_emails(self, out: bytearray) -> None:
        for match in _EMAIL.finditer(bytes(out)):
            value = match.group()
            masked = bytes(b if b in b"@." else 0x78 for b in value)
            if masked != value and not is_reserved_host(value.partition(b"@")[2].decode("latin-1")):
                self._ledger.secret(value)
                self._ledger.counts["e-mail address"] += 1
                out[match.start() : match.end()] = masked

    def _replace(self, out: bytearray, start: int, old: str, new: str, kind: str) -> None:
        if new != old:
            self._ledger.secret(old.encode("latin-1"))
            self._ledger.counts[kind] += 1
            out[start : start + len(old)] = new.encode("latin-1", "replace")

    def _mask_addresses(self, out: bytearray) -> None:
        text = bytes(out)
        if b"." in text:
            for pattern in (_IPV4, _IPV4_IN_URL):
                for match in pattern.finditer(text):
                    old = match.group().decode("latin-1")
                    self._replace(out, match.start(), old, self._places.ip_text(old), "address")
        for match in _IPV4_IN_NAME.finditer(text):
            old = match.group(2).decode("latin-1")
            new = self._places.ip_text(old.replace("-", ".")).replace(".", "-")
            self._replace(out, match.start(2), old, new, "address")
        if text.count(b":") >= 2:
            for match in _IPV6.finditer(text):
                old = match.group().decode("latin-1")
                address = parse_ip(old)
                if address is not None and self._places.ip(address) != str(address):
                    new = match.group().translate(_HEX_DIGITS).decode("latin-1")
                    self._replace(out, match.start(), old, new, "address")

    def _mask_hosts(self, out: bytearray) -> None:
        text = bytes(out)
        for match in _NAME.finditer(text):
            old = match.group()
            if is_host(old):
                # where a mail address was masked, nothing is left to map
                name = old.decode("latin-1")
                self._replace(out, match.start(), name, self._places.host_text(name), "host")
        for match in _URL_HOST.finditer(bytes(out)):
            name = match.group(1).decode("latin-1")
            if parse_ip(name) is None:
                self._replace(out, match.start(1), name, self._places.host_text(name), "host")
        for word in list(self._places.words):
            at = out.find(word)
            while at >= 0:
                stop = at + len(word)
                if not (out[at - 1 : at].isalnum() or out[stop : stop + 1].isalnum()):
                    name = word.decode("latin-1")
                    self._replace(out, at, name, self._places.host_text(name), "host")
                at = out.find(word, stop)


def is_host(name: bytes) -> bool:
    """Tell whether a dotted name is a host's: by its last label."""
    labels = name.split(b".")
    last = labels[-1].lower()
    if last not in _TOP or labels[-1] not in (last, last.upper()):
        return False
    return not (last in _FILES and len(labels) < 3)
