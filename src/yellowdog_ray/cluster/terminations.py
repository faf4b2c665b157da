"""Nodes that were asked to end: hidden at once, watched until the platform has dropped them, pushed harder meanwhile.

An abort may be answered with success and yet not take. So each ending goes through three steps: the task is aborted,
its platform node is shut down, its instance is terminated. Machines that are not ours stop at the first step. Pure;
knows no platform.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from enum import Enum

from yellowdog_ray.platform.types import TaskView

ABORT_AGAIN_SECONDS = 10.0
"""How long after an abort a task that shows no sign of it is asked again."""

SHUT_DOWN_NODE_SECONDS = 60.0
"""How long an abort may take: above the 30 s for which Ray drains a busy node on SIGTERM
(RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S), and the time that the platform gives a process before it kills it."""

TERMINATE_INSTANCE_SECONDS = 120.0
"""How long abort and shutdown together may take."""

REPEAT_SECONDS = 60.0
"""How often the last step is repeated."""

UNSEEN_SECONDS = 60.0
"""How long a node that the platform does not show (yet, or any more) is remembered."""


class Step(Enum):
    """What is to be done next about a node that should have ended."""

    ABORT = "aborting its task again"
    SHUT_DOWN_NODE = "shutting its platform node down"
    TERMINATE_INSTANCE = "terminating its instance"


@dataclass(frozen=True)
class Push:
    """One thing to do about one task.

    Attributes:
        waited: seconds since its end was asked for.
    """

    task: TaskView
    step: Step
    waited: float


@dataclass
class _Ending:
    """One node that is to end.

    Attributes:
        begun: when that was decided.
        since: when the platform was first asked; None as long as it is to be: many aborts take their time.
        pushed: when the platform was last asked; None while it is to be asked once more.
        step: for what.
        heard: whether the platform has answered that it aborts the task.
    """

    begun: float
    since: float | None = None
    pushed: float | None = None
    step: Step = Step.ABORT
    heard: bool = False


class Endings:
    """The ledger of nodes that are to end. Not thread-safe: its owner locks.

    Args:
        monotonic: seconds that never go back.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._endings: dict[str, _Ending] = {}
        self._node_ids: frozenset[str] = frozenset()

    @property
    def node_ids(self) -> frozenset[str]:
        """Ids of all nodes that are to end and may not have yet."""
        return self._node_ids

    def begin(self, node_ids: Iterable[str]) -> None:
        """These are going to be asked to end; time counts from when each `asked` is."""
        now = self._monotonic()
        self._endings |= {node_id: _Ending(now) for node_id in node_ids}
        self._node_ids = frozenset(self._endings)

    def asked(self, node_id: str, *, heard: bool = False) -> None:
        """The platform has been asked to do about a node what was to be done.

        Args:
            node_id: the node.
            heard: whether its answer shows that it aborts the task.
        """
        ending = self._endings.get(node_id)
        if ending is None:
            return
        now = self._monotonic()
        ending.pushed, ending.heard = now, ending.heard or heard
        if ending.since is None:
            ending.since = now

    def observe(self, tasks: Iterable[TaskView], *, adopt: bool) -> None:
        """Take note of what the platform shows; a node that is shown no more is forgotten.

        Args:
            tasks: every live task.
            adopt: whether to see to the tasks that somebody else has aborted, or we in an earlier life.
        """
        now = self._monotonic()
        shown = set()
        for task in tasks:
            shown.add(task.name)
            if adopt and task.abort_requested and task.name not in self._endings:
                self._endings[task.name] = _Ending(now, now, now)
        self._endings = {
            node_id: ending
            for node_id, ending in self._endings.items()
            if node_id in shown or now - ending.begun < UNSEEN_SECONDS
        }
        self._node_ids = frozenset(self._endings)

    def due(self, tasks: Iterable[TaskView], not_ours: Collection[str] = ()) -> list[Push]:
        """What is to be done now; nothing more about these nodes is due until they were `asked`.

        Args:
            tasks: every live task.
            not_ours: ids of the task groups whose machines are not ours to end: their tasks are aborted, no more.
        """
        if not self._endings:
            return []
        now = self._monotonic()
        pushes = []
        for task in tasks:
            ending = self._endings.get(task.name)
            if ending is None or ending.since is None or ending.pushed is None or task.finished:
                continue
            waited = now - ending.since
            step = _next(ending, task, waited, now - ending.pushed, abort_only=task.group_id in not_ours)
            if step is not None:
                ending.step, ending.pushed = step, None
                pushes.append(Push(task, step, waited))
        return pushes


def _next(ending: _Ending, task: TaskView, waited: float, since_push: float, *, abort_only: bool) -> Step | None:
    if abort_only or task.platform_node_id is None or waited < SHUT_DOWN_NODE_SECONDS:
        again = REPEAT_SECONDS if task.abort_requested or ending.heard else ABORT_AGAIN_SECONDS
        return Step.ABORT if since_push >= again else None
    if waited < TERMINATE_INSTANCE_SECONDS:
        return Step.SHUT_DOWN_NODE if ending.step is Step.ABORT else None
    if ending.step is Step.TERMINATE_INSTANCE and since_push < REPEAT_SECONDS:
        return None
    return Step.TERMINATE_INSTANCE
