"""Nodes that never join: withdrawn in time, with the reason, and launched again after a growing back-off."""

import itertools
import logging

import pytest

BUILD_TIMEOUT_SECONDS = 10 * 60
TICK = 5


@pytest.fixture
def errors(caplog):
    """The provider's log messages at ERROR."""
    caplog.set_level(logging.ERROR)
    return lambda: [record.getMessage() for record in caplog.records if record.name.startswith("yellowdog_ray")]


@pytest.mark.parametrize("fault", ["never-boots", "never-registers"])
def test_node_is_withdrawn_and_replaced_when_no_instance_registers(world, errors, fault):
    world.fault(fault, times=1)
    world.want_cpus(1)
    world.tick()
    (first,) = world.listed()

    for _ in range(BUILD_TIMEOUT_SECONDS // TICK - 2):
        world.tick()
        assert world.listed() == {first}
    world.ticks(4)

    assert world.task(first).status.finished
    assert any("NeverAllocated" in text and first in text for text in errors())
    world.ticks(8)
    assert len(world.ray.workers) == 1


def test_node_is_terminated_and_replaced_when_its_raylet_never_joins(world, errors):
    world.want_cpus(1)
    world.tick()
    (first,) = world.listed()
    world.ray.silent = {first}

    for _ in range(BUILD_TIMEOUT_SECONDS // TICK - 2):
        world.tick()
        assert world.listed() >= {first}
    world.ticks(12)

    assert world.task(first).status.finished
    assert any("NeverJoined" in text and first in text for text in errors())
    assert len(world.ray.workers) == len(world.instances) == 1


def test_build_timeout_is_read_from_the_yaml(make_world):
    world = make_world(worker_node_build_timeout_minutes=2)
    world.fault("never-boots")
    world.want_cpus(1)
    world.tick()
    (first,) = world.listed()

    world.ticks(2 * 60 // TICK + 2)

    assert first not in world.listed()


def test_no_node_times_out_while_ray_does_not_answer(world, monkeypatch):
    world.grow_to(2)
    before = world.listed()
    world.restart_autoscaler()
    monkeypatch.setattr(world.gcs, "get_all_node_info", lambda **_: 1 / 0)

    world.ticks(BUILD_TIMEOUT_SECONDS // TICK + 10)

    assert world.listed() == before


class TestWithoutIds:
    """A script that starts Ray in a container may not pass the id on."""

    @pytest.fixture
    def nameless(self, world, monkeypatch):
        """Removes the ids of all raylets and restarts the autoscaler."""
        read = world.gcs.get_all_node_info

        def without_ids(**options):
            nodes = read(**options)
            for info in nodes.values():
                info.instance_id = ""
            return nodes

        def forget():
            world.restart_autoscaler()
            monkeypatch.setattr(world.gcs, "get_all_node_info", without_ids)

        return forget

    def test_raylet_without_id_is_matched_by_its_address(self, world, nameless):
        world.grow_to(2)
        before = world.listed()

        nameless()
        world.ticks(BUILD_TIMEOUT_SECONDS // TICK + 10)

        assert world.listed() == before

    def test_missing_id_is_logged_once_with_the_script(self, world, nameless, errors, kind):
        world.grow_to(2)
        assert errors() == []

        nameless()
        world.ticks(4)

        logged = [text for text in errors() if "RAY_CLOUD_INSTANCE_ID" in text]
        if kind == "v1":
            assert logged == []
            return
        (of_head,) = (text for text in logged if "ray_head_node_task_script" in text)
        (of_workers,) = (text for text in logged if "ray_worker_node_task_script" in text)
        assert world.head.entity.name in of_head
        assert "the cluster cannot grow" in of_head
        assert all(node_id in of_workers for node_id in world.listed())


class TestShortage:
    def test_workers_are_withdrawn_with_the_reason_when_no_source_has_capacity(self, world, errors):
        world.grow_to(2)
        world.fault("capacity", limit=2, message="no capacity in the zone")
        served = world.listed()

        world.want_cpus(5)
        failed = set()
        for _ in range(24):
            world.tick()
            failed |= world.autoscaler.failed_types()

        (reason,) = {text for text in errors() if "failed" in text and "3 node(s)" in text}
        assert "NoCapacity" in reason
        assert "no capacity in the zone" in reason
        assert served <= world.listed()
        assert len(world.instances) == 2
        assert failed == {"worker"}

    def test_workers_are_kept_while_their_instances_boot(self, world):
        world.fault("capacity", limit=len(world.lab.hosts.instance_ids) + 2)
        world.fault("never-boots")

        world.want_cpus(5)
        world.tick()
        before = world.listed()
        world.ticks(17)

        assert len(before) == 5
        assert len(before & world.listed()) == 2

    def test_nodes_are_launched_once_there_is_capacity_again(self, world):
        fault = world.fault("capacity", limit=0)
        world.want_cpus(3)
        world.ticks(40)
        assert world.instances == []

        world.lab.faults.remove(fault)
        world.ticks(70)

        assert len(world.ray.workers) == len(world.instances) == 3

    def test_short_shortage_withdraws_nothing(self, world):
        fault = world.fault("capacity", limit=0)
        world.want_cpus(3)
        world.tick()
        before = world.listed()

        world.ticks(8)
        world.lab.faults.remove(fault)
        world.ticks(6)

        assert world.listed() == before
        assert len(world.ray.workers) == 3

    @pytest.mark.parametrize(
        ("message", "category"),
        [("vCPU quota exceeded", "QuotaExceeded"), ("image ami-1 does not exist", "ProvisioningFailed")],
    )
    def test_quota_and_image_errors_have_their_own_categories(self, world, errors, message, category):
        world.fault("capacity", limit=0, message=message)
        world.want_cpus(1)

        world.ticks(24)

        assert any(category in text and message in text for text in errors())

    def test_back_off_grows_with_each_failed_launch(self, world):
        world.fault("capacity", limit=0)
        world.want_cpus(1)

        launches = []
        for tick in range(280):
            world.tick()
            if any(call.startswith("POST") and call.endswith("/tasks") for call in world.wire.calls):
                launches.append(tick)

        gaps = [later - earlier for earlier, later in itertools.pairwise(launches)]
        assert gaps == sorted(gaps)
        assert gaps[-1] > 3 * gaps[0]

    def test_workers_that_a_source_never_provides_without_a_word_are_withdrawn(self, make_world, errors, monkeypatch):
        """A source's limit is below the pool's `maxNodes`, and the platform reports no error of the source."""
        world = make_world(worker_node_build_timeout_minutes=2)
        world.fault("capacity", limit=len(world.lab.hosts.instance_ids) + 2)
        monkeypatch.setattr("yellowdog_ray.platform.compute.source_messages", lambda _: ())
        world.want_cpus(5)

        world.ticks(2 * 60 // TICK + 2)

        assert len(world.ray.workers) == len(world.instances) == 2
        (reason,) = errors()
        assert "3 node(s) of type 'worker' failed (" in reason
        assert "NeverAllocated" in reason
        assert "has 2 instances for 5 nodes, so its source may have a limit" in reason

    def test_launch_that_the_platform_refuses_because_of_its_source_backs_off(self, world, errors):
        """A source's limit is below the pool's `maxNodes`, and the platform refuses the pool."""
        refusal = "The compute source has a limit, and no instances are left"
        world.fault("status", call="POST /workerPools/provisioned/template", status=400, message=refusal)
        world.want_cpus(5)

        world.ticks(24)

        assert (world.listed(), world.instances) == (set(), [])
        assert 2 <= len(errors()) <= 6
        assert all(refusal in text for text in errors())

    def test_pool_is_replaced_after_it_ends_under_waiting_workers(self, world, errors):
        world.fault("never-boots", times=1)
        world.want_cpus(1)
        world.tick()
        (waiting,) = world.listed()
        with world.lab.client() as client:
            (pool,) = (p for p in world.lab.platform.store.open_pools.values() if p.name.startswith("ray-worker-"))
            client.worker_pool_client.shutdown_worker_pool_by_id(pool.id)

        world.ticks(10)

        assert any("has ended" in text and waiting in text for text in errors())
        assert len(world.ray.workers) == 1
