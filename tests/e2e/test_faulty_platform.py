"""The life of a cluster on a platform of which every twentieth call fails, and which takes a worker away."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from tests.e2e.conftest import Box
from tests.e2e.ray_cli import PlatformView, Ray, wait_until

T = TypeVar("T")

JOB = Path(__file__).parent / "long_job.py"

FAULTS = (
    ("status", "--status", "503"),
    ("status", "--status", "429", "--retry-after", "20"),
    ("apply-then-fail",),
    ("cut",),
    ("delay", "--seconds", "3"),
)
"""Each applies to one call in a hundred."""


def make_calls_fail(box: Box) -> None:
    for seed, (kind, *options) in enumerate(FAULTS):
        added = box.raydog("fault", "add", kind, *options, "--probability", "0.01", "--seed", str(seed))
        assert added.returncode == 0, added.stdout


def applied(box: Box) -> int:
    """Number of calls to which a fault was applied."""
    listed = box.raydog("fault", "list", "--json")
    return sum(fault["applied"] for fault in json.loads(listed.stdout))


@pytest.mark.timeout(560)
@pytest.mark.parametrize("version", ["v2"])
def test_cluster_runs_work_while_calls_fail_and_spot_worker_is_lost(life: Ray, box: Box, version: str) -> None:
    ray, platform = life, box.view()
    make_calls_fail(box)

    ray("up", "-y")
    with ray.running("submit", str(JOB)) as log:
        wait_until(lambda: " ends" in log.read_text(), "the workers work", 150)
        before = steadily(lambda: worker_names(platform))
        lost = box.raydog(
            "fault", "add", "lost", "--pool", "*-worker-*", "--times", "1", "--notice", "--notice-seconds", "60"
        )
        assert lost.returncode == 0, lost.stdout
        wait_until(lambda: bool(steadily(lambda: worker_names(platform)) - before), "a replacement is launched", 50)
        wait_until(lambda: not before <= steadily(lambda: worker_names(platform)), "the worker is gone", 90)
        wait_until(lambda: "all 45 tasks are done" in log.read_text(), "the job ends well", 200)
    monitor = ray("exec", "cat /tmp/ray/session_latest/logs/monitor.log")
    down = ray("down", "-y")

    assert "gets a spot notice" in monitor
    assert "nothing is left of cluster" in down, down
    assert applied(box) > 5
    box.raydog("fault", "clear")
    assert (platform.live_instances(), platform.live_pools(), platform.unfinished_work()) == (0, [], [])


def steadily(read: Callable[[], T]) -> T:
    """The result of a reading of the platform, retried: the faults affect the test's own calls too."""
    for _ in range(20):
        with contextlib.suppress(Exception):
            return read()
    raise AssertionError("the platform did not answer twenty times in a row")


def worker_names(platform: PlatformView) -> set[str]:
    return {str(task.name) for task in platform.live_nodes("worker")}
