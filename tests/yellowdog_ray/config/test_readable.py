"""Values of a YAML that neither Python nor JSON can hold."""

from datetime import date

import pytest
import yaml

from yellowdog_ray.config.mistakes import Mistake
from yellowdog_ray.config.readable import is_endless, unreadable_scalar, values_that_are_no_json


def test_value_that_contains_itself_is_endless():
    endless: list[object] = []
    endless.append(endless)

    assert is_endless(endless)


def test_value_that_occurs_twice_is_not_endless():
    shared = {"a": 1}

    assert not is_endless([shared, shared, date(2026, 1, 1), {(1, 2): "key of a kind that JSON lacks"}])


def test_first_scalar_that_does_not_fit_its_tag_is_found():
    found = unreadable_scalar(yaml.compose("a: [1, !!bool x]\nb: !!int y\n"))

    assert found is not None
    assert found.value == "x"


@pytest.mark.parametrize("text", ["a: 1", "a: &x {b: *x}"])
def test_readable_yaml_has_no_such_scalar(text):
    assert unreadable_scalar(yaml.compose(text)) is None


def test_values_that_are_no_json_are_found_at_their_places():
    value = {"a": [1, None, date(2026, 1, 1)], 2: {"b": b"x"}, "c": "text"}

    assert [(mistake.place, type(mistake)) for mistake in values_that_are_no_json(value)] == [
        (("a", 2), Mistake),
        (("2", "b"), Mistake),
    ]
