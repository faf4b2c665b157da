"""Ineffective terminations: escalated step by step, each step logged."""

import logging

import pytest

SHUT_DOWN_NODE = "DELETE /workerPools/nodes/{id}"


@pytest.fixture
def escalations(caplog):
    """The steps of escalation that were logged."""
    caplog.set_level(logging.WARNING)
    steps = ("again", "platform node down", "its instance")

    def named():
        texts = [record.getMessage() for record in caplog.records if "termination of node" in record.getMessage()]
        return [step for step in steps for text in texts if text.endswith(step)]

    return named


def test_ineffective_abort_is_escalated_until_the_instance_is_gone(world, escalations):
    world.grow_to(3)
    world.fault("abort-lost")
    mark = world.lab.calls.mark()

    world.want_cpus(0)
    world.ticks(15)
    assert len(world.instances) == 3
    assert world.listed() == set()
    world.ticks(30)

    assert world.instances == []
    made = [f"{call.method} {call.route}" for call in world.lab.calls.since(mark)]
    assert made.count(SHUT_DOWN_NODE) == 3
    assert {"platform node down", "its instance"} <= set(escalations())


def test_restarted_autoscaler_escalates_earlier_terminations(world):
    world.grow_to(2)
    world.fault("abort-lost")
    world.want_cpus(0)
    world.ticks(14)

    world.restart_autoscaler()
    world.ticks(30)

    assert world.instances == []


def test_abort_by_the_user_is_escalated(world):
    world.grow_to(2)
    world.fault("abort-lost")
    victim = min(world.listed())
    world.checks.aborted_by_others(world.task(victim))
    with world.lab.client() as client:
        client.work_client.cancel_task_by_id(world.task(victim).id, abort=True)

    world.ticks(35)

    assert world.task(victim).status.finished
    assert victim not in world.listed()
    assert len(world.ray.workers) == len(world.instances) == 2


def test_effective_abort_is_not_escalated(world, escalations):
    world.grow_to(1)
    world.want_cpus(0)

    world.ticks(20)

    assert world.instances == []
    assert escalations() == []
