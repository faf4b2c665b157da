"""The retry and failure policies of a run specification, applied to a failed task. No I/O, no state."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from yellowdog_client.model import RunSpecification, Selection, TaskError, TaskErrorSelector

_T = TypeVar("_T")


def may_retry(spec: RunSpecification, retries: int, error: TaskError) -> bool:
    """Whether a task that has been retried `retries` times and failed with this error is retried again."""
    policy = spec.retryPolicy
    if policy is None:
        return retries < (spec.maximumTaskRetries or 0)
    return retries < policy.maxRetries and _selected(policy.retryErrors, lambda s: _matches(s, error))


def resubmission(spec: RunSpecification, error: TaskError) -> str | None:
    """The name of the task group to which a task with this error is resubmitted; None for no resubmission."""
    policy = spec.failurePolicy
    for destination in policy.resubmissionDestinations if policy is not None else ():
        if _selected(destination.resubmitErrors, lambda s: _matches(s, error)):
            return destination.destinationTaskGroup
    return None


def _matches(selector: TaskErrorSelector, error: TaskError) -> bool:
    return (
        _selected(selector.errorTypes, lambda kind: kind == error.errorType)
        and _selected(selector.statusesAtFailure, lambda status: status is error.statusAtFailure)
        and _selected(selector.processExitCodes, lambda code: code == error.processExitCode)
    )


def _selected(selection: Selection[_T] | None, is_it: Callable[[_T], bool]) -> bool:
    if selection is None:
        return True
    if selection.includes and not any(map(is_it, selection.includes)):
        return False
    return not any(map(is_it, selection.excludes or ()))
