"""Defects that the property test found, one test each."""

from __future__ import annotations

from datetime import timedelta

from yellowdog_client.model import RetryPolicy, TaskStatus, WorkerStatus

from tests.simulation.lab import Lab, LabMaker


def test_new_worker_of_a_draining_node_gets_no_task(lab: Lab) -> None:
    pool = lab.booted(1, maxNodes=1)
    group = lab.group()
    lab.tasks(group, "a")
    node = lab.node(pool)
    lab.do(lambda p: p.nodes.shut_down(node))
    lab.do(lambda p: p.nodes.set_workers(node, 2))
    (waits,) = lab.tasks(group, "b")
    assert waits.status is TaskStatus.READY


def test_new_worker_of_a_late_node_gets_no_task(lab: Lab) -> None:
    pool = lab.booted(1, maxNodes=1)
    lab.hosts.unplug(lab.hosts.instance_ids[0])
    lab.advance(31)
    lab.do(lambda p: p.nodes.set_workers(lab.node(pool), 2))
    (waits,) = lab.tasks(lab.group(), "a")
    assert waits.status is TaskStatus.READY


def test_removed_worker_stays_shut_down_after_its_node_recovers(lab: Lab) -> None:
    pool = lab.booted(1, maxNodes=1)
    node = lab.node(pool)
    lab.do(lambda p: p.nodes.set_workers(node, 0))
    lab.hosts.unplug(node.instance.id)
    lab.advance(31)
    lab.do(lambda p: p.agents.note_call(p.agents.session(node.id, node.instance.token)))
    assert node.workers[0].status is WorkerStatus.SHUTDOWN


def test_removed_worker_stays_shut_down_after_its_node_is_lost(lab: Lab) -> None:
    pool = lab.booted(1)
    node = lab.node(pool)
    lab.do(lambda p: p.nodes.set_workers(node, 0))
    lab.hosts.lose(node.instance.id)
    assert node.workers[0].status is WorkerStatus.SHUTDOWN


def test_task_aborted_during_its_timeout_is_not_retried(lab: Lab) -> None:
    lab.booted(1)
    group = lab.group(retryPolicy=RetryPolicy(1))
    slow = {"SIM_ABORT_SECONDS": "5"}
    (task,) = lab.tasks(group, "a", timeout=timedelta(seconds=1), environment=slow)
    lab.advance(2)
    lab.do(lambda p: p.tasks.cancel(task, abort=True))
    lab.advance(60)
    assert task.status is TaskStatus.ABORTED


def test_task_aborted_between_allocation_and_start_ends(make_lab: LabMaker) -> None:
    lab = make_lab(allocation_latency_seconds=2)
    lab.booted(1)
    (task,) = lab.tasks(lab.group(), "a")
    lab.do(lambda p: p.tasks.cancel(task, abort=True))
    lab.advance(60)
    assert task.status is TaskStatus.ABORTED


def test_shut_down_node_ends_after_a_task_that_is_aborted_between_allocation_and_start(make_lab: LabMaker) -> None:
    lab = make_lab(allocation_latency_seconds=2)
    pool = lab.booted(1)
    (node,) = pool.nodes.values()
    (task,) = lab.tasks(lab.group(), "a")
    lab.do(lambda p: p.pools.shut_down(pool))
    lab.do(lambda p: p.tasks.cancel(task, abort=True))
    lab.advance(60)
    assert not node.instance.status.alive


def test_retry_delay_is_kept_after_another_group_ends(make_lab: LabMaker) -> None:
    lab = make_lab(retry_delay_seconds=100)
    lab.booted(1)
    retries, ends = lab.work(
        "work", lab.group_spec("retries", retryPolicy=RetryPolicy(1)), lab.group_spec("ends", keep=False)
    ).groups
    task = lab.ending(retries, "a", 1, exit_code=3)
    lab.advance(2)
    lab.ending(ends, "b", 1)
    lab.advance(2)
    assert task.status is TaskStatus.PENDING


def test_working_time_is_not_taken_from_an_earlier_attempt(make_lab: LabMaker) -> None:
    lab = make_lab(allocation_latency_seconds=2)
    lab.booted(1, maxNodes=1)
    task = lab.ending(lab.group(retryPolicy=RetryPolicy(1)), "a", 1, exit_code=3)
    lab.advance(4)
    assert task.status is TaskStatus.ALLOCATED
    lab.hosts.lose(lab.hosts.instance_ids[0])
    assert task.entity.workingTime is not None
    assert task.entity.workingTime.executing == timedelta(seconds=1)
