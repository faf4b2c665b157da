"""Every module can be imported, on each Python that `scripts/test` uses."""

import importlib
import pkgutil

import pytest


@pytest.mark.parametrize("package", ["yellowdog_ray", "yellowdog_local", "raydog_cli"])
def test_every_module_of_a_package_can_be_imported(package):
    root = importlib.import_module(package)

    names = [module.name for module in pkgutil.walk_packages(root.__path__, f"{package}.", onerror=pytest.fail)]

    assert names
    for name in names:
        assert importlib.import_module(name)
