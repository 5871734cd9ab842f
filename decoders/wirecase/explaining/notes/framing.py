"""Notes on HTTP/2 frames, HPACK and floods."""

from __future__ import annotations

from wirecase.explaining.notes.note import Note
from wirecase.rules import knobs

_FLOOD = "Count the frames per second, and from which address they come."

NOTES = {
    "h2-frame-size": Note(
        "A frame longer than SETTINGS_MAX_FRAME_SIZE, or of a length that its type does not allow.",
        ("server", "client", "proxy"),
        "Read the nine bytes of the frame's header: text there means that the peer does not speak HTTP/2.",
        "Mend the side that sends it; if the length is text, see the peer's protocol.",
    ),
    "h2-continuation-violation": Note(
        "CONTINUATION without a header block before it, or another frame inside a header block.",
        ("server", "client"),
        "See the frames around it.",
        "Upgrade the sender.",
    ),
    "h2-stream-state-violation": Note(
        "A frame on an idle or closed stream, an even or regressing stream id.",
        ("server", "client"),
        "Allow for frames that were under way when the stream was reset.",
        "Upgrade the sender.",
    ),
    "h2-first-frame-not-settings": Note(
        "The first frame of a side is not SETTINGS.",
        ("server", "client"),
        "Read its first bytes: is it HTTP/2 at all?",
        "Send SETTINGS first.",
    ),
    "h2-settings-not-acked": Note(
        "SETTINGS without an ACK while the peer goes on sending.",
        ("server", "client"),
        "Is the capture complete in that direction?",
        "Upgrade the side that does not acknowledge.",
    ),
    "h2-padded-data": Note(
        "DATA or HEADERS with the PADDED flag: legal, and some clients fail on it.",
        ("server", "proxy"),
        "Which hop pads?",
        "Turn padding off where a client cannot take it.",
    ),
    "h2-malformed-headers": Note(
        "Uppercase names, connection-specific fields, misplaced pseudo-headers or control characters in a header "
        "block.",
        ("server", "client", "proxy"),
        "Read the field that the finding names; which hop adds it?",
        "Remove or mend that field where it is added.",
    ),
    "h2-hpack-decode-error": Note(
        "A header block that no decoder takes: a bad index, integer or Huffman code.",
        ("server", "client", "proxy"),
        "Only certain from the connection's start: capture from there.",
        "Upgrade the encoder; look for a hop that mixes connections.",
    ),
    "h2-hpack-size-ignored": Note(
        "No table size update after SETTINGS lowered the header table.",
        ("server", "client"),
        "Look at the first header block after the SETTINGS.",
        "Upgrade the encoder, or leave the table at 4096.",
    ),
    "h2-header-list-too-large": Note(
        "A header list over the receiver's SETTINGS_MAX_HEADER_LIST_SIZE (often 8 or 16 KiB).",
        ("server", "client"),
        "Which field is large: a token, grpc-status-details-bin, an error text in grpc-message?",
        f"Make the metadata smaller, or raise the limit: {knobs.METADATA}.",
    ),
    "h2-content-length-mismatch": Note(
        "The DATA of a message is not as long as its content-length.",
        ("server", "proxy"),
        "Which hop sets content-length, which changes the body?",
        "Send no content-length on streams, or the right one.",
    ),
    "h2-flood": Note("PING, SETTINGS, ACK, PRIORITY or empty DATA in masses.", ("client", "server"), _FLOOD,
                     "Limit the sender; upgrade the receiver (CVE-2019-9512 and its kin)."),
    "h2-rapid-reset": Note("Streams are opened and reset at once, in masses.", ("client",), _FLOOD,
                           "Upgrade the server (CVE-2023-44487), limit resets per connection."),
    "h2-continuation-flood": Note("A header block over very many CONTINUATION frames.", ("client", "server"), _FLOOD,
                                  "Upgrade the receiver (CVE-2024-27316)."),
    "hpack-bomb": Note("A small header block that decodes to a very large list.", ("client", "server"), _FLOOD,
                       "Limit the header list's size at the receiver (CVE-2016-6581)."),
}  # fmt: skip
