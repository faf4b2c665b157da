"""A cluster that ends itself when nobody uses it: `provider.idle_termination_minutes`."""

import logging
from types import SimpleNamespace

import pytest

from tests.simulation.monitor import TICK_SECONDS
from tests.simulation.processes import every_kill
from tests.simulation.users import ACTOR, DRIVER, SESSION
from yellowdog_ray.monitor.idle_end import FAILED_ROUNDS

MINUTES = 2
SECONDS = MINUTES * 60


@pytest.fixture
def world(make_world):
    """A cluster that ends after two idle minutes."""
    world = make_world()
    world.up_again(provider={"idle_termination_minutes": MINUTES})
    return world


def left(world):
    """What is alive of the cluster, after the time that its end takes."""
    world.pass_time(60)
    return world.ours.left


def assert_ends_when_its_minutes_are_over(world):
    """The cluster lives until then, and no longer."""
    world.pass_time(SECONDS - 10)
    assert world.head is not None
    world.pass_time(30)
    assert left(world) == []


def test_idle_cluster_ends_itself(world, caplog):
    world.grow_to(2)
    world.pass_time(2 * SECONDS)
    assert world.head is not None
    world.want_cpus(0)

    assert_ends_when_its_minutes_are_over(world)
    assert "it ends, head included" in caplog.text


def test_cluster_without_the_key_never_ends_itself(make_world):
    world = make_world(cluster_lifetime_hours=10)

    world.pass_time(900)

    assert world.head is not None


@pytest.mark.parametrize("use", [DRIVER, ACTOR, SESSION])
def test_cluster_in_use_lives_and_ends_the_minutes_after(world, use):
    world.ray.users.come("somebody", use)
    world.pass_time(3 * SECONDS)
    assert world.head is not None
    world.ray.users.leave("somebody")

    assert_ends_when_its_minutes_are_over(world)


def test_short_job_between_two_readings_begins_the_minutes_anew(world):
    world.pass_time(SECONDS - 30)
    world.ray.users.come("short", DRIVER)
    world.ray.users.leave("short")

    assert_ends_when_its_minutes_are_over(world)


def test_ray_without_answers_counts_as_use(world):
    world.ray.users.silent = True
    world.pass_time(3 * SECONDS)
    assert world.head is not None

    world.ray.users.silent = False
    world.pass_time(SECONDS - 10)
    assert world.head is not None


def test_end_is_announced_and_withdrawn_when_the_cluster_is_used(world, caplog):
    caplog.set_level(logging.WARNING)

    world.pass_time(SECONDS - 30)
    announced = [text for text in caplog.messages if text.startswith("the cluster is idle")]
    world.ray.users.come("somebody", SESSION)
    world.pass_time(10)

    assert [text.split(" in ")[1].split(",")[0] for text in announced] == ["60 s"]
    assert "in use again (1 SSH session on the head)" in caplog.text


def test_restart_of_the_autoscaler_begins_the_minutes_anew(world):
    world.pass_time(SECONDS - 30)
    world.restart_autoscaler()

    assert_ends_when_its_minutes_are_over(world)


def test_outage_of_the_platform_delays_the_end_only(world):
    world.pass_time(SECONDS - 30)
    with world.wire.losing():
        world.pass_time(120)
        assert world.head is not None

    world.pass_time(30)
    assert left(world) == []


def test_idle_cluster_ends_although_each_call_is_slow(world, monkeypatch):
    """A round takes longer than the time without a reading of the use after which the minutes begin anew."""
    monkeypatch.setattr("tests.simulation.wire.DELAY_SECONDS", (21.0, 21.0))
    with world.wire.trouble("delay"):
        world.pass_time(1800)

    assert left(world) == []


def reads_a_worker_pool(call):
    return call.startswith("GET /workerPools/") and "-worker-" in call and "-production-" not in call


@pytest.fixture
def unlisted(make_world):
    """A cluster that ends after two idle minutes, whose worker is never seen by an autoscaler that starts again."""
    world = make_world()
    world.yaml["available_node_types"]["worker"]["min_workers"] = 1
    world.up_again(provider={"idle_termination_minutes": MINUTES})
    world.ticks(5)
    assert len(world.ray.workers) == 1
    world.restart_autoscaler()
    return world


def test_cluster_ends_although_it_can_never_be_listed(unlisted):
    """The failed listing and the end take turns, and two steps of the end use up their rounds."""
    with unlisted.wire.trouble("500", reads_a_worker_pool):
        unlisted.pass_time(SECONDS - 10)
        assert unlisted.listing is None
        assert unlisted.head is not None

        unlisted.pass_time(2 * 2 * FAILED_ROUNDS * TICK_SECONDS + 60)
        assert unlisted.head is None

    unlisted.pass_time(60)
    assert list(unlisted.ours.instances()) == []


def test_cluster_in_use_lives_although_it_can_never_be_listed(unlisted):
    unlisted.ray.users.come("somebody", DRIVER)
    with unlisted.wire.trouble("500", reads_a_worker_pool):
        unlisted.pass_time(3 * SECONDS)

        assert unlisted.head is not None
        assert not unlisted.checks.home.committed


def test_end_without_a_listing_makes_an_outage_no_longer(unlisted):
    """Each tick makes one call that fails, whether or not the cluster's time is over."""
    with unlisted.wire.trouble("hang"):
        calls = []
        for _ in range(2 * int(SECONDS / TICK_SECONDS)):
            unlisted.tick()
            calls.append(len(unlisted.wire.calls))

        assert unlisted.provider.side.idle_end.is_due
    assert set(calls) == {1}


def test_no_worker_replaces_those_of_an_end(make_world):
    world = make_world()
    world.yaml["available_node_types"]["worker"]["min_workers"] = 2
    world.up_again(provider={"idle_termination_minutes": MINUTES})

    world.pass_time(SECONDS + 20)

    assert left(world) == []


def _is_about_to_end(world):
    """Let time pass until the next round ends the cluster."""
    while (left := world.provider.side.idleness.seconds_left) is None or left > TICK_SECONDS:
        world.tick()


def _calls_of_the_end(world):
    """The calls of the round that ends the cluster."""
    _is_about_to_end(world)
    world.tick()
    calls = [SimpleNamespace(method=call.split()[0], route=call.split()[1]) for call in world.wire.calls]
    world.pass_time(60)
    assert world.ours.left == []
    return calls


@pytest.mark.search
def test_killed_end_is_completed_once_the_heads_pool_has_ended_and_else_withdrawn(world):
    for kill in every_kill(_calls_of_the_end(world)):
        assert world.up()
        _is_about_to_end(world)

        with world.dying(kill):
            world.tick()
        is_committed = world.checks.home.committed
        if world.head is not None:
            world.ray.users.come("late", DRIVER)
        world.pass_time(2 * SECONDS)

        assert (world.ours.left == []) is is_committed, kill
        world.ray.users.leave("late")
        world.pass_time(SECONDS + 60)
        assert world.ours.left == [], kill


@pytest.mark.parametrize("call", ["DELETE /workerPools/ydid*", "PUT */transition/CANCEL*", "PUT */autoShutdown"])
def test_refused_request_of_an_end_is_repeated(world, call):
    _is_about_to_end(world)

    with world.wire.trouble("500", call) as trouble:
        world.pass_time(2 * TICK_SECONDS)
    world.pass_time(60)

    assert trouble.struck
    assert world.ours.left == []


def test_worker_that_ignores_its_abort_ends_with_its_machine(world):
    world.grow_to(2)
    world.fault("abort-lost", pool="ray-worker-*")
    world.want_cpus(0)
    world.yaml["available_node_types"]["worker"]["min_workers"] = 2
    world.up_again()

    world.pass_time(SECONDS + 30)
    assert world.head is None

    world.pass_time(45)
    assert world.ours.left == []


@pytest.mark.parametrize("call", ["DELETE /workerPools/ydid*", "GET /workerPools/*"])
def test_user_who_comes_while_requests_of_the_end_fail_keeps_the_cluster(world, call):
    _is_about_to_end(world)
    with world.wire.trouble("502", call) as trouble:
        world.pass_time(2 * TICK_SECONDS)
        assert trouble.struck
        world.ray.users.come("late", DRIVER)
        world.pass_time(TICK_SECONDS)

    world.pass_time(2 * SECONDS)

    assert world.head is not None
    world.grow_to(2)


def test_cluster_ends_although_the_end_of_its_heads_pool_is_refused_for_good(world):
    _is_about_to_end(world)

    with world.wire.trouble("403", "DELETE /workerPools/ydid*"):
        world.pass_time(2 * FAILED_ROUNDS * TICK_SECONDS + 60)

    assert not any(world.ours.instances())
