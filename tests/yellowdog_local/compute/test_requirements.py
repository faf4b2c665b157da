from __future__ import annotations

import pytest
from yellowdog_client.model import (
    ComputeRequirementStatus,
    ComputeSourceStatus,
    InstanceStatus,
    NodeStatus,
    SimulatorComputeSource,
    TaskStatus,
)

from tests.simulation.lab import Lab


def test_startup_and_shutdown_take_the_times_of_the_source(lab: Lab) -> None:
    source = SimulatorComputeSource(name="slow", instanceStartupTimeSeconds=5, instanceShutdownTimeSeconds=3)
    pool = lab.pool(1, template=lab.template(source))
    (instance,) = pool.requirement.instances.values()
    lab.advance(4)
    assert instance.status is InstanceStatus.PENDING
    lab.advance(1)
    assert instance.status is InstanceStatus.RUNNING
    lab.do(lambda p: p.compute.terminate(pool.requirement))
    lab.advance(2)
    assert instance.status is InstanceStatus.TERMINATING
    assert pool.requirement.entity.status is ComputeRequirementStatus.TERMINATING
    lab.advance(1)
    assert instance.status is InstanceStatus.TERMINATED


def test_startup_time_stays_within_the_variance(lab: Lab) -> None:
    source = SimulatorComputeSource(name="varied", instanceStartupTimeSeconds=100, instanceStartupTimeVariance=0.5)
    pool = lab.pool(20, template=lab.template(source))
    lab.advance(49)
    assert pool.active_nodes == 0
    lab.advance(51)
    assert 0 < pool.active_nodes < 20
    lab.advance(50)
    assert pool.active_nodes == 20


def test_source_provides_up_to_its_limit_and_reports_the_rest(lab: Lab) -> None:
    pool = lab.pool(3, template=lab.template(SimulatorComputeSource(name="small", limit=2)))
    lab.advance()
    (source,) = pool.requirement.sources
    assert pool.requirement.alive == 2
    assert source.entity.status is ComputeSourceStatus.ERRORED
    assert "insufficient capacity" in source.entity.statusMessage
    assert pool.requirement.entity.status is ComputeRequirementStatus.PROVISIONING
    assert not lab.platform.pools.summary(pool).healthy


def test_failing_source_provides_no_instance(lab: Lab) -> None:
    pool = lab.pool(1, template=lab.template(SimulatorComputeSource(name="bad", failOnProvision=True)))
    assert pool.requirement.alive == 0
    assert "failOnProvision" in pool.requirement.sources[0].entity.statusMessage


def test_waterfall_fills_sources_in_order(lab: Lab) -> None:
    sources = [SimulatorComputeSource(name=name, limit=2) for name in ("first", "second", "third")]
    pool = lab.pool(3, template=lab.template(*sources, strategy="Waterfall"))
    assert [source.alive for source in pool.requirement.sources] == [2, 1, 0]


def test_split_divides_evenly_within_limits(lab: Lab) -> None:
    sources = [SimulatorComputeSource(name="first", limit=1), SimulatorComputeSource(name="second")]
    pool = lab.pool(4, template=lab.template(*sources, strategy="Split"))
    assert [source.alive for source in pool.requirement.sources] == [1, 3]


def test_instances_terminate_unexpectedly_with_the_probability_of_the_source(lab: Lab) -> None:
    source = SimulatorComputeSource(name="frail", unexpectedInstanceTerminationProbability=1.0)
    pool = lab.pool(1, template=lab.template(source))
    lab.advance(0)
    (task,) = lab.tasks(lab.group(), "a")
    lab.advance(60)
    assert task.status is TaskStatus.FAILED
    assert lab.node(pool).status is NodeStatus.TERMINATED


def test_node_and_task_end_with_a_lost_host(lab: Lab) -> None:
    pool = lab.booted(1)
    (task,) = lab.tasks(lab.group(), "a")
    node = lab.node(pool)
    lab.hosts.lose(node.instance.id)
    assert (node.status, node.instance.status) == (NodeStatus.TERMINATED, InstanceStatus.TERMINATED)
    assert task.status is TaskStatus.FAILED
    assert pool.target == 0


def test_instance_is_terminated_if_its_host_cannot_be_created(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> None:
        raise OSError("no bridge")

    monkeypatch.setattr(lab.hosts, "create", refuse)
    pool = lab.pool(1)
    (instance,) = pool.requirement.instances.values()
    assert instance.status is InstanceStatus.TERMINATED
