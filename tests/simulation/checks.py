"""What must hold after every round of the autoscaler and every command, whatever fails.

A check that fails raises `Violation`, with its name: `loop`, `calls`, `twice`, `omitted`, `unknown`, `mistake`, `head`,
`limits`, `neighbours`, `ended`, `records`, `left`, or one of `instance_checks`, `listing_checks`, `time_checks` or
`idle_checks`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from yellowdog_client.model import WorkRequirementStatus

from tests.simulation.distortions import SHOWS_NOTHING
from tests.simulation.exceptions import ends_without_machines, further_pool_calls
from tests.simulation.idle_checks import IdleChecks
from tests.simulation.instance_checks import InstanceChecks
from tests.simulation.limits import (
    CALL_SECONDS,
    LOOP_CALLS,
    LOOP_SECONDS,
    SPARE_SECONDS,
    TERMINATED_SECONDS,
    TICK,
    TICK_CALLS,
    build_seconds,
)
from tests.simulation.listing_checks import ListingChecks
from tests.simulation.monitor import Launch, Monitor, Tick
from tests.simulation.ownership import is_ending
from tests.simulation.time_checks import TimeChecks
from tests.simulation.trouble import DISTORTED_KINDS
from yellowdog_local.state.records import TaskRecord
from yellowdog_ray.cluster.backoff import MAX_SECONDS

if TYPE_CHECKING:
    from tests.simulation.world import World

_MAKING = re.compile(
    r"POST /workerPools/provisioned|PUT /work/requirements(?!/.*/transition/)|POST /work/taskGroups/[^/]+/tasks"
)
"""Calls that make a pool, a task group or tasks."""


@dataclass(frozen=True)
class Before:
    """The state before a round.

    Attributes:
        living: names of the tasks that lived.
        cancelling: whether the work requirement was being cancelled.
        known: ids of the nodes that the provider knew.
        terminated: ids of the nodes whose termination had begun.
        head_ending: whether somebody had requested the end of the head.
        without_store: whether the control store was dead, or lacked what users have requested.
    """

    living: set[str]
    cancelling: bool
    known: set[str]
    terminated: frozenset[str]
    head_ending: bool
    without_store: bool


class Checks:
    """Check one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._ours = world.ours
        self._unknown: set[str] = set()
        self._changed_at = 0.0
        self._outage_ended_at: float | None = None
        self._times = TimeChecks(world)
        self._listing = ListingChecks(world)
        self.home = IdleChecks(world)
        self.instances = InstanceChecks(world)
        self._aborted_by_others: list[TaskRecord] = []
        self._may_shrink = False
        self._skipped = False

    def trouble_has_changed(self) -> None:
        """Restart the limits of time: some fault has begun or ended."""
        self._changed_at = self._world.seconds

    def outage_has_ended(self) -> None:
        """Note that every call had failed for long, and none fails any more."""
        self._outage_ended_at = self._world.seconds

    def aborted_by_others(self, task: TaskRecord) -> None:
        """Note that somebody else has aborted a task."""
        self._aborted_by_others.append(task)

    def let_ray_end_busy_nodes(self) -> None:
        """Accept that busy nodes are terminated, as Ray does above a lower limit."""
        self._may_shrink = True

    # Limits of time, in seconds

    @property
    def served_seconds(self) -> float:
        """How long work may wait after all faults.

        A node may never boot or never join. The longest back-off follows, and then the same for its successor, which
        was requested before the faults ended.
        """
        return MAX_SECONDS + 2 * build_seconds(self._world.yaml) + TERMINATED_SECONDS

    @property
    def tidy_seconds(self) -> float:
        """How long it may take after all faults until every instance belongs to a listed node."""
        return build_seconds(self._world.yaml) + TERMINATED_SECONDS + SPARE_SECONDS

    # After every round

    def before_tick(self, monitor: Monitor) -> Before:
        """Note the state before a round."""
        self.home.before_tick(monitor)
        head = self._world.head
        return Before(
            living=self._living(),
            cancelling=head is not None and head.group.work.status is WorkRequirementStatus.CANCELLING,
            known=set(monitor.provider.side.cluster.snapshot.nodes),
            terminated=self._terminated(monitor),
            head_ending=head is None or is_ending(head),
            without_store=self._world.gcs.is_down or self._world.gcs.has_lost_request,
        )

    def after_tick(self, monitor: Monitor, tick: Tick, before: Before) -> None:
        """Raise `Violation` for what does not hold."""
        self._note_launches(monitor)
        self.home.after_tick(calm_since=self._trouble_ended if self._is_calm else math.inf)
        if self.home.has_ended:
            return  # there is nothing left that this round could have listed
        self._loop_goes_on(monitor, tick, before)
        self._nothing_is_made_twice(monitor.life.launches)
        self._nothing_is_made_for_an_ending_cluster(before)
        self._no_busy_node_is_terminated(monitor, before)
        self._head_is_kept(before)
        self._no_node_is_omitted(monitor, tick, before)
        self._listing.after_tick(monitor, tick, is_calm=self._is_calm)
        self._every_task_is_known(monitor)
        self._limits_are_kept(monitor)
        self._failures_are_forgotten(monitor, tick)
        self.instances.after_tick(
            tick,
            listed=monitor.life.listed,
            terminated=self._terminated(monitor),
            trouble_ended=max(self._trouble_ended, monitor.life.began),  # a new process has no memory of terminations
        )
        after_outage = self._is_calm and self._outage_ended_at == self._trouble_ended
        self._times.after_tick(monitor, is_calm=self._is_calm, after_outage=after_outage)
        self.others_are_untouched()

    def _note_launches(self, monitor: Monitor) -> None:
        for launch in monitor.life.launches:
            outcome = f"fails: {launch.error}" if launch.error else f"{launch.made} made"
            self._world.story.add("head", f"Ray asks for {launch.count} x {launch.node_type}: {outcome}")

    def loop_raised(self, monitor: Monitor, error: Exception) -> None:
        """Check that a round may raise: only an autoscaler that has never had a listing may, while calls fail."""
        if monitor.life.listed or not self._trouble_lately:
            self._world.fail("loop", f"the tick raised {error!r}", error)

    @property
    def _trouble_lately(self) -> bool:
        """Whether a call that has just ended may have met a fault: one that hangs outlives it."""
        return self._world.in_trouble or self._world.seconds - self._trouble_ended <= CALL_SECONDS

    @property
    def _is_calm(self) -> bool:
        """Whether a whole round has passed since a call may have met a fault."""
        return not self._world.in_trouble and self._world.seconds - self._trouble_ended > CALL_SECONDS + TICK

    @property
    def _trouble_ended(self) -> float:
        return max(self._changed_at, self._world.wire.ended_at.timestamp())

    def _loop_goes_on(self, monitor: Monitor, tick: Tick, before: Before) -> None:
        world = self._world
        skipped_before, self._skipped = self._skipped, not tick.done
        may_skip = before.without_store or (self._joined_too_late(before) and not skipped_before)
        if not tick.done and not may_skip and (monitor.life.listed or not self._trouble_lately):
            world.fail("loop", "Ray could not carry out a tick")
        if tick.loop_seconds > LOOP_SECONDS:
            world.fail("loop", f"a tick kept the loop waiting for {tick.loop_seconds:.0f} s")
        max_workers = self._config["max_workers"]
        more = self._more_pages + further_pool_calls(world.settings, max_workers)
        if tick.loop_calls > LOOP_CALLS + more or tick.calls > TICK_CALLS + 2 * max_workers + more:
            world.fail("calls", f"{tick.loop_calls} calls in the loop, {tick.calls} in all, in one tick")

    def _joined_too_late(self, before: Before) -> bool:
        """Whether a worker lives in Ray whose termination has begun, so that Ray may skip one tick.

        A worker may join while its abort is on its way (without Ray's tokens; with them it is not admitted). Ray 2.60
        counts it beside its replacement. Above the type's limit it then terminates nodes that are only requested,
        which its own assertion forbids (`InstanceUtil.get_valid_transitions`).
        """
        return any(raylet.node_id in before.terminated for raylet in self._world.ray.workers)

    def _failures_are_forgotten(self, monitor: Monitor, tick: Tick) -> None:
        """Ray keeps failed launches for ever, and reads them all many times a tick."""
        if not tick.done:
            return
        failed = monitor.autoscaler.failed_launches()
        earlier = monitor.life.failed_launches
        earlier.append(set(failed))
        old = Counter(node_type for record, node_type in failed.items() if all(record in then for then in earlier))
        if len(earlier) == earlier.maxlen and any(count > 1 for count in old.values()):
            self._world.fail("records", f"Ray still has old records of failed launches, by node type: {dict(old)}")

    @property
    def _more_pages(self) -> int:
        """How many more calls a round may take because lists have several pages: it reads up to four lists."""
        if self._world.page_size is None:
            return 0
        nodes = 2 * self._config["max_workers"] + 1
        return 4 * math.ceil(nodes / self._world.page_size)

    def _nothing_is_made_twice(self, launches: Iterable[Launch]) -> None:
        for launch in launches:
            if launch.made > launch.count:
                self._world.fail("twice", f"{launch.made} nodes were made for a request of {launch.count}: {launch}")
        names = Counter(str(task.entity.name) for task in self._world.tasks())
        if twice := [name for name, count in names.items() if count > 1]:
            self._world.fail("twice", f"there is more than one task for the nodes {twice}")

    def _nothing_is_made_for_an_ending_cluster(self, before: Before) -> None:
        """A launch into a work requirement that is being cancelled costs money, and `ray down` may miss it."""
        if before.cancelling and (making := [call for call in self._world.wire.calls if _MAKING.match(call)]):
            self._world.fail("ended", f"the cluster is being cancelled, and there was {making[0]}")

    def _no_node_is_omitted(self, monitor: Monitor, tick: Tick, before: Before) -> None:
        """A single omission costs a healthy node its life, in v2 an hour later."""
        if tick.listing is None:
            return
        living = self._living()
        terminated = self._terminated(monitor)
        if omitted := living & before.known - before.terminated - terminated - tick.listing:
            self._world.fail("omitted", f"the listing lacks {sorted(omitted)}, which the provider knew")
        alive = living & before.living - terminated
        if omitted := alive & monitor.life.listed - tick.listing:
            self._world.fail("omitted", f"the listing lacks {sorted(omitted)}, which it had before and which live")
        if not tick.fresh or self._world.lab.faults.has_list_rules:
            return
        unknown = alive - tick.listing
        if any(trouble.kind in DISTORTED_KINDS for trouble in self._world.wire.troubles):
            unknown &= monitor.life.launched  # a node whose launch Ray received as failed may be in no list yet
        if unknown:
            self._world.fail("omitted", f"the listing, just read, lacks {sorted(unknown)}, which live")

    def _every_task_is_known(self, monitor: Monitor) -> None:
        """One round is allowed: for a task that was added by a call whose answer was lost."""
        known = monitor.provider.side.cluster.snapshot.nodes.keys()
        if not known or self._trouble_lately:
            self._unknown = set()
            return  # an autoscaler that has just started could not read yet
        unknown = self._living() - known - self._terminated(monitor)
        if lost := unknown & self._unknown:
            self._world.fail("unknown", f"the provider does not know of the nodes {sorted(lost)}")
        self._unknown = unknown

    def _no_busy_node_is_terminated(self, monitor: Monitor, before: Before) -> None:
        """Neither Ray nor the provider terminates a node that works, unless it is about to be lost anyway."""
        if self._may_shrink or before.cancelling:
            return  # whoever cancels the work requirement ends every node
        if self._world.gcs.mistakes:
            self._world.fail("mistake", f"nodes that users hold were drained: {self._world.gcs.mistakes}")
        new = self._terminated(monitor) - before.terminated
        ray = self._world.ray
        for task in self._world.tasks():
            raylet = ray.raylets.get(str(task.entity.name))
            if task.entity.name not in new or raylet is None or _warned(task) or task in self._aborted_by_others:
                continue
            if raylet.alive and not raylet.idle and raylet.node_id not in ray.silent:
                self._world.fail("mistake", f"the termination of {raylet.node_id} was requested, which works")

    def _head_is_kept(self, before: Before) -> None:
        head = self._world.head
        if head is not None and is_ending(head) and not before.head_ending and self.home.seconds is None:
            self._world.fail("head", "the head was asked to end by its own autoscaler")

    def _limits_are_kept(self, monitor: Monitor) -> None:
        """A node that is drained or will be lost does not count: its replacement may run beside it."""
        world = self._world
        drained = {node_id for node_id, raylet in world.ray.raylets.items() if raylet.draining_until}
        wanted = self._living() - self._terminated(monitor) - drained
        types = Counter(
            (task.entity.environment or {})["RAY_NODE_TYPE_NAME"]
            for task in world.tasks()
            if task.entity.name in wanted and task is not world.head and not _warned(task)
        )
        if sum(types.values()) > self._config["max_workers"]:
            world.fail("limits", f"{sum(types.values())} workers live")
        for name, count in types.items():
            if count > self._config["available_node_types"][name]["max_workers"]:
                world.fail("limits", f"{count} workers of type {name} live")

    @property
    def _config(self) -> dict[str, Any]:
        assert self._world.config is not None
        return self._world.config

    # After every command

    def others_are_untouched(self) -> None:
        """Nothing of another cluster has changed."""
        if changed := self._ours.changed:
            self._world.fail("neighbours", f"another cluster was touched: {changed}")

    def nothing_is_left(self) -> None:
        """`ray down` has reported that nothing is left; nothing is."""
        if left := [name for name in self._ours.left if name not in self._hidden_and_ending]:
            self._world.fail("left", f"`ray down` succeeded, and there is still {left}")

    @property
    def _hidden_and_ending(self) -> set[str]:
        """The pools that lists do not show and that end by themselves, without machines."""
        if not any(trouble.kind == SHOWS_NOTHING for trouble in self._world.wire.troubles):
            return set()
        settings = self._world.settings
        return {pool.name for pool in self._ours.open_pools if ends_without_machines(settings, pool.requirement)}

    def _terminated(self, monitor: Monitor) -> frozenset[str]:
        """Ids of the nodes whose termination has begun. Ray may request that of the head too, which must stay."""
        head = self._world.head
        return (monitor.provider.side.cluster.terminating | monitor.life.terminated) - {
            head.entity.name if head else None
        }

    def _living(self) -> set[str]:
        tasks = self._world.tasks()
        return {str(task.entity.name) for task in tasks if not task.status.finished and not is_ending(task)}


def _warned(task: TaskRecord) -> bool:
    """Whether the task's platform node has had a spot notice, so that its replacement lives beside it."""
    return task.worker is not None and task.worker.node.warned
