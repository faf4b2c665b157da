"""What the tag store holds: any process on the head can write there."""

import json

import pytest

from yellowdog_ray.remote.tag_values import MAX_BYTES, MAX_LENGTH, ForeignValue, decode, encode

TAGS = {"ray-node-status": "up-to-date", "ray-runtime-config": "x" * MAX_LENGTH}


def test_tags_are_read_as_they_were_written():
    assert decode(b"cpu-1", encode(TAGS).encode()) == ("cpu-1", TAGS)


def test_tags_that_identify_a_node_are_dropped():
    assert decode(b"cpu-1", json.dumps({**TAGS, "ray-node-type": "head", "x": 5}).encode()) == ("cpu-1", TAGS)


@pytest.mark.parametrize("field", [b"\xff", b"", b"A b"])
def test_field_that_is_no_node_id_is_refused(field):
    with pytest.raises(ForeignValue, match="its name is not a node id"):
        decode(field, b"{}")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b" " * (MAX_BYTES + 1), f"it has {MAX_BYTES + 1} bytes"),
        (b"[" * MAX_BYTES, "not JSON"),
        (b"\xff", "not JSON"),
        (b"[]", "not an object"),
        (encode({"ray-node-status": "x" * (MAX_LENGTH + 1)}).encode(), "a tag is not a text"),
        (b'{"ray-node-status": 5}', "a tag is not a text"),
    ],
)
def test_foreign_value_is_refused(value, text):
    with pytest.raises(ForeignValue, match=text):
        decode(b"cpu-1", value)
