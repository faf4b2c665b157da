"""Each process of the head is killed in turn while a driver on the head works on two workers."""

import json
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import YAMLS, Box, as_user
from tests.e2e.ray_cli import Ray, wait_until
from tests.e2e.test_life_of_a_cluster import names, request, running_workers

HERE = Path(__file__).parent

PROCESSES = (
    *("gcs_server", "monitor.py", "dashboard.py", "log_monitor.py", "ray.util.client.server"),
    *("SERVER", "kept:agent.py", "kept:main.py"),
)
"""The processes that are killed, by program. SERVER is the tag server's; the last ones are the raylet's agents."""

GROWTH_SECONDS = 10
"""From the return of the autoscaler to the launch of a node."""


@pytest.fixture
def three_workers(box: Box, tmp_path: Path, version: str) -> Ray:
    text = YAMLS["v2"].read_text().replace("max_workers: 2", "max_workers: 3")
    return as_user(tmp_path, box, text.replace("idle_timeout_minutes: 0.2", "idle_timeout_minutes: 5"), version)


@pytest.mark.timeout(280)
@pytest.mark.parametrize("version", ["v2", "v1"])
def test_work_goes_on_when_processes_of_the_head_are_killed(three_workers: Ray, box: Box, version: str) -> None:
    ray, platform = three_workers, box.view()
    ray("up", "-y")
    ray("exec", request(2))
    wait_until(lambda: running_workers(platform) == 2, "there are two workers")
    for job in ("steady_job.py", "kill_job.py"):
        ray("rsync-up", str(HERE / job), f"~/{job}")
    ray("exec", "setsid python steady_job.py ~/steady.json >~/steady.log 2>&1 </dev/null & sleep 0.1")
    wait_until(lambda: len(report(ray).get("places", [])) == 2, "the job works on both workers")
    workers, instances = names(platform), platform.live_instances()

    server = ray("exec", "basename $(command -v valkey-server || command -v redis-server)").split()[-1]
    killed = ray("exec", f"python kill_job.py {' '.join(PROCESSES)}".replace("SERVER", server), timeout=200)
    print(killed)  # noqa: T201 - shown by pytest when the test fails

    assert killed.count('"reason": "killed"') >= len(PROCESSES), killed
    rounds = report(ray)["rounds"]
    wait_until(lambda: report(ray)["rounds"] > rounds, "the driver goes on")
    result = report(ray)
    print(result)  # noqa: T201
    assert (result["actor_processes"], result["in_order"]) == (1, True), result
    assert names(platform) == workers, "no worker is restarted or replaced"
    assert platform.live_instances() == instances, "no machine too many"

    ray("exec", "python kill_job.py monitor.py")
    asked = time.monotonic()
    ray("exec", request(3))
    wait_until(lambda: len(names(platform)) == 3, "the autoscaler launches a node")
    print(f"launched after {time.monotonic() - asked:.1f} s")  # noqa: T201
    assert time.monotonic() - asked < GROWTH_SECONDS
    ray("exec", "touch ~/stop-steady-job")
    assert "nothing is left of cluster" in ray("down", "-y")


def report(ray: Ray) -> dict[str, object]:
    """What the job on the head has reported last."""
    output = ray("exec", "cat ~/steady.json 2>/dev/null || tail -3 ~/steady.log")
    at = output.find('{"rounds"')
    found: dict[str, object] = json.JSONDecoder().raw_decode(output[at:])[0] if at >= 0 else {}
    return found
