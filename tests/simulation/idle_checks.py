"""What must hold of a cluster that ends itself when it is idle: never too early, and soon after its time.

A check that fails raises `Violation`, with the name `home`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from yellowdog_client.model import WorkRequirementStatus

from tests.simulation.monitor import Life, Monitor
from yellowdog_ray.names import publisher_of

if TYPE_CHECKING:
    from tests.simulation.world import World

HOME_SECONDS = 60.0
"""How long after its time an idle cluster may live, while nothing fails."""

_ENDING = re.compile(r"DELETE /workerPools/ydid:|PUT /work/requirements/[^/]+/transition/CANCEL")
"""Calls that end a pool or the work requirement. The autoscaler makes them for an idle cluster only."""


class IdleChecks:
    """Checks of one world.

    Attributes:
        has_ended: whether the cluster has ended itself in the last round.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._life: Life | None = None
        self._began = 0.0
        self._yaml: object = None
        self._was_committed = False
        self._ended_itself_at: float | None = None
        self.has_ended = False

    @property
    def seconds(self) -> float | None:
        """The cluster's `idle_termination_minutes`, in seconds."""
        minutes = self._world.yaml["provider"].get("idle_termination_minutes")
        return None if minutes is None else float(minutes) * 60

    @property
    def committed(self) -> bool:
        """Whether the end of the cluster has begun: of the head's pool, or of its work requirement."""
        work, head = self._world.work, self._world.head
        if work is None or head is None or work.status is WorkRequirementStatus.CANCELLING:
            return True
        return head.worker is not None and head.worker.node.pool.status.finished

    def _ends_a_record(self, call: str) -> bool:
        """Whether a call cancels a record of the head's state, which is no cluster."""
        work_id = next((part for part in call.split("/") if part.startswith("ydid:workreq:")), "")
        work = self._world.lab.platform.store.works.get(work_id)
        return work is not None and bool(publisher_of(work.entity.name, work.entity.tag or ""))

    def before_tick(self, monitor: Monitor) -> None:
        """Note who uses the cluster, and whether its end has begun before."""
        self._note_use()
        if monitor.life is not self._life or self._world.yaml is not self._yaml:
            self._life, self._yaml, self._began = monitor.life, self._world.yaml, self._world.seconds
        self._was_committed = self.committed
        self._note_end()

    def after_tick(self, *, calm_since: float) -> None:
        """Raise `Violation` for an end that comes too early or too late.

        Args:
            calm_since: since when no call may have met a fault; in the future while one may.
        """
        ending = [call for call in self._world.wire.calls if _ENDING.match(call) and not self._ends_a_record(call)]
        seconds, now = self.seconds, self._world.seconds
        idle = now - max(self._began, self._world.ray.users.used_at)
        if ending and not self._was_committed and (seconds is None or idle < seconds):
            self._world.fail("home", f"the autoscaler ends a cluster that is idle for {idle:.0f} s: {ending[0]}")
        self._note_use()
        self.has_ended = bool(ending) and self._world.head is None
        self._note_end()
        if self._ended_itself_at is not None and self._late(self._ended_itself_at, calm_since) > HOME_SECONDS:
            self._world.fail("home", f"the head lives {now - self._ended_itself_at:.0f} s after its pool has ended")
        late = self._late(self._world.ray.users.used_at, calm_since)
        if seconds is not None and late > seconds + HOME_SECONDS:
            self._world.fail("home", f"the cluster is idle for {idle:.0f} s, and has not ended")

    def _note_end(self) -> None:
        """Note when an end has begun; only users whose clusters never end themselves run a `ray down` before."""
        if self.seconds is None or self._world.head is None or not self.committed:
            self._ended_itself_at = None
        elif self._ended_itself_at is None:
            self._ended_itself_at = self._world.seconds

    def _late(self, due: float, calm_since: float) -> float:
        """For how many seconds something is due, counted from the begin of this life, and of calm, at the earliest."""
        return self._world.seconds - max(due, self._began, calm_since)

    def _note_use(self) -> None:
        ray = self._world.ray
        is_busy = ray.pending or ray.groups or any(not raylet.idle for raylet in ray.alive)
        if is_busy or ray.users.present:
            ray.users.used_at = self._world.seconds
