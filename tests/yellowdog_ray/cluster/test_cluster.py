"""A cluster on a stepped platform with simulated hosts: listing and shrinking."""

import pytest
from yellowdog_client.model import InstanceSearch, Task, TaskSearch

from tests.yellowdog_ray.cluster_lab import BOOT, HEAD_TAGS, WORKER_TAGS, grow, make_head, phases
from yellowdog_ray.cluster.platform_nodes import REREAD_SECONDS
from yellowdog_ray.cluster.snapshot import Phase
from yellowdog_ray.errors import PlatformError


class TestListing:
    def test_listing_is_empty_without_cluster(self, make_cluster):
        assert make_cluster().refresh().nodes == {}

    def test_constructor_makes_no_platform_call(self, make_cluster, calls):
        assert calls.during(make_cluster) == []

    def test_head_is_listed_with_tags_before_boot(self, local, make_cluster):
        laptop = make_cluster()

        make_head(laptop)

        (head,) = laptop.refresh().nodes.values()
        assert (head.is_head, head.phase, dict(head.tags)) == (True, Phase.PENDING, HEAD_TAGS)

    def test_running_head_has_addresses(self, local, make_cluster):
        laptop = make_cluster()
        make_head(laptop)
        local.advance(BOOT)

        head = laptop.refresh().head

        assert head is not None
        assert head.phase is Phase.RUNNING
        assert head.private_ip
        assert head.public_ip

    def test_another_process_lists_same_nodes_with_same_tags(self, local, head_side, make_cluster):
        ids = grow(head_side)
        local.advance(BOOT)

        seen = make_cluster().refresh()

        assert set(seen.nodes) == {*ids, head_side.snapshot.head.id}
        assert all(dict(seen.nodes[node_id].tags) == WORKER_TAGS for node_id in ids)

    def test_refresh_is_one_call_when_nothing_has_changed(self, local, head_side, calls):
        grow(head_side, 5)
        local.advance(BOOT)
        head_side.refresh()

        assert len(calls.during(head_side.refresh)) == 1

    def test_refresh_reads_platform_nodes_again_when_due(self, local, head_side, calls):
        grow(head_side, 5)
        local.advance(BOOT)
        head_side.refresh()

        local.advance(REREAD_SECONDS)
        head_side.refresh()  # reads all tasks, which is due too, and no more: nothing has changed

        assert "GET /workerPools/nodes" in calls.during(head_side.refresh)

    def test_refresh_shows_change_at_next_tick(self, local, head_side):
        (node_id,) = grow(head_side, 1)
        head_side.refresh()
        assert phases(head_side)[node_id] == "pending"

        local.advance(BOOT)
        head_side.refresh()

        assert phases(head_side)[node_id] == "running"

    def test_refresh_drops_node_when_instance_dies(self, local, head_side):
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

    def test_last_listing_stands_when_platform_is_unreachable(self, local, head_side, monkeypatch):
        grow(head_side)
        before = head_side.refresh()

        def fail(*_: object) -> None:
            raise PlatformError("no answer")

        monkeypatch.setattr(head_side.platform, "work_requirement", fail)
        with pytest.raises(PlatformError):
            head_side.refresh()

        assert head_side.snapshot == before

    def test_last_listing_stands_when_reading_fails_halfway(self, local, head_side, monkeypatch):
        grow(head_side)
        before = head_side.refresh()
        local.advance(BOOT)

        def fail(*_: object) -> None:
            raise PlatformError("no answer")

        monkeypatch.setattr(head_side.platform, "platform_nodes", fail)
        with pytest.raises(PlatformError):
            head_side.refresh()

        assert head_side.snapshot == before

    def test_clusters_of_similar_names_list_no_foreign_nodes(self, local, make_cluster):
        for name in ("ray", "ray-production"):
            make_head(make_cluster(name))
            local.advance(1)  # of several, the youngest would be taken

        (mine,) = make_cluster("ray").refresh().nodes
        (other,) = make_cluster("ray-production").refresh().nodes

        assert mine != other

    def test_copy_of_a_workers_task_is_no_node(self, local, head_side, caplog):
        first, second = grow(head_side)
        head_side.refresh()
        with local.client() as client:
            (task,) = client.work_client.get_tasks(TaskSearch(name=first)).list_all()
            copy = Task(name="copy", taskType=task.taskType, environment=task.environment)
            client.work_client.add_tasks_to_task_group_by_id(task.taskGroupId, [copy])

        local.advance(BOOT)
        head_side.refresh()

        assert {first, second} <= head_side.snapshot.nodes.keys()
        assert "copy" not in head_side.snapshot.nodes
        assert "'copy'" in caplog.text


class TestShrinking:
    def test_terminated_node_leaves_snapshot_at_once(self, local, head_side):
        gone, kept = grow(head_side)
        local.advance(BOOT)
        head_side.refresh()

        head_side.terminate([gone])

        assert gone not in head_side.snapshot.nodes
        assert kept in head_side.snapshot.nodes

    def test_terminated_node_stays_hidden_while_its_task_is_shown_alive(self, local, head_side, monkeypatch):
        gone, kept = grow(head_side)
        local.advance(BOOT)
        head_side.refresh()
        monkeypatch.setattr(head_side.platform, "abort_task", lambda _: None)

        head_side.terminate([gone])
        grow(head_side, 1)  # a change, so that the next reading is composed anew
        nodes = head_side.refresh().nodes

        assert gone not in nodes
        assert kept in nodes

    def test_terminate_ends_task_and_instance(self, local, make_cluster, head_side):
        gone, _ = grow(head_side)
        local.advance(BOOT)
        laptop = make_cluster()
        laptop.refresh()

        laptop.terminate([gone])
        local.advance(30)

        assert gone not in make_cluster().refresh().nodes
        assert len(local.hosts.instance_ids) == 2

    def test_terminate_withdraws_waiting_node(self, local, make_cluster, head_side):
        waiting, _ = grow(head_side)
        laptop = make_cluster()
        laptop.refresh()

        laptop.terminate([waiting])

        assert waiting not in make_cluster().refresh().nodes

    def test_instance_that_boots_for_withdrawn_node_ends(self, local, make_cluster, head_side):
        ids = grow(head_side, 2)
        laptop = make_cluster()
        laptop.refresh()
        laptop.terminate(ids)

        local.advance(60)

        assert len(local.hosts.instance_ids) == 1

    def test_terminate_ignores_unknown_ids(self, head_side):
        before = head_side.refresh()

        head_side.terminate(["no-such-node"])

        assert head_side.snapshot == before

    def test_failed_abort_is_repeated(self, local, make_cluster, head_side, monkeypatch):
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
