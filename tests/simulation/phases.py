"""The phases of a worker type under an autoscaler: first launch, further launches, spot notice, shrinking.

Each sequence of phases needs a node type of its own, so that its first worker is the first of its type.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulation.config import node_type
from tests.simulation.raylets import Demand
from tests.simulation.world import World
from yellowdog_local.recording import RecordedCall
from yellowdog_local.state.records import TaskRecord

MAX_TICKS = 30
NOTICE_SECONDS = 12.0
TYPES = tuple(f"type-{number:02}" for number in range(28))

CHANGING = {
    "PUT /work/requirements",
    "POST /workerPools/provisioned/template",
    "POST /work/taskGroups/{id}/tasks",
    "PUT /work/tasks/{id}/cancel",
}


@dataclass(frozen=True)
class Phase:
    """One phase.

    Attributes:
        name: for people.
        wanted: the number of workers wanted from then on.
        made: the number of workers launched up to its end, in all phases.
        notice: whether one of the present workers gets a spot notice first.
    """

    name: str
    wanted: int
    made: int
    notice: bool = False

    def begin(self, world: World, of_type: str) -> None:
        """Set the demand, and send the notice."""
        world.want(*([Demand({of_type: 1}, self.wanted)] if self.wanted else []))
        if self.notice:
            pool = world.task(min(world.listed(of_type))).worker.node.pool.name
            world.fault("lost", pool=pool, notice=True, notice_seconds=NOTICE_SECONDS, times=1)
            world.lab.advance(0.1)

    def run(self, world: World, of_type: str) -> list[RecordedCall]:
        """Run the phase to its end. Returns the platform calls."""
        mark = world.lab.calls.mark()
        self.begin(world, of_type)
        self.finish(world, of_type)
        return world.lab.calls.since(mark)

    def finish(self, world: World, of_type: str) -> None:
        """Tick until exactly the wanted workers have joined; check that nothing was created twice."""
        for _ in range(MAX_TICKS):
            assert world.tick()
            if self._is_over(world, of_type):
                break
        else:
            listed, joined = sorted(world.listed()), [raylet.node_id for raylet in world.ray.workers]
            raise AssertionError(f"after {MAX_TICKS} ticks {self.wanted} are wanted, {listed} listed, {joined} joined")
        made = [task.entity.name for task in _tasks(world, of_type)]
        assert len(made) == self.made, f"made twice: {made}"
        groups = [group.entity.name for group in world.work.groups]
        assert len(groups) == len(set(groups))

    def _is_over(self, world: World, of_type: str) -> bool:
        tasks = [task for task in _tasks(world, of_type) if not task.status.finished]
        alive = {task.entity.name for task in tasks}
        joined = {raylet.node_id for raylet in world.ray.workers if raylet.node_type == of_type}
        warned = any(task.worker and task.worker.node.entity.preemptionWarningTime for task in tasks)
        return (
            alive == joined == world.listed(of_type)
            and len(alive) == len(world.instances) == self.wanted
            and not warned
        )


FIRST = Phase("the first worker of a type", 1, 1)
FURTHER = Phase("further workers", 3, 3)
NOTICE = Phase("a spot notice", 3, 4, notice=True)
SHRINKING = Phase("shrinking", 0, 4)
PHASES = (FIRST, FURTHER, NOTICE, SHRINKING)

YAML = {
    "available_node_types": {
        "head": node_type(resources={"CPU": 0}, max_workers=0),
        **{name: node_type(resources={"CPU": 1, name: 1}, max_workers=10) for name in TYPES},
    },
    "idle_timeout_minutes": 0.2,
    "cluster_lifetime_hours": 5,
}
"""The YAML that the phases need."""


def _tasks(world: World, of_type: str) -> list[TaskRecord]:
    return [task for task in world.tasks() if (task.entity.environment or {})["RAY_NODE_TYPE_NAME"] == of_type]
