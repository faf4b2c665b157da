"""Objects that a failed command leaves: noted, and named at its end."""

from contextlib import nullcontext

import click
import pytest
from click.testing import CliRunner

from yellowdog_ray.commands.leftovers import Created, report_if_command_fails
from yellowdog_ray.errors import Refused, Unavailable


@pytest.mark.parametrize(
    ("error", "noted"), [(Unavailable("x"), True), (Refused("x"), False), (KeyboardInterrupt(), True), (None, True)]
)
def test_object_is_noted_unless_the_platform_refused_it(error, noted):
    created = Created()

    def create() -> None:
        with created.creating("worker pool a"):
            if error:
                raise error

    with pytest.raises(type(error)) if error else nullcontext():
        create()

    assert created.names == (("worker pool a",) if noted else ())
    created.removed()
    assert created.names == ()


@pytest.mark.parametrize(
    ("error", "names", "reported"),
    [
        (click.Abort(), ["pool a", "task b"], True),
        (SystemExit(1), ["pool a", "task b"], True),
        (SystemExit(0), ["pool a"], False),
        (None, ["pool a"], False),
        (click.Abort(), [], False),
    ],
)
def test_left_objects_are_named_only_when_the_command_fails(error, names, reported):
    @click.command()
    @click.argument("cluster_config_file")
    def up(cluster_config_file: str) -> None:
        report_if_command_fails(lambda: names)
        if error:
            raise error

    output = CliRunner().invoke(up, ["demo.yaml"]).output

    assert ("left on YellowDog, where it may cost money: pool a, task b. `ray down " in output) is reported


def test_nothing_is_reported_outside_a_command():
    report_if_command_fails(lambda: pytest.fail("read"))
