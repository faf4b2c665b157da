"""The head's machine is lost, and no process runs on the user's machine: a worker brings up another head."""

import re
import time
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import YAMLS, Box, as_user
from tests.e2e.ray_cli import Ray, wait_until
from tests.e2e.test_life_of_a_cluster import HAS_TOKENS, kept_tokens, names, running_workers

JOB = "import ray, socket; ray.init(); print('ran beside', len(ray.nodes()) - 1, 'workers')"


@pytest.fixture
def ray(box: Box, tmp_path: Path) -> Ray:
    """A user whose cluster has two workers that may replace the head."""
    config = yaml.safe_load(YAMLS["v2"].read_text())
    config["provider"] |= {"head_restart": True, "cluster_lifetime_hours": 0.75}
    config["available_node_types"]["worker"]["min_workers"] = 2
    return as_user(tmp_path, box, yaml.safe_dump(config), "v2")


@pytest.mark.timeout(600)
@pytest.mark.skipif(not HAS_TOKENS, reason="this Ray has no token authentication")
def test_worker_replaces_the_head_after_the_loss_of_its_machine(ray: Ray, box: Box) -> None:
    platform = box.view()
    ray("up", "-y")
    wait_until(lambda: running_workers(platform) == 2, "two workers run", 90)
    wait_until(lambda: kits(box) == 2, "both workers have the kit", 90)
    (head,), workers, tokens = platform.live_nodes("head"), names(platform), kept_tokens(ray)

    began = time.monotonic()
    lost = box.raydog("fault", "add", "lost", "--pool", "demo-head-*", "--times", "1")
    assert lost.returncode == 0, lost.stdout

    name = f"{head.name}-r1"
    wait_until(lambda: [task.name for task in platform.live_nodes("head")] == [name], "a new head is submitted", 120)
    wait_until(lambda: running_workers(platform) == 2 and not names(platform) & workers, "new workers run", 180)
    print(f"replaced within {time.monotonic() - began:.0f} s")  # noqa: T201 - shown by pytest when a test fails

    job = ray("exec", f'ray job submit -- python -c "{JOB}"')
    assert re.search(r"ran beside \d workers", job), job
    assert kept_tokens(ray) == tokens
    assert f"{head.name}-r1" in ray(
        "exec", "echo $(tr '\\0' '\\n' < /proc/$(pgrep -o -x gcs_server)/environ | grep ^RAY_CLOUD)"
    )

    down = ray("down", "-y")
    assert "nothing is left of cluster" in down, down
    assert (platform.live_instances(), platform.live_pools(), platform.unfinished_work()) == (0, [], [])


def kits(box: Box) -> int:
    """The number of hosts that have a kit."""
    return len(list(box.folder.rglob(".raydog/kit/carriers")))
