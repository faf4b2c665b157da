"""A cluster on which nothing happens costs next to nothing, and a restart of the autoscaler changes nothing."""

QUIET_CALLS = 2
"""One to see whether anything has changed (now and then all tasks, to be sure), and one for spot notices."""


def test_on_ten_quiet_ticks_nothing_is_made_or_ended(world):
    world.grown_to(5)
    before = world.listed()

    for _ in range(10):
        assert world.tick()
        assert world.wire.changes == []
        assert len(world.wire.calls) <= QUIET_CALLS, world.wire.calls

    assert world.listed() == before
    assert len(world.ray.workers) == len(world.instances) == 5


def test_the_calls_of_a_quiet_tick_do_not_grow_with_the_cluster(world):
    world.grown_to(40)

    calls = []
    for _ in range(8):
        world.tick()
        calls.append(len(world.wire.calls))

    assert max(calls) <= QUIET_CALLS


def test_a_tag_store_that_is_not_there_keeps_the_loop_waiting_for_nothing(world, waits):
    waits.clear()

    world.tick()

    assert sum(waits) == 0


def test_an_autoscaler_that_restarts_leaves_everything_as_it_is(world):
    world.grown_to(3)
    before = world.listed()

    world.restart_autoscaler()
    for _ in range(10):
        assert world.tick()
        assert world.wire.changes == []

    assert world.listed() == before
    assert {raylet.node_id for raylet in world.ray.workers} == before
    assert len(world.instances) == 3


def test_an_autoscaler_that_restarts_while_nodes_boot_does_not_ask_for_them_again(world):
    world.want_cpus(4)
    world.tick()
    before = world.listed()

    world.restart_autoscaler()
    world.ticks(4)

    assert world.listed() == before
    assert len(world.instances) == 4


def test_a_restarted_autoscaler_grows_and_shrinks_the_cluster_it_finds(world):
    world.grown_to(2)
    world.restart_autoscaler()
    world.tick()

    world.grown_to(4)
    world.want_cpus(0)
    world.ticks(25)

    assert world.listed() == set()
    assert world.instances == []


def test_nodes_that_were_ending_when_the_autoscaler_restarted_still_end(world):
    world.grown_to(3)
    world.want_cpus(0)
    with world.wire.losing(lambda call: "/work/tasks/" in call and not call.startswith("GET")):
        world.ticks(15)
    assert len(world.instances) == 3

    world.restart_autoscaler()
    world.ticks(25)

    assert world.instances == []
