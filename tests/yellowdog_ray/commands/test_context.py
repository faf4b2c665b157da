"""The `ray` command of this process."""

import click
import pytest
from click.testing import CliRunner

from yellowdog_ray.commands.context import ends_the_cluster, local_need
from yellowdog_ray.config.local_files import Need


def whether_it_ends_the_cluster(*arguments: str) -> bool:
    answers = []

    @click.command(arguments[0])
    @click.option("--workers-only", is_flag=True)
    def command(workers_only: bool) -> None:
        answers.append(ends_the_cluster())

    CliRunner().invoke(click.Group("ray", {arguments[0]: command}), arguments, catch_exceptions=False)
    (answer,) = answers
    return answer


def test_ends_the_cluster_is_true_in_ray_down():
    assert whether_it_ends_the_cluster("down")
    assert whether_it_ends_the_cluster("teardown")


def test_ends_the_cluster_is_false_in_other_commands():
    assert not whether_it_ends_the_cluster("down", "--workers-only")
    assert not whether_it_ends_the_cluster("exec")
    assert not ends_the_cluster()


@pytest.mark.parametrize(
    ("arguments", "need"),
    [
        (["up"], Need.EVERYTHING),
        (["create_or_update"], Need.EVERYTHING),
        (["submit", "--start"], Need.EVERYTHING),
        (["submit"], Need.SSH_KEY),
        (["attach"], Need.SSH_KEY),
        (["down"], Need.NOTHING),
        (["get-head-ip"], Need.SSH_KEY_IF_USABLE),
        (["get_worker_ips"], Need.SSH_KEY_IF_USABLE),
    ],
)
def test_local_need_is_only_what_the_command_uses(arguments, need):
    answers = []

    @click.command(arguments[0])
    @click.option("--start", is_flag=True)
    def command(start: bool) -> None:
        answers.append(local_need())

    CliRunner().invoke(click.Group("ray", {arguments[0]: command}), arguments, catch_exceptions=False)

    assert answers == [need]
    assert local_need() is Need.EVERYTHING
