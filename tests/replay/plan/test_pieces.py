"""Message counting and the store of payloads."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wirecase.replay.plan import MessageCount, Store


@given(st.lists(st.binary(max_size=40), max_size=8), st.binary(max_size=4), st.data())
def test_messages_are_counted_however_they_are_cut(messages: list[bytes], rest: bytes, draw: st.DataObject) -> None:
    body = b"".join(b"\0" + len(one).to_bytes(4, "big") + one for one in messages) + rest
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    whole, pieces, single = MessageCount(), MessageCount(), MessageCount()
    whole.feed(body)
    for begin, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
        pieces.feed(body[begin:end])
    for byte in body:
        single.feed(bytes((byte,)))
    assert whole.whole == pieces.whole == single.whole == len(messages)


@given(st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=3000)), max_size=30))
def test_payloads_come_back_from_memory_and_file(parts: list[tuple[int, bytes]]) -> None:
    store = Store()
    blobs = [store.put(b"") for _ in range(4)]
    wanted = [b""] * 4
    for number, part in parts:
        store.add(blobs[number], part)
        wanted[number] += part
    assert [blob.read() for blob in blobs] == wanted
    assert [blob.size for blob in blobs] == [len(one) for one in wanted]
    store.close()
