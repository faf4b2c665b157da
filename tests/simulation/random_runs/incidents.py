"""What may happen once to a running cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from yellowdog_client.model import Task

from tests.simulation.random_runs.scenario import CLUSTER, COPY, REQUEST, STORE_DIES, Incident
from yellowdog_local.state.records import TaskRecord

if TYPE_CHECKING:
    from tests.simulation.world import World

T = TypeVar("T")

TAG_CALL_SECONDS = 3.0
"""How long the provider waits for one answer of the tag store."""


def happen(world: World, incident: Incident) -> None:
    """Let it happen, if there is anything that it can strike."""
    world.story.add("incident", incident.what)
    _HAPPENINGS[incident.what](world, incident)


def _all_workers_are_lost(world: World, _: Incident) -> None:
    for task in _executing(world):
        _lose(world, task)


def _raylet_dies(world: World, incident: Incident) -> None:
    task = _one(_executing(world), incident)
    if task is not None and task.entity.name in world.ray.raylets:
        world.story.add("incident", f"it is the raylet of {task.entity.name}")
        world.ray.crash(str(task.entity.name))


def _agent_falls_silent(world: World, incident: Incident) -> None:
    task = _one(_executing(world), incident)
    if task is not None and task.worker is not None:
        world.story.add("incident", f"it is the agent of {task.entity.name}")
        world.lab.hosts.unplug(task.worker.node.instance.id)


def _raylet_never_joins(world: World, incident: Incident) -> None:
    waiting = [
        str(task.entity.name)
        for task in world.tasks()
        if not task.status.finished and task is not world.head and task.entity.name not in world.ray.raylets
    ]
    name = _one(waiting, incident)
    if name is not None:
        world.story.add("incident", f"it is that of {name}")
        world.ray.barred.add(name)


def _autoscaler_starts_anew(world: World, incident: Incident) -> None:
    if world.monitor is not None:
        world.stop_monitor("restarted", incident.pause)


def _tag_store_dies(world: World, _: Incident) -> None:
    world.tags.up = False


def _pool_is_shut_down(world: World, incident: Incident) -> None:
    ours = (f"{CLUSTER}-cpu", f"{CLUSTER}-gpu")
    pools = [pool for pool in world.lab.platform.store.open_pools.values() if pool.name.startswith(ours)]
    if pool := _one(pools, incident):
        with world.lab.platform.locked():
            world.lab.platform.pools.shut_down(pool)


def _task_is_aborted(world: World, incident: Incident) -> None:
    if task := _one(_executing(world), incident):
        with world.lab.platform.locked():
            world.lab.platform.tasks.cancel(task, abort=True)
        world.checks.aborted_by_others(task)


def _address_changes(world: World, incident: Incident) -> None:
    """Ray keeps the address that its raylet has joined with."""
    if task := _one(_executing(world), incident):
        assert task.worker is not None
        number = int(incident.which * 250) + 1
        task.worker.node.entity.details.privateIpAddress = f"10.250.0.{number}"
        world.story.add("incident", f"it is that of {task.entity.name}")


_FOREIGN_TAGS = (
    b"not JSON",
    b"\xff\xfe",
    b"[1]",
    b'{"ray-node-status": 7}',
    b'{"ray-node-type": "head", "ray-user-node-type": "gpu", "ray-launch-request": "1"}',
)


def _tag_store_is_poisoned(world: World, incident: Incident) -> None:
    value = _FOREIGN_TAGS[int(incident.which * len(_FOREIGN_TAGS))]
    names = [str(task.entity.name).encode() for task in world.tasks() if not task.status.finished]
    fields = dict.fromkeys((*names, b"cpu-0", b"\xff"), value)
    world.tags.poison(f"raydog:{CLUSTER}:tags", {**fields, b":version": b"another"})


def _tag_store_drips(world: World, _: Incident) -> None:
    world.tags.drip = lambda: world.pass_time(TAG_CALL_SECONDS)


def _task_is_copied(world: World, incident: Incident) -> None:
    """The portal gives a copy another name. Its raylet does not join, and somebody aborts it later."""
    names = [str(task.entity.name) for task in world.tasks() if not task.status.finished and task is not world.head]
    if (name := _one(names, incident)) is None or (original := world.task(name)).group.status.terminating:
        return
    entity = original.entity
    copy = Task(
        name=f"{name}-copy",
        taskType=entity.taskType,
        taskData=entity.taskData,
        environment=dict(entity.environment or {}),
        timeout=entity.timeout,
    )
    if copy.name in world.copies:
        return
    world.story.add("incident", f"it is {name}")
    world.copies.add(str(copy.name))
    with world.lab.platform.locked():
        world.lab.platform.work.add_tasks(original.group, [copy])
    world.at(incident.pause, lambda: abort_copies(world), anywhere=True)


def abort_copies(world: World) -> None:
    """Abort all copies, as the provider's log advises."""
    groups = world.work.groups if world.work else []
    with world.lab.platform.locked():
        for task in [group.names[name] for group in groups for name in sorted(world.copies & group.names.keys())]:
            if not task.status.finished:
                world.lab.platform.tasks.cancel(task, abort=True)


def _users_request_nodes(world: World, incident: Incident) -> None:
    if world.gcs.is_down:
        world.story.add("users", "cannot request nodes: Ray does not answer")
        return
    world.gcs.hold(1 + int(incident.which * 3))


def _control_store_dies(world: World, incident: Incident) -> None:
    gcs = world.gcs
    gcs.is_down = True
    world.at(incident.pause, lambda: start_control_store(world) if world.gcs is gcs else None, anywhere=True)


def start_control_store(world: World) -> None:
    """Begin another life of the control store if it is dead."""
    if world.gcs.is_down:
        world.story.add("head", "the control store runs again")
        world.gcs.start()


_HAPPENINGS: dict[str, Callable[[World, Incident], object]] = {
    "a worker is lost": lambda world, incident: _lose(world, _one(_executing(world), incident)),
    "all workers are lost": _all_workers_are_lost,
    "a worker's raylet dies": _raylet_dies,
    "a worker's agent falls silent": _agent_falls_silent,
    "the next raylet never joins": _raylet_never_joins,
    "the head is lost": lambda world, _: _lose(world, world.head),
    "the autoscaler starts anew": _autoscaler_starts_anew,
    "the autoscaler is killed": lambda world, incident: world.condemn_monitor(incident.kill, incident.pause),
    "the tag store dies": _tag_store_dies,
    "the tag store starts empty": lambda world, _: world.tags.start(),
    "somebody shuts a pool down": _pool_is_shut_down,
    "somebody aborts a task": _task_is_aborted,
    "the tag store is poisoned": _tag_store_is_poisoned,
    "the tag store drips": _tag_store_drips,
    "a platform node's address changes": _address_changes,
    COPY: _task_is_copied,
    REQUEST: _users_request_nodes,
    STORE_DIES: _control_store_dies,
    "the user says `ray up` again": lambda world, _: world.up(),
}


def _executing(world: World) -> list[TaskRecord]:
    return [
        task
        for task in world.tasks()
        if task.worker is not None and not task.status.finished and task is not world.head
    ]


def _lose(world: World, task: TaskRecord | None) -> None:
    if task is not None and task.worker is not None:
        world.story.add("incident", f"it is {task.entity.name}")
        world.lab.hosts.lose(task.worker.node.instance.id)


def _one(candidates: Sequence[T], incident: Incident) -> T | None:
    return candidates[int(incident.which * len(candidates))] if candidates else None
