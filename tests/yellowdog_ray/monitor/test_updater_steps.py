"""The steps of Ray's updaters, as their wrapped command runners show them."""

import pytest

from yellowdog_ray.monitor.updater_steps import Setups


class Runner:
    """Stands in for a command runner of Ray's."""

    remote_shell = "ssh"

    def __init__(self) -> None:
        self.error: Exception | None = None

    def run(self, cmd=None, timeout=120):
        if self.error is not None:
            raise self.error
        return f"ran {cmd} within {timeout}"

    def run_rsync_up(self, source, target):
        return f"copied {source} to {target}"


@pytest.fixture
def setups(time) -> Setups:
    return Setups(time)


@pytest.fixture
def runner() -> Runner:
    return Runner()


def test_last_is_none_before_first_step(setups):
    assert setups.last("w1") is None


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("uptime", "connecting by SSH"),
        ("make   install", "`make install`"),
        ("export RAY_HEAD_IP=10.0.0.1; export X='a'; make", "`make`"),
        ("x" * 100, f"`{'x' * 80}...`"),
    ],
)
def test_step_describes_command(setups, runner, command, expected):
    setups.watch(runner, "w1").run(command)

    assert setups.last("w1").what == expected


def test_step_describes_copy(setups, runner):
    assert setups.watch(runner, "w1").run_rsync_up("a", "b") == "copied a to b"

    assert setups.last("w1").what == "copying a to b"


def test_wrapped_runner_passes_everything_on(setups, runner):
    watched = setups.watch(runner, "w1")

    assert watched.run("make", timeout=5) == "ran make within 5"
    assert watched.remote_shell == "ssh"


def test_wrapped_runner_joins_characters_that_ray_has_split(setups, runner):
    assert setups.watch(runner, "w1").run("echo \ud83d\ude80", timeout=5) == "ran echo 🚀 within 5"


def test_step_has_error_of_failed_command(setups, runner):
    runner.error = OSError("connection lost")

    with pytest.raises(OSError, match="connection lost"):
        setups.watch(runner, "w1").run("make")

    assert setups.last("w1").error == "connection lost"


def test_retried_step_keeps_its_start(setups, runner, time):
    watched = setups.watch(runner, "w1")
    watched.run("uptime")
    time.now += 10
    watched.run("uptime")
    assert setups.last("w1").since == 1000.0

    watched.run("make")

    assert setups.last("w1").since == 1010.0


def test_keep_drops_other_nodes(setups, runner):
    for node_id in ("w1", "w2"):
        setups.watch(runner, node_id).run("make")

    setups.keep({"w2"})

    assert setups.last("w1") is None
    assert setups.last("w2") is not None
