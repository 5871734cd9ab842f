"""What handshakes tell, with every way to begin: resumption, retry, client certificates, alerts."""

from __future__ import annotations

import ssl

from tls_peers import CLIENT, NO_TICKET, SERVER, Peers, certificate
from tls_reading import read, store_of

from wirecase.tls.names import alert_name

SCRIPT = [(CLIENT, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), (SERVER, b"settings" * 9), (CLIENT, b"z" * 20_000)]


def test_resumption_in_tls13() -> None:
    peers = Peers()
    first = peers.talk(SCRIPT)
    again = peers.talk(SCRIPT, first.session)
    facts, heard = read(again.flights, again.keys)
    assert facts.resumed
    assert tuple(map(bytes, heard.plain)) == again.said


def test_resumption_in_tls12_by_ticket_and_by_session_id() -> None:
    for option in (0, NO_TICKET):
        peers = Peers(version="1.2")
        peers.server.options |= option
        first = peers.talk(SCRIPT)
        again = peers.talk(SCRIPT, first.session)
        facts, heard = read(again.flights, again.keys)
        assert facts.resumed
        assert tuple(map(bytes, heard.plain)) == again.said


def test_a_session_seen_before_opens_the_resumed_one() -> None:
    for option in (0, NO_TICKET):
        peers = Peers(version="1.2")
        peers.server.options |= option
        first = peers.talk(SCRIPT)
        store = store_of(first.keys)
        again = peers.talk(SCRIPT, first.session)
        facts, _ = read(again.flights, store)
        assert facts.hidden == "no-match"
        read(first.flights, store)
        facts, heard = read(again.flights, store)
        assert facts.hidden is None
        assert tuple(map(bytes, heard.plain)) == again.said


def test_old_key_logs_name_sessions() -> None:
    peers = Peers(version="1.2")
    peers.server.options |= NO_TICKET
    made = peers.talk(SCRIPT)
    facts, _ = read(made.flights, made.keys)
    assert facts.server_hello is not None
    master = next(line.split()[2] for line in made.keys.splitlines() if line.startswith(b"CLIENT_RANDOM"))
    line = b"RSA Session-ID:%s Master-Key:%s\n" % (facts.server_hello.session_id.hex().encode(), master)
    _, heard = read(made.flights, line)
    assert tuple(map(bytes, heard.plain)) == made.said


def test_hello_retry_request() -> None:
    peers = Peers()
    peers.server.set_ecdh_curve("secp521r1")
    made = peers.talk(SCRIPT)
    facts, heard = read(made.flights, made.keys, size=100)
    assert facts.retried
    assert facts.complete
    assert tuple(map(bytes, heard.plain)) == made.said


def test_client_certificate() -> None:
    for version in ("1.2", "1.3"):
        peers = Peers(version=version)
        pem, key = certificate("ec")
        peers.server.verify_mode = ssl.CERT_REQUIRED
        peers.server.load_verify_locations(pem)
        peers.client.load_cert_chain(pem, key)
        made = peers.talk(SCRIPT)
        facts, heard = read(made.flights, made.keys)
        assert (facts.certificate_requested, facts.client_certificate) == (True, True)
        assert tuple(map(bytes, heard.plain)) == made.said


def test_a_client_without_certificate() -> None:
    peers = Peers(version="1.2")
    peers.server.verify_mode = ssl.CERT_REQUIRED
    peers.server.load_verify_locations(certificate("ec")[0])
    made = peers.talk(SCRIPT)
    facts, _ = read(made.flights, b"")
    assert facts.client_certificate is False
    assert [(a.side, alert_name(a.code), a.encrypted) for a in facts.alerts] == [(SERVER, "handshake_failure", False)]


def test_a_certificate_that_is_not_trusted() -> None:
    peers = Peers()
    peers.client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    peers.client.load_verify_locations(certificate("rsa")[0])
    peers.client.keylog_filename = str(peers.keylog)
    made = peers.talk(SCRIPT)
    for keys in (made.keys, b""):  # OpenSSL sends it in the clear
        facts, _ = read(made.flights, keys)
        assert [(a.side, alert_name(a.code), a.encrypted) for a in facts.alerts] == [(CLIENT, "unknown_ca", False)]
        assert not facts.complete


def test_no_protocol_in_common() -> None:
    peers = Peers(version="1.2")
    peers.client.set_alpn_protocols(["h2"])
    peers.server.set_alpn_protocols([])
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*certificate("ec"))
    peers.server = server
    made = peers.talk(SCRIPT)
    facts, _ = read(made.flights, made.keys)
    assert (facts.alpn_known, facts.alpn) == (True, None)


def test_other_versions_are_named() -> None:
    facts, _ = read(Peers(version="1.2").talk(SCRIPT).flights, b"")
    assert facts.version == 0x0303
    assert facts.cipher is not None
    assert facts.complete  # inferred from the records after ChangeCipherSpec
