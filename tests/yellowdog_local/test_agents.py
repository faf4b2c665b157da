from __future__ import annotations

import logging

import pytest
from yellowdog_client.model import InstanceStatus, NodeStatus, TaskStatus

from tests.simulation.lab import Lab
from yellowdog_local.agents import InProcessAgents
from yellowdog_local.errors import Gone, NotFound, Unauthorized
from yellowdog_local.messages import Registration


def test_silent_node_is_late_then_lost_with_its_task(lab: Lab) -> None:
    pool = lab.booted(1)
    (task,) = lab.tasks(lab.group(), "a")
    node = lab.node(pool)
    lab.hosts.unplug(node.instance.id)
    lab.advance(29)
    assert node.status is NodeStatus.RUNNING
    lab.advance(1)
    assert (node.status, task.status) == (NodeStatus.LATE, TaskStatus.EXECUTING)
    lab.advance(30)
    assert (node.status, task.status) == (NodeStatus.LOST, TaskStatus.FAILED)
    assert task.entity.errors[0].errorType == "ALLOCATION_LOST"
    assert node.instance.status is InstanceStatus.TERMINATED


def test_late_node_gets_tasks_only_after_a_new_call(lab: Lab) -> None:
    pool = lab.booted(1, maxNodes=1)
    node = lab.node(pool)
    lab.hosts.unplug(node.instance.id)
    lab.advance(30)
    (task,) = lab.tasks(lab.group(), "a")
    assert task.status is TaskStatus.READY
    session = lab.platform.agents.session(node.id, node.instance.token)
    lab.do(lambda p: p.agents.note_call(session))
    assert node.status is NodeStatus.RUNNING
    assert task.status is TaskStatus.ALLOCATED


def test_calling_node_is_never_late(lab: Lab) -> None:
    pool = lab.booted(1)
    node = lab.node(pool)
    lab.hosts.unplug(node.instance.id)
    session = lab.platform.agents.session(node.id, node.instance.token)
    for _ in range(20):
        lab.advance(10)
        lab.do(lambda p: p.agents.note_call(session))
    assert node.status is NodeStatus.RUNNING


def test_agent_is_refused_with_the_token_of_another_instance(lab: Lab) -> None:
    pool = lab.pool(2)
    lab.advance()
    first, second = pool.requirement.instances.values()
    registration = Registration(
        instanceId=first.id,
        hostname="h",
        privateIpAddress="10.0.0.1",
        publicIpAddress="10.0.0.1",
        vcpus=1,
        ram=1,
        supportedTaskTypes=["bash"],
        agentVersion="1",
    )
    with pytest.raises(Unauthorized):
        lab.do(lambda p: p.agents.register(second.token, registration))
    lab.do(lambda p: p.compute.terminate_instance(first, "test"))
    with pytest.raises((Gone, Unauthorized)):
        lab.do(lambda p: p.agents.register(first.token, registration))


def test_end_of_nodes_logs_no_warning(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    pool = lab.booted(2)
    lab.tasks(lab.group(), "a")
    lab.do(lambda p: p.nodes.shut_down(lab.node(pool, 1)))
    lab.do(lambda p: p.compute.terminate(pool.requirement))
    assert caplog.records == []


def test_agent_gets_no_command_after_its_session_has_ended(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    pool = lab.booted(1)
    node = lab.node(pool)
    agents = InProcessAgents(lab.platform._kernel, lab.platform.agents)
    session = lab.platform.agents.session(node.id, node.instance.token)
    lab.tasks(lab.group(), "a")
    (wake,) = session.wakers
    lab.do(lambda p: p.compute.terminate(pool.requirement))
    assert session.ended
    assert agents.commands(session, 0) == []
    lab.do(lambda p: p._kernel.defer(wake))
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_log_contains_the_steps_of_a_pool_and_a_task_without_tokens(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="yellowdog_local"):
        pool = lab.booted(1)
        lab.ending(lab.group(), "a", 1)
        lab.advance(1)
        lab.do(lambda p: p.pools.shut_down(pool))
    logged = "\n".join(caplog.messages)
    for words in ("was provisioned", "is running at", "registered", "is EXECUTING", "is COMPLETED", "is shut down"):
        assert words in logged
    for instance in pool.requirement.instances.values():
        assert instance.token not in logged


def test_sessions_are_removed_with_their_nodes(lab: Lab) -> None:
    pool = lab.booted(3)
    first, second, third = pool.nodes.values()
    assert len(lab.platform.agents._sessions) == 3
    lab.do(lambda p: p.nodes.shut_down(first))
    lab.hosts.lose(second.instance.id)
    lab.hosts.unplug(third.instance.id)
    lab.advance(60)
    assert third.status is NodeStatus.LOST
    assert lab.platform.agents._sessions == {}
    for node in (first, second, third):
        with pytest.raises(Gone):
            lab.platform.agents.session(node.id, node.instance.token)
    with pytest.raises(NotFound):
        lab.platform.agents.session(first.id, "another token")


def test_session_with_a_last_command_is_removed_after_the_heartbeat_timeout(lab: Lab) -> None:
    node = lab.node(lab.booted(1))
    session = lab.platform.agents.session(node.id, node.instance.token)
    session.in_process = False
    lab.do(lambda p: p.nodes.shut_down(node))
    (last,) = lab.platform.agents.commands(lab.platform.agents.session(node.id, node.instance.token), 0)
    assert last["type"] == "SHUTDOWN"
    lab.advance(59)
    assert node.id in lab.platform.agents._sessions
    lab.advance(1)
    assert lab.platform.agents._sessions == {}


def test_session_is_removed_after_its_last_command_is_received(lab: Lab) -> None:
    node = lab.node(lab.booted(1))
    session = lab.platform.agents.session(node.id, node.instance.token)
    session.in_process = False
    lab.do(lambda p: p.nodes.shut_down(node))
    with pytest.raises(Gone):
        lab.platform.agents.commands(session, session.sent)
    assert lab.platform.agents._sessions == {}
