"""A stable cluster costs few calls, and a restart of the autoscaler changes nothing."""

QUIET_CALLS = 2
"""One to detect changes (now and then a full listing), and one for spot notices."""


def test_quiet_ticks_launch_and_terminate_nothing(world):
    world.grow_to(5)
    before = world.listed()

    for _ in range(10):
        assert world.tick()
        assert world.wire.changes == []
        assert len(world.wire.calls) <= QUIET_CALLS, world.wire.calls

    assert world.listed() == before
    assert len(world.ray.workers) == len(world.instances) == 5


def test_calls_of_a_quiet_tick_do_not_grow_with_the_cluster(world):
    world.grow_to(40)

    calls = []
    for _ in range(8):
        world.tick()
        calls.append(len(world.wire.calls))

    assert max(calls) <= QUIET_CALLS


def test_absent_tag_store_does_not_block_the_loop(world, waits):
    waits.clear()

    world.tick()

    assert sum(waits) == 0


def test_restarted_autoscaler_changes_nothing(world):
    world.grow_to(3)
    before = world.listed()

    world.restart_autoscaler()
    changes: list[str] = []
    for _ in range(10):
        assert world.tick()
        changes += world.wire.changes

    # Its first publication follows the pace of the earlier process's, which were made just before.
    assert changes == []
    assert world.listed() == before
    assert {raylet.node_id for raylet in world.ray.workers} == before
    assert len(world.instances) == 3


def test_restarted_autoscaler_does_not_launch_booting_nodes_again(world):
    world.want_cpus(4)
    world.tick()
    before = world.listed()

    world.restart_autoscaler()
    world.ticks(4)

    assert world.listed() == before
    assert len(world.instances) == 4


def test_restarted_autoscaler_grows_and_shrinks_the_cluster(world):
    world.grow_to(2)
    world.restart_autoscaler()
    world.tick()

    world.grow_to(4)
    world.want_cpus(0)
    world.ticks(25)

    assert world.listed() == set()
    assert world.instances == []


def test_restarted_autoscaler_completes_terminations(world):
    world.grow_to(3)
    world.want_cpus(0)
    with world.wire.losing(lambda call: "/work/tasks/" in call and not call.startswith("GET")):
        world.ticks(15)
    assert len(world.instances) == 3

    world.restart_autoscaler()
    world.ticks(25)

    assert world.instances == []
