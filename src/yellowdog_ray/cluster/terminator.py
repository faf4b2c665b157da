"""Carries terminations out on the platform: aborts, and the harder actions after one that has had no effect.

Thread-safe. The ledger (`terminations`) decides which action is due.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable
from typing import TypeVar

from yellowdog_ray.cluster.executors import Executor
from yellowdog_ray.cluster.snapshot import ClusterNode
from yellowdog_ray.cluster.terminations import Action, Escalation, Terminations
from yellowdog_ray.errors import PlatformError
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.types import TaskView

logger = logging.getLogger(__name__)

T = TypeVar("T")

MAX_LOGGED = 10
"""How many escalations are logged at a time."""


class Terminator:
    """Terminates nodes.

    Args:
        platform: the platform.
        executor: carries the calls out, waiting for them or in the background.
        monotonic: seconds that never go back.
        adopts: whether tasks that another process has aborted are escalated too.
    """

    def __init__(
        self, platform: Platform, executor: Executor, monotonic: Callable[[], float], *, adopts: bool = False
    ) -> None:
        self._platform = platform
        self._executor = executor
        self._adopts = adopts
        self._lock = threading.Lock()  # guards the ledger; never held during a platform call
        self._ledger = Terminations(monotonic)

    @property
    def node_ids(self) -> frozenset[str]:
        """Ids of all nodes that are to end and may not have ended yet."""
        return self._ledger.node_ids

    def begin(self, nodes: Iterable[ClusterNode]) -> None:
        """Enter nodes into the ledger, from which `abort` follows. No call."""
        with self._lock:
            self._ledger.begin(node.id for node in nodes)

    def abort(self, nodes: Iterable[ClusterNode]) -> None:
        """Abort the tasks of nodes: one call each."""
        self._executor.run(lambda node: self._abort(node.id, node.task_id), nodes)

    def observe(self, tasks: Iterable[TaskView]) -> None:
        """Compare the ledger with what the platform shows. No call.

        Args:
            tasks: every live task, or those of `node_ids` if no other has changed.
        """
        with self._lock:
            self._ledger.observe(tasks, adopt=self._adopts)

    def escalate(self, tasks: Iterable[TaskView], not_ours: Collection[str]) -> None:
        """Carry out the actions that are due, and log each.

        Args:
            tasks: the live tasks of `node_ids`.
            not_ours: ids of the task groups on machines that are not ours to end.
        """
        with self._lock:
            escalations = self._ledger.due(tasks, not_ours)
        for escalation in escalations[:MAX_LOGGED]:
            logger.warning(
                "termination of node %s was requested %.0f s ago, and its task is still %s: %s",
                escalation.task.name,
                escalation.waited,
                escalation.task.status,
                escalation.action.value,
            )
        if len(escalations) > MAX_LOGGED:
            logger.warning("... and likewise for %d more nodes", len(escalations) - MAX_LOGGED)
        self._executor.run(self._act, escalations)

    def close(self) -> None:
        """Wait for the calls that are under way."""
        self._executor.close()

    def _act(self, escalation: Escalation) -> None:
        task, platform_node_id = escalation.task, escalation.task.platform_node_id
        if escalation.action is Action.ABORT or platform_node_id is None:
            self._abort(task.name, task.id)
            return
        try:
            if escalation.action is Action.SHUT_DOWN_NODE:
                self._attempt(platform_node_id, self._platform.shut_down_node)
            else:
                self._attempt(platform_node_id, self._terminate_instance)
        finally:
            with self._lock:
                self._ledger.acted(task.name)

    def _abort(self, node_id: str, task_id: str) -> None:
        acknowledged = False
        try:
            task = self._attempt(task_id, self._platform.abort_task)
            acknowledged = task is not None and (task.abort_requested or task.finished)
        finally:
            with self._lock:
                self._ledger.acted(node_id, acknowledged=acknowledged)

    def _terminate_instance(self, platform_node_id: str) -> None:
        node = self._platform.platform_node(platform_node_id)
        pool = self._platform.pool(node.pool_id)
        if pool.compute_requirement_id:
            self._platform.terminate_instance(pool.compute_requirement_id, node.instance_id)

    def _attempt(self, entity_id: str, end: Callable[[str], T]) -> T | None:
        try:
            return end(entity_id)
        except PlatformError as error:
            logger.warning("%s could not be ended and will be retried: %s", entity_id, error)
            return None
