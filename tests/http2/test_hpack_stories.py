"""The stories of http2jp/hpack-test-case: what other projects' encoders wrote.

Two stories of each encoder lie beside this file. The whole set is read from a checkout of
https://github.com/http2jp/hpack-test-case if ``WIRECASE_HPACK_STORIES`` names its folder.
"""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from wirecase.http2.hpack import DecodedInfo, HeaderDecoder
from wirecase.http2.hpack_static import Field

SHIPPED = sorted((Path(__file__).parent / "data" / "hpack-test-case").glob("*.json.gz"))
WHOLE_SET = "WIRECASE_HPACK_STORIES"


def check(story: dict[str, Any]) -> tuple[int, int]:
    """Decode one story and compare; return the number of its blocks and fields."""
    decoder: HeaderDecoder[tuple[tuple[Field, ...], DecodedInfo]] = HeaderDecoder(lambda fields, info: (fields, info))
    count = 0
    for case in story["cases"]:
        if case.get("header_table_size") is not None:
            decoder.set_limit(case["header_table_size"])
        fields, info = decoder.decode(bytes.fromhex(case["wire"]))
        expected = tuple((k.encode(), v.encode()) for field in case["headers"] for k, v in field.items())
        assert fields == expected, case["seqno"]
        assert info.fields == len(expected)
        assert info.list_size == sum(32 + len(name) + len(value) for name, value in expected)
        assert not info.unknown
        assert not info.missed_size_update
        count += len(fields)
    return len(story["cases"]), count


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name.removesuffix(".json.gz"))
def test_a_story_decodes_to_its_headers(path: Path) -> None:
    blocks, fields = check(json.loads(gzip.decompress(path.read_bytes())))
    assert fields >= blocks > 0


def test_every_encoder_is_there() -> None:
    assert len(SHIPPED) == 28
    assert len({path.name.split(".")[0] for path in SHIPPED}) == 14


if WHOLE_SET in os.environ:  # a checkout of hpack-test-case

    def test_the_whole_set() -> None:
        stories = blocks = fields = 0
        for path in sorted(Path(os.environ[WHOLE_SET]).glob("*/story_*.json")):
            if path.parent.name != "raw-data":  # headers only, nothing was encoded
                more_blocks, more_fields = check(json.loads(path.read_bytes()))
                stories, blocks, fields = stories + 1, blocks + more_blocks, fields + more_fields
        print(f"{stories} stories, {blocks} blocks, {fields} fields")
        assert stories >= 400
