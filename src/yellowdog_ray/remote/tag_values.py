"""Checks what the tag store holds: any process on the head can write there. No I/O, no state."""

from __future__ import annotations

import json

from ray.autoscaler.tags import TAG_RAY_FILE_MOUNTS_CONTENTS, TAG_RAY_NODE_STATUS, TAG_RAY_RUNTIME_CONFIG

from yellowdog_ray.names import is_valid_name

Tags = dict[str, str]

MUTABLE = frozenset({TAG_RAY_NODE_STATUS, TAG_RAY_RUNTIME_CONFIG, TAG_RAY_FILE_MOUNTS_CONTENTS})
"""The tags that Ray changes (`NodeUpdater` in autoscaler/_private/updater.py of Ray 2.60). All others identify a node,
and are read from the platform alone."""

MAX_LENGTH = 200
"""Characters of a tag's value: a status, or a hash of 40 digits."""

MAX_BYTES = 4_096
"""Bytes of one node's tags in the store; three tags take 200."""


class ForeignValue(ValueError):
    """A field of the tag store that RayDog has not written. The text says what is wrong with it."""


def encode(tags: Tags) -> str:
    """A node's tags as the store holds them."""
    return json.dumps(tags)


def decode(field: bytes, value: bytes) -> tuple[str, Tags]:
    """A node's id and its mutable tags; other tags are dropped.

    Raises:
        ForeignValue: the field is not a node's, or its value is not one of RayDog's.
    """
    try:
        node_id = field.decode("ascii")
    except UnicodeDecodeError as error:
        raise ForeignValue("its name is not a node id") from error
    if not is_valid_name(node_id):
        raise ForeignValue("its name is not a node id")
    if len(value) > MAX_BYTES:
        raise ForeignValue(f"it has {len(value)} bytes")
    try:
        tags = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise ForeignValue("it is not JSON") from error
    if not isinstance(tags, dict):
        raise ForeignValue("it is not an object")
    known = {key: tag for key, tag in tags.items() if key in MUTABLE}
    if not all(isinstance(tag, str) and len(tag) <= MAX_LENGTH for tag in known.values()):
        raise ForeignValue(f"a tag is not a text of at most {MAX_LENGTH} characters")
    return node_id, known
