"""Addresses of platform nodes that come late, or change."""

from dataclasses import replace

import pytest

from tests.yellowdog_ray.cluster.scripted_platform import GROUP, ScriptedPlatform, task
from yellowdog_ray.cluster.platform_nodes import ADDRESS_SECONDS, REREAD_SECONDS, PlatformNodes
from yellowdog_ray.platform.types import PlatformNodeView, PoolView

NODE = PlatformNodeView("node-1", "pool-1", "i-1", None, None)
TASKS = [task("a", platform_node_id=NODE.id)]


class NodePlatform(ScriptedPlatform):
    """Has one pool with one platform node."""

    node = NODE

    def find_pool(self, name: str) -> PoolView:
        """The pool."""
        return PoolView(self.node.pool_id, name, "RUNNING", False, None)

    def platform_nodes(self, _: str, since: object = None) -> list[PlatformNodeView]:
        """The pool's platform node, which registered long ago."""
        self.calls.append("nodes")
        return [] if since else [self.node]


class Reader:
    """Reads the platform nodes when they are due."""

    def __init__(self) -> None:
        self.now = 0.0
        self.platform = NodePlatform()
        self.platform.put(*TASKS)
        self.nodes = PlatformNodes(self.platform, lambda: self.now)  # type: ignore[arg-type]
        self.read()

    def read(self) -> None:
        """Read."""
        self.nodes.update(TASKS, self.platform.work().groups)

    def wait(self, seconds: float) -> int:
        """Let time pass, a second at a time. Returns the number of lists that were read."""
        self.platform.calls.clear()
        for _ in range(int(seconds)):
            self.now += 1
            if self.nodes.is_due:
                self.read()
        return self.platform.calls.count("nodes")


@pytest.fixture
def reader() -> Reader:
    return Reader()


def test_address_that_comes_late_is_read(reader):
    reader.platform.node = replace(NODE, private_ip="10.0.0.1", public_ip="1.2.3.4")

    assert reader.wait(ADDRESS_SECONDS) == 1

    assert reader.nodes.known[NODE.id].public_ip == "1.2.3.4"


def test_missing_address_is_read_at_a_bounded_rate(reader):
    assert reader.wait(10 * ADDRESS_SECONDS) == 10


def test_address_that_changes_is_read(reader):
    reader.platform.node = replace(NODE, private_ip="10.0.0.1")
    reader.wait(ADDRESS_SECONDS)
    reader.platform.node = replace(NODE, private_ip="10.0.0.2")

    assert reader.wait(REREAD_SECONDS) == 1

    assert reader.nodes.known[NODE.id].private_ip == "10.0.0.2"


def test_known_address_stays_when_the_list_lacks_the_node(reader):
    reader.platform.node = replace(NODE, private_ip="10.0.0.1")
    reader.wait(ADDRESS_SECONDS)
    reader.platform.platform_nodes = lambda *_: []

    reader.wait(REREAD_SECONDS)

    assert reader.nodes.known[NODE.id].private_ip == "10.0.0.1"


def test_group_of_the_scripted_platform_is_that_of_its_tasks():
    assert {one.group_id for one in TASKS} == {GROUP}
