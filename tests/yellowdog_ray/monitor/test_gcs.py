"""What is read from Ray's control store, with a real one."""

import time
from collections.abc import Callable, Iterator

import pytest
import ray
from ray.cluster_utils import Cluster
from ray.util.placement_group import placement_group, remove_placement_group

from yellowdog_ray.monitor.gcs import RayNodes

RAYS_NEWS_SECONDS = 1.0
"""How old Ray lets its news of placement groups become (`GcsPlacementGroupManager::Tick` of Ray 2.60)."""

ROUNDS = 5
"""Ray may tell the news anew in the very moment between a placing and the question after it."""


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Ray with a head without CPUs."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    ray.init(cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.mark.timeout(120)
def test_a_placed_group_that_still_counts_as_waiting_is_noticed(cluster: Cluster) -> None:
    nodes = RayNodes(cluster.address)

    def noticed_on_placing() -> bool:
        group = placement_group([{"CPU": 1}])
        assert not became(nodes.counts_placed_groups, within=2 * RAYS_NEWS_SECONDS)
        worker = cluster.add_node(num_cpus=1)
        noticed = became(nodes.counts_placed_groups, within=2 * RAYS_NEWS_SECONDS)
        assert group.wait(10)
        assert became(lambda: not nodes.counts_placed_groups(), within=10)
        remove_placement_group(group)
        cluster.remove_node(worker)
        return noticed

    assert any(noticed_on_placing() for _ in range(ROUNDS))


def became(true: Callable[[], bool], within: float) -> bool:
    until = time.monotonic() + within
    while time.monotonic() < until:
        if true():
            return True
        time.sleep(0.005)
    return False
