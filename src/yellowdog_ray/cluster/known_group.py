"""State of one task group from earlier readings. Makes no call."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from yellowdog_ray.cluster.task_reading import Tasks, phases
from yellowdog_ray.platform.types import Counts, TaskPhase


@dataclass
class KnownGroup:
    """One task group as last read.

    Attributes:
        tasks: its live tasks.
        counts: what the platform counted shortly before, or counts now if nothing has moved since.
        counted_at: since when it has counted so.
        read_at: when the tasks were read.
        missing: ids of the tasks that the last whole list lacked and that were not requested by id yet.
    """

    tasks: Tasks
    counts: Counts | None
    counted_at: float
    read_at: float
    missing: frozenset[str] = frozenset()

    @cached_property
    def phases(self) -> Counter[TaskPhase]:
        """How many of the tasks are in each phase."""
        return phases(self.tasks.values())
