"""Replaces a lost head in its work requirement and head pool, and delivers the kit to the new one.

Every step can be repeated: a carrier that ends at any call leaves what the next one, or the platform itself, completes
or ends. Before each act the platform is read again.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from yellowdog_ray.carrier.decision import Assessment, Verdict, assess
from yellowdog_ray.errors import NotFound, PlatformError, SshError
from yellowdog_ray.names import HEAD_GROUP, restarted_head_id
from yellowdog_ray.node import variables
from yellowdog_ray.node.kit import NOTICE_SECONDS, RANK_SECONDS, Manifest
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.concurrency import run_concurrently
from yellowdog_ray.platform.idempotent import submit_tasks
from yellowdog_ray.platform.provisioning import AFTER_LIFETIME
from yellowdog_ray.platform.types import TaskSpec, TaskView

logger = logging.getLogger(__name__)

POLL_SECONDS = 5.0


class Delivery(Protocol):
    """The way of the kit to a new head."""

    def reaches(self, address: str, node_id: str) -> bool:
        """Whether the host accepts the cluster's SSH key."""

    def is_complete(self) -> bool:
        """Whether the host has the whole kit. Raises `SshError`."""

    def deliver(self) -> None:
        """Send the kit; its last file starts Ray. Raises `SshError`."""


@dataclass(frozen=True)
class Carriers:
    """The workers that have the kit.

    Attributes:
        own_id: the node id of this one.
        ids: the node ids of all, in the order in which they act.
    """

    own_id: str
    ids: Sequence[str]

    @property
    def rank(self) -> int:
        """The place of this one; the first acts at once."""
        return self.ids.index(self.own_id) if self.own_id in self.ids else len(self.ids)


class Replacement:
    """One carrier's attempt to replace the head of its kit.

    Args:
        platform: the platform.
        manifest: the cluster.
        carriers: this carrier and the others.
        delivery: sends the kit.
        head_answers: whether the head of the kit answers.
    """

    def __init__(
        self,
        platform: Platform,
        manifest: Manifest,
        carriers: Carriers,
        delivery: Delivery,
        head_answers: Callable[[], bool],
    ) -> None:
        self._platform = platform
        self._clock = platform.clock
        self._manifest = manifest
        self._carriers = carriers
        self._delivery = delivery
        self._head_answers = head_answers
        self._ends = math.inf
        self._lost_at = math.inf
        self._lost: set[str] = set()
        self._successors: set[str] = set()
        self._owned: str | None = None

    def run(self) -> bool:
        """Wait until the platform shows the loss, and replace the head. Returns whether a new head has its kit.

        It ends without an act as soon as the platform shows that the head is not to be replaced, or the head answers.
        """
        self._ends = self._clock.monotonic() + NOTICE_SECONDS + self._carriers.rank * RANK_SECONDS
        while self._clock.monotonic() < self._ends:
            try:
                read = self._assess()
                if read.verdict is Verdict.FINAL:
                    logger.warning("the head is not replaced: %s", read.reason)
                    break
                if self._is_successor(read):
                    self._observe(read.last.name)
                elif read.verdict is Verdict.LIVES and self._head_answers():
                    logger.warning("the head answers again: it is not replaced")
                    return False
                if self._act(read):
                    return True
            except (PlatformError, SshError) as error:
                logger.warning("will be retried: %s", error)
            self._clock.sleep(POLL_SECONDS)
        self._withdraw()
        return False

    def _assess(self) -> Assessment:
        read = assess(self._platform, self._manifest, self._lost)
        if read.verdict is Verdict.LOST:
            self._lost.add(read.last.id)
        return read

    def _is_successor(self, read: Assessment) -> bool:
        return read.last.id != self._manifest.head_task_id

    def _observe(self, successor: str) -> None:
        """Give a new head its time from the moment when it is first seen."""
        if successor not in self._successors:
            self._successors.add(successor)
            self._ends = self._clock.monotonic() + self._manifest.build_timeout.total_seconds()

    def _act(self, read: Assessment) -> bool:
        """Take the next step that this carrier may take. Returns whether it was the last one."""
        if read.verdict is Verdict.LOST:
            if self._is_next(read):
                self._submit(read)
            return False
        self._lost_at = math.inf
        if read.last.finished or not self._is_successor(read):
            return False
        if read.last.name != self._owned and not self._others_have_ended(read):
            return False
        self._owned = read.last.name
        return self._complete(read)

    def _is_next(self, read: Assessment) -> bool:
        now = self._clock.monotonic()
        self._lost_at = min(self._lost_at, now)
        return now - self._lost_at >= self._carriers.rank * RANK_SECONDS or self._others_have_ended(read)

    def _others_have_ended(self, read: Assessment) -> bool:
        """Whether the tasks of all carriers before this one have ended: a reading, but for the first."""
        before = self._carriers.ids[: self._carriers.rank]
        return not before or not {task.name for task in self._platform.live_tasks(read.work.id)} & set(before)

    # The new head's task

    def _submit(self, read: Assessment) -> None:
        """End what is left of the lost head, and submit a copy of its task."""
        self._prepare_pool(read)
        model = self._platform.task_spec(read.last.id)
        read = self._assess()
        if read.verdict is not Verdict.LOST or read.deadline is None:
            return
        node_id = restarted_head_id(read.token, read.number + 1)
        spec = _copy(model, node_id, self._manifest.build_timeout, read.deadline - self._clock.now())
        # Before the call, which may be applied whatever its answer.
        self._owned = node_id
        submit_tasks(self._platform, read.group.id, [spec])
        logger.warning("%s: head %s is submitted", read.reason, node_id)

    def _prepare_pool(self, read: Assessment) -> None:
        """Terminate the lost head's machine, and let the platform end the new one after the cluster's lifetime.

        The platform may leave a lost machine running, and with it the old head. A waiting task has no timeout.
        """
        pool = read.pool
        if pool is None or pool.compute_requirement_id is None or read.deadline is None:
            raise NotFound(f"the head pool of work requirement {read.work.id} has no compute requirement")
        rest = read.deadline - self._clock.now() + AFTER_LIFETIME
        self._platform.end_compute_after(pool.compute_requirement_id, rest)
        instances = {node.instance_id for node in self._platform.lost_nodes(pool.id)}
        if read.last.platform_node_id is not None:
            try:
                instances.add(self._platform.platform_node(read.last.platform_node_id).instance_id)
            except NotFound:
                logger.info("the platform no longer has the platform node of %s", read.last.name)
        for instance_id in self._platform.terminate_instances(pool.compute_requirement_id, instances - {""}):
            logger.warning("instance %s is terminated: it was that of the lost head", instance_id)

    # The new head

    def _complete(self, read: Assessment) -> bool:
        """Bring up the new head as far as it is. Returns whether it is complete."""
        self._abort(read.spares)
        address = self._address(read.last)
        if read.spares or address is None or not self._delivery.reaches(address, read.last.name):
            return False
        if not self._delivery.is_complete():
            self._abort(self._outdated(read))
            self._delivery.deliver()
            logger.warning("head %s at %s has its files", read.last.name, address)
        self._abort_carriers(read)
        return True

    def _address(self, head: TaskView) -> str | None:
        if not head.executing or head.platform_node_id is None:
            return None
        return self._platform.platform_node(head.platform_node_id).private_ip

    def _outdated(self, read: Assessment) -> list[TaskView]:
        """The live workers without a kit: their tasks name the old head's address."""
        tasks = self._platform.live_tasks(read.work.id)
        kept = {*self._carriers.ids, self._carriers.own_id}
        return [task for task in tasks if task.group_id != read.group.id and task.name not in kept]

    def _abort_carriers(self, read: Assessment) -> None:
        """Abort all carriers, this one last. By its abort the new head's autoscaler sees no failed launch in it."""
        tasks = {task.name: task for task in self._platform.live_tasks(read.work.id)}
        others = [tasks[name] for name in self._carriers.ids if name in tasks and name != self._carriers.own_id]
        self._abort(others)
        self._abort(filter(None, [tasks.get(self._carriers.own_id)]))

    def _withdraw(self) -> None:
        """Abort a new head that still waits for its machine, which might start long after.

        One that runs is left alone: another carrier may have completed it. Without its files it ends by itself.
        """
        if self._owned is None:
            return
        try:
            group = self._platform.work_requirement(self._manifest.requirement_id).group(HEAD_GROUP)
            named = self._platform.named_tasks(group.id, self._owned) if group else []
            self._abort(task for task in named if task.name == self._owned and not task.executing)
        except PlatformError as error:
            logger.warning("head %s could not be withdrawn: %s", self._owned, error)

    def _abort(self, tasks: Iterable[TaskView]) -> None:
        """Abort tasks that have not ended. A failure is raised after all were tried."""
        live = [task for task in tasks if not task.finished and not task.abort_requested]
        failures = [failure for failure in run_concurrently(self._attempt, live) if failure is not None]
        if failures:
            raise failures[0]

    def _attempt(self, task: TaskView) -> PlatformError | None:
        try:
            self._platform.abort_task(task.id)
        except PlatformError as error:
            return error
        return None


def _copy(model: TaskSpec, node_id: str, build_timeout: timedelta, timeout: timedelta) -> TaskSpec:
    """The task of a new head like the lost one."""
    seconds = str(math.ceil(build_timeout.total_seconds()))
    changed = {variables.CLOUD_INSTANCE_ID: node_id, variables.HEAD_RESTART: seconds}
    return replace(model, name=node_id, environment={**model.environment, **changed}, timeout=timeout)
