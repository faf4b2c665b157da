"""Texts of others in messages and logs."""

import pytest

from yellowdog_ray.errors import ConfigError
from yellowdog_ray.printable import lines, one_line


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain é", "plain é"),
        ("a\nb\r\x1b[31m", r"a\nb\r\x1b[31m"),
        ("\u2028\x85\ud83d", r"\u2028\x85\ud83d"),
    ],
)
def test_text_becomes_one_printable_line(text, escaped):
    assert one_line(text) == escaped


def test_line_breaks_of_a_text_stay():
    assert lines("a\x07\nb\rc") == "a\\x07\nb\\rc"


def test_error_about_a_yaml_has_no_control_characters():
    assert str(ConfigError("cluster.yaml: a\x1b[31m\ncluster.yaml: b")) == "cluster.yaml: a\\x1b[31m\ncluster.yaml: b"
