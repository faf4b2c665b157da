"""What counts as use of a cluster, in the messages of Ray's own control store."""

import pytest
from ray.core.generated.autoscaler_pb2 import (
    ClusterResourceConstraint,
    ClusterResourceState,
    GangResourceRequest,
    GetClusterResourceStateReply,
    NodeState,
    NodeStatus,
    ResourceRequestByCount,
)
from ray.core.generated.gcs_pb2 import ActorTableData, JobTableData

from yellowdog_ray.monitor.ray_use import INTERNAL_ACTORS, read_use

HEAD, WORKER = b"\1" * 28, b"\2" * 28


class Gcs:
    """A control store with what a test gives it."""

    def __init__(self, *, jobs=(), actors=(), **state):
        self._jobs, self._actors, self._state = jobs, actors, state

    def get_all_job_info(self, **_):
        return {job.job_id: job for job in self._jobs}

    def get_cluster_resource_state(self, *, timeout_s: float):
        state = ClusterResourceState(**self._state)
        return GetClusterResourceStateReply(cluster_resource_state=state).SerializeToString()

    async def async_get_all_actor_info(self, actor_state_name, **_):
        state = ActorTableData.ActorState.Value(actor_state_name)
        return {actor.actor_id: actor for actor in self._actors if actor.state == state}


def job(namespace="users", *, dead=False, entrypoint="python job.py"):
    made = JobTableData(job_id=b"\1\0\0\0", is_dead=dead, entrypoint=entrypoint)
    made.config.ray_namespace = namespace
    return made


def actor(namespace="users", state=ActorTableData.ALIVE, node=HEAD):
    made = ActorTableData(actor_id=b"a", name="mine", state=state, ray_namespace=namespace, is_detached=True)
    made.address.node_id = node
    return made


def node(*, idle_ms=1000, free=1.0, status=NodeStatus.IDLE, ray_id=HEAD, activity=("Busy workers on node.",)):
    return NodeState(
        node_id=ray_id,
        instance_id="head-1",
        idle_duration_ms=idle_ms,
        status=status,
        node_activity=activity if idle_ms == 0 else (),
        total_resources={"CPU": 1.0, "object_store_memory": 100.0},
        available_resources={"CPU": free, "object_store_memory": 50.0},
    )


def use(**shown):
    return read_use(Gcs(**shown)).what


def test_idle_cluster_is_not_in_use():
    dead = actor(state=ActorTableData.DEAD)

    assert use(jobs=[job(dead=True), job("_ray_internal_dashboard")], actors=[dead], node_states=[node()]) == ""


@pytest.mark.parametrize(
    ("shown", "what"),
    [
        ({"jobs": [job()]}, "1 driver (python job.py)"),
        ({"pending_resource_requests": [ResourceRequestByCount(count=1)]}, "demand that waits for resources"),
        ({"pending_gang_resource_requests": [GangResourceRequest()]}, "demand that waits for resources"),
        ({"actors": [actor()]}, "1 actor (mine)"),
        ({"actors": [actor(state=ActorTableData.RESTARTING)]}, "1 actor (mine)"),
        ({"actors": [actor("serve")]}, "1 actor (mine)"),
        ({"node_states": [node(idle_ms=0)]}, "work on 1 node (head-1)"),
    ],
)
def test_cluster_in_use_names_its_use(shown, what):
    assert use(**shown) == what


@pytest.mark.parametrize("namespace", sorted(INTERNAL_ACTORS))
def test_actor_that_a_library_of_ray_has_left_is_no_use(namespace):
    assert use(actors=[actor(namespace)], node_states=[node(idle_ms=0)]) == ""


def test_other_work_beside_such_an_actor_is_use():
    left = actor("_dataset_stats_actor")

    assert use(actors=[left], node_states=[node(idle_ms=0, free=0.0)]) == "work on 1 node (head-1)"
    assert use(actors=[left], node_states=[node(idle_ms=0, ray_id=WORKER)]) == "work on 1 node (head-1)"


def test_node_that_has_just_joined_is_no_use():
    assert use(node_states=[node(idle_ms=0, activity=())]) == ""
    assert use(node_states=[node(idle_ms=0, activity=(), free=0.0)]) == "work on 1 node (head-1)"


def test_dead_node_is_no_use():
    assert use(node_states=[node(idle_ms=0, status=NodeStatus.DEAD)]) == ""


def test_driver_that_has_ended_is_shown():
    assert read_use(Gcs(jobs=[job(dead=True)])).drivers == {job().job_id}
    assert read_use(Gcs(jobs=[job("_ray_internal_dashboard")])).drivers == set()


def test_request_for_resources_without_a_driver_is_no_use():
    assert use(cluster_resource_constraints=[ClusterResourceConstraint()], node_states=[node()]) == ""


def test_long_list_of_drivers_is_cut_and_on_one_line():
    drivers = [job(entrypoint=f"python -c '\n{'x' * 100}'") for _ in range(5)]
    for number, driver in enumerate(drivers):
        driver.job_id = bytes([number])

    what = use(jobs=drivers)

    assert what.startswith("5 drivers (python -c ' xxx")
    assert what.endswith(", ...)")
    assert "\n" not in what
    assert len(what) < 250
