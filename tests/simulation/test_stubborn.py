"""Terminations that do not take: pushed harder, step by step, each step named in the log."""

import logging

import pytest

SHUT_DOWN_NODE = "DELETE /workerPools/nodes/{id}"


@pytest.fixture
def said(caplog):
    """What the log says of the endings."""
    caplog.set_level(logging.WARNING)
    steps = ("again", "platform node down", "its instance")

    def named():
        texts = [record.getMessage() for record in caplog.records if "termination of node" in record.getMessage()]
        return [step for step in steps for text in texts if text.endswith(step)]

    return named


def test_an_abort_that_does_not_take_is_pushed_until_the_instance_is_gone(world, said):
    world.grown_to(3)
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
    assert {"platform node down", "its instance"} <= set(said())


def test_what_was_ending_in_an_earlier_life_is_pushed_too(world):
    world.grown_to(2)
    world.fault("abort-lost")
    world.want_cpus(0)
    world.ticks(14)

    world.restart_autoscaler()
    world.ticks(30)

    assert world.instances == []


def test_what_the_user_aborted_is_seen_through(world):
    world.grown_to(2)
    world.fault("abort-lost")
    victim = min(world.listed())
    world.checks.aborted_by_others(world.task(victim))
    with world.lab.client() as client:
        client.work_client.cancel_task_by_id(world.task(victim).id, abort=True)

    world.ticks(35)

    assert world.task(victim).status.finished
    assert victim not in world.listed()
    assert len(world.ray.workers) == len(world.instances) == 2


def test_a_busy_node_that_takes_its_time_is_not_pushed(world, said):
    world.grown_to(1)
    world.want_cpus(0)

    world.ticks(20)

    assert world.instances == []
    assert said() == []
