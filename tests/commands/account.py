"""The account of a user whose cluster is called `ray`: which things are the cluster's, and which are others'.

Others' are clusters whose names begin or end like ours, and works and pools under names that a careless search would
take for ours. They are alive throughout, and nothing of ours may ever touch them.
"""

from __future__ import annotations

from yellowdog_client import PlatformClient
from yellowdog_client.model import (
    ComputeRequirementTemplateUsage,
    RunSpecification,
    TaskGroup,
    TaskStatus,
    WorkRequirement,
)

from tests.commands.laptop import yaml_of
from tests.simulation.config import QUICK
from tests.simulation.user_commands import add_neighbour
from tests.simulation.world import World
from yellowdog_local.state.records import TaskRecord
from yellowdog_ray.names import generation_of

NAMESPACE = "demo"
NAME = "ray"
BOOT = 3.0
"""Longer than QUICK hosts take to boot and to get a task (seconds)."""

OTHER_CLUSTERS = ("ra", "ray-production", "my-ray")
FOREIGN_WORKS = (("demo", "ray-head"), ("demo", "ray-2"), ("elsewhere", "ray"))
FOREIGN_POOLS = ("ray", "ray-head", "ray-head-0badcafe", "ray-worker-0badcafe")


class Account:
    """The things on one platform. Making this puts the others' there.

    Args:
        world: the world, whose platform is still empty.
    """

    def __init__(self, world: World) -> None:
        self._ours = world.ours
        self._client = world.lab.client()
        for name in OTHER_CLUSTERS:
            add_neighbour(world, yaml_of(name, world.home), {})
        for namespace, name in FOREIGN_WORKS:
            _add_work(self._client, namespace, name)
        for name in FOREIGN_POOLS:
            _add_pool(self._client, name, nodes=1)
        world.lab.advance(BOOT)
        self._ours.begin()

    def close(self) -> None:
        """Close the client."""
        self._client.close()

    def instances(self) -> list[str]:
        """The ids of our instances that are alive."""
        return [instance.id for instance in self._ours.instances()]

    def imitate(self) -> None:
        """Let somebody make a pool beside each open one of ours, of the same name plus a suffix."""
        for pool in self._ours.open_pools:
            self._ours.add_other_pool(_add_pool(self._client, f"{pool.name}-2", nodes=0))

    def assert_nothing_left(self) -> None:
        """Raise `AssertionError` if anything of ours is alive, or anything of others' has changed."""
        self.assert_others_untouched()
        assert self._ours.left == []

    def assert_one_cluster(self) -> None:
        """Raise `AssertionError` unless exactly one running head is ours."""
        head = self.assert_one_head()
        assert self._ours.tasks == [head]
        assert self._ours.open_pools == [head.worker.node.pool]
        assert list(self._ours.instances()) == [head.worker.node.instance]

    def assert_one_head(self) -> TaskRecord:
        """Raise `AssertionError` unless we have one work requirement and one running head. Returns the head's task."""
        self.assert_others_untouched()
        (work,) = self._ours.works
        assert generation_of(NAME, str(work.entity.name)) is not None
        (head,) = (task for task in self._ours.tasks if task.group is work.groups[0])
        assert head.status is TaskStatus.EXECUTING
        assert head.entity.abortRequestedTime is None
        return head

    def assert_others_untouched(self) -> None:
        """Raise `AssertionError` if anything of others' has changed."""
        assert not self._ours.changed


def _add_work(client: PlatformClient, namespace: str, name: str) -> None:
    group = TaskGroup(name="head", runSpecification=RunSpecification(["bash"], workerTags=[f"{name}-head"]))
    client.work_client.add_work_requirement(WorkRequirement(namespace, name, [group]))


def _add_pool(client: PlatformClient, name: str, nodes: int) -> str:
    usage = ComputeRequirementTemplateUsage(
        templateId=QUICK, requirementNamespace=NAMESPACE, requirementName=name, targetInstanceCount=nodes
    )
    return str(client.worker_pool_client.provision_worker_pool(usage).id)
