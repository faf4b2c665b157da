from __future__ import annotations

from typing import Any

import pytest
from yellowdog_client.model import InstanceStatus, SimulatorComputeSource

from tests.simulation.lab import Lab
from yellowdog_local.hosts.base import HostAddress
from yellowdog_local.state.records import InstanceRecord

ADDRESS = HostAddress("host", "10.9.9.9", "198.18.9.9")


def booted(lab: Lab, **source: Any) -> InstanceRecord:
    pool = lab.pool(1, template=lab.template(SimulatorComputeSource("s", **source)))
    lab.advance(2)
    (instance,) = pool.requirement.instances.values()
    return instance


def test_instance_is_terminated_after_its_shutdown_time(lab: Lab) -> None:
    instance = booted(lab, instanceShutdownTimeSeconds=5)
    for _ in range(2):
        lab.do(lambda p: p.instances.terminate(instance, "a test"))
    assert (instance.status, instance.host_gone) == (InstanceStatus.TERMINATING, True)
    lab.advance(5)
    assert instance.status is InstanceStatus.TERMINATED
    assert (instance.requirement.live, +instance.source.counts) == ({}, {InstanceStatus.TERMINATED: 1})


def test_instance_whose_host_ends_by_itself_has_no_shutdown_time(lab: Lab) -> None:
    instance = booted(lab, instanceShutdownTimeSeconds=5)
    lab.hosts.lose(instance.id)
    assert instance.status is InstanceStatus.TERMINATED
    assert instance.token not in lab.platform.store.instances_by_token


def test_stopped_instance_starts_again_with_its_id(lab: Lab) -> None:
    instance = booted(lab, instanceShutdownTimeSeconds=3)
    lab.do(lambda p: p.instances.start(instance))
    assert instance.status is InstanceStatus.RUNNING
    lab.do(lambda p: p.instances.stop(instance))
    assert (instance.status, lab.hosts.instance_ids) == (InstanceStatus.STOPPING, [])
    lab.advance(3)
    lab.do(lambda p: p.instances.stop(instance))
    assert instance.status is InstanceStatus.STOPPED
    lab.do(lambda p: p.instances.restart(instance))
    lab.advance(2)
    assert (instance.status, lab.hosts.instance_ids) == (InstanceStatus.RUNNING, [instance.id])


def test_stopped_instance_is_terminated_without_a_host(lab: Lab) -> None:
    instance = booted(lab)
    lab.do(lambda p: p.instances.stop(instance))
    lab.do(lambda p: p.instances.terminate(instance, "a test"))
    assert instance.status is InstanceStatus.TERMINATED


@pytest.mark.parametrize("status", [InstanceStatus.RUNNING, InstanceStatus.TERMINATED])
def test_late_report_of_a_boot_is_ignored(lab: Lab, status: InstanceStatus) -> None:
    instance = booted(lab)
    if status is InstanceStatus.TERMINATED:
        lab.do(lambda p: p.instances.terminate(instance, "a test"))
    lab.do(lambda p: p.instances.host_running(instance.id, ADDRESS))
    lab.do(lambda p: p.instances.host_running("i-none", ADDRESS))
    lab.do(lambda p: p.instances.host_gone("i-none", ""))
    assert instance.status is status
    assert instance.entity.privateIpAddress != ADDRESS.private_ip
