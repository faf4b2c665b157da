"""The account of a user whose cluster `ray` is not alone: what is the cluster's, and what is somebody else's.

Somebody else's are other clusters whose names begin or end like ours, and works and pools under names that a careless
search would take for ours. They are alive throughout, and nothing of ours may ever touch them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from yellowdog_client import PlatformClient
from yellowdog_client.model import (
    ComputeRequirementTemplateUsage,
    RunSpecification,
    TaskGroup,
    TaskStatus,
    WorkRequirement,
)

from tests.commands.laptop import QUICK, yaml_of
from tests.simulation.world import head_up
from yellowdog_local.state.records import InstanceRecord, PoolRecord, TaskRecord, WorkRecord
from yellowdog_local.testing import RunningPlatform

NAMESPACE = "demo"
NAME = "ray"
BOOT = 3.0
"""Longer than QUICK hosts take to boot, and to get a task (seconds)."""

OTHER_CLUSTERS = ("ra", "ray-production", "my-ray")
FOREIGN_WORKS = (("demo", "ray-head"), ("demo", "ray-2"), ("elsewhere", "ray"))
FOREIGN_POOLS = ("ray", "ray-head", "ray-head-0badcafe", "ray-worker-0badcafe")


class Account:
    """What is on one platform. Making this puts the neighbours there.

    Args:
        local: the platform, which is still empty.
        home: the user's home.
    """

    def __init__(self, local: RunningPlatform, home: Path) -> None:
        self._local = local
        self._store = local.platform.store
        self._client = local.client()
        for name in OTHER_CLUSTERS:
            head_up(yaml_of(name, home))[0].side.cluster.close()
        for namespace, name in FOREIGN_WORKS:
            _add_work(self._client, namespace, name)
        for name in FOREIGN_POOLS:
            _add_pool(self._client, name, nodes=1)
        local.advance(BOOT)
        self._foreign = {*self._store.works, *self._store.pools}
        self._before = self._foreign_state()

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def imitate(self) -> None:
        """Let somebody make a pool beside each open one of ours, of the same name plus a suffix."""
        for pool in self.open_pools:
            self._foreign.add(_add_pool(self._client, f"{pool.name}-2", nodes=0))
        self._before = {**self._foreign_state(), **self._before}

    # Ours

    @property
    def works(self) -> list[WorkRecord]:
        """Our unfinished work requirements."""
        works = tuple(self._store.works.values())
        return [work for work in works if work.id not in self._foreign and not work.status.finished]

    @property
    def open_pools(self) -> list[PoolRecord]:
        """Our worker pools that could have instances."""
        pools = tuple(self._store.open_pools.values())
        return [pool for pool in pools if pool.id not in self._foreign]

    @property
    def instances(self) -> list[InstanceRecord]:
        """Our live instances."""
        pools = tuple(self._store.pools.values())
        return [node for pool in pools if pool.id not in self._foreign for node in pool.requirement.live.values()]

    @property
    def tasks(self) -> list[TaskRecord]:
        """Our tasks that have not ended."""
        groups = [group for work in self.works for group in work.groups]
        return [task for group in groups for task in group.tasks.values() if not task.status.finished]

    # What must hold

    def assert_nothing_left(self) -> None:
        """Raise `AssertionError` if anything of ours is alive, or anything of somebody else's is not as it was."""
        self.assert_neighbours_untouched()
        assert [instance.id for instance in self.instances] == []
        assert [pool.name for pool in self.open_pools] == []
        assert [work.entity.name for work in self.works] == []

    def assert_one_cluster(self) -> None:
        """Raise `AssertionError` unless of ours there is one running head, and nothing else."""
        head = self.assert_one_head()
        assert self.tasks == [head]
        assert self.open_pools == [head.worker.node.pool]
        assert self.instances == [head.worker.node.instance]

    def assert_one_head(self) -> TaskRecord:
        """Raise `AssertionError` unless there is one work requirement of ours, and one head, which runs. Returns it."""
        self.assert_neighbours_untouched()
        assert [work.entity.name for work in self.works] == [NAME]
        (head,) = (task for task in self.tasks if task.group is self.works[0].groups[0])
        assert head.status is TaskStatus.EXECUTING
        assert head.entity.abortRequestedTime is None
        return head

    def assert_neighbours_untouched(self) -> None:
        """Raise `AssertionError` if anything of somebody else's is not as it was."""
        now = self._foreign_state()
        changed = {thing: (before, now[thing]) for thing, before in self._before.items() if now[thing] != before}
        assert not changed, f"somebody else's: {changed}"

    def _foreign_state(self) -> dict[str, Any]:
        works = {
            id_: (work.entity.name, work.status, {name: t.status for g in work.groups for name, t in g.names.items()})
            for id_, work in self._store.works.items()
            if id_ in self._foreign
        }
        pools = {
            id_: (pool.name, pool.status, sorted(pool.requirement.live))
            for id_, pool in self._store.pools.items()
            if id_ in self._foreign
        }
        return {**works, **pools}


def _add_work(client: PlatformClient, namespace: str, name: str) -> None:
    group = TaskGroup(name="head", runSpecification=RunSpecification(["bash"], workerTags=[f"{name}-head"]))
    client.work_client.add_work_requirement(WorkRequirement(namespace, name, [group]))


def _add_pool(client: PlatformClient, name: str, nodes: int) -> str:
    usage = ComputeRequirementTemplateUsage(
        templateId=QUICK, requirementNamespace=NAMESPACE, requirementName=name, targetInstanceCount=nodes
    )
    return str(client.worker_pool_client.provision_worker_pool(usage).id)
