"""A cluster on a stepped platform with simulated hosts: listing and shrinking."""

import pytest
from yellowdog_client.model import InstanceSearch

from tests.yellowdog_ray.cluster_lab import BOOT, HEAD_TAGS, WORKER_TAGS, grow, make_head, phases
from yellowdog_ray.cluster.snapshot import Phase
from yellowdog_ray.errors import PlatformError


class TestListing:
    def test_where_there_is_no_cluster_nothing_is_listed(self, make_cluster):
        assert make_cluster().refresh().nodes == {}

    def test_constructing_asks_the_platform_nothing(self, make_cluster, calls):
        assert calls.during(make_cluster) == []

    def test_the_head_is_listed_with_its_tags_before_it_has_booted(self, local, make_cluster):
        laptop = make_cluster()

        make_head(laptop)

        (head,) = laptop.refresh().nodes.values()
        assert (head.is_head, head.phase, dict(head.tags)) == (True, Phase.PENDING, HEAD_TAGS)

    def test_a_running_head_has_addresses(self, local, make_cluster):
        laptop = make_cluster()
        make_head(laptop)
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
            make_head(make_cluster(name))
            local.advance(1)  # of several, the youngest would be taken

        (mine,) = make_cluster("ray").refresh().nodes
        (other,) = make_cluster("ray-production").refresh().nodes

        assert mine != other


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
