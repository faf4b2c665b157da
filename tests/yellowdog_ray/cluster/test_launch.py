"""Launches on a stepped platform with simulated hosts."""

import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from yellowdog_client.model import TaskSearch, WorkerPoolSearch

from tests.yellowdog_ray.cluster_lab import BOOT, grow, make_head, make_launcher, pool_names, request
from yellowdog_local.faults import ApplyThenFail, Status
from yellowdog_local.testing import RunningPlatform
from yellowdog_ray.cluster.snapshot import Phase
from yellowdog_ray.config.node_config import NodeConfig
from yellowdog_ray.errors import (
    AlreadyExists,
    InternalError,
    LaunchBackedOff,
    LifetimeOver,
    NotFound,
    RayDogError,
    Refused,
    SetupFailed,
    Unavailable,
)
from yellowdog_ray.platform.convert import work_view


@pytest.fixture
def undated(monkeypatch):
    """A platform whose work requirements have no creation time, while a context is open."""

    @contextmanager
    def without_times():
        with monkeypatch.context() as patch:
            patch.setattr("yellowdog_ray.platform.work.work_view", lambda work: replace(work_view(work), created=None))
            yield

    return without_times


def test_launched_nodes_are_listed_at_once(head_side):
    ids = grow(head_side, 3)

    assert len(set(ids)) == 3
    assert set(ids) <= set(head_side.snapshot.nodes)


def test_first_launch_provisions_one_pool_and_submits_one_batch(head_side, calls):
    made = calls.during(lambda: grow(head_side, 50))

    changes = [call.split("/")[-1] for call in made if not call.startswith("GET")]
    assert changes == ["requirements", "template", "autoShutdown", "tasks"]
    assert len(made) == 4 + 3  # the work requirement, for us and to be written back; the template's id


def test_launch_succeeds_when_pool_gets_no_end(local, head_side, caplog):
    refusal = Status(call="PUT /compute/requirements/*/autoShutdown", status=400, error_type="InvalidRequestException")

    with local.faults.during(refusal):
        ids = grow(head_side, 1)
    local.advance(BOOT)

    assert head_side.refresh().nodes[ids[0]].phase is Phase.RUNNING
    assert "has no end of its own" in caplog.text


def test_further_launch_is_one_batch(head_side, calls):
    grow(head_side, 1)

    made = calls.during(lambda: grow(head_side, 50))

    assert [call for call in made if not call.startswith("GET")] == [made[-1]]
    assert len(made) == 3


def test_bug_in_launch_backs_the_node_type_off(head_side, monkeypatch):
    def fail(*_: object) -> None:
        raise TypeError("a mistake")

    monkeypatch.setattr("yellowdog_ray.platform.work.task_entity", fail)

    launcher = make_launcher(head_side)

    with pytest.raises(InternalError, match="TypeError: a mistake"):
        launcher.launch(request(3))
    with pytest.raises(LaunchBackedOff):
        launcher.launch(request(3))


def test_each_node_runs_on_its_own_instance(local, head_side):
    ids = grow(head_side, 2) + grow(head_side, 3)
    local.advance(BOOT)
    local.advance(BOOT)

    nodes = head_side.refresh().nodes

    assert all(nodes[node_id].phase is Phase.RUNNING for node_id in ids)
    assert len({nodes[node_id].private_ip for node_id in ids}) == 5
    assert len(local.hosts.instance_ids) == 6


def test_worker_environment_has_node_id_and_head_address(local, head_side):
    (node_id,) = grow(head_side, 1)

    with local.client() as client:
        (task,) = client.work_client.get_tasks(TaskSearch(name=node_id)).list_all()

    assert task.environment["RAY_HEAD_IP"] == head_side.snapshot.head.private_ip
    assert task.environment["RAY_CLOUD_INSTANCE_ID"] == node_id
    assert json.loads(task.environment["RAY_OVERRIDE_RESOURCES"]) == {"CPU": 1}
    assert task.arguments == ["taskdata.txt"]


def test_similar_node_types_get_separate_pools(local, head_side):
    grow(head_side, 1, "cpu.small")
    grow(head_side, 1, "cpu-small")
    local.advance(BOOT)

    types = sorted(node.node_type for node in head_side.refresh().nodes.values())

    assert types == ["cpu-small", "cpu.small", "head"]


def test_changed_tags_of_the_cluster_provision_another_pool(local, head_side):
    settings = head_side.settings.current
    launcher = make_launcher(head_side)
    launcher.launch(request())

    head_side.settings.replace(settings.model_copy(update={"instance_tags": {"team": "a"}}))
    launcher.launch(request())
    launcher.launch(request())

    tags = [
        requirement.entity.provisionStrategy.sources[0].instanceTags
        for requirement in local.platform.store.requirements.values()
        if "-cpu-" in requirement.name
    ]
    assert tags == [{"ray-cluster-name": "demo"}, {"ray-cluster-name": "demo", "team": "a"}]


def test_late_worker_ends_with_cluster_lifetime(local, make_cluster):
    laptop = make_cluster(cluster_lifetime_hours=1)
    make_head(laptop)
    local.advance(45 * 60)
    cluster = make_cluster(on_head=True, pinned=laptop.find().id)
    cluster.refresh()

    (node_id,) = grow(cluster, 1)

    with local.client() as client:
        (task,) = client.work_client.get_tasks(TaskSearch(name=node_id)).list_all()
    assert task.timeout == timedelta(minutes=15)


def test_task_group_ends_its_tasks_with_cluster_lifetime(local, make_cluster):
    laptop = make_cluster(cluster_lifetime_hours=1)
    make_head(laptop)
    local.advance(45 * 60)
    cluster = make_cluster(on_head=True, pinned=laptop.find().id)
    cluster.refresh()

    grow(cluster, 1)

    with local.client() as client:
        work = client.work_client.get_work_requirement_by_id(laptop.find().id)
    (group,) = [group for group in work.taskGroups if group.name.startswith("cpu")]
    assert group.runSpecification.taskTimeout == timedelta(minutes=15)


def test_launch_fails_after_lifetime(local, head_side):
    local.advance(3600)

    with pytest.raises(LifetimeOver, match="cluster_lifetime_hours"):
        grow(head_side, 1)


def test_launch_gets_whole_lifetime_when_creation_time_is_unknown(local, head_side, undated):
    with undated():
        head_side.refresh()
        (node_id,) = grow(head_side, 1)

        assert head_side.deadline() is None
    with local.client() as client:
        (task,) = client.work_client.get_tasks(TaskSearch(name=node_id)).list_all()
    assert task.timeout == head_side.lifetime_of(head_side.find())


def test_lifetime_is_the_one_the_cluster_was_created_with(local, make_cluster):
    laptop = make_cluster(cluster_lifetime_hours=2)
    make_head(laptop)
    local.advance(90 * 60)
    cluster = make_cluster(on_head=True, pinned=laptop.find().id, cluster_lifetime_hours=1)
    cluster.refresh()

    assert len(grow(cluster, 1)) == 1


def test_launch_provisions_another_pool_when_pool_has_ended(local, head_side, make_cluster):
    grow(head_side, 1)
    local.advance(BOOT)
    (pool,) = [name for name in pool_names(local) if "-cpu-" in name]
    with local.client() as client:
        pools = client.worker_pool_client
        pools.shutdown_worker_pool_by_id(pools.get_worker_pool_by_name("demo", pool).id)
    restarted = make_cluster(on_head=True, pinned=head_side.find().id)
    restarted.refresh()

    (node_id,) = grow(restarted, 1)
    local.advance(BOOT)

    assert restarted.refresh().nodes[node_id].phase is Phase.RUNNING


def test_launch_fails_during_teardown(local, head_side):
    head_side.platform.cancel_work_requirement(head_side.find().id)

    with pytest.raises(RayDogError, match="torn down"):
        grow(head_side, 1)


def test_launch_backs_off_after_failure(local, head_side, calls):
    launcher = make_launcher(head_side)
    gone = request(node_config=NodeConfig(compute_requirement_template="demo/gone"))
    with pytest.raises(NotFound):
        launcher.launch(gone)

    with pytest.raises(LaunchBackedOff):
        calls.during(lambda: launcher.launch(gone))

    assert calls.made == []
    assert launcher.launch(request(1, "other"))
    local.advance(5)
    assert launcher.launch(request(1, "cpu"))


def test_launch_stops_when_backoff_starts_meanwhile(head_side, monkeypatch):
    """Ray launches another node in a thread, and only then terminates the one whose set-up has failed."""
    grow(head_side, 1)
    launcher, find, before = make_launcher(head_side), head_side.find, set(head_side.refresh().nodes)

    def find_while_a_node_fails():
        launcher.backoff.failed("cpu", SetupFailed("a node's set-up failed"))
        return find()

    monkeypatch.setattr(head_side, "find", find_while_a_node_fails)
    for _ in range(2):
        with pytest.raises(LaunchBackedOff, match=r"^node type 'cpu' is retried in 5 s, after 1 failed launch: a"):
            launcher.launch(request(1))
    assert set(head_side.refresh().nodes) == before


def test_launch_reuses_pools_after_restart(local, head_side, make_cluster):
    grow(head_side, 1)
    restarted = make_cluster(on_head=True, pinned=head_side.find().id)
    restarted.refresh()

    grow(restarted, 1)

    assert len(pool_names(local)) == 2


def test_pool_holds_at_most_the_maximum_of_nodes(local, head_side, monkeypatch):
    monkeypatch.setattr("yellowdog_ray.cluster.launch.MAX_POOL_NODES", 3)

    ids = grow(head_side, 2) + grow(head_side, 6)
    local.advance(BOOT)

    nodes = head_side.refresh().nodes
    assert sorted(pools_sizes(local)) == [1, 2, 3, 3]
    assert all(nodes[node_id].phase is Phase.RUNNING for node_id in ids)
    assert {nodes[node_id].node_type for node_id in ids} == {"cpu"}


def test_launch_reuses_room_in_pool(local, head_side, make_cluster, monkeypatch):
    monkeypatch.setattr("yellowdog_ray.cluster.launch.MAX_POOL_NODES", 2)
    ids = grow(head_side, 4)
    local.advance(BOOT)
    laptop = make_cluster()
    laptop.refresh()
    laptop.terminate(ids[:1])
    local.advance(60)
    head_side.refresh()

    grow(head_side, 1)

    assert len(pool_names(local)) == 3


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("refusal", [AlreadyExists("Worker pool x already exists"), Refused("no such name, please")])
def test_launch_provisions_another_pool_when_the_ended_one_is_removed_and_its_name_is_refused(
    head_side, make_cluster, monkeypatch, refusal, is_restarted
):
    grow(head_side, 1)
    if is_restarted:
        head_side = make_cluster(on_head=True, pinned=head_side.find().id)
        head_side.refresh()
    (pool,) = (group.worker_tag for group in head_side.find().groups if group.name != "head")
    find, create = head_side.platform.find_pool, head_side.platform.provision_pool

    def refuse(spec):
        if spec.name == pool:
            raise refusal
        return create(spec)

    monkeypatch.setattr(head_side.platform, "find_pool", lambda name: None if name == pool else find(name))
    monkeypatch.setattr(head_side.platform, "provision_pool", refuse)

    assert len(grow(head_side, 2)) == 2
    assert len(head_side.find().groups) == 3


def test_replacement_copies_the_lost_node(local, head_side, make_cluster):
    (node_id,) = grow(head_side, 1)
    local.advance(BOOT)
    restarted = make_cluster(on_head=True, pinned=head_side.find().id)
    node = restarted.refresh().nodes[node_id]

    other = make_launcher(restarted).replace(node)

    assert other in restarted.snapshot.nodes
    with local.client() as client:
        old, new = (client.work_client.get_tasks(TaskSearch(name=name)).list_all()[0] for name in (node_id, other))
    assert new.environment["RAY_CLOUD_INSTANCE_ID"] == other
    own = {"RAY_CLOUD_INSTANCE_ID", "RAYDOG_NODE_TAGS"}
    assert {k: v for k, v in new.environment.items() if k not in own} == {
        k: v for k, v in old.environment.items() if k not in own
    }
    assert (new.taskData, new.taskType, new.arguments) == (old.taskData, old.taskType, old.arguments)
    tags, before = (json.loads(task.environment["RAYDOG_NODE_TAGS"]) for task in (new, old))
    assert tags.pop("ray-launch-request") != before.pop("ray-launch-request")
    assert tags == before
    local.advance(BOOT)
    assert restarted.refresh().nodes[other].phase is Phase.RUNNING


def test_node_whose_pool_has_ended_is_not_replaced(local, head_side):
    """No machine would run the replacement."""
    (node_id,) = grow(head_side, 1)
    local.advance(BOOT)
    node = head_side.refresh().nodes[node_id]
    with local.client() as client:
        pools = client.worker_pool_client
        (pool,) = (pool for pool in pools.find_all_worker_pools() if "-cpu-" in pool.name)
        pools.shutdown_worker_pool_by_id(pool.id)

    assert make_launcher(head_side).replace(node) is None
    assert head_side.refresh().nodes.keys() == {node_id, head_side.snapshot.head.id}


def test_launch_of_unknown_outcome_stops_launches_until_a_reading(local, head_side):
    launcher = make_launcher(head_side)
    launcher.launch(request())
    head_side.refresh()
    local.advance(1)
    with (
        local.faults.during(ApplyThenFail(call="POST /work/taskGroups/*/tasks", status=500)),
        local.faults.during(Status(call="GET /work/tasks", status=500)),
        pytest.raises(Unavailable),
    ):
        launcher.launch(request(7))
    launcher.backoff.reconfigured()

    with pytest.raises(LaunchBackedOff, match="has not shown since") as refusal:
        launcher.launch(request())

    assert refusal.value.code == Unavailable.code
    assert len(head_side.refresh().nodes) == 1 + 1 + 7
    assert len(launcher.launch(request())) == 1


def test_replacements_have_launch_requests_of_their_own(local, head_side):
    lost = grow(head_side, 2)
    local.advance(BOOT)
    nodes = head_side.refresh().nodes
    launcher = make_launcher(head_side)

    ids = [launcher.replace(nodes[node_id]) for node_id in lost]

    requests = {head_side.snapshot.nodes[node_id].tags["ray-launch-request"] for node_id in ids}
    assert len(requests) == 2


def pools_sizes(local: RunningPlatform) -> list[int]:
    """How many platform nodes each pool has."""
    with local.client() as client:
        pools = client.worker_pool_client
        summaries = pools.get_worker_pools(WorkerPoolSearch()).list_all()
        return [pools.get_worker_pool_by_id(pool.id).expectedNodeCount for pool in summaries]
