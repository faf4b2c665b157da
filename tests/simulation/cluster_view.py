"""A cluster as the platform's records show it. Reads only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.simulation.lab import Lab
from tests.simulation.ownership import Ownership
from yellowdog_local.state.records import InstanceRecord, TaskRecord, WorkRecord
from yellowdog_ray.names import generation_of


class ClusterView:
    """The records of one cluster.

    Args:
        lab: the platform.

    Attributes:
        yaml: the user's YAML, which names the cluster.
        ours: divides the platform's things into the cluster's and others'.
        copies: the names of the tasks that somebody has copied in the portal; they are no nodes.
    """

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.ours = Ownership(lab.platform.store)
        self.yaml: dict[str, Any] = {}
        self.copies: set[str] = set()

    @property
    def work(self) -> WorkRecord | None:
        """The present work requirement of our cluster."""
        name = str(self.yaml.get("cluster_name", ""))
        return next((work for work in self.ours.works if generation_of(name, str(work.entity.name))), None)

    def tasks(self) -> Iterator[TaskRecord]:
        """The tasks of our cluster's nodes, ended ones too."""
        if (work := self.work) is not None:
            for group in work.groups:
                yield from (task for task in tuple(group.tasks.values()) if task.entity.name not in self.copies)

    def task(self, node_id: str) -> TaskRecord:
        """The task of a node."""
        return next(task for task in self.tasks() if task.entity.name == node_id)

    @property
    def head(self) -> TaskRecord | None:
        """The task of the cluster's head, while it lives."""
        heads = (task for task in self.tasks() if (task.entity.environment or {}).get("RAYDOG_ON_HEAD") == "1")
        return next((task for task in heads if not task.status.finished), None)

    @property
    def instances(self) -> list[InstanceRecord]:
        """The live instances of the cluster's workers."""
        worker = self.head.worker if self.head else None
        of_head = worker.node.instance if worker else None
        return [instance for instance in self.ours.instances() if instance is not of_head]
