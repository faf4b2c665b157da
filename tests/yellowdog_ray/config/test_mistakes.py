"""Mistakes in a YAML: one line each, with their place and without a private key."""

import math
from datetime import date

import pytest

from yellowdog_ray.config.mistakes import Mistake, dotted, refuse, shown
from yellowdog_ray.errors import ConfigError

BODY = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW"


KEY = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{BODY}\n-----END OPENSSH PRIVATE KEY-----\n"


def test_private_key_is_not_shown_in_messages():
    assert shown({"key": KEY}) == "the text of a private key"


def test_shown_value_has_at_most_60_characters():
    assert shown("x" * 58) == repr("x" * 58)
    assert len(shown("x" * 59)) == 60


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "empty"),
        (True, "true"),
        ("5", "'5'"),
        (-math.inf, "-.inf"),
        (math.nan, ".nan"),
        (date(2024, 1, 31), "2024-01-31"),
        ([False, {"a": [None, 1.5]}], "[false, {'a': [null, 1.5]}]"),
    ],
)
def test_shown_value_has_the_form_of_yaml(value, text):
    assert shown(value) == text


def test_shown_value_may_contain_itself():
    value: list[object] = []
    value.append(value)

    assert shown(value) == "[[[[[...]]]]]"


def test_private_key_in_a_place_is_not_shown():
    assert dotted(("auth", KEY, 3)) == "auth.<private key>.3"


def test_mistakes_are_refused_in_one_error_with_a_line_each():
    with pytest.raises(ConfigError) as caught:
        refuse([Mistake(("a", 0), " is 1"), Mistake(("b",), " is 2")], "cluster.yaml")

    assert str(caught.value) == "cluster.yaml: a.0 is 1\ncluster.yaml: b is 2"


def test_no_mistake_is_not_refused():
    refuse([], "cluster.yaml")
