import pytest

from tests.yellowdog_ray.hand_moved_time import Time
from yellowdog_ray.cluster.backoff import BackOff
from yellowdog_ray.errors import LaunchPaused, NotFound, Throttled


def pauses_after_each_failure(time: Time, reason: Exception, failures: int) -> list[int]:
    """How many whole seconds a node type is left alone after the first, second ... failure in a row."""
    backoff, seconds = BackOff(time), []
    for _ in range(failures):
        backoff.failed("gpu", reason)
        began = time.now
        while paused(backoff, "gpu"):
            time.now += 1
        seconds.append(int(time.now - began))
    return seconds


def paused(backoff: BackOff, node_type: str) -> bool:
    try:
        backoff.check(node_type)
    except LaunchPaused:
        return True
    return False


def test_each_failure_doubles_the_pause_up_to_five_minutes(time):
    assert pauses_after_each_failure(time, NotFound("x"), 9) == [5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_throttling_is_no_lack_of_capacity_and_passes_sooner(time):
    assert pauses_after_each_failure(time, Throttled("x"), 5) == [5, 10, 20, 30, 30]


def test_a_success_forgets_the_failures(time):
    backoff = BackOff(time)
    for _ in range(5):
        backoff.failed("gpu", NotFound("x"))

    backoff.accepted("gpu")

    assert not paused(backoff, "gpu")
    backoff.failed("gpu", NotFound("x"))
    time.now += 5
    assert not paused(backoff, "gpu")


def test_other_node_types_are_not_held_up(time):
    backoff = BackOff(time)

    backoff.failed("gpu", NotFound("x"))

    assert not paused(backoff, "cpu")


def test_the_pause_keeps_the_category_and_the_reason_of_the_failure(time):
    backoff = BackOff(time)
    backoff.failed("gpu", NotFound("no template 'demo/gone'"))
    time.now += 1.5

    with pytest.raises(
        LaunchPaused, match=r"'gpu' is tried again in 4 s, after 1 failed launch: no template"
    ) as caught:
        backoff.check("gpu")

    assert caught.value.code == "NotFound"
