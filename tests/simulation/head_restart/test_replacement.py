"""A head whose machine is lost, and the carriers that replace it: one head, no machine too many, no later end."""

from __future__ import annotations

import pytest
from yellowdog_client.model import TaskStatus

from tests.simulation.head_restart.stage import SUBMIT
from tests.simulation.raylets import Demand
from yellowdog_ray.carrier.decision import MAX_RESTARTS
from yellowdog_ray.names import head_id, restarted_head_id, token_of
from yellowdog_ray.node.kit import NOTICE_SECONDS


def test_carrier_waits_until_the_platform_shows_the_loss(stage):
    stage.lose_head()

    assert stage.carry()

    stage.assert_replaced()


def test_carrier_replaces_head_after_loss_of_its_machine(lost):
    assert lost.carry()

    lost.assert_replaced()
    token = token_of(lost.live_heads[0].group.work.groups[0].spec.workerTags[0])
    assert [task.entity.name for task in lost.heads] == [head_id(token), restarted_head_id(token, 1)]


def test_replaced_head_is_torn_down_by_ray_down(lost):
    lost.carry()

    assert lost.world.down()
    lost.assert_ended()


def test_replaced_head_ends_with_the_lifetime_of_the_cluster(lost):
    lost.carry()

    lost.world.lab.advance((lost.deadline - lost.world.lab.clock.now()).total_seconds() + 60)

    assert list(lost.world.ours.instances()) == []


def test_carrier_does_nothing_while_the_platform_shows_the_head_running(stage):
    """The workers are cut off, and the head is not."""
    assert stage.carry() is False

    assert [head.status for head in stage.heads] == [TaskStatus.EXECUTING]


def test_carrier_ends_as_soon_as_the_head_answers(stage):
    stage.head_answers = True
    began = stage.world.seconds

    assert stage.carry() is False
    assert stage.world.seconds - began < 10


@pytest.mark.parametrize("how", ["ray down", "abort", "pool", "finish"])
def test_head_is_not_replaced_after_another_end(stage, how):
    stage.end(how)
    began = stage.world.seconds

    assert stage.carry() is False

    assert len(stage.heads) <= 1
    assert stage.world.seconds - began < 10


def test_head_is_replaced_once_the_work_requirement_is_no_longer_held(lost):
    work, work_id = lost.world.lab.client().work_client, lost.manifest.requirement_id
    work.hold_work_requirement_by_id(work_id)
    during = []

    def resume():
        during.extend(lost.heads)
        work.start_work_requirement_by_id(work_id)

    lost.world.at(0.9 * NOTICE_SECONDS, resume)

    assert lost.carry()

    assert len(during) == 1
    lost.assert_replaced()


def test_nothing_is_submitted_or_terminated_while_the_work_requirement_is_held(lost):
    lost.world.lab.client().work_client.hold_work_requirement_by_id(lost.manifest.requirement_id)
    mark = lost.world.lab.calls.mark()

    assert lost.carry() is False

    assert {call.method for call in lost.world.lab.calls.since(mark)} == {"GET"}


def test_second_carrier_waits_for_the_first(lost):
    """Both act in turn, as two machines would: the second begins at each call of the first."""
    seconds = []

    def second():
        seconds.append(lost.carry(1))

    with lost.world.wire.interrupted("carrier 0", SUBMIT, second, applied=False):
        assert lost.carry(0)

    lost.assert_replaced()
    assert len(lost.heads) == 2


def test_head_is_replaced_three_times_at_most(lost):
    for _ in range(MAX_RESTARTS):
        lost.delivery.taken.clear()
        assert lost.carry()
        lost.assert_replaced()
        lost.lose_head()

    assert lost.carry() is False
    assert lost.live_heads == []


def test_new_head_launches_workers_at_once(lost):
    """It sees the carriers before they end, which are no failed launches."""

    def start_head():
        lost.world.start_head(str(lost.head.entity.name))
        lost.world.want_cpus(3)
        lost.world.tick()

    lost.on_delivery = start_head
    assert lost.carry()
    lost.complete(lost.carriers[0])
    lost.world.ticks(4)

    assert len(lost.world.ray.workers) == 3
    assert not lost.world.provider.side.launcher.backoff.waits("worker")
    assert lost.world.provider.node_tags(str(lost.head.entity.name))["ray-node-status"] == "up-to-date"


def test_lost_head_that_still_runs_launches_and_terminates_nothing(lost):
    lost.carry()
    lost.world.start_head(str(lost.head.entity.name))
    lost.world.grow_to(2)
    before = {(task.entity.name, task.entity.abortRequestedTime) for task in lost.world.tasks()}

    lost.world.monitor = lost.old_monitor
    lost.old_ray.demands = [Demand({"CPU": 1}, 9)]
    for _ in range(20):
        lost.world.tick()
    lost.world.provider.terminate_nodes([name for name, _ in before])
    lost.world.run_threads()

    assert {(task.entity.name, task.entity.abortRequestedTime) for task in lost.world.tasks()} == before
