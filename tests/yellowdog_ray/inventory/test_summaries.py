"""The state of a cluster, by its head's task."""

from datetime import datetime, timedelta, timezone

import pytest

from yellowdog_ray.inventory.summaries import State, state_of
from yellowdog_ray.platform.types import Counts, Placement, TaskGroupView, TaskPhase, WorkRequirementView

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
EXECUTING, WAITING, ENDED = TaskPhase.EXECUTING, TaskPhase.WAITING, TaskPhase.ENDED


@pytest.mark.parametrize(
    ("status", "at", "minutes", "state"),
    [
        ("RUNNING", {EXECUTING: 1}, 60, State.UP),
        ("RUNNING", {WAITING: 1}, 60, State.STARTING),
        ("RUNNING", {}, 9, State.STARTING),
        ("RUNNING", {}, 11, State.HEADLESS),
        ("RUNNING", {}, None, State.UNKNOWN),
        ("RUNNING", {ENDED: 1}, 1, State.HEADLESS),
        ("RUNNING", {ENDED: 1}, None, State.HEADLESS),
        ("RUNNING", None, 1, State.UNKNOWN),
        ("CANCELLING", {EXECUTING: 1}, 60, State.ENDING),
        ("CANCELLED", {ENDED: 1}, 60, State.ENDED),
    ],
)
def test_state_follows_the_heads_task(status, at, minutes, state):
    counts = None if at is None else Counts(at)
    head = TaskGroupView("g", "head", "demo-head-0a0b0c0d", None, counts, Placement((), ()))
    created = None if minutes is None else NOW - timedelta(minutes=minutes)
    work = WorkRequirementView("w", "demo", status, status == "CANCELLED", status == "CANCELLING", created, (head,))

    assert state_of(work, NOW) is state
