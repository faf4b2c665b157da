"""Declared resources compared with a machine's size."""

import pytest

from yellowdog_ray.cluster.resources import GIB, excess
from yellowdog_ray.platform.types import MachineSize


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ({"CPU": 4, "memory": 8 * GIB, "GPU": 5, "own": 9}, []),
        ({"CPU": 5}, ["CPU: 5, but its machine has 4"]),
        ({"memory": 9 * GIB}, [f"memory: {9 * GIB:g}, but its machine has {8 * GIB:g}"]),
    ],
)
def test_excess_names_only_measured_resources_above_the_size(declared, expected):
    assert excess(declared, MachineSize(4, 8)) == expected
