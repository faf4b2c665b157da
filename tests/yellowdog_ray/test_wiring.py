"""The one decision between the user's machine and the head."""

import pytest

from yellowdog_ray.commands.laptop_side import LaptopSide
from yellowdog_ray.monitor.head_side import HeadSide
from yellowdog_ray.wiring import make_side

CONFIG = {"cluster_namespace": "demo"}


@pytest.mark.parametrize("value", [None, "", "0"])
def test_side_is_laptop_when_environment_names_no_head(monkeypatch, value):
    if value is None:
        monkeypatch.delenv("RAYDOG_ON_HEAD", raising=False)
    else:
        monkeypatch.setenv("RAYDOG_ON_HEAD", value)

    assert isinstance(make_side(CONFIG, "demo"), LaptopSide)


def test_side_is_head_when_environment_names_one(monkeypatch):
    monkeypatch.setenv("RAYDOG_ON_HEAD", "1")

    assert isinstance(make_side(CONFIG, "demo"), HeadSide)


@pytest.mark.parametrize(("value", "checks"), [("1", False), ("0", True), (None, True)])
def test_head_checks_placement_groups_only_under_autoscaler_v1(monkeypatch, value, checks):
    monkeypatch.setenv("RAYDOG_ON_HEAD", "1")
    monkeypatch.delenv("RAY_enable_autoscaler_v2", raising=False)
    if value is not None:
        monkeypatch.setenv("RAY_enable_autoscaler_v2", value)
    side = make_side(CONFIG, "demo")
    monkeypatch.setattr(side.ray_nodes, "counts_placed_groups", lambda: True)

    assert side.safe_to_scale() is not checks
