"""Creation of a head, and of clusters that another `ray up` left unfinished."""

import threading
from dataclasses import replace

import pytest
from yellowdog_client.model import WorkRequirementSearch

from tests.yellowdog_ray.cluster_lab import BOOT, HEAD_TAGS, LabCluster, grow, make_head, pool_names
from yellowdog_local import faults
from yellowdog_local.state.clock import SteppedClock
from yellowdog_local.state.settings import Settings
from yellowdog_local.testing import local_platform
from yellowdog_ray.cluster.snapshot import Phase
from yellowdog_ray.errors import (
    ClusterNameTaken,
    PlatformError,
)
from yellowdog_ray.platform.convert import work_view


def unfinished_work(local) -> list[str]:
    with local.client() as client:
        found = client.work_client.get_work_requirements(WorkRequirementSearch()).list_all()
    return [str(work.id) for work in found if not work.status.finished]


def test_two_simultaneous_ray_up_create_one_cluster(local, make_cluster):
    barrier = threading.Barrier(2)
    clusters = [make_cluster(), make_cluster()]
    failures: list[BaseException] = []

    def up(cluster: LabCluster) -> None:
        barrier.wait()
        try:
            make_head(cluster)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test must hear of it
            failures.append(error)

    threads = [threading.Thread(target=up, args=(cluster,)) for cluster in clusters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    local.advance(BOOT)

    assert failures == []
    assert clusters[0].refresh().head.id == clusters[1].refresh().head.id
    assert (len(unfinished_work(local)), len(pool_names(local)), len(local.hosts.instance_ids)) == (1, 1, 1)


def test_create_head_makes_few_sequential_calls(make_cluster, calls):
    made = calls.during(lambda: make_head(make_cluster()))

    changes = [call.split("/")[-1] for call in made if not call.startswith("GET")]
    assert changes == ["requirements", "template", "tasks"]
    assert len(made) == 3 + 6  # the account, the template, such a cluster by name and by search, its state: two


def test_create_head_fails_when_another_configuration_was_first(make_cluster):
    make_head(make_cluster())

    with pytest.raises(ClusterNameTaken, match="different configuration"):
        make_head(make_cluster(), {**HEAD_TAGS, "ray-launch-config": "other"})


def test_create_head_tears_down_a_cluster_whose_head_ended(local, make_cluster):
    laptop = make_cluster()
    make_head(laptop)
    local.advance(BOOT)
    old = laptop.find()
    cluster = make_cluster(on_head=True, pinned=old.id)
    cluster.refresh()
    grow(cluster, 2)
    local.advance(BOOT)
    old_head = laptop.refresh().head
    with local.client() as client:
        client.work_client.cancel_task_by_id(old_head.task_id, abort=True)
    local.advance(2)

    again = make_cluster()
    assert again.refresh().head is None
    make_head(again)
    local.advance(BOOT)

    assert again.find().id != old.id
    assert set(again.refresh().nodes) == {again.snapshot.head.id}
    assert again.snapshot.head.id != old_head.id
    assert len(local.hosts.instance_ids) == 1


def test_create_head_waits_for_a_teardown_in_progress(local, make_cluster):
    laptop = make_cluster()
    make_head(laptop)
    local.advance(BOOT)
    old = laptop.find()
    again = make_cluster()

    with local.faults.during(faults.AbortLost()):
        laptop.platform.cancel_work_requirement(old.id)
        make_head(again)
    local.advance(BOOT)

    assert unfinished_work(local) == [again.find().id] != [old.id]
    assert len(local.hosts.instance_ids) == 1


def test_head_pool_shuts_down_when_ray_up_dies_before_the_head_task(local, make_cluster, monkeypatch):
    killed = make_cluster()

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(killed.platform, "submit_tasks", die)
    with pytest.raises(KeyboardInterrupt):
        make_head(killed)

    local.advance(300)

    assert local.hosts.instance_ids == []


def without_head_task(cluster, monkeypatch):
    """Let `ray up` end before it submits the head's task; gives the work requirement."""
    monkeypatch.setattr(cluster.platform, "submit_tasks", lambda *_: cluster.platform.no_such_call)
    with pytest.raises(AttributeError):
        make_head(cluster)
    return cluster.find()


def test_create_head_replaces_a_cluster_whose_head_pool_has_ended(local, make_cluster, monkeypatch):
    old = without_head_task(make_cluster(), monkeypatch)
    local.advance(20 * 60)

    again = make_cluster()
    again.platform.clock = again.clock
    make_head(again)
    local.advance(BOOT)

    assert again.refresh().head.phase is Phase.RUNNING
    assert unfinished_work(local) == [again.find().id] != [old.id]


def test_create_head_completes_a_cluster_of_unknown_age(local, make_cluster, monkeypatch):
    old = without_head_task(make_cluster(), monkeypatch)
    local.advance(60)

    monkeypatch.setattr("yellowdog_ray.platform.work.work_view", lambda work: replace(work_view(work), created=None))
    again = make_cluster()
    again.platform.clock = again.clock
    make_head(again)

    assert unfinished_work(local) == [old.id]


def test_create_head_completes_an_old_cluster_whose_list_lacks_the_head(local, make_cluster, monkeypatch):
    make_head(make_cluster())
    local.advance(20 * 60)
    again = make_cluster()
    again.platform.clock = again.clock
    old = again.find()
    monkeypatch.setattr(again.platform, "group_tasks", lambda _: [])

    make_head(again)

    assert unfinished_work(local) == [old.id]


class TestRemovedHead:
    """The platform removes what has ended after a minute."""

    @pytest.fixture(params=[True, False], ids=["counted", "not counted"])
    def local(self, request):
        """A platform that counts what it has removed, or does not."""
        settings = Settings(retention_seconds=60, count_expired_tasks=request.param)
        with local_platform(clock=SteppedClock(), settings=settings) as running:
            yield running

    def test_create_head_replaces_a_cluster_whose_ended_head_is_not_shown(self, local, make_cluster):
        laptop = make_cluster()
        make_head(laptop)
        local.advance(BOOT)
        old = laptop.find()
        laptop.platform.abort_task(laptop.refresh().head.task_id)
        local.advance(400)

        again = make_cluster()
        again.platform.clock = again.clock
        make_head(again)
        local.advance(BOOT)

        assert again.refresh().head.phase is Phase.RUNNING
        assert unfinished_work(local) == [again.find().id] != [old.id]

    @pytest.mark.parametrize("local", [True], indirect=True, ids=["counted"])
    def test_create_head_replaces_a_young_cluster_whose_ended_head_is_counted(self, local, make_cluster):
        laptop = make_cluster()
        make_head(laptop)
        local.advance(BOOT)
        old = laptop.find()
        laptop.platform.abort_task(laptop.refresh().head.task_id)
        local.advance(120)  # not yet the time after which a work requirement without a head is over

        again = make_cluster()
        again.platform.clock = again.clock
        make_head(again)

        assert unfinished_work(local) == [again.find().id] != [old.id]


def test_head_instance_that_never_registers_ends_without_ray_up(local, make_cluster):
    with local.faults.during(faults.NeverRegisters()):
        make_head(make_cluster(head_node_build_timeout_minutes=5))
        local.advance(4 * 60)
        assert len(local.hosts.instance_ids) == 1

        local.advance(2 * 60)
        assert local.hosts.instance_ids == []
        local.advance(60 * 60)

        assert local.hosts.instance_ids == []


def test_reading_a_booting_cluster_changes_nothing(local, make_cluster):
    make_head(make_cluster())

    for _ in range(3):
        assert make_cluster().refresh().head is not None

    assert len(unfinished_work(local)) == 1


def test_failed_create_head_leaves_objects_that_are_found_by_name(local, make_cluster, monkeypatch):
    cluster = make_cluster()

    def fail(*_: object) -> None:
        raise PlatformError("no answer")

    monkeypatch.setattr(cluster.platform, "provision_pool", fail)
    with pytest.raises(PlatformError):
        make_head(cluster)

    assert make_cluster().find() is not None


def test_platform_other_than_the_default_is_named(local, make_cluster, capsys):
    make_head(make_cluster())

    assert f"the receiver of the API key, is {local.url}" in capsys.readouterr().out
