"""Teardown: everything of one cluster, nothing else, and verified."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from yellowdog_client.model import InstanceSearch, InstanceStatus

from tests.yellowdog_ray.cluster_lab import BOOT, LabCluster, grow, make_head
from tests.yellowdog_ray.commands.test_up import unfinished_work
from yellowdog_local import faults
from yellowdog_ray.cluster.ending import request_end
from yellowdog_ray.commands.progress import Progress
from yellowdog_ray.commands.teardown import COUNTED_TIMEOUT_SECONDS, tear_down
from yellowdog_ray.errors import NotFound, PlatformError, TeardownIncomplete
from yellowdog_ray.platform.types import ComputeView
from yellowdog_ray.remote.ssh import host_key_file


@pytest.fixture
def with_workers(local, make_cluster):
    """Makes a running cluster with two workers of each of two types."""

    def make(name: str = "demo") -> LabCluster:
        laptop = make_cluster(name)
        make_head(laptop)
        local.advance(BOOT)
        cluster = make_cluster(name, on_head=True, pinned=laptop.find().id)
        cluster.refresh()
        grow(cluster, 2, "cpu")
        grow(cluster, 2, "gpu")
        local.advance(BOOT)
        laptop.refresh()
        return laptop

    return make


def take_down(cluster: LabCluster) -> None:
    tear_down(cluster.platform, cluster.find(), Progress(), cluster.clock)


def running_instances(local) -> int:
    with local.client() as client:
        search = InstanceSearch(statuses=[InstanceStatus.PENDING, InstanceStatus.RUNNING, InstanceStatus.TERMINATING])
        return len(client.compute_client.get_instances(search).list_all())


def test_tear_down_leaves_nothing_alive(local, with_workers, make_cluster):
    take_down(with_workers())

    assert (running_instances(local), unfinished_work(local)) == (0, [])
    assert make_cluster().refresh().nodes == {}


def test_tear_down_deletes_the_heads_host_keys_only(local, with_workers, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    cluster = with_workers()
    first = cluster.snapshot.head.id
    ours, later, other = map(host_key_file, (first, f"{first}-r1", "head-0a0b0c0d"))
    ours.parent.mkdir(parents=True)
    for file in (ours, later, other):
        file.touch()

    take_down(cluster)

    assert [file.exists() for file in (ours, later, other)] == [False, False, True]


def test_tear_down_leaves_a_cluster_with_a_common_prefix(local, with_workers):
    other = with_workers("ray-production")
    before = set(other.refresh().nodes)

    take_down(with_workers("ray"))

    assert set(other.refresh().nodes) == before
    assert running_instances(local) == 5


def test_tear_down_reports_what_it_waits_for(local, with_workers, monkeypatch, capsys):
    cluster = with_workers()
    cancel = cluster.platform.cancel_work_requirement
    unheard = [True]
    monkeypatch.setattr(
        cluster.platform, "cancel_work_requirement", lambda work: None if unheard and unheard.pop() else cancel(work)
    )

    take_down(cluster)

    assert "waiting for the end of 5 instances" in capsys.readouterr().out


def test_request_end_can_be_repeated(local, with_workers, make_cluster):
    cluster = with_workers()
    work = cluster.find()

    for _ in range(3):
        request_end(cluster.platform, work)
    local.advance(60)

    assert cluster.find() is None


def test_tear_down_names_the_remains_after_its_timeout(local, with_workers, monkeypatch):
    cluster = with_workers()
    for name in ("shut_down_pool", "cancel_work_requirement", "terminate_compute"):
        monkeypatch.setattr(cluster.platform, name, lambda _: None)

    with pytest.raises(TeardownIncomplete, match=r"5 instances, worker pools demo-head-\w+, .*work requirement demo"):
        take_down(cluster)


def test_pool_reported_as_not_found_counts_as_alive(local, with_workers, monkeypatch):
    cluster = with_workers()
    monkeypatch.setattr(cluster.platform, "listed_pools", lambda _: [])
    monkeypatch.setattr(cluster.platform, "pool", lambda _: PlatformError("no answer"))
    after_the_first_look = faults.Status(call="GET /workerPools/demo/*", status=404, nth=4, times=10_000)

    with local.faults.during(after_the_first_look), pytest.raises(TeardownIncomplete, match="worker pools demo-head-"):
        take_down(cluster)


def test_pool_that_is_removed_at_its_end_counts_as_ended(local, with_workers, monkeypatch):
    """A platform may remove a pool before anybody has seen it ended; its compute requirement stays."""
    cluster = with_workers()
    shut_down, is_removed = cluster.platform.shut_down_pool, []

    def shut_down_and_remove(pool_id: str) -> None:
        shut_down(pool_id)
        is_removed.append(pool_id)

    def unless_removed(read: Callable, answer: object) -> Callable:
        return lambda argument: answer if is_removed else read(argument)

    monkeypatch.setattr(cluster.platform, "shut_down_pool", shut_down_and_remove)
    for name, answer in (("find_pool", None), ("listed_pools", []), ("pool", NotFound("no such pool"))):
        monkeypatch.setattr(cluster.platform, name, unless_removed(getattr(cluster.platform, name), answer))

    take_down(cluster)

    assert (running_instances(local), unfinished_work(local)) == (0, [])


@pytest.fixture
def only_counted(monkeypatch):
    """Lets the search for instances show none, while their compute requirements count one in so many readings."""

    def make(cluster: LabCluster, readings: int) -> Callable[[], int]:
        compute, left = cluster.platform.compute, [readings]

        def read(requirement_id: str) -> ComputeView:
            left[0] -= 1
            counted = 1 if left[0] >= 0 else 0
            return replace(compute(requirement_id), finished=True, live_instances=0, counted_instances=counted)

        monkeypatch.setattr(cluster.platform, "compute", read)
        return lambda: left[0]

    return make


def test_tear_down_waits_for_instances_that_only_their_requirement_counts(with_workers, only_counted):
    cluster = with_workers()
    readings_left = only_counted(cluster, 30)

    take_down(cluster)

    assert readings_left() < 0


def test_tear_down_believes_the_search_when_the_count_never_ends(with_workers, only_counted):
    cluster = with_workers()
    only_counted(cluster, 10_000)
    began = cluster.clock.monotonic()

    take_down(cluster)

    waited = cluster.clock.monotonic() - began
    assert COUNTED_TIMEOUT_SECONDS <= waited < COUNTED_TIMEOUT_SECONDS + 15


def test_instances_are_terminated_when_tasks_ignore_their_abort(local, with_workers):
    cluster = with_workers()

    with local.faults.during(faults.AbortLost()):
        take_down(cluster)

    assert (running_instances(local), unfinished_work(local)) == (0, [])
