"""TLS 1.2 and 1.3 (RFC 5246, RFC 8446) as an onlooker sees it: records, handshakes, key logs, decryption.

Nothing here needs the `cryptography` package before a key fits a connection.
"""
