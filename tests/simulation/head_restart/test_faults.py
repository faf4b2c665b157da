"""Killed carriers, ambiguous answers and faults of the platform during a replacement: one head, no machine too many."""

from __future__ import annotations

import re

import pytest
from yellowdog_client.model import TaskStatus

from tests.simulation.ambiguities import AMBIGUITIES
from tests.simulation.head_restart.stage import NOTICED, SUBMIT
from tests.simulation.processes import every_kill
from yellowdog_local.state.settings import Settings


@pytest.mark.search
@pytest.mark.timeout(600)
def test_next_carrier_completes_what_a_killed_one_has_begun(lost, calls):
    for kill in every_kill(calls):
        assert lost.carry(0, kill) is None
        assert len(lost.live_heads) <= 1, kill
        if lost.delivery.taken:  # its own end is all that may be missing
            lost.carry(1)
        else:
            assert lost.carry(1), kill
        lost.assert_replaced()
        assert lost.world.down()
        lost.renew()


@pytest.mark.search
@pytest.mark.parametrize("ambiguity", AMBIGUITIES, ids=str)
def test_one_head_exists_after_ambiguous_answer(lost, calls, ambiguity):
    changes = dict.fromkeys(f"{call.method} {fnmatch_of(call.route)}" for call in calls if call.method != "GET")
    assert SUBMIT in changes
    for call in changes:
        with ambiguity.striking(lost.world.wire, call):
            assert lost.carry(), call
        lost.assert_replaced()
        assert lost.world.down()
        lost.renew()


def fnmatch_of(route: str) -> str:
    """A route as a pattern of paths."""
    return re.sub(r"\{\w+\}", "*", route)


@pytest.mark.parametrize("settings", [Settings(lost_node_terminates_instance=False)], ids=["kept"])
def test_machine_of_the_lost_head_is_terminated_before_the_new_head_is_submitted(lost):
    old = lost.heads[0].entity.nodeId
    (instance,) = (one for one in lost.world.ours.instances() if one.node and one.node.id == old)
    alive = []

    with lost.world.wire.interrupted("carrier 0", SUBMIT, lambda: alive.append(instance.status.alive), applied=False):
        assert lost.carry()

    assert alive == [False]
    lost.assert_replaced()


def test_spare_copy_of_a_new_head_is_aborted_where_names_are_not_unique(lost):
    def submit_again():
        (head,) = lost.live_heads
        names, name = head.group.names, str(head.entity.name)
        del names[name]
        lost.world.lab.tasks(head.group, name, environment=dict(head.entity.environment or {}))

    with lost.world.wire.interrupted("carrier 0", SUBMIT, submit_again, applied=True):
        assert lost.carry(0)

    lost.assert_replaced()


def test_new_head_is_withdrawn_that_gets_no_machine(lost):
    lost.world.fault("never-boots")

    assert lost.carry() is False

    lost.world.lab.advance(NOTICED)
    assert lost.live_heads == []


def test_running_head_is_left_to_end_by_itself_that_cannot_be_reached(lost):
    """Another carrier may reach it; the carrier may be cut off from a head that works."""
    lost.delivery.works = False

    assert lost.carry() is False

    (head,) = lost.live_heads
    assert (head.status, head.entity.abortRequestedTime) == (TaskStatus.EXECUTING, None)
    assert (head.entity.environment or {})["RAYDOG_HEAD_RESTART"] == "600"


@pytest.mark.parametrize("seconds", [15, 60])
def test_one_head_exists_where_lists_lag(lost, seconds):
    lost.world.fault("listing-lag", seconds=seconds)

    assert lost.carry()

    lost.world.lab.advance(seconds)
    lost.assert_replaced()
