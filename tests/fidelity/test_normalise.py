"""What the normalisation replaces, and above all what it must leave."""

from __future__ import annotations

import pytest
from livebench.normalise import words

SAME = [
    (
        "Deadline exceeded after 1.502s,name resolution: 0.001s,LB pick: 0.002s,remote_addr=127.0.0.1:40123",
        "Deadline exceeded after 1.498s,metadata filters: 0.003s,remote_addr=127.0.0.1:33001",
    ),
    (
        "deadline exceeded after 1.499998125s. Name resolution delay 0.010250917 seconds. [closed=[], open=[[]]]",
        "deadline exceeded after 1.499871s. Name resolution delay 0.009000001 seconds. [closed=[], open=[[]]]",
    ),
    (
        "open=[[buffered_nanos=93414583, remote_addr=localhost/127.0.0.1:40123]]",
        "open=[[buffered_nanos=81000000, remote_addr=localhost/127.0.0.1:40999]]",
    ),
    (
        "last error: UNAVAILABLE: ipv4:127.0.0.1:40123: Socket closed",
        "last error: UNAVAILABLE: ipv4:127.0.0.1:1: Socket closed",
    ),
    ("dial tcp [::1]:40123: refused", "dial tcp [::1]:8080: refused"),
    ("Protocol error (2026-11-23T10:12:01.123Z)", "Protocol error (2026-11-23T11:00:00.000Z)"),
    (
        "Buf(ridx: 3, widx: 10, cap: 10/10, unwrapped: PooledUnsafeDirectByteBuf(ridx: 45, widx: 45, cap: 2048))",
        "Buf(ridx: 3, widx: 10, cap: 10/10, unwrapped: PooledUnsafeDirectByteBuf(ridx: 19, widx: 19, cap: 2048))",
    ),
    ("channel [id: 0x3f2a11bc]", "channel [id: 0xffffffff]"),
    (
        "read tcp 127.0.0.1:51234->127.0.0.1:40123: connection reset",
        "read tcp 127.0.0.1:5->127.0.0.1:6: connection reset",
    ),
]
DIFFERENT = [
    ("invalid compression flag: 67", "invalid compression flag: 101"),
    ("Received RST_STREAM with error code 2", "Received RST_STREAM with error code 8"),
    ("larger than max (1869508197 vs. 4194304)", "larger than max (1752460652 vs. 4194304)"),
    ("status: 502 Bad Gateway", "status: 503 Service Unavailable"),
    ("unexpected HTTP status 502 server", "unexpected HTTP status 504 server"),
    ("stream 1 closed", "stream 3 closed"),
    ("recvmsg:Connection reset by peer (104)", "Socket closed"),
    ("unknown error code 0x63", "unknown error code 0x64"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_differs_from_run_to_run_is_replaced(one: str, other: str) -> None:
    assert words(one) == words(other)
    assert words(words(one)) == words(one)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_a_client_means_is_left(one: str, other: str) -> None:
    assert words(one) == one
    assert words(other) == other
