"""The provider broken on purpose, in ways in which providers have been broken: each must be caught by the runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.simulation.random_runs.sabotaged_ends import (
    down_does_not_wait,
    drivers_count_for_nothing,
    ending_is_ended,
    idle_end_needs_a_listing,
    idle_end_stops_in_the_middle,
    killed_idle_end_is_forgotten,
    killed_idle_end_is_never_withdrawn,
    names_by_prefix,
    neighbours_pools_too,
    new_pools_survive,
    pools_survive,
    searches_are_believed,
    unnamed_pools_are_never_made,
    unreadable_instances_stop_the_teardown,
    work_before_pools,
)
from yellowdog_ray.cluster import launch, pools, task_cache
from yellowdog_ray.cluster.backoff import BackOff
from yellowdog_ray.cluster.cluster import Cluster
from yellowdog_ray.cluster.first_reading import FirstReading
from yellowdog_ray.cluster.platform_nodes import PlatformNodes
from yellowdog_ray.cluster.task_cache import TaskCache
from yellowdog_ray.cluster.task_reading import NOT_FOUND
from yellowdog_ray.cluster.terminations import UNSEEN_SECONDS, Escalation, Terminations
from yellowdog_ray.errors import PlatformError
from yellowdog_ray.monitor import liveness
from yellowdog_ray.monitor.early_ends import EarlyEnds
from yellowdog_ray.monitor.head_side import HeadSide
from yellowdog_ray.monitor.launch_records import LaunchRecords
from yellowdog_ray.monitor.requested_resources import RequestedResources
from yellowdog_ray.names import worker_id
from yellowdog_ray.node.variables import NODE_TAGS
from yellowdog_ray.platform import calls, client, convert
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.platform_clock import PlatformClock
from yellowdog_ray.platform.provisioning import PoolSpec
from yellowdog_ray.platform.types import TaskSpec, TaskView
from yellowdog_ray.remote import tag_values, tags

Sabotage = Callable[[pytest.MonkeyPatch], None]


def partial_listing(patch: pytest.MonkeyPatch) -> None:
    """A listing that cannot be read is taken for an empty one."""
    live_tasks = Platform.live_tasks

    def whatever_comes(self: Platform, requirement_id: str) -> Any:
        try:
            return live_tasks(self, requirement_id)
        except PlatformError:
            return []

    patch.setattr(Platform, "live_tasks", whatever_comes)
    _believe_lists(patch)


def _believe_lists(patch: pytest.MonkeyPatch) -> None:
    """A task that a list lacks counts as ended, whatever the platform says of it."""
    patch.setattr(FirstReading, "accept", lambda *_: None)
    patch.setattr(TaskCache, "_look_up_one", lambda _, task: replace(task, status=NOT_FOUND, finished=True))


def listing_raises(patch: pytest.MonkeyPatch) -> None:
    """While the platform cannot be read the listing raises, though there is an earlier one."""

    def read(self: HeadSide) -> Any:
        snapshot = self.cluster.refresh()
        self._read_tags(snapshot)
        return snapshot

    patch.setattr(HeadSide, "_read", read)


def no_pause_after_failures(patch: pytest.MonkeyPatch) -> None:
    """A launch that has failed is tried again in the same call, ten times."""
    patch.setattr(BackOff, "check", lambda *_: None)
    submit_tasks = launch.submit_tasks

    def insist(*arguments: Any) -> Any:
        for _ in range(30):
            try:
                return submit_tasks(*arguments)
            except PlatformError as error:
                last = error
        raise last

    patch.setattr(launch, "submit_tasks", insist)


def created_again(patch: pytest.MonkeyPatch) -> None:
    """After an ambiguous failure nodes are asked for once more, under new names."""

    def again(on: Platform, group_id: str, specs: list[TaskSpec]) -> Any:
        try:
            return on.submit_tasks(group_id, specs)
        except PlatformError:
            renamed = [TaskSpec(worker_id("cpu"), spec.script, {**spec.environment}, spec.timeout) for spec in specs]
            return on.submit_tasks(group_id, renamed)

    patch.setattr(launch, "submit_tasks", again)


def forgotten_endings(patch: pytest.MonkeyPatch) -> None:
    """Nodes that were asked to end are hidden, and never read again."""
    patch.setattr(Terminations, "due", lambda *_: [])


def no_escalation(patch: pytest.MonkeyPatch) -> None:
    """A task that was aborted is taken for ended."""
    due = Terminations.due

    def without_aborted(
        self: Terminations, tasks: Iterable[TaskView], not_ours: Collection[str] = ()
    ) -> list[Escalation]:
        return due(self, [task for task in tasks if not task.abort_requested], not_ours)

    patch.setattr(Terminations, "due", without_aborted)


def pools_are_never_found(patch: pytest.MonkeyPatch) -> None:
    """A pool that exists already is not looked for: making it again fails."""

    def provision_pool(on: Platform, spec: PoolSpec) -> Any:
        return on.provision_pool(spec)

    patch.setattr(pools, "provision_pool", provision_pool)
    patch.setattr(Platform, "find_pool", lambda *_: None)


def waits_in_the_loop(patch: pytest.MonkeyPatch) -> None:
    """A launch waits in the autoscaler's loop until its nodes run."""
    launch_workers = launch.Launcher.launch

    def wait(self: Any, request: Any) -> Any:
        ids = launch_workers(self, request)
        self._clock.sleep(5)
        return ids

    patch.setattr(launch.Launcher, "launch", wait)


def nobody_watches_builds(patch: pytest.MonkeyPatch) -> None:
    """Workers that never come up are waited for without end."""
    patch.setattr(liveness.Builds, "tick", lambda *_: None)


def unseen_nodes_are_not_listed(patch: pytest.MonkeyPatch) -> None:
    """Requested nodes are listed only once the platform's lists show them."""
    patch.setattr(Cluster, "add", lambda *_: None)


def nonsense_is_nothing(patch: pytest.MonkeyPatch) -> None:
    """A page of a list without items is an empty one."""
    _read_pages(patch, lambda page: page.items or [])
    _believe_lists(patch)


def _read_pages(patch: pytest.MonkeyPatch, items: Callable[[Any], list[Any]]) -> None:
    def all_items(self: calls.Calls, subject: str, search: Any, _kind: type, **_options: object) -> Iterator[Any]:
        slice_id = None
        while True:
            with self._sdk(subject):
                page = search.slice(calls.SliceReference(sliceId=slice_id, size=calls.PAGE_SIZE))
                yield from items(page)
            slice_id = page.nextSliceId
            if slice_id is None:
                return

    patch.setattr(calls.Calls, "_all_items", all_items)


def launches_go_on(patch: pytest.MonkeyPatch) -> None:
    """Nodes are launched into a work requirement that is being cancelled."""
    find = Cluster.find

    def find_alive(self: Cluster) -> Any:
        work = find(self)
        return replace(work, cancelling=False) if work else None

    patch.setattr(Cluster, "find", find_alive)


def calls_without_timeout(patch: pytest.MonkeyPatch) -> None:
    """A platform call waits half an hour for its answer."""
    patch.setattr(client, "READ_TIMEOUT", timedelta(seconds=2_000))


def calls_without_deadline(patch: pytest.MonkeyPatch) -> None:
    """A platform call lasts as long as bytes come."""
    patch.setattr(client, "CALL_TIMEOUT", timedelta(days=1))


def lists_remove_nodes(patch: pytest.MonkeyPatch) -> None:
    """A node that the whole list lacks has ended."""
    merge = task_cache.merged

    def believe(known: Any, reading: Any, *more: Any) -> Any:
        tasks = merge(known, reading, *more)
        return {id_: task for id_, task in tasks.items() if id_ in reading.seen} if reading.whole else tasks

    patch.setattr(task_cache, "merged", believe)


def lists_never_end(patch: pytest.MonkeyPatch) -> None:
    """A list is read as long as it names a next page, whichever that is."""
    _read_pages(patch, lambda page: page.items)


def addresses_are_read_once(patch: pytest.MonkeyPatch) -> None:
    """The addresses of a platform node stay as they were when it was first read."""
    patch.setattr(PlatformNodes, "_is_stale", lambda *_, **__: False)


def tags_are_believed(patch: pytest.MonkeyPatch) -> None:
    """Any value in the tag store is taken for tags."""
    patch.setattr(tags, "decode", lambda field, value: (field.decode(), json.loads(value)))


def failed_launches_are_kept(patch: pytest.MonkeyPatch) -> None:
    """Ray keeps its records of failed launches."""
    patch.setattr(LaunchRecords, "tick", lambda *_: None)


def identity_is_taken_from_the_tag_store(patch: pytest.MonkeyPatch) -> None:
    """A value in the tag store may change every tag of a node."""

    def decode_all(field: bytes, value: bytes) -> tuple[str, dict[str, str]]:
        node_id, _ = decode(field, value)
        return node_id, {key: tag for key, tag in json.loads(value).items() if isinstance(tag, str)}

    decode = tag_values.decode
    patch.setattr(tags, "decode", decode_all)


def copies_are_listed(patch: pytest.MonkeyPatch) -> None:
    """A task that somebody has copied in the portal counts as a node."""

    def tags_of(task: Any) -> dict[str, str]:
        found: dict[str, str] = json.loads((task.environment or {}).get(NODE_TAGS, "{}"))
        return found

    patch.setattr(convert, "_node_tags", tags_of)


def early_ends_count_for_nothing(patch: pytest.MonkeyPatch) -> None:
    """A worker whose task ends before Ray has joined is no failed launch."""
    patch.setattr(EarlyEnds, "tick", lambda *_: None)


def ended_nodes_stay_listed(patch: pytest.MonkeyPatch) -> None:
    """A node whose task ends before any list has shown it stays listed for a minute."""
    doubtful = TaskCache._doubtful

    def doubt_late(self: TaskCache, group: Any, reading: Any, now: float) -> frozenset[str]:
        some = doubtful(self, group, reading, now)
        return frozenset(id_ for id_ in some if now - self._added[id_].at >= UNSEEN_SECONDS)

    patch.setattr(TaskCache, "_change_lists", lambda *_: [])
    patch.setattr(TaskCache, "_doubtful", doubt_late)


def outages_leave_their_back_off(patch: pytest.MonkeyPatch) -> None:
    """A back-off that an outage has caused runs on after its end."""
    patch.setattr(BackOff, "outage_ended", lambda _: None)


def the_heads_clock_counts(patch: pytest.MonkeyPatch) -> None:
    """Deadlines are compared with the clock of the head."""
    patch.setattr(PlatformClock, "now", lambda self: self._clock.now())


def requests_are_lost(patch: pytest.MonkeyPatch) -> None:
    """Requests of users to autoscaler v2 are lost with the control store's process."""
    patch.setattr(RequestedResources, "tick", lambda _: None)


SABOTAGES: dict[str, Sabotage] = {
    function.__name__: function
    for function in (
        names_by_prefix,
        neighbours_pools_too,
        partial_listing,
        listing_raises,
        no_pause_after_failures,
        created_again,
        forgotten_endings,
        no_escalation,
        pools_survive,
        work_before_pools,
        down_does_not_wait,
        pools_are_never_found,
        waits_in_the_loop,
        nobody_watches_builds,
        unseen_nodes_are_not_listed,
        nonsense_is_nothing,
        new_pools_survive,
        launches_go_on,
        ending_is_ended,
        calls_without_timeout,
        calls_without_deadline,
        lists_remove_nodes,
        lists_never_end,
        addresses_are_read_once,
        tags_are_believed,
        failed_launches_are_kept,
        identity_is_taken_from_the_tag_store,
        copies_are_listed,
        early_ends_count_for_nothing,
        ended_nodes_stay_listed,
        searches_are_believed,
        outages_leave_their_back_off,
        the_heads_clock_counts,
        unreadable_instances_stop_the_teardown,
        unnamed_pools_are_never_made,
        drivers_count_for_nothing,
        idle_end_needs_a_listing,
        idle_end_stops_in_the_middle,
        killed_idle_end_is_forgotten,
        killed_idle_end_is_never_withdrawn,
        requests_are_lost,
    )
}
