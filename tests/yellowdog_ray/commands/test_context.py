"""The `ray` command of this process."""

from collections.abc import Callable
from typing import TypeVar

import click
import pytest
from click.testing import CliRunner

from yellowdog_ray.commands.context import ends_the_cluster, local_need, requires_head
from yellowdog_ray.config.local_files import Need

AnswerT = TypeVar("AnswerT")


def in_command(function: Callable[[], AnswerT], *arguments: str) -> AnswerT:
    """What a function of the module returns in this `ray` command."""
    answers = []

    @click.command(arguments[0])
    @click.option("--workers-only", is_flag=True)
    @click.option("--start", is_flag=True)
    def command(workers_only: bool, start: bool) -> None:
        answers.append(function())

    CliRunner().invoke(click.Group("ray", {arguments[0]: command}), arguments, catch_exceptions=False)
    (answer,) = answers
    return answer


def test_ends_the_cluster_is_true_in_ray_down():
    assert in_command(ends_the_cluster, "down")
    assert in_command(ends_the_cluster, "teardown")


def test_ends_the_cluster_is_false_in_other_commands():
    assert not in_command(ends_the_cluster, "down", "--workers-only")
    assert not in_command(ends_the_cluster, "exec")
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
    assert in_command(local_need, *arguments) is need
    assert local_need() is Need.EVERYTHING


@pytest.mark.parametrize(
    ("arguments", "required"),
    [(["up"], False), (["down"], False), (["submit", "--start"], False), (["submit"], True), (["exec"], True)],
)
def test_head_is_required_unless_the_command_creates_or_ends_it(arguments, required):
    assert in_command(requires_head, *arguments) is required
    assert not requires_head()
