"""The death of Ray's control store, which starts again with what it has stored."""

import pytest

from yellowdog_ray.monitor.requested_resources import MAX_ATTEMPTS

IDLE_TICKS = 20
"""Longer than `idle_timeout_minutes`."""


class TestRequestedResources:
    """Autoscaler v1 keeps them in the store."""

    @pytest.fixture
    def kind(self):
        return "v2"

    @pytest.fixture
    def holding(self, world):
        """A cluster of two idle workers that a user holds."""
        world.gcs.hold(2)
        world.ticks(IDLE_TICKS)
        assert len(world.ray.workers) == 2
        return world

    def test_held_workers_stay_after_the_control_store_has_restarted(self, holding):
        before = holding.listed()

        for _ in range(2):
            holding.gcs.start()
            assert not holding.tick()  # Ray has read its state without them
            holding.ticks(IDLE_TICKS)

        assert holding.listed() == before

    def test_held_workers_stay_while_the_control_store_is_down(self, holding):
        before = holding.listed()

        holding.gcs.is_down = True
        assert not any(holding.tick() for _ in range(IDLE_TICKS))
        holding.gcs.start()
        holding.tick()
        holding.ticks(IDLE_TICKS)

        assert holding.listed() == before

    def test_held_workers_stay_when_the_autoscaler_dies_too(self, holding):
        before = holding.listed()

        holding.gcs.start()
        holding.restart_autoscaler()
        holding.tick()
        holding.tick()
        holding.ticks(IDLE_TICKS)

        assert holding.listed() == before

    def test_request_that_a_user_has_withdrawn_is_not_restored(self, holding):
        holding.gcs.hold(0)
        holding.tick()
        holding.gcs.start()
        holding.ticks(IDLE_TICKS)

        assert holding.listed() == set()

    def test_newer_request_is_kept(self, holding):
        holding.gcs.start()
        holding.gcs.hold(1)
        holding.ticks(IDLE_TICKS)

        assert len(holding.listed()) == 1

    def test_cluster_scales_on_when_the_control_store_refuses_the_request(self, holding, monkeypatch):
        monkeypatch.setattr(type(holding.gcs), "request_cluster_resource_constraint", None)
        holding.gcs.start()
        skipped = [holding.tick() for _ in range(MAX_ATTEMPTS)]
        holding.gcs.held = 0
        holding.want_cpus(3)
        holding.ticks(4)

        assert skipped == [False] * MAX_ATTEMPTS
        assert len(holding.ray.workers) == 3


def test_no_worker_is_lost_while_the_control_store_is_down(world):
    world.grow_to(3)
    before = world.listed()

    world.gcs.is_down = True
    assert not any(world.tick() for _ in range(IDLE_TICKS))
    world.gcs.start()
    world.want_cpus(4)
    world.ticks(4)

    assert before < world.listed()
    assert len(world.ray.workers) == 4
