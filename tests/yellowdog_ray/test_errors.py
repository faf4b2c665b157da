"""The tree of errors."""

import inspect

import pytest

from yellowdog_ray import errors
from yellowdog_ray.errors import LaunchBackedOff, RayDogError

TREE = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, RayDogError)]

MAX_CATEGORY_LENGTH = 20
"""Ray's limit for the category of a launch failure (`ray.autoscaler.node_launch_exception`)."""


@pytest.mark.parametrize("error", TREE, ids=lambda error: error.__name__)
def test_code_fits_rays_category_and_the_docstring_has_the_class(error):
    assert 0 < len(error.code) < MAX_CATEGORY_LENGTH
    assert f" {error.__name__}" in (errors.__doc__ or "")


def test_codes_differ():
    codes = [error.code for error in TREE if error is not LaunchBackedOff]  # its code is that of its reason

    assert len(codes) == len(set(codes))
