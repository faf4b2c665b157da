"""Node types with a configured worker pool: checks, placement of tasks, and machines that stay."""

from datetime import timedelta

import pytest

from tests.own_machines import configured_pool, machines_of
from tests.yellowdog_ray.cluster_lab import (
    BOOT,
    NODE_CONFIG,
    grow,
    make_head,
    make_launcher,
    pool_names,
    request,
    wait_until_reachable,
)
from yellowdog_local.faults.rules import parse
from yellowdog_ray.cluster.snapshot import Phase
from yellowdog_ray.commands import head_wait
from yellowdog_ray.commands.access import SshSettings
from yellowdog_ray.commands.configured_pools import check_configured_pools
from yellowdog_ray.commands.progress import Progress
from yellowdog_ray.commands.teardown import tear_down
from yellowdog_ray.config.models import Internal
from yellowdog_ray.config.node_config import NodeConfig, parse_node_config
from yellowdog_ray.errors import ConfigError, HeadBuildTimeout, NotFound, ProvisioningFailed, RayDogError

OWN = NodeConfig(worker_pool="demo/own")


def complaint(cluster, **pools: str) -> str:
    with pytest.raises(RayDogError) as caught:
        check(cluster, **pools)
    return str(caught.value)


def check(cluster, max_workers: int = 1, **pools: str) -> list[str]:
    types = {name: {"worker_pool": pool, "max_workers": max_workers} for name, pool in pools.items()}
    internal = Internal.model_validate({"source": "cluster.yaml", "node_types": types})
    return check_configured_pools(cluster.platform, internal)


class TestErrors:
    def test_missing_pool_is_refused(self, make_cluster):
        message = complaint(make_cluster(), w="demo/no")

        assert message.startswith("cluster.yaml: available_node_types.w.node_config.worker_pool: ")
        assert "'demo/no'" in message

    def test_provisioned_pool_is_refused(self, local, make_cluster, head_side):
        (provisioned,) = pool_names(local)

        assert "compute_requirement_template instead" in complaint(make_cluster(), w=f"demo/{provisioned}")

    def test_shut_down_pool_is_refused(self, local, make_cluster):
        pool = configured_pool(local)
        make_cluster().platform.shut_down_pool(pool.id)

        assert "has been shut down" in complaint(make_cluster(), w="demo/own")

    def test_pool_without_platform_nodes_is_refused(self, local, make_cluster):
        configured_pool(local, machines=0)

        assert "has no platform node: start the YellowDog agent" in complaint(make_cluster(), w="demo/own")

    def test_pool_without_the_task_type_is_refused(self, local, make_cluster):
        configured_pool(local, supportedTaskTypes=["docker", "python"])

        message = complaint(make_cluster(), w="demo/own")

        assert "none of the 2 platform node(s)" in message
        assert "(they offer: docker, python). Add it to yda.taskTypes" in message

    def test_platform_node_with_two_yellowdog_workers_is_refused(self, local, make_cluster):
        configured_pool(local, slots=4)

        assert "has 4 YellowDog workers, and a Ray node needs a machine of its own" in complaint(
            make_cluster(), w="demo/own"
        )

    def test_two_untagged_pools_are_refused(self, local, make_cluster):
        configured_pool(local, name="own", tag=None)
        configured_pool(local, name="other", tag="other")

        message = complaint(make_cluster(), w="demo/own", x="demo/other")

        assert "'own' has no worker tag, so its tasks could run in 'other' as well" in message

    def test_untagged_pool_with_a_cloud_provider_is_refused(self, local, make_cluster):
        configured_pool(local, tag=None, provider="AWS")

        assert "platform nodes of provider AWS" in complaint(make_cluster(), w="demo/own")

    @pytest.mark.parametrize("other", ["compute_requirement_template: demo/local", "userdata: echo", "images_id: x"])
    def test_other_keys_beside_worker_pool_are_refused(self, other):
        key, value = other.split(": ")

        with pytest.raises(ConfigError, match=f"has worker_pool and {key}"):
            parse_node_config(
                {"worker_pool": "demo/own", key: value}, "cluster.yaml", "available_node_types.w.node_config"
            )

    def test_pool_name_without_namespace_is_refused(self):
        with pytest.raises(ConfigError, match=r"worker_pool: 'own' is neither a worker pool's id"):
            parse_node_config({"worker_pool": "own"}, "cluster.yaml", "x")

    def test_create_head_creates_nothing_when_a_pool_is_missing(self, local, make_cluster):
        internal = {"node_types": {"w": {"worker_pool": "demo/no"}}}
        cluster = make_cluster(_raydog=internal)

        with pytest.raises(NotFound):
            make_head(cluster)

        assert cluster.find() is None


class TestWarnings:
    def test_usable_pool_gets_no_warning(self, local, make_cluster):
        pool = configured_pool(local)

        assert check(make_cluster(), w="demo/own") == check(make_cluster(), w=pool.id) == []

    def test_max_workers_above_the_machines_gives_a_warning(self, local, make_cluster):
        configured_pool(local)

        (warning,) = check(make_cluster(), max_workers=3, w="demo/own")

        assert "has 2 platform node(s) for tasks of type `bash`, and max_workers is 3" in warning

    def test_pool_without_worker_tag_gives_a_warning(self, local, make_cluster):
        configured_pool(local, tag=None)

        (warning,) = check(make_cluster(), w="demo/own")

        assert "has no worker tag: its tasks may run on any on-premises platform node of namespace demo" in warning

    def test_shared_worker_tag_gives_a_warning(self, local, make_cluster):
        configured_pool(local)
        configured_pool(local, name="twin", tag="own")

        (warning,) = check(make_cluster(), w="demo/own")

        assert "worker tag 'own' is also that of worker pool twin" in warning


@pytest.mark.parametrize("tag", ["own", None], ids=["tagged", "untagged"])
class TestPlacement:
    def test_workers_run_on_the_pools_machines_only(self, local, head_side, tag):
        pool = configured_pool(local, tag=tag)
        before = pool_names(local)

        ids = make_launcher(head_side).launch(request(2, node_config=OWN))
        local.advance(BOOT)

        nodes = head_side.refresh().nodes
        assert all(nodes[node_id].phase is Phase.RUNNING for node_id in ids)
        assert {nodes[node_id].platform_node_id for node_id in ids} == set(pool.nodes)
        assert all(nodes[node_id].private_ip for node_id in ids)
        assert pool_names(local) == before

    def test_workers_of_another_node_type_do_not_run_in_the_pool(self, local, head_side, tag):
        pool = configured_pool(local, tag=tag)

        (node_id,) = grow(head_side, 1)
        local.advance(BOOT)

        assert head_side.refresh().nodes[node_id].platform_node_id not in pool.nodes

    def test_pending_workers_make_no_provisioned_pool_grow(self, local, head_side, tag):
        configured_pool(local, machines=1, tag=tag)
        launcher = make_launcher(head_side)
        launcher.launch(request(1, "cloud"))
        local.advance(BOOT)

        launcher.launch(request(5, node_config=OWN))
        local.advance(60)

        phases = [node.phase for node in head_side.refresh().nodes.values() if node.node_type == "cpu"]
        assert sorted(phase.value for phase in phases) == ["pending"] * 4 + ["running"]
        assert len([name for name in local.hosts.instance_ids if not name.startswith("own-")]) == 2

    def test_restarted_monitor_reads_the_workers_addresses(self, local, head_side, make_cluster, tag):
        configured_pool(local, tag=tag)
        (node_id,) = make_launcher(head_side).launch(request(1, node_config=OWN))
        local.advance(BOOT)

        restarted = make_cluster(on_head=True, pinned=head_side.find().id)

        assert restarted.refresh().nodes[node_id].private_ip


def test_launch_fails_when_the_pool_was_shut_down(local, head_side):
    pool = configured_pool(local)
    launcher = make_launcher(head_side)
    launcher.launch(request(1, node_config=OWN))
    head_side.platform.shut_down_pool(pool.id)

    with pytest.raises(ProvisioningFailed, match="has been shut down"):
        launcher.launch(request(1, node_config=OWN))


def test_workers_follow_a_change_between_template_and_pool(local, head_side):
    pool = configured_pool(local)
    launcher = make_launcher(head_side)
    ids = [launcher.launch(request(1, node_config=config))[0] for config in (NODE_CONFIG, OWN, NODE_CONFIG, OWN)]
    local.advance(BOOT)

    nodes = head_side.refresh().nodes

    assert [nodes[node_id].platform_node_id in pool.nodes for node_id in ids] == [False, True, False, True]


class TestTermination:
    @pytest.fixture
    def pool(self, local):
        return configured_pool(local)

    @pytest.fixture
    def worker(self, local, head_side, pool):
        (node_id,) = make_launcher(head_side).launch(request(1, node_config=OWN))
        local.advance(BOOT)
        head_side.refresh()
        return node_id

    def test_terminated_worker_leaves_its_machine_running(self, local, head_side, pool, worker):
        head_side.terminate([worker])
        local.advance(120)

        assert worker not in head_side.refresh().nodes
        assert machines_of(pool) == ["own-0", "own-1"]

    def test_ineffective_abort_is_repeated_without_escalation(self, local, head_side, pool, worker, calls):
        local.faults.add(parse({"kind": "abort-lost"}))
        head_side.terminate([worker])

        def wait() -> None:
            for _ in range(60):
                local.advance(10)
                head_side.refresh()

        ended = [call for call in calls.during(wait) if not call.startswith("GET")]

        assert len(ended) >= 5
        assert all(call.startswith("PUT /work/tasks/") for call in ended), ended
        assert machines_of(pool) == ["own-0", "own-1"]

    def test_tear_down_leaves_the_pool_running(self, local, make_cluster, head_side, pool, worker):
        laptop = make_cluster()

        tear_down(laptop.platform, laptop.find(), Progress(), laptop.clock)

        assert machines_of(pool) == ["own-0", "own-1"]
        assert pool.status.available
        assert not any(node.tasks for node in pool.nodes.values())
        assert [name for name in local.hosts.instance_ids if not name.startswith("own-")] == []

    def test_tasks_in_the_pool_end_with_the_lifetime(self, local, head_side, pool, worker):
        local.advance(timedelta(hours=1).total_seconds() + 60)

        assert not any(node.tasks for node in pool.nodes.values())
        assert machines_of(pool) == ["own-0", "own-1"]


@pytest.mark.parametrize("tag", ["own", None], ids=["tagged", "untagged"])
class TestHead:
    INTERNAL = {"node_types": {"head": {"worker_pool": "demo/own"}}}

    def test_head_runs_in_the_pool_and_workers_have_its_address(self, local, make_cluster, tag):
        pool = configured_pool(local, tag=tag)
        laptop = make_cluster(_raydog=self.INTERNAL)
        make_head(laptop, node_config=OWN)
        local.advance(1)

        cluster = make_cluster(on_head=True, pinned=laptop.find().id)
        head = cluster.refresh().head

        assert head.phase is Phase.RUNNING
        assert head.platform_node_id in pool.nodes
        (node_id,) = grow(cluster, 1)
        local.advance(BOOT)
        assert cluster.refresh().nodes[node_id].phase is Phase.RUNNING

    def test_second_ray_up_adopts_the_head_and_tear_down_leaves_its_machine(self, local, make_cluster, tag):
        pool = configured_pool(local, tag=tag)
        for _ in range(2):
            laptop = make_cluster(_raydog=self.INTERNAL)
            make_head(laptop, node_config=OWN)
            local.advance(1)
        assert sum(len(node.tasks) for node in pool.nodes.values()) == 1

        tear_down(laptop.platform, laptop.find(), Progress(), laptop.clock)

        assert pool_names(local) == ["own"]
        assert machines_of(pool) == ["own-0", "own-1"]
        assert not any(node.tasks for node in pool.nodes.values())


def test_wait_reports_a_pool_without_a_free_platform_node(local, make_cluster, monkeypatch, capsys):
    configured_pool(local, machines=1)
    head_up_there = make_cluster("first")
    make_head(head_up_there, node_config=OWN)
    second = make_cluster("second", _raydog=TestHead.INTERNAL, head_node_build_timeout_minutes=1)
    make_head(second, node_config=OWN)
    monkeypatch.setattr(head_wait, "try_ssh", lambda target: None)

    with pytest.raises(HeadBuildTimeout, match="worker pool demo/own: waiting for a platform node that is free"):
        wait_until_reachable(second, SshSettings("yd-agent", "key"))
