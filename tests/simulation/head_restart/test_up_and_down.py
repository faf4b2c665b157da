"""`ray up` and `ray down` at each call of a carrier, and a carrier at each of `ray down`: one head or none."""

from __future__ import annotations

import pytest

from tests.simulation.head_restart.stage import NOTICED
from tests.simulation.processes import every_kill


@pytest.mark.search
@pytest.mark.timeout(600)
def test_cluster_ends_when_ray_down_interrupts_a_carrier_at_any_call(lost, calls):
    for number in range(1, len(calls) + 1):
        for applied in (False, True):
            call = f"{calls[number - 1].method} {calls[number - 1].route}, call {number}, applied {applied}"
            lost.down_at(number, applied=applied)
            assert lost.carry() in (True, False), call
            lost.world.lab.advance(NOTICED)
            assert lost.world.ours.left == [], call
            lost.renew()


@pytest.mark.search
@pytest.mark.timeout(600)
def test_cluster_ends_when_a_carrier_interrupts_ray_down_at_any_call(lost):
    number, is_reached = 0, True
    while is_reached:
        number += 1
        carried: list[bool | None] = []
        lost.world.wire.at_call(number, "ray down", "*", lambda to=carried: to.append(lost.carry()))
        assert lost.world.down()
        lost.world.lab.advance(NOTICED)
        assert lost.world.ours.left == [], f"call {number}"
        is_reached = bool(carried)
        lost.renew()
    assert number > 5


@pytest.mark.search
@pytest.mark.timeout(600)
def test_cluster_ends_after_a_killed_ray_down_and_a_carrier(lost):
    mark = lost.world.lab.calls.mark()
    lost.world.down()
    calls = lost.world.lab.calls.since(mark)
    for kill in every_kill(calls):
        lost.renew()
        lost.world.down(kill)
        lost.carry()
        assert len(lost.live_heads) <= 1, kill
        assert lost.world.down()
        lost.assert_ended()


@pytest.mark.search
@pytest.mark.timeout(600)
def test_one_head_lives_when_ray_up_interrupts_a_carrier_at_any_call(lost, calls):
    for number in range(1, len(calls) + 1):
        for applied in (False, True):
            lost.world.wire.at_call(number, "carrier 0", "*", lost.up, applied=applied)
            lost.carry()
            lost.world.lab.advance(NOTICED)
            call = f"{calls[number - 1].method} {calls[number - 1].route}, call {number}, applied {applied}"
            assert len(lost.all_live_heads) == 1, call
            assert lost.world.down()
            assert lost.world.ours.left == [], call
            lost.renew()
