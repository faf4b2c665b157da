"""Platform nodes are read when a task is given to them, by few calls, and forgotten with their last task."""

from datetime import datetime, timedelta, timezone

import pytest

from yellowdog_ray.cluster import platform_nodes
from yellowdog_ray.cluster.platform_nodes import REGISTERED_BEFORE, PlatformNodes
from yellowdog_ray.errors import NotFound, Unavailable
from yellowdog_ray.platform.types import (
    Counts,
    Placement,
    PlatformNodeView,
    PoolView,
    TaskGroupView,
    TaskPhase,
    TaskView,
)

CHANGED = datetime(2025, 1, 1, tzinfo=timezone.utc)


class ScriptedPlatform:
    """Answers from what a test has put in, and records the calls."""

    def __init__(self) -> None:
        self.nodes: dict[str, PlatformNodeView] = {}
        self.pools = {"tag-g": PoolView("pool-g", "tag-g", "RUNNING", False, None)}
        self.calls: list[tuple[object, ...]] = []
        self.late: set[str] = set()
        self.error: Exception | None = None

    def add(self, *node_ids: str, pool_id: str = "pool-g") -> None:
        for node_id in node_ids:
            self.nodes[node_id] = PlatformNodeView(node_id, pool_id, f"i-{node_id}", f"10.0.0.{len(self.nodes)}", None)

    def find_pool(self, name: str) -> PoolView | None:
        self.calls.append(("find_pool", name))
        return self.pools.get(name)

    def platform_nodes(self, pool_id: str, since: datetime | None = None) -> list[PlatformNodeView]:
        self.calls.append(("platform_nodes", pool_id, since))
        if self.error is not None:
            raise self.error
        return [
            node for node in self.nodes.values() if node.pool_id == pool_id and not (since and node.id in self.late)
        ]

    def platform_node(self, node_id: str) -> PlatformNodeView:
        self.calls.append(("platform_node", node_id))
        if node_id not in self.nodes:
            raise NotFound(node_id)
        return self.nodes[node_id]


@pytest.fixture
def platform() -> ScriptedPlatform:
    return ScriptedPlatform()


@pytest.fixture
def nodes(platform) -> PlatformNodes:
    return PlatformNodes(platform, lambda: 0.0)


def group(group_id: str = "g", *, configured: bool = False, changed: datetime | None = CHANGED) -> TaskGroupView:
    tag = f"tag-{group_id}"
    counts = Counts({TaskPhase.EXECUTING: 1}, changed)
    return TaskGroupView(group_id, group_id, tag, None, counts, Placement(() if configured else (tag,), ()))


def task(name: str, platform_node_id: str | None, group_id: str = "g") -> TaskView:
    return TaskView(f"ydid:{name}", name, group_id, True, False, "EXECUTING", False, platform_node_id, {})


class TestUpdate:
    def test_update_reads_nothing_when_no_task_has_a_platform_node(self, platform, nodes):
        nodes.update([task("a", None)], [group()])

        assert (dict(nodes.known), platform.calls) == ({}, [])

    def test_update_reads_pool_once_for_all_unknown_nodes(self, platform, nodes):
        platform.add("n1", "n2", "n3")

        nodes.update([task("a", "n1"), task("b", "n2")], [group()])

        assert set(nodes.known) == {"n1", "n2"}
        assert platform.calls == [("find_pool", "tag-g"), ("platform_nodes", "pool-g", None)]

    def test_update_reads_no_known_node_again(self, platform, nodes):
        platform.add("n1")
        nodes.update([task("a", "n1")], [group()])
        platform.calls.clear()

        nodes.update([task("a", "n1")], [group()])

        assert (set(nodes.known), platform.calls) == ({"n1"}, [])

    def test_update_reads_only_recent_nodes_of_known_pool(self, platform, nodes):
        platform.add("n1")
        nodes.update([task("a", "n1")], [group()])
        platform.add("n2")
        platform.calls.clear()

        nodes.update([task("a", "n1"), task("b", "n2")], [group(changed=CHANGED + timedelta(hours=1))])

        assert set(nodes.known) == {"n1", "n2"}
        assert platform.calls == [("platform_nodes", "pool-g", CHANGED - REGISTERED_BEFORE)]

    def test_update_reads_whole_pool_when_recent_nodes_lack_one(self, platform, nodes):
        platform.add("n1")
        nodes.update([task("a", "n1")], [group()])
        platform.add("n2")
        platform.late.add("n2")

        nodes.update([task("a", "n1"), task("b", "n2")], [group()])

        assert set(nodes.known) == {"n1", "n2"}
        assert platform.calls[-1] == ("platform_nodes", "pool-g", None)

    def test_update_reads_single_nodes_by_id_in_large_group(self, platform, nodes, monkeypatch):
        monkeypatch.setattr(platform_nodes, "PAGE_SIZE", 2)
        platform.add("n0", "n1")
        others = [task(f"waiting-{number}", None) for number in range(3)]

        nodes.update([task("a", "n0"), *others], [group()])

        assert (set(nodes.known), platform.calls) == ({"n0"}, [("platform_node", "n0")])

    def test_update_forgets_nodes_without_task(self, platform, nodes):
        platform.add("n1", "n2")
        nodes.update([task("a", "n1"), task("b", "n2")], [group()])

        nodes.update([task("b", "n2")], [group()])

        assert set(nodes.known) == {"n2"}

    def test_update_keeps_known_nodes_when_reading_fails(self, platform, nodes):
        platform.add("n1", "n2")
        nodes.update([task("a", "n1")], [group()])
        platform.error = Unavailable("no answer")

        with pytest.raises(Unavailable):
            nodes.update([task("b", "n2")], [group()])

        assert set(nodes.known) == {"n1"}

    @pytest.mark.parametrize("configured", [False, True])
    def test_update_retries_node_that_platform_does_not_show_yet(self, platform, nodes, configured):
        nodes.update([task("a", "n1")], [group(configured=configured)])
        assert dict(nodes.known) == {}
        platform.add("n1")

        nodes.update([task("a", "n1")], [group(configured=configured)])

        assert set(nodes.known) == {"n1"}


class TestConfiguredPool:
    def test_update_finds_configured_pool_by_one_of_its_nodes(self, platform, nodes):
        platform.add("n1", "n2", pool_id="theirs")

        nodes.update([task("a", "n1"), task("b", "n2")], [group(configured=True)])

        assert set(nodes.known) == {"n1", "n2"}
        assert platform.calls == [("platform_node", "n1"), ("platform_nodes", "theirs", None)]

    def test_clear_makes_update_find_pool_again(self, platform, nodes):
        platform.add("n1")
        nodes.update([task("a", "n1")], [group()])
        platform.add("n2")
        platform.calls.clear()

        nodes.clear()
        nodes.update([task("b", "n2")], [group()])

        assert platform.calls[0] == ("find_pool", "tag-g")
