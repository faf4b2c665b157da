"""Workers whose task ends before Ray joins, or soon after: failed launches, which cost less each time."""

import itertools
import logging
from collections.abc import Callable, Iterator

import pytest

from yellowdog_local.state.settings import Settings
from yellowdog_ray.errors import LaunchBackedOff

TICKS = 100


def launches(world) -> bool:
    """Whether the last round submitted tasks."""
    return any(call.startswith("POST") and call.endswith("/tasks") for call in world.wire.calls)


@pytest.fixture
def scripts(monkeypatch) -> dict[str, str]:
    """What the environment of every worker that is launched from now on has in addition: how its script ends."""
    from yellowdog_ray.cluster import launch

    extra: dict[str, str] = {}
    environment = launch.worker_environment
    monkeypatch.setattr(launch, "worker_environment", lambda *given: {**environment(*given), **extra})
    return extra


@pytest.fixture
def ends(scripts) -> Callable[[float, int], None]:
    """Lets the scripts of workers end after so many seconds with an exit code."""

    def run(seconds: float, exit_code: int = 1) -> None:
        scripts.update(SIM_TASK_SECONDS=str(seconds), SIM_TASK_EXIT_CODE=str(exit_code))

    return run


@pytest.fixture
def errors(caplog) -> Iterator[Callable[[], list[str]]]:
    """The provider's log messages at ERROR about failed nodes."""
    caplog.set_level(logging.ERROR)
    return lambda: [text for text in caplog.messages if "node(s) of type 'worker' failed" in text]


class TestRemovedTasks:
    """A platform that removes a task as soon as it has ended."""

    @pytest.fixture
    def settings(self) -> Settings:
        """The platform's settings."""
        return Settings(retention_seconds=0)

    def test_back_off_grows_while_scripts_exit_and_tasks_are_removed(self, world, ends, errors):
        ends(0)
        world.want_cpus(2)

        launched = 0
        for _ in range(40):
            world.tick()
            launched += launches(world)

        assert "its task ended before Ray joined (NOT_FOUND)" in errors()[0]
        assert launched <= 6

    def test_terminated_workers_that_are_removed_are_no_failed_launch(self, world, errors):
        world.want_cpus(2)
        world.tick()

        world.provider.terminate_nodes(list(world.listed()))
        world.ticks(6)

        assert errors() == []


class TestBeforeJoin:
    @pytest.mark.parametrize(
        ("exit_code", "end"),
        [
            (1, "FAILED; PROCESS_NON_ZERO_EXIT: The process ended with exit code 1 (exit code 1)"),
            (137, "FAILED; PROCESS_NON_ZERO_EXIT: The process ended with exit code 137 (exit code 137)"),
            (0, "COMPLETED"),
        ],
    )
    def test_script_that_exits_is_a_failed_launch_with_its_error(self, world, ends, errors, exit_code, end):
        ends(0, exit_code)
        world.want_cpus(2)

        world.ticks(6)

        assert "EndedBeforeJoin: node worker-" in errors()[0]
        assert f"its task ended before Ray joined ({end}): look at the output" in errors()[0]
        assert world.autoscaler.failed_types() == {"worker"}

    def test_back_off_grows_while_scripts_exit(self, world, ends):
        ends(0)
        world.want_cpus(2)

        launched = []
        for tick in range(TICKS):
            world.tick()
            if launches(world):
                launched.append(tick)

        gaps = [later - earlier for earlier, later in itertools.pairwise(launched)]
        assert gaps == sorted(gaps)
        assert gaps[-1] > 3 * gaps[0]
        assert len(launched) <= 7

    def test_ended_worker_is_not_listed_once_it_is_seen_ended(self, world, ends):
        world.grow_to(1)
        before = world.listed()
        ends(0)
        world.want_cpus(2)
        world.tick()
        (waiting,) = world.listed() - before
        while not world.task(waiting).status.finished:
            world.lab.advance(1)

        world.tick()

        assert waiting not in world.listed()

    def test_launches_resume_at_once_when_the_script_is_changed(self, world, ends, scripts):
        ends(0)
        world.want_cpus(2)
        world.ticks(60)
        assert world.listed() == set()

        scripts.clear()
        world.up_again(provider={"ray_worker_node_task_script": "mended"})
        world.ticks(2)

        assert len(world.listed()) == 2
        world.ticks(4)
        assert len(world.ray.workers) == 2

    def test_changed_limit_does_not_end_the_back_off(self, world, ends):
        ends(0)
        world.want_cpus(2)
        world.ticks(60)

        world.up_again(max_workers=50)
        world.tick()

        with pytest.raises(LaunchBackedOff):
            world.provider.side.launcher.backoff.check("worker")

    def test_one_failing_worker_among_many_does_not_stop_its_type(self, world, ends, scripts, errors):
        ends(0)
        world.want_cpus(1)
        world.tick()
        scripts.clear()
        world.want_cpus(20)
        world.ticks(8)

        assert len(errors()) == 1
        assert len(world.ray.workers) == 20

    def test_worker_that_is_terminated_while_it_boots_is_no_failure(self, world, errors):
        world.want_cpus(2)
        world.tick()
        world.provider.terminate_nodes(list(world.listed()))
        world.ticks(6)

        assert errors() == []

    def test_failure_is_judged_after_the_autoscaler_restarted(self, world, ends, errors):
        ends(10)
        world.want_cpus(1)
        world.ray.barred = set()
        world.tick()
        (node_id,) = world.listed()
        world.ray.barred = {node_id}
        world.restart_autoscaler()

        world.ticks(6)

        assert node_id in errors()[0]


class TestAfterJoin:
    def test_back_off_grows_while_workers_join_and_end(self, world, ends, errors):
        ends(12)
        world.want_cpus(1)

        launched = []
        for tick in range(TICKS):
            world.tick()
            if launches(world):
                launched.append(tick)

        assert "EndedAfterJoin: node worker-" in errors()[0]
        gaps = [later - earlier for earlier, later in itertools.pairwise(launched)]
        assert gaps == sorted(gaps)
        assert gaps[-1] > 3 * gaps[0]

    def test_worker_that_ends_long_after_it_joined_is_replaced_at_once(self, world, ends, scripts, errors):
        ends(90)
        world.want_cpus(1)
        world.ticks(4)
        scripts.clear()
        (first,) = world.listed()

        while first in world.listed():
            world.tick()
        world.ticks(5)

        assert errors() == []
        assert len(world.ray.workers) == 1

    def test_worker_that_ended_soon_after_a_restart_but_joined_before_it_is_no_failure(self, world, ends, errors):
        ends(60)
        world.want_cpus(1)
        world.ticks(10)
        assert len(world.ray.workers) == 1
        world.restart_autoscaler()

        world.ticks(6)

        assert errors() == []
