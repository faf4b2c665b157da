"""The `ray` command of this process."""

import click
from click.testing import CliRunner

from yellowdog_ray.commands.context import ends_the_cluster


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
