"""Addresses of nodes that the listing does not show yet."""

from types import SimpleNamespace
from typing import Any

import pytest

from yellowdog_ray.cluster.snapshot import ClusterNode, Phase, Snapshot
from yellowdog_ray.errors import Unavailable
from yellowdog_ray.monitor.node_addresses import READS_PER_SECOND, NodeAddresses


class TestNodeAddresses:
    """The listing may not show the address of a node yet whose task has just started."""

    @pytest.fixture
    def platform(self) -> SimpleNamespace:
        calls: list[str] = []

        def task(task_id: str) -> SimpleNamespace:
            calls.append(f"task {task_id}")
            return SimpleNamespace(platform_node_id="node-1")

        def platform_node(node_id: str) -> SimpleNamespace:
            calls.append(f"node {node_id}")
            return SimpleNamespace(private_ip="10.0.0.5", public_ip=None)

        return SimpleNamespace(task=task, platform_node=platform_node, calls=calls)

    def addresses(self, platform: Any, node: ClusterNode | None, now: list[float] | None = None) -> NodeAddresses:
        nodes = {node.id: node} if node else {}
        cluster: Any = SimpleNamespace(snapshot=Snapshot(nodes))
        return NodeAddresses(cluster, platform, lambda: (now or [0.0])[0])

    def node(self, **known: Any) -> ClusterNode:
        return ClusterNode("worker-1", "task-1", "group-1", Phase.PENDING, {}, **known)

    def test_listed_addresses_cost_no_call(self, platform):
        addresses = self.addresses(platform, self.node(private_ip="10.0.0.5", public_ip="80.0.0.5"))

        assert addresses.of("worker-1") == {"10.0.0.5", "80.0.0.5"}
        assert platform.calls == []

    def test_unlisted_address_is_read(self, platform):
        assert self.addresses(platform, self.node()).of("worker-1") == {"10.0.0.5"}
        assert platform.calls == ["task task-1", "node node-1"]

    def test_known_platform_node_costs_one_call(self, platform):
        assert self.addresses(platform, self.node(platform_node_id="node-1")).of("worker-1") == {"10.0.0.5"}
        assert platform.calls == ["node node-1"]

    def test_unknown_or_ended_node_costs_no_call(self, platform):
        assert self.addresses(platform, None).of("worker-1") == frozenset()
        assert platform.calls == []

    def test_task_without_a_platform_node_has_no_address(self, platform):
        platform.task = lambda _: SimpleNamespace(platform_node_id=None)

        assert self.addresses(platform, self.node()).of("worker-1") == frozenset()

    def test_failed_reading_gives_no_address(self, platform):
        def fails(_: str) -> None:
            raise Unavailable("no answer")

        platform.task = fails

        assert self.addresses(platform, self.node()).of("worker-1") == frozenset()

    def test_readings_are_limited_for_each_second(self, platform):
        now = [0.0]
        addresses = self.addresses(platform, self.node(), now)
        found = [addresses.of("worker-1") for _ in range(READS_PER_SECOND + 1)]
        assert found[-1] == frozenset()
        assert len(platform.calls) == 2 * READS_PER_SECOND

        now[0] = 1.0

        assert addresses.of("worker-1")
