"""The place of a message in a YAML file."""

import pytest
import yaml

from yellowdog_ray.config.placing import begins_with, placed

TEXT = """\
provider: {type: external}
available_node_types:
  "a.b": {min_workers: x}
  "a": &a
    min_workers: y
  c: {<<: *a, min_workers: 1}
  "d\\ne": 1
setup_commands:
  - [1]
max_workers: 1
max_workers: 2
"""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("provider.type is wrong", 1),
        ("provider.typo is wrong", 1),
        ("available_node_types.a.b.min_workers is x", 3),
        ("available_node_types.a.min_workers is y", 5),
        ("available_node_types.c.min_workers is 1", 6),
        (r"available_node_types.d\ne is 1", 7),
        ("setup_commands.0 is [1]: give text", 9),
        ("max_workers: too few", 11),
        ("max_workers_of_all is unknown", 1),
        ("nothing of it", 1),
    ],
)
def test_message_is_placed_at_its_key_or_the_nearest_around_it(text, line):
    root = yaml.compose(TEXT)
    yaml.SafeLoader("").construct_document(root)  # puts merged keys before a mapping's own

    found = placed(root, text)

    assert (found.line, found.text) == (line, text)


@pytest.mark.parametrize(
    ("text", "begins"), [("a.b is 1", True), ("a.b.c: x", True), ("a.bc is 1", False), ("a.b", True), ("a", False)]
)
def test_message_begins_with_a_place_or_one_below_it(text, begins):
    assert begins_with(text, "a.b") is begins
