"""What must hold after every tick, whatever a scenario is about."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from yellowdog_local.state.records import InstanceRecord, TaskRecord
from yellowdog_ray.cluster.pools import IDLE_NODE_TIMEOUT

if TYPE_CHECKING:
    from tests.simulation.world import World

SPARE_SECONDS = IDLE_NODE_TIMEOUT.total_seconds() + 15.0
"""How long an instance without a task may live, once it has registered: as long as its pool keeps it."""


class Invariants:
    """Watches one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._spare_since: dict[str, float] = {}
        self._others: dict[str, Any] = {}
        self._unknown: set[str] = set()

    def begin(self) -> None:
        """Remember how the other clusters are now: so they must stay."""
        self._others = self._other_clusters()

    def check(self, known_before: set[str]) -> None:
        """Raise `AssertionError` for what does not hold.

        Args:
            known_before: ids of the nodes that the provider knew before this tick.
        """
        self._ray_is_told_of_every_node(known_before)
        self._every_task_is_known()
        self._no_instance_is_forgotten()
        self._limits_are_kept()
        assert self._other_clusters() == self._others, "another cluster was touched"
        assert _ending(self._world.head) is False, "the head was asked to end"

    def _living(self) -> set[str]:
        return {task.entity.name for task in self._world.tasks() if not task.status.finished and not _ending(task)}

    def _ray_is_told_of_every_node(self, known_before: set[str]) -> None:
        """A single omission costs a healthy node its life, in v2 an hour later."""
        if self._world.told is not None:
            kept_secret = self._living() & known_before - self._world.told
            assert not kept_secret, f"the listing lacked {sorted(kept_secret)}"

    def _every_task_is_known(self) -> None:
        """One tick is allowed: for a task that was added by a call whose answer was lost."""
        cluster = self._world.provider.side.cluster
        if not cluster.snapshot.nodes:
            return  # an autoscaler that has just started and could not read yet
        known = cluster.snapshot.nodes.keys() | cluster.terminating
        unknown, before = self._living() - known, self._unknown
        self._unknown = unknown
        assert not unknown & before, f"nobody knows of the nodes {sorted(unknown & before)}"

    def _no_instance_is_forgotten(self) -> None:
        now = self._world.local.clock.now().timestamp()
        spare = {instance.id for instance in self._world.all_instances if _is_spare(instance)}
        self._spare_since = {id_: self._spare_since.get(id_, now) for id_ in spare}
        patience = {instance.id: self._patience(instance) for instance in self._world.all_instances}
        forgotten = [id_ for id_, since in self._spare_since.items() if now - since > patience[id_]]
        assert not forgotten, f"instances without a task live on: {forgotten}"

    def _patience(self, instance: InstanceRecord) -> float:
        """How long an instance may be without a task: one that never registers ends by its pool's boot timeout."""
        minutes: float = self._world.config["provider"]["worker_node_build_timeout_minutes"]
        return SPARE_SECONDS + (minutes * 60 if instance.node is None else 0)

    def _limits_are_kept(self) -> None:
        # Ray's new autoscaler counts a node that is drained as gone, and lets its replacement be.
        drained = {node_id for node_id, raylet in self._world.ray.raylets.items() if raylet.draining_until}
        wanted = self._living() - self._world.provider.side.cluster.terminating - drained
        types = Counter(
            (task.entity.environment or {})["RAY_NODE_TYPE_NAME"]
            for task in self._world.tasks()
            if task is not self._world.head and task.entity.name in wanted
        )
        config = self._world.config
        assert sum(types.values()) <= config["max_workers"]
        for name, count in types.items():
            assert count <= config["available_node_types"][name]["max_workers"]

    def _other_clusters(self) -> dict[str, Any]:
        store = self._world.local.platform.store
        works = {
            work.entity.name: (work.status, {name: task.status for g in work.groups for name, task in g.names.items()})
            for work in store.works.values()
            if work is not self._world.work
        }
        ours = {tag for group in self._world.work.groups for tag in group.spec.workerTags or []}
        pools = {
            # The tasks of whoever uses a configured pool come and go; the pool itself stays.
            pool.name: (pool.status.available if pool.configured else pool.status, sorted(pool.requirement.live))
            for pool in store.pools.values()
            if pool.configured or pool.name not in ours
        }
        return {"works": works, "pools": pools}


def _ending(task: TaskRecord) -> bool:
    return task.entity.abortRequestedTime is not None


def _is_spare(instance: InstanceRecord) -> bool:
    return instance.node is None or not instance.node.tasks
