"""A head whose machine shuts down in order: SIGTERM ends its task before the platform shows the loss."""

from __future__ import annotations

import pytest

from tests.simulation.test_preemption import warn
from yellowdog_local.state.settings import Settings


def noticed_after(*seconds: int) -> list[Settings]:
    """Platforms that notice the end of a machine so many seconds later."""
    return [Settings(instance_death_noticed_seconds=each) for each in seconds]


@pytest.mark.parametrize("settings", noticed_after(0, 10), ids=str)
def test_carrier_waits_for_the_end_of_a_machine_that_shuts_down(stage):
    stage.shut_down_head()

    assert stage.carry()

    stage.assert_replaced()


@pytest.mark.parametrize("settings", noticed_after(20, 40), ids=str)
def test_head_is_not_replaced_where_its_machine_may_have_been_idle(stage):
    stage.shut_down_head()

    assert stage.carry() is False

    assert len(stage.heads) == 1


@pytest.mark.parametrize("settings", noticed_after(20, 40), ids=str)
def test_head_is_replaced_after_a_late_notice_of_the_end_of_a_reclaimed_machine(stage):
    warn(stage.world, str(stage.head.entity.name))
    stage.shut_down_head()

    assert stage.carry()

    stage.assert_replaced()


def test_head_is_replaced_whose_machine_the_carrier_terminates_long_after_its_agent_has_ended(stage):
    node = stage.head.worker.node
    stage.end("SIGTERM")
    stage.lost.add(str(stage.heads[0].entity.name))
    stage.world.lab.do(lambda platform: platform.nodes._end(node, "deregister", "the machine shuts down"))

    assert stage.carry(1)

    assert not node.instance.status.alive
    stage.assert_replaced()


def test_head_is_not_replaced_that_sigterm_has_ended_long_after_a_spot_notice(stage):
    warn(stage.world, str(stage.head.entity.name), notice_seconds=7200)
    stage.world.lab.advance(1200)
    stage.end("SIGTERM")

    assert stage.carry() is False

    assert len(stage.heads) == 1


def test_head_is_not_replaced_that_sigterm_has_ended_on_a_machine_that_goes_on(stage):
    stage.end("SIGTERM")
    began = stage.world.seconds

    assert stage.carry() is False

    assert len(stage.heads) == 1
    assert stage.world.seconds - began < 30
