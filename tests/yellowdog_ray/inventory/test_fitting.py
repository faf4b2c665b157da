"""Which node types can hold a request: resources, and selectors of labels."""

import pytest

from yellowdog_ray.cluster.published import NodeTypeState, Shape
from yellowdog_ray.inventory.fitting import fits, has_labels

KIND = NodeTypeState(resources={"CPU": 4.0}, labels={"ray.io/market-type": "spot"})


@pytest.mark.parametrize(
    ("resources", "is_held"),
    [
        ({"CPU": 4.0}, True),
        ({"CPU": 4.1}, False),
        ({"GPU": 0.5}, False),
        ({"CPU": 1.0, "memory": 1e12}, True),
        ({}, True),
    ],
)
def test_request_fits_if_each_resource_does(resources, is_held):
    assert fits(Shape(resources=resources, count=3), KIND) == is_held


@pytest.mark.parametrize(
    ("key", "selector", "is_satisfied"),
    [
        ("ray.io/market-type", "spot", True),
        ("ray.io/market-type", "on-demand", False),
        ("ray.io/market-type", "!spot", False),
        ("ray.io/market-type", "!on-demand", True),
        ("ray.io/market-type", "in(on-demand,spot)", True),
        ("ray.io/market-type", "!in(on-demand,spot)", False),
        ("zone", "a", False),
        ("zone", "!a", True),
        ("ray.io/node-id", "abc", True),
    ],
)
def test_selector_is_judged_with_its_operator(key, selector, is_satisfied):
    shape = Shape(resources={"CPU": 1.0}, labels={key: selector})

    assert has_labels(shape, KIND) == is_satisfied
    assert has_labels(shape, KIND.model_copy(update={"labels": None}))
