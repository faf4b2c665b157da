"""The end of `ray down`, with a Ray that asks its provider for a last word and with one that does not."""

import click
import pytest
from click.testing import CliRunner

from yellowdog_ray.commands import down as ray_down
from yellowdog_ray.commands.down import LastWord

WORKERS = {"ray-node-type": "worker"}
HEAD = {"ray-node-type": "head"}


@pytest.fixture
def silent_ray(monkeypatch):
    monkeypatch.setattr(ray_down, "ray_asks", lambda: False)


def run(*listings, name="down", arguments=(), fails=False):
    """A command that lists nodes; how often the last word was said, and the exit code."""
    said = []
    word = LastWord(lambda: said.append(1))

    @click.command(name)
    @click.option("--workers-only", is_flag=True)
    def command(workers_only: bool) -> None:
        for tag_filters in listings:
            word.listing(tag_filters)
        if fails:
            raise click.Abort

    group = click.Group("ray", {name: command})
    result = CliRunner().invoke(group, [name, *arguments])
    assert not said or result.exit_code == 0
    return len(said)


@pytest.mark.usefixtures("silent_ray")
class TestRayDoesNotAsk:
    @pytest.mark.parametrize("name", ["down", "teardown"])
    def test_it_is_said_once_at_the_end(self, name):
        assert run(HEAD, WORKERS, HEAD, WORKERS, name=name) == 1

    def test_a_user_who_has_not_agreed_loses_nothing(self):
        assert run(HEAD) == 0

    def test_a_command_that_was_broken_off_does_no_more(self):
        assert run(WORKERS, fails=True) == 0

    def test_the_head_stays_where_only_workers_are_to_go(self):
        assert run(WORKERS, arguments=["--workers-only"]) == 0

    @pytest.mark.parametrize("name", ["up", "get-worker-ips", "exec"])
    def test_other_commands_end_nothing(self, name):
        assert run(WORKERS, HEAD, name=name) == 0


def test_where_ray_asks_it_is_not_said_twice(monkeypatch):
    monkeypatch.setattr(ray_down, "ray_asks", lambda: True)

    assert run(WORKERS) == 0


def test_outside_a_command_nothing_is_arranged():
    LastWord(lambda: pytest.fail("said")).listing(WORKERS)
