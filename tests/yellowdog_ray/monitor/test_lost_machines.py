"""The search for lost platform nodes: when it takes place, and which instances it terminates."""

from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace

import pytest

from yellowdog_ray.cluster.snapshot import ClusterNode, Phase, Snapshot
from yellowdog_ray.errors import Unavailable
from yellowdog_ray.monitor.lost_machines import AGAIN_SECONDS, POOLS_PER_TICK, SOON_SECONDS, WATCH_SECONDS, LostMachines
from yellowdog_ray.names import HEAD_GROUP
from yellowdog_ray.platform.types import Placement, PlatformNodeView, PoolView, TaskGroupView

GROUP = TaskGroupView("g", "cpu", "ray-cpu", None, None, Placement(("ray-cpu",), ()))
HEAD = replace(GROUP, id="h", name=HEAD_GROUP)
LOST = PlatformNodeView("n1", "p", "i-1", None, None, alive=False)


def listing(*node_ids):
    return Snapshot({node_id: ClusterNode(node_id, node_id, "g", Phase.RUNNING) for node_id in node_ids})


class ScriptedPlatform:
    """One pool, and lost platform nodes; all instances are alive."""

    def __init__(self):
        self.lost = []
        self.searches = 0
        self.terminated = []
        self.error = None

    def find_pool(self, name):
        return PoolView("p", name, "RUNNING", False, "c")

    def lost_nodes(self, pool_id):
        assert pool_id == "p"
        self.searches += 1
        if self.error is not None:
            raise self.error
        return self.lost

    def terminate_instances(self, requirement_id, instance_ids):
        assert requirement_id == "c"
        self.terminated += sorted(instance_ids)
        return sorted(instance_ids)


class Scene:
    """The duty with its platform, its cluster and its clock."""

    def __init__(self):
        self.now = 1000.0
        self.platform = ScriptedPlatform()
        self.cluster = SimpleNamespace(groups=[HEAD, GROUP])
        self.cluster.group = lambda id_: next((group for group in self.cluster.groups if group.id == id_), None)
        self.duty = LostMachines(self.platform, self.cluster, lambda: self.now)

    def tick(self, *node_ids, seconds=5.0):
        self.now += seconds
        self.duty.tick(listing(*node_ids))

    def settle(self, *node_ids):
        """Until no group is watched any more."""
        self.tick(*node_ids)
        self.tick(*node_ids, seconds=WATCH_SECONDS)
        self.platform.searches = 0


@pytest.fixture
def scene():
    return Scene()


def test_first_ticks_search_every_group_of_workers(scene):
    scene.tick("a")
    scene.tick("a")

    assert scene.platform.searches == 1


def test_search_follows_one_tick_after_the_departure(scene):
    scene.settle("a", "b")

    scene.tick("a")
    assert scene.platform.searches == 0

    scene.tick("a")
    assert scene.platform.searches == 1


def test_tick_searches_few_pools_in_a_cluster_of_many_node_types(scene):
    types = [replace(GROUP, id=f"g{number}", name=f"type-{number}") for number in range(10)]
    scene.cluster.groups = [HEAD, *types]

    scene.tick("a")
    for number in range(1, 6):
        scene.tick("a", seconds=1)
        assert scene.platform.searches == number * POOLS_PER_TICK


def test_stable_cluster_is_not_searched(scene):
    scene.settle("a", "b")

    for _ in range(100):
        scene.tick("a", "b")

    assert scene.platform.searches == 0


def test_departure_is_followed_by_searches_for_a_while(scene):
    scene.settle("a", "b")

    for _ in range(200):
        scene.tick("a")

    assert scene.platform.searches == pytest.approx(1 + WATCH_SECONDS / AGAIN_SECONDS, abs=1)


def test_continuous_departures_are_searched_at_a_bounded_rate(scene):
    nodes = [f"node-{number}" for number in range(100)]
    scene.settle(*nodes)

    for number in range(100):
        scene.tick(*nodes[number:], seconds=1.0)

    assert scene.platform.searches <= 100 / SOON_SECONDS + 1


def test_instance_is_terminated_once(scene, caplog):
    scene.platform.lost = [LOST]

    scene.tick("a")
    for _ in range(3):
        scene.tick(seconds=AGAIN_SECONDS)

    assert scene.platform.searches == 3
    assert scene.platform.terminated == ["i-1"]
    assert caplog.text.count("instance i-1 is terminated: its platform node was lost") == 1


def test_failed_search_is_repeated_at_the_next_tick(scene):
    scene.platform.lost = [LOST]
    scene.platform.error = Unavailable("no answer")
    scene.tick("a")
    with pytest.raises(Unavailable):
        scene.tick("a")

    scene.platform.error = None
    scene.tick("a")

    assert scene.platform.terminated == ["i-1"]


def test_pool_that_cannot_be_searched_delays_no_other(scene):
    names = ("ray-bad", "ray-good")
    scene.cluster.groups = [
        replace(GROUP, id=name, worker_tag=name, placement=Placement((name,), ())) for name in names
    ]
    scene.platform.find_pool = lambda name: PoolView(name, name, "RUNNING", False, "c")
    searched = []

    def lost_nodes(pool_id):
        searched.append(pool_id)
        if pool_id == "ray-bad":
            raise Unavailable("no answer")
        return []

    scene.platform.lost_nodes = lost_nodes
    scene.tick()
    began = scene.now
    while scene.now - began < WATCH_SECONDS:
        with suppress(Unavailable):
            scene.tick()

    assert searched[:3] == ["ray-bad", "ray-good", "ray-bad"]
    assert searched.count("ray-good") == WATCH_SECONDS // AGAIN_SECONDS


def test_machines_of_a_configured_pool_are_left_alone(scene):
    scene.cluster.groups = [HEAD, replace(GROUP, placement=Placement(("theirs",), ()))]
    scene.platform.lost = [LOST]

    scene.tick("a")
    for _ in range(2):
        scene.tick(seconds=60)

    assert (scene.platform.searches, scene.platform.terminated) == (0, [])


def test_unchanged_listing_is_not_walked(scene):
    """A quiet tick must not cost more with more nodes."""

    class Counting(dict):
        walks = 0

        def keys(self):
            Counting.walks += 1
            return super().keys()

        def values(self):
            Counting.walks += 1
            return super().values()

    same = Snapshot(Counting(listing("w1", "w2").nodes))
    scene.duty.tick(same)
    before = Counting.walks

    for _ in range(10):
        scene.duty.tick(same)

    assert Counting.walks == before
