from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from yellowdog_client.model import (
    FailurePolicy,
    ResubmissionDestination,
    RetryPolicy,
    RunSpecification,
    Selection,
    TaskError,
    TaskErrorSelector,
    TaskStatus,
)

from yellowdog_local.work.retries import may_retry, resubmission

ERROR = TaskError(
    datetime(2026, 1, 1, tzinfo=timezone.utc), "it failed", None, None, "LOST", TaskStatus.EXECUTING, processExitCode=3
)


def selector(**selections: Any) -> Selection[TaskErrorSelector]:
    return Selection([TaskErrorSelector(**selections)])


def spec(**fields: Any) -> RunSpecification:
    return RunSpecification(["bash"], **fields)


def test_retries_are_counted_against_the_limit() -> None:
    assert not may_retry(spec(), 0, ERROR)
    assert (may_retry(spec(maximumTaskRetries=2), 1, ERROR), may_retry(spec(maximumTaskRetries=2), 2, ERROR)) == (
        True,
        False,
    )
    policy = spec(maximumTaskRetries=9, retryPolicy=RetryPolicy(1))
    assert (may_retry(policy, 0, ERROR), may_retry(policy, 1, ERROR)) == (True, False)


@pytest.mark.parametrize(
    ("errors", "retried"),
    [
        (None, True),
        (Selection(), True),
        (selector(), True),
        (selector(errorTypes=Selection(["LOST"])), True),
        (selector(errorTypes=Selection(["OTHER"])), False),
        (selector(errorTypes=Selection(excludes=["LOST"])), False),
        (selector(errorTypes=Selection(["LOST"], ["LOST"])), False),
        (selector(statusesAtFailure=Selection([TaskStatus.EXECUTING])), True),
        (selector(statusesAtFailure=Selection([TaskStatus.PENDING])), False),
        (selector(processExitCodes=Selection([1, 3])), True),
        (selector(errorTypes=Selection(["LOST"]), processExitCodes=Selection([1])), False),
        (Selection(excludes=[TaskErrorSelector(processExitCodes=Selection([3]))]), False),
        (Selection(excludes=[TaskErrorSelector(processExitCodes=Selection([4]))]), True),
    ],
)
def test_only_selected_errors_are_retried(errors: Any, retried: bool) -> None:
    assert may_retry(spec(retryPolicy=RetryPolicy(1, errors)), 0, ERROR) is retried


def test_task_is_resubmitted_to_the_first_destination_for_its_error() -> None:
    destinations = [
        ResubmissionDestination("never", selector(processExitCodes=Selection([1]))),
        ResubmissionDestination("first", selector(processExitCodes=Selection([3]))),
        ResubmissionDestination("second"),
    ]
    assert resubmission(spec(failurePolicy=FailurePolicy(destinations)), ERROR) == "first"
    assert resubmission(spec(failurePolicy=FailurePolicy(destinations[:1])), ERROR) is None
    assert resubmission(spec(), ERROR) is None
