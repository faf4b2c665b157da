"""Workers that end soon after their start, by their tasks on YellowDog: also before the head reports it. No call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from yellowdog_ray.cluster.published import HeadState
from yellowdog_ray.errors import EndedAfterJoin, EndedBeforeJoin
from yellowdog_ray.inventory.facts import CLOCK_STEPS, Facts, PoolFacts
from yellowdog_ray.inventory.findings import Finding, at, named
from yellowdog_ray.inventory.limit_findings import current_state, is_wanted
from yellowdog_ray.platform.types import TaskView

EARLY = timedelta(minutes=5)
"""Longest run of a worker that counts as ended early: by then, Ray joins on nodes whose setup works."""

_OF_THE_MACHINE = ("ALLOCATION_LOST", "TIMED_OUT")
"""Kinds of task error that do not come from a worker's own programs (SDK `model/task_error_type.py`)."""

_REPORTED = (EndedBeforeJoin.code, EndedAfterJoin.code)


def early_end_findings(facts: Facts) -> Iterator[Finding]:
    """Node types whose workers end by themselves soon after their start, and none of which has lasted since."""
    state = current_state(facts)
    for pool in facts.pools:
        early = [] if pool.is_head else [task for task in pool.ended if _is_early(task)]
        if not early or facts.work.cancelling or _has_lasted(facts, pool, early):
            continue
        last = early[-1]
        if state is not None and _is_known_to(facts, state, pool.node_type, last):
            continue
        end = "; ".join((last.status, *last.errors))
        yield Finding(
            "workers-end-early",
            f"{len(early)} worker(s) of node type {pool.node_type} have ended soon after their start",
            (
                f"the last, {last.name}: {end} at {at(last.ended)}, after {_run_of(last).total_seconds():.0f} s",
                f"ended within the last hour: {named([task.name for task in reversed(early)])}",
            ),
            f"read the output of {last.name}'s task in YellowDog's portal (`raydog logs` names its file), correct "
            "ray_worker_node_task_script or the image, then run `ray up`",
        )


def _is_known_to(facts: Facts, state: HeadState, node_type: str, last: TaskView) -> bool:
    """Whether the head has published since that no such worker is needed, or the same as a back-off."""
    if any(each.node_type == node_type and each.code in _REPORTED for each in state.back_offs):
        return True
    is_later = last.ended is not None and state.at > last.ended
    return is_later and not is_wanted(facts, state, node_type)


def _is_early(task: TaskView) -> bool:
    return _run_of(task) <= EARLY and not any(error.startswith(_OF_THE_MACHINE) for error in task.errors)


def _run_of(task: TaskView) -> timedelta:
    """How long a task ran; one that never started, not at all."""
    return max(timedelta(0), task.ended - task.started) if task.ended and task.started else timedelta(0)


def _has_lasted(facts: Facts, pool: PoolFacts, early: Sequence[TaskView]) -> bool:
    """Whether a later worker has run longer than those that ended, or Ray runs on one."""
    last = early[-1]
    longest = max(map(_run_of, early)) + CLOCK_STEPS
    state = current_state(facts)
    kind = state.node_types.get(pool.node_type) if state else None
    if state and kind and kind.alive and last.ended and state.at > last.ended:
        return True
    return any(
        task.executing
        and task.started
        and last.started
        and task.started >= last.started
        and facts.now - task.started > longest
        for task in pool.tasks
    )
