"""A cluster of three node types, each selected by its labels; a fourth is added while it runs; then `ray down`."""

from pathlib import Path

import pytest

from tests.e2e.conftest import Box
from tests.e2e.ray_cli import PlatformView, Ray, wait_until

JOB = Path(__file__).parent / "mixed_job.py"
LATER = "# LATER "


@pytest.mark.timeout(560)
@pytest.mark.parametrize("version", ["mixed"])
def test_node_types_scale_by_demand_and_ray_up_adds_another(life: Ray, box: Box) -> None:
    ray, platform = life, box.view()
    ray("up", "-y")
    (head,) = platform.live_nodes("head")

    with ray.running("submit", str(JOB)) as log:
        wait_until(lambda: "met on: cpu gpu spot" in log.read_text(), "each bundle has its node", 120)
        wait_until(
            lambda: "waiting for a large node" in log.read_text(), "the job requests a node that no type offers", 20
        )
        assert types(platform) == ["cpu", "gpu", "spot"]

        ray.yaml.write_text(ray.yaml.read_text().replace(LATER, ""))
        ray("up", "-y")
        wait_until(lambda: "ran on: large" in log.read_text(), "the new type serves the job", 120)
        wait_until(lambda: "nothing was lost: True" in log.read_text(), "the actor has lived through it", 20)
    assert [task.id for task in platform.live_nodes("head")] == [head.id]

    wait_until(lambda: types(platform) == [], "all workers are given back", 90)
    assert "nothing is left of cluster" in ray("down", "-y")
    assert (platform.live_instances(), platform.live_pools(), platform.unfinished_work()) == (0, [], [])


def types(platform: PlatformView) -> list[str]:
    """The node types of the workers that live."""
    return sorted(str(task.name).rsplit("-", 1)[0] for task in platform.live_nodes("worker"))
