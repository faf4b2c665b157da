"""One Ray cluster on the platform: its work requirement, its nodes as last read, and those that are to end.

Thread-safe: Ray lists from one thread, launches from several and terminates from another. Reading changes nothing on
the platform; a failed reading leaves the last complete snapshot in place.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from yellowdog_ray import names
from yellowdog_ray.clock import Clock
from yellowdog_ray.cluster.generations import find_last_work, find_work
from yellowdog_ray.cluster.platform_nodes import ADDRESS_SECONDS, REREAD_SECONDS, PlatformNodes
from yellowdog_ray.cluster.snapshot import Snapshot, build_snapshot
from yellowdog_ray.cluster.task_cache import FIRST_READING_SECONDS, HEAD_FIRST_READING_SECONDS, TaskCache
from yellowdog_ray.cluster.task_reading import NOT_FOUND
from yellowdog_ray.cluster.terminator import Terminator
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.types import ENDED_BY_ITSELF, MachineSize, TaskGroupView, TaskView, WorkRequirementView


@dataclass(frozen=True)
class Identity:
    """The identity of a cluster. Its namespace is the platform client's.

    Attributes:
        name: Ray's `cluster_name`; also the work requirement's name, or the beginning of it.
        requirement_id: the work requirement's id where it is known in advance.
        fixed: whether the process belongs to one work requirement, so that no later one of the same name is meant.
    """

    name: str
    requirement_id: str | None = None
    fixed: bool = False


class Cluster:
    """The cluster of one name in one namespace.

    Args:
        identity: which cluster.
        platform: the platform.
        terminator: terminates its nodes.
        clock: time.
        lifetime: the lifetime in the settings, for a work requirement that does not show its own.
    """

    def __init__(
        self,
        identity: Identity,
        platform: Platform,
        terminator: Terminator,
        clock: Clock,
        lifetime: Callable[[], timedelta],
    ) -> None:
        self.name = identity.name
        self._identity = identity
        self._platform = platform
        self._terminator = terminator
        self._lifetime = lifetime
        self._requirement_id = identity.requirement_id
        self._adopted = identity.fixed
        self._lock = threading.RLock()  # guards the state below; never held during a platform call
        self._listing_lock = threading.Lock()  # one reading at a time
        first_reading = HEAD_FIRST_READING_SECONDS if identity.fixed else FIRST_READING_SECONDS
        self._listing = TaskCache(platform, clock.monotonic, first_reading)
        self._platform_nodes = PlatformNodes(
            platform, clock.monotonic, REREAD_SECONDS if identity.fixed else ADDRESS_SECONDS
        )
        self._snapshot = Snapshot()
        self._composed = False  # whether the snapshot shows all that the listing holds
        self._tasks: Mapping[str, TaskView] = {}
        self._work: WorkRequirementView | None = None
        self._monotonic = clock.monotonic
        self._read_began = -math.inf

    @property
    def snapshot(self) -> Snapshot:
        """The last complete listing, with the nodes that were launched and without those terminated since."""
        return self._snapshot

    @property
    def stable(self) -> bool:
        """Whether the snapshot shows all nodes with their addresses, and none is being terminated."""
        return self._composed and not self._terminator.node_ids

    @property
    def read_began(self) -> float:
        """When the last complete reading began, in monotonic seconds."""
        return self._read_began

    @property
    def terminating(self) -> frozenset[str]:
        """Ids of the nodes that are to end and may not have ended yet; they are not in the snapshot."""
        return self._terminator.node_ids

    # The work requirement

    def find(self) -> WorkRequirementView | None:
        """The cluster's unfinished work requirement, or None: one call where it is known."""
        if self._requirement_id is None:
            found = find_work(self._platform, self.name)
            self._requirement_id = found.id if found else None
            return found
        work = self._platform.work_requirement(self._requirement_id)
        if not work.finished:
            return work
        if not self._adopted:
            self._requirement_id = None
        return None

    def last(self) -> WorkRequirementView | None:
        """The work requirement that was adopted, or else the youngest of the cluster's name; ended ones too."""
        if self._adopted and self._requirement_id is not None:
            return self._platform.work_requirement(self._requirement_id)
        return find_last_work(self._platform, self.name)

    def adopt(self, work: WorkRequirementView) -> None:
        """Take this work requirement for the cluster's own, and until `reset` no other, not even after its end."""
        with self._lock:
            self._requirement_id = work.id
            self._adopted = True

    def reset(self) -> None:
        """Drop all state of a work requirement that has ended."""
        with self._lock:
            self._requirement_id = None
            self._adopted = self._identity.fixed
            self._platform_nodes.clear()
        self._clear_tasks()
        self._compose()

    def deadline(self, work: WorkRequirementView | None = None) -> datetime | None:
        """The end of the cluster's lifetime, fixed when it was created.

        None while no reading has shown the cluster, or if the platform does not show when it was created. An unknown
        deadline ends no node and refuses no launch. Each task's own timeout holds all the same.
        """
        work = work or self._work
        if work is None or work.created is None:
            return None
        return work.created + self.lifetime_of(work)

    def lifetime_of(self, work: WorkRequirementView) -> timedelta:
        """The whole lifetime of the cluster, as its head's task group has it, or else the settings. No call."""
        head = work.group(names.HEAD_GROUP)
        return head.task_timeout if head and head.task_timeout else self._lifetime()

    def group(self, group_id: str) -> TaskGroupView | None:
        """A task group as last read; None for one that is unknown. No call."""
        return next((group for group in self.groups if group.id == group_id), None)

    @property
    def groups(self) -> Sequence[TaskGroupView]:
        """The task groups as last read. No call."""
        return self._work.groups if self._work else ()

    @property
    def ending(self) -> bool:
        """Whether the last reading has shown that the cluster is being torn down, or has ended. No call."""
        return self._work is not None and (self._work.cancelling or self._work.finished)

    # Listing

    def refresh(self) -> Snapshot:
        """Read the cluster from the platform.

        One call when nothing has changed, and then the snapshot stays the same object. Otherwise also one per page of
        tasks that have changed, and of platform nodes that are not known yet.

        Raises:
            PlatformError: the platform could not be read; the last complete snapshot stays.
        """
        with self._listing_lock:
            began = self._monotonic()
            if not self._is_confirmed():
                self._platform.retry_policy.run(self._read)
            self._compose()
            self._read_began = began
            self._escalate()
            return self._snapshot

    def _is_confirmed(self) -> bool:
        """Whether all tasks were read again and are those of the snapshot. Only for the one work requirement."""
        work = self._work
        if work is None or not (self._identity.fixed and self._composed):
            return False
        return self._listing.confirmed(work.id)

    def _read(self) -> None:
        self._work = work = self.find()
        if work is None:
            self._clear_tasks()
            return
        if self._listing.update(work):
            self._composed = False
        if self._platform_nodes.is_due:
            self._composed = False
        if not self._composed:
            self._platform_nodes.update(self._listing.tasks().values(), work.groups)

    def _clear_tasks(self) -> None:
        self._listing.clear()
        self._composed = False

    def _compose(self) -> None:
        """Compare the terminations with what was read, and replace the snapshot if anything has changed."""
        with self._lock:
            if self._composed:
                self._terminator.observe(self._terminating_tasks())
                return
            self._tasks = self._listing.tasks()
            self._terminator.observe(self._tasks.values())
            known = self._platform_nodes.known
            self._snapshot = build_snapshot(self._tasks.values(), known, self._terminator.node_ids)
            given = {task.platform_node_id for task in self._tasks.values() if task.platform_node_id}
            # A platform node that is not known yet is read at the next reading.
            self._composed = given <= known.keys()

    def _terminating_tasks(self) -> list[TaskView]:
        return [self._tasks[node_id] for node_id in self._terminator.node_ids if node_id in self._tasks]

    def _escalate(self) -> None:
        with self._lock:
            tasks = self._terminating_tasks()
        self._terminator.escalate(tasks, {group.id for group in self.groups if group.configured})

    def machine_size(self, platform_node_id: str) -> MachineSize | None:
        """The size of a platform node's machine, or None while it is unknown. No call."""
        node = self._platform_nodes.known.get(platform_node_id)
        return node.size if node else None

    def load(self, group_id: str) -> int:
        """How many nodes of a task group are alive or submitted, those that are to end included. No call."""
        return self._listing.size(group_id)

    def take_ended(self) -> list[TaskView]:
        """The nodes that were seen ended since the last call, and whose end nobody has requested. No call.

        Among them are those that the platform finds no more.
        """
        terminating = self._terminator.node_ids
        return [
            task
            for task in self._listing.take_ended()
            if task.tags
            and task.status in (*ENDED_BY_ITSELF, NOT_FOUND)
            and not task.abort_requested
            and task.name not in terminating
        ]

    # Launching and terminating

    def add(self, tasks: Iterable[TaskView], tags: Mapping[str, str]) -> None:
        """List nodes that the platform has just accepted, before it shows them.

        Nodes that have ended already are listed too, until the next reading: Ray waits long for a node that is
        never listed. Another process may have submitted a task, so it keeps the tags that the platform shows.

        Args:
            tasks: the nodes' tasks.
            tags: the tags of tasks that the platform shows without theirs.
        """
        accepted = [replace(task, tags=task.tags or tags) for task in tasks]
        with self._lock:
            self._listing.add(accepted)
            self._composed = False
            alive = [replace(task, finished=False) for task in accepted]
            new = build_snapshot(alive, self._platform_nodes.known, self._terminator.node_ids)
            self._snapshot = Snapshot({**new.nodes, **self._snapshot.nodes})

    def terminate(self, node_ids: Iterable[str]) -> None:
        """Terminate workers. They leave the snapshot at once; unknown ids are ignored."""
        with self._lock:
            nodes = dict(self._snapshot.nodes)
            known = [nodes.pop(node_id) for node_id in node_ids if node_id in nodes]
            self._terminator.begin(known)
            self._snapshot = Snapshot(nodes)
        self._terminator.abort(known)

    def close(self) -> None:
        """Wait for the calls that are under way in the background."""
        self._terminator.close()
