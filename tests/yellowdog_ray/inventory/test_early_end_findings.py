"""`raydog why` on workers that ended soon after their start."""

import pytest

from tests.yellowdog_ray.inventory.conftest import CPU, CPUS, publish
from tests.yellowdog_ray.inventory.planted import workers_end_early


def test_ended_workers_are_counted_with_the_last_ones_exit_code_while_another_starts(scene, raydog):
    workers_end_early(scene)
    scene.workers(1, 2)
    mark = scene.local.calls.mark()

    (finding,) = [each for each in raydog.json("why", "demo", "--namespace", "demo")["findings"] if each["isTrouble"]]

    assert finding["cause"] == "2 worker(s) of node type cpu have ended soon after their start"
    assert "exit code 3" in finding["evidence"][0]
    assert scene.local.calls.count("*", since=mark) <= 5 + len(["head", "cpu"])


def test_ended_workers_of_a_long_history_are_found_while_none_lives(scene, raydog, monkeypatch):
    monkeypatch.setattr("yellowdog_ray.inventory.facts.PAGE_SIZE", 2)
    workers_end_early(scene)

    codes = [each["code"] for each in raydog.json("why", "demo", "--namespace", "demo")["findings"]]

    assert "workers-end-early" in codes


@pytest.mark.parametrize(
    ("state", "seconds"),
    [
        ({"demand": [], "node_types": CPU}, 0),
        ({"demand": CPUS, "node_types": {"cpu": CPU["cpu"].model_copy(update={"alive": 1})}}, 0),
        ({"demand": CPUS, "node_types": CPU}, 3600),
    ],
    ids=["nothing waits", "Ray runs on one", "long ago"],
)
def test_ended_workers_are_no_trouble_if_later_ones_last_or_none_is_wanted(scene, raydog, state, seconds):
    workers_end_early(scene)
    scene.local.advance(seconds + 10)
    publish(scene.cluster, max_workers=9, **state)

    assert not any(each["isTrouble"] for each in raydog.json("why", "demo", "--namespace", "demo")["findings"])
