"""What must hold in every run, whatever goes wrong, with the bounds of what may take a while."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from yellowdog_client.model import WorkRequirementStatus

from tests.simulation.monitor import Launch, Monitor, Tick
from yellowdog_local.state.records import InstanceRecord, TaskRecord
from yellowdog_ray.cluster.backoff import LONGEST_SECONDS
from yellowdog_ray.cluster.pools import IDLE_NODE_TIMEOUT
from yellowdog_ray.cluster.terminations import REPEAT_SECONDS, TERMINATE_INSTANCE_SECONDS
from yellowdog_ray.platform.client import CONNECT_TIMEOUT, READ_TIMEOUT

if TYPE_CHECKING:
    from tests.simulation.random_runs.world import World

TICK = 5.0
BOOT = 10.0

SPARE_SECONDS = IDLE_NODE_TIMEOUT.total_seconds() + 2 * TICK
"""How long a platform node without a task may live: the platform's own idle timeout."""

GIVEN_UP_SECONDS = TERMINATE_INSTANCE_SECONDS + REPEAT_SECONDS + 4 * TICK
"""How long a node that was given up may live while nothing is wrong with calls: until the provider terminates its
instance, once more if the first time was in vain."""

CALL_SECONDS = (CONNECT_TIMEOUT + READ_TIMEOUT).total_seconds()
"""The longest that one platform call may take; on the head none is tried again."""

LOOP_SECONDS = 12 * CALL_SECONDS
"""How long one tick may keep the loop waiting: the calls of a listing, the looks at pools and at spot notices, and in
v1 the launches of two types with their looks by name, each as slow as can be."""

LOOP_CALLS = 30
"""A listing takes 2 calls and one per pool, a look at supply 3 per pool, a launch 8, notices 1, a replacement 4."""

TICK_CALLS = 60
"""The same, and the endings that go on beside the loop, of up to twice as many nodes as there may be at once."""


class Invariants:
    """Watches one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._others: dict[str, Any] = {}
        self._other_works: set[str] = set()
        self._other_pools: set[str] = set()
        self._spare_since: dict[tuple[str, str], float] = {}
        self._changed_at = 0.0
        self._seen_ending: frozenset[str] = frozenset()
        self._aborted_by_others: list[TaskRecord] = []
        build = world.scenario.changes["build_minutes"] * 60.0
        self.pending_seconds = build + SPARE_SECONDS
        """How long an instance that never registers may live: the platform's own boot timeout."""
        self.served_seconds = LONGEST_SECONDS + 2 * build + GIVEN_UP_SECONDS
        """How long work may wait after all trouble: a node that never boots or never joins, the longest pause after
        failed launches, and the same for its successor that was asked for while there was trouble."""
        self.tidy_seconds = build + GIVEN_UP_SECONDS + SPARE_SECONDS
        """How long it may take after all trouble until every instance belongs to a node that is listed."""
        self.given_back_seconds = 60.0 + self.tidy_seconds
        """How long it may take until nothing but `min_workers` is left once nothing is wanted."""

    def begin(self) -> None:
        """Take all that there is now for other clusters': so it must stay."""
        store = self._world.platform.store
        self._other_works = set(store.works)
        self._other_pools = set(store.pools)
        self._others = self._other_clusters()

    def trouble_has_changed(self) -> None:
        """Something has begun or ceased to go wrong: patience begins anew."""
        self._changed_at = self._world.seconds

    def aborted_by_others(self, task: TaskRecord) -> None:
        """Somebody else has ended a task."""
        self._aborted_by_others.append(task)

    # After every tick

    def before_tick(self, monitor: Monitor) -> set[str]:
        """The nodes that live before a tick."""
        return self._living()

    def after_tick(self, monitor: Monitor, tick: Tick, living_before: set[str]) -> None:
        """Raise `Violation` for what does not hold."""
        self._observe_tick(tick, monitor)
        self._loop_goes_on(monitor, tick)
        self._nothing_is_made_twice(monitor.life.launches)
        self._nobody_is_ended_by_mistake(monitor)
        self._nobody_is_omitted(monitor, tick, living_before)
        self._limits_are_kept(monitor)
        self._every_instance_has_its_node(monitor, tick)
        self.neighbours_are_untouched()

    def _observe_tick(self, tick: Tick, monitor: Monitor) -> None:
        for launch in monitor.life.launches:
            outcome = f"fails: {launch.error}" if launch.error else f"{launch.made} made"
            self._world.story.tell("head", f"Ray asks for {launch.count} x {launch.node_type}: {outcome}")

    def loop_raised(self, monitor: Monitor, error: Exception) -> None:
        """An autoscaler that has never had a listing may give up a tick; any other may not."""
        if monitor.life.listed or not self._trouble_lately:
            self._world.fail("loop", f"the tick raised {error!r}", error)

    @property
    def _trouble_lately(self) -> bool:
        """Whether a call that has just ended may have met trouble: one that hangs outlives it."""
        return self._world.in_trouble or self._world.seconds - self._changed_at <= CALL_SECONDS

    def _loop_goes_on(self, monitor: Monitor, tick: Tick) -> None:
        world = self._world
        if not tick.done and (monitor.life.listed or not self._trouble_lately):
            world.fail("loop", "Ray could not carry out a tick")
        if tick.loop_seconds > LOOP_SECONDS:
            world.fail("loop", f"a tick kept the loop waiting for {tick.loop_seconds:.0f} s")
        if tick.loop_calls > LOOP_CALLS or tick.calls > TICK_CALLS:
            world.fail("calls", f"{tick.loop_calls} calls in the loop, {tick.calls} in all, in one tick")

    def _nothing_is_made_twice(self, launches: Iterable[Launch]) -> None:
        for launch in launches:
            if launch.made > launch.count:
                self._world.fail("twice", f"{launch.made} nodes were made for a request of {launch.count}: {launch}")
        names = Counter(str(task.entity.name) for task in self._world.tasks())
        if twice := [name for name, count in names.items() if count > 1]:
            self._world.fail("twice", f"there is more than one task for the nodes {twice}")

    def _nobody_is_omitted(self, monitor: Monitor, tick: Tick, living_before: set[str]) -> None:
        """A single omission costs a healthy node its life, in v2 an hour later."""
        if tick.told is None:
            return
        alive = self._living() & living_before - self._given_up(monitor)
        if omitted := alive & monitor.life.listed - tick.told:
            self._world.fail("omitted", f"the listing lacks {sorted(omitted)}, which it had before and which live")
        if tick.fresh and not self._lists_lag and (unknown := alive - tick.told):
            self._world.fail("omitted", f"the listing, just read, lacks {sorted(unknown)}, which live")

    def _nobody_is_ended_by_mistake(self, monitor: Monitor) -> None:
        """Neither Ray nor the provider ends a node that works, unless it is about to be lost anyway."""
        new, self._seen_ending = self._given_up(monitor) - self._seen_ending, self._given_up(monitor)
        ray = self._world.ray
        for task in self._world.tasks():
            raylet = ray.raylets.get(str(task.entity.name))
            if task.entity.name not in new or raylet is None or _warned(task) or task in self._aborted_by_others:
                continue
            if raylet.alive and not raylet.idle:
                self._world.fail("mistake", f"the end of {raylet.node_id} was asked for, which works")

    @property
    def _lists_lag(self) -> bool:
        return self._world.platform.faults.concern_lists

    def _limits_are_kept(self, monitor: Monitor) -> None:
        world = self._world
        wanted = self._living() - self._given_up(monitor)
        workers = [
            task
            for task in world.tasks()
            if task.entity.name in wanted and task is not world.head and not _warned(task)
        ]
        if len(workers) > world.scenario.changes["max_workers"]:
            world.fail("limits", f"{len(workers)} workers live")

    def _every_instance_has_its_node(self, monitor: Monitor, tick: Tick) -> None:
        given_up = self._given_up(monitor)
        now = self._world.seconds
        since: dict[tuple[str, str], float] = {}
        for instance in self.instances():
            why, patience = self._excuse(instance, tick, monitor.life.listed, given_up)
            if why is None:
                continue
            key = (instance.id, why)
            since[key] = self._spare_since.get(key, now)
            began = max(since[key], self._worked_at(instance) if why == "idle" else self._changed_at)
            if now - began > patience and not (why != "idle" and self._world.in_trouble):
                self._world.fail("forgotten", f"instance {instance.id} is {why} for {now - began:.0f} s")
        self._spare_since = since

    def _worked_at(self, instance: InstanceRecord) -> float:
        """When the last task on an instance ended; it may have come and gone between two looks of ours."""
        node_id = instance.node.id if instance.node else None
        ends = [task.entity.finishedTime for task in self._world.tasks() if task.entity.nodeId == node_id]
        return max((end.timestamp() for end in ends if end is not None), default=0.0)

    def _excuse(
        self, instance: InstanceRecord, tick: Tick, listed: set[str], given_up: frozenset[str]
    ) -> tuple[str | None, float]:
        """Why an instance may live without a listed node for a while, and for how long; None if it has one."""
        if instance.node is None:
            return "pending", self.pending_seconds
        living = [task for task in instance.node.tasks if not task.status.finished]
        if not living:
            return "idle", SPARE_SECONDS
        names = {str(task.entity.name) for task in living}
        if names & given_up or any(_ending(task) for task in living):
            return "given up", GIVEN_UP_SECONDS
        if names <= (tick.told or listed):
            return None, 0.0
        return "unknown", 2 * TICK if listed else GIVEN_UP_SECONDS

    # After every command, and at the end

    def neighbours_are_untouched(self) -> None:
        """Nothing of another cluster has changed."""
        now = self._other_clusters()
        if now != self._others:
            changed = [key for key in now if now[key] != self._others.get(key)]
            self._world.fail("neighbours", f"another cluster was touched: {changed}")

    def nothing_is_left(self) -> None:
        """`ray down` has said that nothing is left, and so it is."""
        store = self._world.platform.store
        left = [instance.id for instance in self.instances()]
        left += [pool.name for pool in store.open_pools.values() if pool.id not in self._other_pools]
        left += [
            str(work.entity.name)
            for work in store.works.values()
            if work.id not in self._other_works and not work.status.finished
        ]
        if left:
            self._world.fail("left", f"`ray down` succeeded, and there is still {left}")

    def demand_is_served(self) -> None:
        """Wait until all that is wanted runs."""
        world = self._world
        self._wait(lambda: not world.ray.pending and self._enough(), self.served_seconds, "served", self._unserved)
        world.pass_time(SPARE_SECONDS + TICK)
        self._wait(lambda: not world.ray.pending, self.served_seconds, "served", self._unserved)

    def _enough(self) -> bool:
        return len(self._world.ray.workers) >= self._world.scenario.changes["min_workers"]

    def _unserved(self) -> str:
        ray = self._world.ray
        return f"{ray.pending} still waits; {len(ray.workers)} workers have joined"

    def all_is_tidy(self) -> None:
        """Wait until every instance belongs to a node that is listed."""

        def tidy() -> bool:
            return not self._spare_since

        self._wait(tidy, self.tidy_seconds, "tidy", lambda: f"{sorted(self._spare_since)} still live")

    def all_is_given_back(self) -> None:
        """Wait until nothing but `min_workers` is left."""
        least = self._world.scenario.changes["min_workers"]

        def gone() -> bool:
            return len(list(self.instances())) <= least + 1

        self._wait(
            gone, self.given_back_seconds, "given back", lambda: f"{len(list(self.instances()))} instances live on"
        )

    def _wait(self, done: Callable[[], bool], seconds: float, invariant: str, describe: Callable[[], str]) -> None:
        world = self._world
        began = world.seconds
        world.pass_time(2 * TICK)
        while not done():
            if world.seconds - began > seconds:
                world.fail(invariant, f"after {seconds:.0f} s: {describe()}")
            world.pass_time(TICK)
        world.story.tell("invariants", f"{invariant} after {world.seconds - began:.0f} s")

    # What the platform holds

    def _given_up(self, monitor: Monitor) -> frozenset[str]:
        return monitor.provider.side.cluster.terminating | monitor.life.given_up

    def _living(self) -> set[str]:
        return {str(task.entity.name) for task in self._world.tasks() if not task.status.finished and not _ending(task)}

    def instances(self) -> Iterable[InstanceRecord]:
        """The live instances of our cluster, of all its incarnations."""
        for pool in self._world.platform.store.pools.values():
            if pool.id not in self._other_pools:
                yield from pool.requirement.live.values()

    def _other_clusters(self) -> dict[str, Any]:
        store = self._world.platform.store
        state: dict[str, Any] = {}
        for work_id in self._other_works:
            work = store.works[work_id]
            tasks = {name: (task.status, _ending(task)) for group in work.groups for name, task in group.names.items()}
            state[str(work.entity.name)] = (work.status, len(work.groups), tasks)
        for pool_id in self._other_pools:
            pool = store.pools[pool_id]
            state[pool.name] = (pool.status, pool.target, sorted(pool.requirement.live))
        return state


def _warned(task: TaskRecord) -> bool:
    """Whether the task's platform node has had a spot notice, so that its replacement lives beside it."""
    return task.worker is not None and task.worker.node.warned


def _ending(task: TaskRecord) -> bool:
    return task.entity.abortRequestedTime is not None or task.group.work.status is WorkRequirementStatus.CANCELLING
