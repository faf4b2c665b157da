"""The ledger of terminations: nodes that are to end, until the platform no longer lists them. No I/O.

An abort may succeed and yet have no effect. So each termination escalates: the task is aborted, its
platform node is shut down, its instance is terminated. On machines that are not ours only the task is aborted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from enum import Enum

from yellowdog_ray.platform.types import TaskView

ABORT_AGAIN_SECONDS = 10.0
"""How long after an abort that shows no effect the task is aborted again."""

SHUT_DOWN_NODE_SECONDS = 60.0
"""How long an abort may take. It is above the 30 s for which Ray drains a busy node on SIGTERM
(RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S), and above the platform's pause between SIGTERM and SIGKILL."""

TERMINATE_INSTANCE_SECONDS = 120.0
"""How long abort and shutdown together may take."""

REPEAT_SECONDS = 60.0
"""How often the last action is repeated."""

UNSEEN_SECONDS = 60.0
"""How long a node that the platform does not show (yet, or any more) is kept."""


class Action(Enum):
    """The next action on a node whose termination has not taken effect."""

    ABORT = "aborting its task again"
    SHUT_DOWN_NODE = "shutting its platform node down"
    TERMINATE_INSTANCE = "terminating its instance"


@dataclass(frozen=True)
class Escalation:
    """One action on one task.

    Attributes:
        waited: seconds since the node's termination was first requested of the platform.
    """

    task: TaskView
    action: Action
    waited: float


@dataclass
class _Termination:
    """One node that is to end.

    Attributes:
        begun: when that was decided.
        requested: when it was first requested of the platform; None before: many aborts take their time.
        acted: when the latest action was carried out; None while one is under way.
        action: the latest action.
        acknowledged: whether the platform has answered that it aborts the task.
    """

    begun: float
    requested: float | None = None
    acted: float | None = None
    action: Action = Action.ABORT
    acknowledged: bool = False


class Terminations:
    """The ledger. Not thread-safe: its owner locks.

    Args:
        monotonic: seconds that never go back.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._entries: dict[str, _Termination] = {}
        self._node_ids: frozenset[str] = frozenset()

    @property
    def node_ids(self) -> frozenset[str]:
        """Ids of all nodes that are to end and may not have ended yet."""
        return self._node_ids

    def begin(self, node_ids: Iterable[str]) -> None:
        """Enter nodes that are about to be aborted. Their time counts from the first `acted`."""
        now = self._monotonic()
        self._entries |= {node_id: _Termination(now) for node_id in node_ids}
        self._node_ids = frozenset(self._entries)

    def acted(self, node_id: str, *, acknowledged: bool = False) -> None:
        """Record that the due action on a node has been carried out.

        Args:
            node_id: the node.
            acknowledged: whether the platform's answer shows that it aborts the task.
        """
        entry = self._entries.get(node_id)
        if entry is None:
            return
        now = self._monotonic()
        entry.acted, entry.acknowledged = now, entry.acknowledged or acknowledged
        if entry.requested is None:
            entry.requested = now

    def observe(self, tasks: Iterable[TaskView], *, adopt: bool) -> None:
        """Compare the ledger with the platform; drop nodes that it has not shown for `UNSEEN_SECONDS`.

        Args:
            tasks: every live task.
            adopt: whether to enter tasks that another process has aborted, such as an earlier autoscaler.
        """
        now = self._monotonic()
        shown = set()
        for task in tasks:
            shown.add(task.name)
            if adopt and task.abort_requested and task.name not in self._entries:
                self._entries[task.name] = _Termination(now, now, now)
        self._entries = {
            node_id: entry
            for node_id, entry in self._entries.items()
            if node_id in shown or now - entry.begun < UNSEEN_SECONDS
        }
        self._node_ids = frozenset(self._entries)

    def due(self, tasks: Iterable[TaskView], not_ours: Collection[str] = ()) -> list[Escalation]:
        """The actions that are due now. No further action on these nodes is due until `acted` is called for them.

        Args:
            tasks: every live task.
            not_ours: ids of the task groups on machines that are not ours: their tasks are aborted, no more.
        """
        if not self._entries:
            return []
        now = self._monotonic()
        escalations = []
        for task in tasks:
            entry = self._entries.get(task.name)
            if entry is None or entry.requested is None or entry.acted is None or task.finished:
                continue
            waited = now - entry.requested
            action = _next(entry, task, waited, now - entry.acted, abort_only=task.group_id in not_ours)
            if action is not None:
                entry.action, entry.acted = action, None
                escalations.append(Escalation(task, action, waited))
        return escalations


def _next(
    entry: _Termination, task: TaskView, waited: float, since_action: float, *, abort_only: bool
) -> Action | None:
    if abort_only or task.platform_node_id is None or waited < SHUT_DOWN_NODE_SECONDS:
        again = REPEAT_SECONDS if task.abort_requested or entry.acknowledged else ABORT_AGAIN_SECONDS
        return Action.ABORT if since_action >= again else None
    if waited < TERMINATE_INSTANCE_SECONDS:
        return Action.SHUT_DOWN_NODE if entry.action is Action.ABORT else None
    if entry.action is Action.TERMINATE_INSTANCE and since_action < REPEAT_SECONDS:
        return None
    return Action.TERMINATE_INSTANCE
