"""Platform nodes: register, detect late and lost ones, shut down, end with their instance.

Imports instances and tasks; `provisioned` and the scheduler decide on the size of a pool.
"""

from __future__ import annotations

import logging
import math
from typing import Literal

from yellowdog_client.model import (
    Node,
    NodeActionQueueStatus,
    NodeDetails,
    NodeStatus,
    NodeTaskQueue,
    NodeWorkerTarget,
    NodeWorkerTargetType,
    Worker,
    WorkerStatus,
)

from yellowdog_local.agents import Agents
from yellowdog_local.compute import clouds
from yellowdog_local.compute.requirements import Compute
from yellowdog_local.errors import Gone
from yellowdog_local.messages import AgentEvent, Registration
from yellowdog_local.state import ids
from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.lives import PLATFORM_NODE, NodeEvent
from yellowdog_local.state.records import InstanceRecord, NodeRecord, PoolRecord, RequirementRecord, WorkerRecord
from yellowdog_local.state.retention import Retention
from yellowdog_local.state.slots import Slots
from yellowdog_local.state.store import Store
from yellowdog_local.work.tasks import Tasks

_log = logging.getLogger(__name__)


class Nodes:
    """Platform nodes. Every method is called under the platform's lock."""

    def __init__(
        self,
        kernel: Kernel,
        store: Store,
        id_maker: ids.Ids,
        agents: Agents,
        slots: Slots,
        tasks: Tasks,
        compute: Compute,
    ) -> None:
        self._kernel = kernel
        self._store = store
        self._ids = id_maker
        self._agents = agents
        self._slots = slots
        self._tasks = tasks
        self._compute = compute
        self._retention = Retention(kernel, store)

    def agent_registered(self, instance: InstanceRecord, registration: Registration) -> str:
        """Create the platform node of an instance whose agent has registered; returns its id."""
        if instance.node is not None:
            if instance.node.status.gone:
                raise Gone("The platform has ended this node")
            return instance.node.id
        pool = instance.requirement.pool
        if pool is None or not pool.status.available:
            raise Gone("The instance belongs to no available worker pool")
        if instance.boot_timer is not None:
            instance.boot_timer.cancel()
        node = self._make(pool, instance, registration)
        target = _own_target(registration) or pool.properties.createNodeWorkers
        for slot in range(1, worker_count(target, registration.vcpus) + 1):
            self._add_worker(node, slot)
        self._slots.touch(pool, node)
        _log.info("node %s registered from instance %s with %d workers", node.id, instance.id, len(node.workers))
        return node.id

    def agent_reported(self, node_id: str, event: AgentEvent) -> None:
        """Pass on a report about a task, and end a draining node whose last task has ended."""
        self._tasks.reported(node_id, event)
        node = self._store.node(node_id)
        if node.draining:
            self.end_if_drained(node)

    def agent_silent(self, node_id: str, seconds: float) -> None:
        """Handle the silence of an agent: its platform node becomes late or is lost."""
        node = self._store.node(node_id)
        if seconds < self._kernel.settings.heartbeat_lost_seconds:
            self._note_late(node)
            return
        self._end(node, "lose", f"its agent was silent for {seconds:.0f} s")
        if not node.instance.status.alive:
            return
        # The instance is no platform node any more and no longer counts towards the pool's target.
        node.stranded = True
        node.pool.stranded += 1
        if self._kernel.settings.lost_node_terminates_instance:
            self._compute.terminate_instance(node.instance, "its agent was lost")

    def agent_returned(self, node_id: str) -> None:
        """Handle a call of a late agent: its platform node recovers."""
        node = self._store.node(node_id)
        if node.status is NodeStatus.LATE:
            self._move(node, "recover")
            for worker in _present(node):
                self._slots.recover(worker)

    def instance_ending(self, instance: InstanceRecord, reason: str) -> None:
        """End the platform node of an instance that ends; its tasks are lost."""
        node = instance.node
        pool = instance.requirement.pool
        if node is not None:
            if node.stranded:
                node.stranded = False
                node.pool.stranded -= 1
                self._slots.touch(node.pool)
            if node.status.active:
                self._detect_loss(node, reason)
            elif node.status is NodeStatus.DEREGISTERED:
                self._move(node, "terminate")
        elif pool is not None:
            self._shrink(pool)
            self._slots.touch(pool)

    def _detect_loss(self, node: NodeRecord, reason: str) -> None:
        seconds = self._kernel.settings.instance_death_noticed_seconds
        if seconds == 0:
            self._end(node, "terminate", reason)
        elif not node.unnoticed:
            node.unnoticed = True
            node.pool.unnoticed += 1
            self._kernel.after(seconds, lambda: self._end(node, "terminate", reason))

    def requirement_changed(self, requirement: RequirementRecord) -> None:
        """Have the next pass check the pool whose instances changed."""
        if requirement.pool is not None:
            self._slots.touch(requirement.pool)

    def shut_down(self, node: NodeRecord) -> None:
        """End a platform node after its tasks. Repeating it is harmless."""
        if node.status.gone or node.draining:
            return
        node.draining = True
        node.pool.draining_nodes += 1
        self._shrink(node.pool)
        for worker in node.workers:
            node.pool.free.pop(worker.id, None)
        self.end_if_drained(node)

    def set_workers(self, node: NodeRecord, count: int) -> None:
        """Set the number of workers of a platform node; surplus workers are removed if unclaimed, newest first."""
        present = _present(node)
        for _ in range(count - len(present)):
            self._add_worker(node, len(node.workers) + 1)
        unclaimed = [worker for worker in present if worker.group is None]
        for worker in unclaimed[::-1][: max(0, len(present) - count)]:
            self._slots.withdraw(worker, "shut down")
        self._slots.touch(node.pool, node)

    def warn(self, node: NodeRecord) -> None:
        """Warn a platform node that its instance is about to be preempted."""
        if not node.status.active or node.entity.preemptionWarningTime is not None:
            return
        node.entity.preemptionWarningTime = self._kernel.now()
        if not self._kernel.settings.tasks_after_preemption_warning:
            node.warned = True
            for worker in node.workers:
                node.pool.free.pop(worker.id, None)
        self._slots.touch(node.pool, node)

    def idle(self, node: NodeRecord) -> bool:
        """Whether a platform node is active, not draining, and has no claimed worker."""
        return node.status.active and not node.draining and not node.claimed

    def view(self, node: NodeRecord) -> Node:
        """A platform node as the API returns it."""
        groups = {w.group.id for w in node.workers if w.group is not None}
        share = 1 / len(node.workers) if node.workers else 0.0
        node.entity.taskGroupTaskQueues = {
            group_id: NodeTaskQueue(
                share * sum(1 for w in node.workers if w.group is not None and w.group.id == group_id)
            )
            for group_id in sorted(groups)
        }
        return node.entity

    def _make(self, pool: PoolRecord, instance: InstanceRecord, registration: Registration) -> NodeRecord:
        source = instance.source
        details = NodeDetails(
            instanceId=instance.id,
            provider=source.entity.provider,
            region=source.entity.region,
            sourceName=source.entity.name,
            sourceNumber=None if pool.configured else instance.requirement.sources.index(source) + 1,
            instanceType=clouds.instance_type(source.entity),
            hostname=registration.hostname,
            privateIpAddress=registration.privateIpAddress,
            publicIpAddress=registration.publicIpAddress,
            vcpus=registration.vcpus,
            ram=registration.ram,
            supportedTaskTypes=list(registration.supportedTaskTypes),
            workerTag=pool.properties.workerTag,
            spot=clouds.is_spot(source.entity),
        )
        now = self._kernel.now()
        entity = Node(
            id=self._ids.new("node"),
            workerPoolId=pool.id,
            details=details,
            status=NodeStatus.RUNNING,
            statusChangedTime=now,
            registeredTime=now,
            workers=[],
            actionQueueStatus=NodeActionQueueStatus.EMPTY,
            agentVersion=registration.agentVersion,
        )
        node = NodeRecord(
            seq=self._kernel.next_sequence(), id=entity.id or "", entity=entity, pool=pool, instance=instance
        )
        instance.node = node
        self._store.nodes[node.id] = pool.nodes[node.id] = node
        pool.first_node = pool.first_node or node
        pool.node_counts[node.status] += 1
        pool.active_nodes += 1
        return node

    def _add_worker(self, node: NodeRecord, slot: int) -> None:
        worker_id = ids.child("wrkr", node.id, slot)
        entity = Worker(id=worker_id, status=WorkerStatus.STOPPED, registeredTime=node.entity.registeredTime)
        worker = WorkerRecord(id=worker_id, entity=entity, node=node, slot=slot)
        node.entity.workers = [*(node.entity.workers or ()), entity]
        self._store.workers[worker_id] = worker
        self._slots.add(worker)

    def _note_late(self, node: NodeRecord) -> None:
        if node.status is NodeStatus.LATE:
            return
        self._move(node, "late")
        for worker in _present(node):
            self._slots.withdraw(worker, "late")

    def _move(self, node: NodeRecord, event: NodeEvent) -> None:
        counts = node.pool.node_counts
        counts[PLATFORM_NODE.move(node, event)] -= 1
        counts[node.status] += 1
        node.entity.statusChangedTime = self._kernel.now()
        self._slots.touch(node.pool)

    def end_if_drained(self, node: NodeRecord) -> None:
        """End a platform node that is shut down and has no task."""
        # A node whose machine has ended cannot deregister: it ends when the loss is detected.
        if node.status.active and not node.tasks and not node.unnoticed:
            self._end(node, "deregister", "the node was shut down")
            self._compute.terminate_instance(node.instance, "its node was shut down")

    def _end(self, node: NodeRecord, event: Literal["lose", "deregister", "terminate"], reason: str) -> None:
        if not node.status.active:
            return
        pool = node.pool
        if node.idle_timer is not None:
            node.idle_timer.cancel()
        pool.active_nodes -= 1
        pool.acting.pop(node.id, None)
        if node.unnoticed:
            node.unnoticed = False
            pool.unnoticed -= 1
        if node.draining:
            pool.draining_nodes -= 1
        else:
            self._shrink(pool)
        self._move(node, event)
        self._retention.of_node(node)
        node.entity.deregisteredTime = self._kernel.now()
        _log.info("node %s is %s: %s", node.id, node.status, reason)
        lost = node.tasks
        graceful = event == "deregister"
        for worker in _present(node):
            self._slots.withdraw(worker, "shut down" if graceful else "lose")
        for task in lost:
            self._tasks.lost(task, reason)
        self._agents.end(node.id, {"type": "SHUTDOWN"} if graceful else None)

    def _shrink(self, pool: PoolRecord) -> None:
        # The scheduler does not replace nodes: it requests what waiting tasks need.
        pool.target = max(0, pool.target - 1)


def _present(node: NodeRecord) -> list[WorkerRecord]:
    """The workers of a platform node that have not ended."""
    return [worker for worker in node.workers if worker.status.available]


def _own_target(registration: Registration) -> NodeWorkerTarget | None:
    if registration.createWorkers is None:
        return None
    return NodeWorkerTarget(
        NodeWorkerTargetType[registration.createWorkers.targetType], registration.createWorkers.targetCount
    )


def worker_count(target: NodeWorkerTarget | None, vcpus: float) -> int:
    """Number of workers of a platform node with so many vCPUs."""
    if target is None or target.targetCount is None:
        return 1
    if target.targetType is NodeWorkerTargetType.PER_VCPU:
        return max(1, math.floor(target.targetCount * vcpus))
    return int(target.targetCount)
