"""A cluster on a stepped platform with simulated hosts: listing, growing, shrinking."""

import json
from datetime import timedelta

import pytest
from yellowdog_client.model import InstanceSearch, TaskSearch, WorkerPoolSearch

from yellowdog_local.testing import RunningPlatform
from yellowdog_ray.cluster import Cluster, LaunchRequest
from yellowdog_ray.config import NodeConfig
from yellowdog_ray.errors import DeadlinePassed, LaunchPaused, NotFound, PlatformError, RayDogError
from yellowdog_ray.head import create_head
from yellowdog_ray.progress import Progress
from yellowdog_ray.snapshot import Phase

NODE_CONFIG = NodeConfig(compute_requirement_template="demo/local")
HEAD_TAGS = {"ray-node-type": "head", "ray-user-node-type": "head", "ray-node-status": "uninitialized"}
WORKER_TAGS = {"ray-node-type": "worker", "ray-user-node-type": "cpu", "ray-launch-request": "request-1"}
BOOT = 3.0


@pytest.fixture
def head_side(local: RunningPlatform, make_cluster) -> Cluster:
    """The cluster as the autoscaler on its running head sees it."""
    laptop = make_cluster()
    create_head(laptop, NODE_CONFIG, HEAD_TAGS, Progress(), v2=True)
    local.advance(BOOT)
    work = laptop.find()
    assert work is not None
    cluster = make_cluster(on_head=True, pinned=work.id)
    cluster.refresh()
    return cluster


def grow(cluster: Cluster, count: int = 2, node_type: str = "cpu") -> list[str]:
    tags = {**WORKER_TAGS, "ray-user-node-type": node_type}
    return cluster.grow(LaunchRequest(node_type, NODE_CONFIG, tags, count, {"CPU": 1}, {"zone": "a"}))


def phases(cluster: Cluster) -> dict[str, str]:
    return {node.id: node.phase.value for node in cluster.snapshot.nodes.values()}


class TestListing:
    def test_where_there_is_no_cluster_nothing_is_listed(self, make_cluster):
        assert make_cluster().refresh().nodes == {}

    def test_constructing_asks_the_platform_nothing(self, make_cluster, calls):
        assert calls.during(make_cluster) == []

    def test_the_head_is_listed_with_its_tags_before_it_has_booted(self, local, make_cluster):
        laptop = make_cluster()

        create_head(laptop, NODE_CONFIG, HEAD_TAGS, Progress(), v2=True)

        (head,) = laptop.refresh().nodes.values()
        assert (head.is_head, head.phase, dict(head.tags)) == (True, Phase.PENDING, HEAD_TAGS)

    def test_a_running_head_has_addresses(self, local, make_cluster):
        laptop = make_cluster()
        create_head(laptop, NODE_CONFIG, HEAD_TAGS, Progress(), v2=True)
        local.advance(BOOT)

        head = laptop.refresh().head

        assert head is not None
        assert head.phase is Phase.RUNNING
        assert head.private_ip
        assert head.public_ip

    def test_another_process_sees_the_same_nodes_with_the_same_tags(self, local, head_side, make_cluster):
        ids = grow(head_side)
        local.advance(BOOT)

        seen = make_cluster().refresh()

        assert set(seen.nodes) == {*ids, head_side.snapshot.head.id}
        assert all(dict(seen.nodes[node_id].tags) == WORKER_TAGS for node_id in ids)

    def test_a_tick_on_which_nothing_has_changed_is_one_call(self, local, head_side, calls):
        grow(head_side, 5)
        local.advance(BOOT)
        head_side.refresh()

        assert len(calls.during(head_side.refresh)) == 1

    def test_a_change_is_noticed_on_the_next_tick(self, local, head_side):
        (node_id,) = grow(head_side, 1)
        head_side.refresh()
        assert phases(head_side)[node_id] == "pending"

        local.advance(BOOT)
        head_side.refresh()

        assert phases(head_side)[node_id] == "running"

    def test_a_node_whose_instance_dies_is_gone_from_the_next_listing(self, local, head_side):
        lost, kept = grow(head_side)
        local.advance(BOOT)
        head_side.refresh()
        address = head_side.snapshot.nodes[lost].private_ip
        with local.client() as client:
            search = InstanceSearch(privateIpAddress=address)
            (instance,) = client.compute_client.get_instances(search).list_all()

        local.hosts.lose(instance.id.instanceId)
        local.advance(1)
        head_side.refresh()

        assert lost not in head_side.snapshot.nodes
        assert kept in head_side.snapshot.nodes

    def test_when_the_platform_cannot_be_read_the_last_complete_listing_stands(self, local, head_side, monkeypatch):
        grow(head_side)
        before = head_side.refresh()

        def fail(*_: object) -> None:
            raise PlatformError("no answer")

        monkeypatch.setattr(head_side.platform, "work_requirement", fail)
        with pytest.raises(PlatformError):
            head_side.refresh()

        assert head_side.snapshot == before

    def test_a_listing_that_breaks_off_halfway_changes_nothing(self, local, head_side, monkeypatch):
        grow(head_side)
        before = head_side.refresh()
        local.advance(BOOT)

        def fail(*_: object) -> None:
            raise PlatformError("no answer")

        monkeypatch.setattr(head_side.platform, "platform_nodes", fail)
        with pytest.raises(PlatformError):
            head_side.refresh()

        assert head_side.snapshot == before

    def test_clusters_whose_names_begin_alike_never_see_each_other(self, local, make_cluster):
        for name in ("ray", "ray-production"):
            create_head(make_cluster(name), NODE_CONFIG, HEAD_TAGS, Progress(), v2=True)

        (mine,) = make_cluster("ray").refresh().nodes
        (other,) = make_cluster("ray-production").refresh().nodes

        assert mine != other


class TestGrowth:
    def test_new_nodes_are_listed_when_the_call_returns(self, head_side):
        ids = grow(head_side, 3)

        assert len(set(ids)) == 3
        assert set(ids) <= set(head_side.snapshot.nodes)

    def test_the_first_nodes_of_a_type_take_a_group_a_pool_and_a_batch_of_tasks(self, head_side, calls):
        made = calls.during(lambda: grow(head_side, 50))

        changes = [call.split("/")[-1] for call in made if not call.startswith("GET")]
        assert changes == ["requirements", "template", "tasks"]

    def test_further_nodes_are_one_batch(self, head_side, calls):
        grow(head_side, 1)

        made = calls.during(lambda: grow(head_side, 50))

        assert [call for call in made if not call.startswith("GET")] == [made[-1]]
        assert len(made) == 3

    def test_every_asked_for_node_comes_up_on_an_instance_of_its_own(self, local, head_side):
        ids = grow(head_side, 2) + grow(head_side, 3)
        local.advance(BOOT)
        local.advance(BOOT)

        nodes = head_side.refresh().nodes

        assert all(nodes[node_id].phase is Phase.RUNNING for node_id in ids)
        assert len({nodes[node_id].private_ip for node_id in ids}) == 5
        assert len(local.hosts.instance_ids) == 6

    def test_a_worker_is_told_who_it_is_and_where_the_head_is(self, local, head_side):
        (node_id,) = grow(head_side, 1)

        with local.client() as client:
            (task,) = client.work_client.get_tasks(TaskSearch(name=node_id)).list_all()

        assert task.environment["RAY_HEAD_IP"] == head_side.snapshot.head.private_ip
        assert task.environment["RAY_CLOUD_INSTANCE_ID"] == node_id
        assert json.loads(task.environment["RAY_OVERRIDE_RESOURCES"]) == {"CPU": 1}
        assert task.arguments == ["taskdata.txt"]

    def test_node_types_that_look_alike_get_pools_of_their_own(self, local, head_side):
        grow(head_side, 1, "cpu.small")
        grow(head_side, 1, "cpu-small")
        local.advance(BOOT)

        types = sorted(node.node_type for node in head_side.refresh().nodes.values())

        assert types == ["cpu-small", "cpu.small", "head"]

    def test_workers_that_come_late_end_with_the_cluster(self, local, make_cluster):
        laptop = make_cluster(cluster_lifetime_hours=1)
        create_head(laptop, NODE_CONFIG, HEAD_TAGS, Progress(), v2=True)
        local.advance(45 * 60)
        cluster = make_cluster(on_head=True, pinned=laptop.find().id)
        cluster.refresh()

        (node_id,) = grow(cluster, 1)

        with local.client() as client:
            (task,) = client.work_client.get_tasks(TaskSearch(name=node_id)).list_all()
        assert task.timeout == timedelta(minutes=15)

    def test_after_the_lifetime_no_worker_is_added(self, local, head_side):
        local.advance(3600)

        with pytest.raises(DeadlinePassed, match="cluster_lifetime_hours"):
            grow(head_side, 1)

    def test_the_lifetime_that_counts_is_the_one_the_cluster_was_made_with(self, local, make_cluster):
        laptop = make_cluster(cluster_lifetime_hours=2)
        create_head(laptop, NODE_CONFIG, HEAD_TAGS, Progress(), v2=True)
        local.advance(90 * 60)
        cluster = make_cluster(on_head=True, pinned=laptop.find().id, cluster_lifetime_hours=1)
        cluster.refresh()

        assert len(grow(cluster, 1)) == 1

    def test_a_pool_that_has_ended_is_followed_by_another(self, local, head_side, make_cluster):
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

    def test_a_cluster_that_is_being_taken_down_does_not_grow(self, local, head_side):
        head_side.platform.cancel_work_requirement(head_side.find().id)

        with pytest.raises(RayDogError, match="taken down"):
            grow(head_side, 1)

    def test_a_node_type_that_cannot_be_launched_is_left_alone_for_a_while(self, local, head_side, calls):
        gone = LaunchRequest("cpu", NodeConfig(compute_requirement_template="demo/gone"), WORKER_TAGS, 1)
        with pytest.raises(NotFound):
            head_side.grow(gone)

        with pytest.raises(LaunchPaused):
            calls.during(lambda: head_side.grow(gone))

        assert calls.made == []
        assert grow(head_side, 1, "other")
        local.advance(5)
        assert grow(head_side, 1, "cpu")

    def test_an_autoscaler_that_restarts_uses_the_pools_that_are_there(self, local, head_side, make_cluster):
        grow(head_side, 1)
        restarted = make_cluster(on_head=True, pinned=head_side.find().id)
        restarted.refresh()

        grow(restarted, 1)

        assert len(pool_names(local)) == 2


class TestShrinking:
    def test_a_terminated_node_vanishes_at_once(self, local, head_side):
        gone, kept = grow(head_side)
        local.advance(BOOT)
        head_side.refresh()

        head_side.terminate([gone])

        assert gone not in head_side.snapshot.nodes
        assert kept in head_side.snapshot.nodes

    def test_its_task_and_its_instance_end(self, local, make_cluster, head_side):
        gone, _ = grow(head_side)
        local.advance(BOOT)
        laptop = make_cluster()
        laptop.refresh()

        laptop.terminate([gone])
        local.advance(30)

        assert gone not in make_cluster().refresh().nodes
        assert len(local.hosts.instance_ids) == 2

    def test_a_node_that_still_waits_is_withdrawn(self, local, make_cluster, head_side):
        waiting, _ = grow(head_side)
        laptop = make_cluster()
        laptop.refresh()

        laptop.terminate([waiting])

        assert waiting not in make_cluster().refresh().nodes

    def test_the_instance_that_boots_for_a_withdrawn_node_does_not_stay(self, local, make_cluster, head_side):
        ids = grow(head_side, 2)
        laptop = make_cluster()
        laptop.refresh()
        laptop.terminate(ids)

        local.advance(60)

        assert len(local.hosts.instance_ids) == 1

    def test_ids_that_nobody_knows_are_left_alone(self, head_side):
        before = head_side.refresh()

        head_side.terminate(["no-such-node"])

        assert head_side.snapshot == before

    def test_an_abort_that_the_platform_did_not_hear_is_repeated(self, local, make_cluster, head_side, monkeypatch):
        (node_id,) = grow(head_side, 1)
        local.advance(BOOT)
        laptop = make_cluster()
        laptop.refresh()
        abort = laptop.platform.abort_task
        asked = []

        def fail_once(task_id: str) -> None:
            asked.append(task_id)
            if len(asked) == 1:
                raise PlatformError("no answer")
            abort(task_id)

        monkeypatch.setattr(laptop.platform, "abort_task", fail_once)
        laptop.terminate([node_id])
        local.advance(15)
        laptop.refresh()

        assert len(asked) == 2
        assert node_id not in make_cluster().refresh().nodes


def pool_names(local: RunningPlatform) -> list[str]:
    with local.client() as client:
        return [pool.name for pool in client.worker_pool_client.get_worker_pools(WorkerPoolSearch()).list_all()]
