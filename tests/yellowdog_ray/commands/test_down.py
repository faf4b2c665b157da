"""The end of `ray down`, with a Ray that calls the provider's cleanup and with one that does not."""

import click
import pytest
from click.testing import CliRunner

from yellowdog_ray.commands import down as ray_down
from yellowdog_ray.commands.down import AfterRayDown

WORKERS = {"ray-node-type": "worker"}
HEAD = {"ray-node-type": "head"}


@pytest.fixture
def without_cleanup_call(monkeypatch):
    monkeypatch.setattr(ray_down, "ray_calls_cleanup", lambda: False)


def run(*listings, name="down", arguments=(), fails=False):
    """A command that lists nodes; the number of times that the action ran."""
    runs = []
    after = AfterRayDown(lambda: runs.append(1))

    @click.command(name)
    @click.option("--workers-only", is_flag=True)
    def command(workers_only: bool) -> None:
        for tag_filters in listings:
            after.observe_listing(tag_filters)
        if fails:
            raise click.Abort

    group = click.Group("ray", {name: command})
    result = CliRunner().invoke(group, [name, *arguments])
    assert not runs or result.exit_code == 0
    return len(runs)


@pytest.mark.usefixtures("without_cleanup_call")
class TestWithoutCleanupCall:
    @pytest.mark.parametrize("name", ["down", "teardown"])
    def test_action_runs_once_after_ray_down(self, name):
        assert run(HEAD, WORKERS, HEAD, WORKERS, name=name) == 1

    def test_action_does_not_run_without_confirmation(self):
        assert run(HEAD) == 0

    def test_action_does_not_run_after_an_interrupted_command(self):
        assert run(WORKERS, fails=True) == 0

    def test_action_does_not_run_with_workers_only(self):
        assert run(WORKERS, arguments=["--workers-only"]) == 0

    @pytest.mark.parametrize("name", ["up", "get-worker-ips", "exec"])
    def test_action_does_not_run_after_other_commands(self, name):
        assert run(WORKERS, HEAD, name=name) == 0


def test_action_does_not_run_when_ray_calls_the_cleanup(monkeypatch):
    monkeypatch.setattr(ray_down, "ray_calls_cleanup", lambda: True)

    assert run(WORKERS) == 0


def test_action_does_not_run_outside_a_command():
    AfterRayDown(lambda: pytest.fail("runs")).observe_listing(WORKERS)
