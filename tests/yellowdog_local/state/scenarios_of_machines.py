"""Scenarios that take every declared step of pools, nodes, workers, requirements and instances; see `test_lives.py`."""

from __future__ import annotations

from copy import deepcopy

from yellowdog_client.model import (
    ComputeRequirementStatus,
    ComputeRequirementTemplateUsage,
    InstanceStatus,
    NodeStatus,
    SimulatorComputeSource,
    WorkerPoolStatus,
    WorkerStatus,
)

from tests.simulation.lab import BOOT_SECONDS, Lab, LabMaker
from yellowdog_local.state.records import InstanceRecord, NodeRecord, RequirementRecord

_Pool, _Node, _Worker = WorkerPoolStatus, NodeStatus, WorkerStatus
_Requirement, _Instance = ComputeRequirementStatus, InstanceStatus
_SHUTDOWN_SECONDS = 5
_LATE_SECONDS, _LOST_SECONDS = 31, 61


def _lose(lab: Lab) -> None:
    lab.hosts.lose(lab.hosts.instance_ids[0])


def _late(lab: Lab, *, claimed: bool = False) -> NodeRecord:
    """A platform node whose agent is silent."""
    node = lab.node(lab.booted(1, maxNodes=1))
    if claimed:
        lab.tasks(lab.group(), "a")
    lab.hosts.unplug(node.instance.id)
    lab.advance(_LATE_SECONDS)
    assert node.status is _Node.LATE
    assert [worker.status for worker in node.workers] == [_Worker.LATE]
    return node


def _recover(lab: Lab, node: NodeRecord) -> None:
    lab.do(lambda p: p.agents.note_call(p.agents.session(node.id, node.instance.token)))


def pool_runs_idles_empties_and_grows_again(make_lab: LabMaker) -> None:
    lab = make_lab()
    pool = lab.booted(1)
    assert pool.status is _Pool.IDLE
    group = lab.group()
    lab.ending(group, "first", 1)
    assert pool.status is _Pool.RUNNING
    lab.advance(2)
    assert pool.status is _Pool.IDLE
    _lose(lab)
    assert pool.status is _Pool.EMPTY
    lab.tasks(group, "second")
    lab.advance(5)
    assert pool.status is _Pool.RUNNING
    lab.do(lambda p: p.work.transition(group.work, group.work.status, abort=False))
    _lose(lab)
    assert pool.status is _Pool.EMPTY


def empty_pool_is_resized(make_lab: LabMaker) -> None:
    lab = make_lab()
    pool = lab.booted(1)
    _lose(lab)
    lab.do(lambda p: p.pools.resize(pool, 1))
    lab.advance(BOOT_SECONDS)
    assert pool.status is _Pool.IDLE


def pending_pool_is_claimed_at_once(make_lab: LabMaker) -> None:
    lab = make_lab()
    lab.tasks(lab.group(), "a")
    assert lab.booted(1).status is _Pool.RUNNING


def pending_pool_is_empty_when_its_node_ends_within_one_change(make_lab: LabMaker) -> None:
    lab = make_lab()
    pool = lab.pool(1)
    with lab.platform.locked():
        lab.advance(BOOT_SECONDS)
        lab.platform.instances.terminate(lab.node(pool).instance, "its user terminated it")
    assert pool.status is _Pool.EMPTY


def pools_are_shut_down_from_each_status(make_lab: LabMaker) -> None:
    lab = make_lab()
    running, idle = lab.booted(1, "running", maxNodes=1, workerTag="x"), lab.booted(1, "idle")
    lab.tasks(lab.group(workerTags=["x"]), "a")
    empty, pending = lab.pool(0, "empty"), lab.pool(1, "pending")
    lab.do(lambda p: p.pools.resize(empty, 1))
    lab.advance(1)
    pools = (running, idle, pending)
    assert [pool.status for pool in pools] == [_Pool.RUNNING, _Pool.IDLE, _Pool.PENDING]
    lab.do(lambda p: p.pools.shut_down(pending))
    lab.advance(BOOT_SECONDS)
    lab.hosts.lose(lab.node(empty).instance.id)
    assert empty.status is _Pool.EMPTY
    for pool in (empty, idle, running):
        lab.do(lambda p, pool=pool: p.pools.shut_down(pool))
    assert (empty.status, idle.status, running.status) == (_Pool.TERMINATED, _Pool.TERMINATED, _Pool.SHUTDOWN)


def node_is_shut_down(make_lab: LabMaker) -> None:
    lab = make_lab()
    node = lab.node(lab.booted(1))
    lab.do(lambda p: p.nodes.shut_down(node))
    assert (node.status, node.workers[0].status) == (_Node.TERMINATED, _Worker.SHUTDOWN)


def node_is_terminated_with_its_instance(make_lab: LabMaker) -> None:
    lab = make_lab()
    node = lab.node(lab.booted(1))
    lab.tasks(lab.group(), "a")
    _lose(lab)
    assert (node.status, node.workers[0].status) == (_Node.TERMINATED, _Worker.LOST)


def node_is_lost_without_being_late(make_lab: LabMaker) -> None:
    lab = make_lab(heartbeat_late_seconds=60, heartbeat_lost_seconds=60)
    node = lab.node(lab.booted(1))
    lab.hosts.unplug(node.instance.id)
    lab.advance(_LOST_SECONDS)
    assert (node.status, node.workers[0].status) == (_Node.LOST, _Worker.LOST)


def late_node_recovers(make_lab: LabMaker) -> None:
    for claimed, status in ((False, _Worker.STOPPED), (True, _Worker.RUNNING)):
        lab = make_lab()
        node = _late(lab, claimed=claimed)
        _recover(lab, node)
        assert (node.status, node.workers[0].status) == (_Node.RUNNING, status)


def late_node_is_lost(make_lab: LabMaker) -> None:
    lab = make_lab()
    node = _late(lab, claimed=True)
    lab.advance(_LOST_SECONDS - _LATE_SECONDS)
    assert (node.status, node.workers[0].status) == (_Node.LOST, _Worker.LOST)


def late_node_is_shut_down(make_lab: LabMaker) -> None:
    lab = make_lab()
    node = _late(lab)
    lab.do(lambda p: p.nodes.shut_down(node))
    assert (node.status, node.workers[0].status) == (_Node.TERMINATED, _Worker.SHUTDOWN)


def late_node_is_terminated(make_lab: LabMaker) -> None:
    lab = make_lab()
    node = _late(lab)
    _lose(lab)
    assert (node.status, node.workers[0].status) == (_Node.TERMINATED, _Worker.LOST)


def _requirement(lab: Lab, count: int = 1) -> RequirementRecord:
    """A requirement whose instances take a while to stop."""
    source = SimulatorComputeSource(
        name="slow", instanceStartupTimeSeconds=BOOT_SECONDS, instanceShutdownTimeSeconds=_SHUTDOWN_SECONDS
    )
    template = lab.template(source)
    usage = ComputeRequirementTemplateUsage(
        templateId=template, requirementNamespace="demo", requirementName="machines", targetInstanceCount=count
    )
    with lab.platform.locked():
        return lab.platform.compute.provision(usage)


def _running(lab: Lab) -> RequirementRecord:
    requirement = _requirement(lab)
    lab.advance(BOOT_SECONDS)
    assert requirement.status is _Requirement.RUNNING
    return requirement


def _stopping(lab: Lab) -> RequirementRecord:
    requirement = _running(lab)
    lab.do(lambda p: p.compute.stop(requirement))
    assert requirement.status is _Requirement.STOPPING
    return requirement


def _stopped(lab: Lab) -> RequirementRecord:
    requirement = _stopping(lab)
    lab.advance(_SHUTDOWN_SECONDS)
    assert requirement.status is _Requirement.STOPPED
    return requirement


def _starting(lab: Lab) -> RequirementRecord:
    requirement = _stopped(lab)
    lab.do(lambda p: p.compute.start(requirement))
    assert requirement.status is _Requirement.STARTING
    return requirement


_STATUSES = (_requirement, _running, _stopping, _stopped, _starting)


def _only(requirement: RequirementRecord) -> InstanceRecord:
    return next(iter(requirement.instances.values()))


def requirement_without_instances_runs_at_once(make_lab: LabMaker) -> None:
    assert _requirement(make_lab(), 0).status is _Requirement.RUNNING


def requirement_is_terminated_from_each_status(make_lab: LabMaker) -> None:
    for reach in _STATUSES:
        lab = make_lab()
        requirement = reach(lab)
        lab.do(lambda p, requirement=requirement: p.compute.terminate(requirement))
        assert requirement.status is _Requirement.TERMINATING
        lab.advance(_SHUTDOWN_SECONDS)
        assert requirement.status is _Requirement.TERMINATED


def requirement_is_made_larger_in_each_status(make_lab: LabMaker) -> None:
    for reach in _STATUSES:
        lab = make_lab()
        requirement = reach(lab)
        larger = deepcopy(requirement.entity)
        larger.targetInstanceCount = 2
        lab.do(lambda p, larger=larger: p.compute.update(larger, reprovision=False))
        assert requirement.status is _Requirement.PROVISIONING
        lab.advance(BOOT_SECONDS)
        assert requirement.status is _Requirement.RUNNING


def requirement_is_stopped_and_started_again(make_lab: LabMaker) -> None:
    lab = make_lab()
    requirement = _starting(lab)
    lab.advance(BOOT_SECONDS)
    assert requirement.status is _Requirement.RUNNING


def stopped_requirement_is_stopped_again(make_lab: LabMaker) -> None:
    lab = make_lab()
    requirement = _stopped(lab)
    lab.do(lambda p: p.compute.stop(requirement))
    assert requirement.status is _Requirement.STOPPED


def running_requirement_is_started_again(make_lab: LabMaker) -> None:
    lab = make_lab()
    requirement = _running(lab)
    lab.do(lambda p: p.compute.start(requirement))
    assert requirement.status is _Requirement.RUNNING


def instance_is_restarted(make_lab: LabMaker) -> None:
    lab = make_lab()
    requirement = _running(lab)
    lab.do(lambda p: p.instances.restart(_only(requirement)))
    assert _only(requirement).status is _Instance.PENDING
    lab.advance(BOOT_SECONDS)
    assert _only(requirement).status is _Instance.RUNNING


SCENARIOS = (
    pool_runs_idles_empties_and_grows_again,
    empty_pool_is_resized,
    pending_pool_is_claimed_at_once,
    pending_pool_is_empty_when_its_node_ends_within_one_change,
    pools_are_shut_down_from_each_status,
    node_is_shut_down,
    node_is_terminated_with_its_instance,
    node_is_lost_without_being_late,
    late_node_recovers,
    late_node_is_lost,
    late_node_is_shut_down,
    late_node_is_terminated,
    requirement_without_instances_runs_at_once,
    requirement_is_terminated_from_each_status,
    requirement_is_made_larger_in_each_status,
    requirement_is_stopped_and_started_again,
    stopped_requirement_is_stopped_again,
    running_requirement_is_started_again,
    instance_is_restarted,
)
