"""A platform that refuses the head's task, such as one with a limit on its size: nothing stays that costs money."""

import pytest

from tests.commands.laptop import assert_one_clear_message
from yellowdog_local.state.settings import Settings


@pytest.fixture(
    params=[("taskData", {"max_task_data_bytes": 100}), ("environment", {"max_environment_bytes": 100})],
    ids=lambda param: param[0],
)
def limited(request):
    """What of a task is limited, and the setting."""
    return request.param


def test_refused_head_task_ends_ray_up_with_one_sentence_and_nothing_left(laptop, account, world, limited):
    world.lab.platform._kernel.settings = Settings(**limited[1])  # not before: the neighbours' heads are no smaller

    up = laptop.up()

    assert_one_clear_message(up, f"{limited[0]} must not be more than 100 bytes")
    assert "left on YellowDog" not in up.output
    account.assert_nothing_left()
