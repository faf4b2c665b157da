"""The head's machine is lost, and no process runs on the user's machine: a worker brings up another head."""

from __future__ import annotations

import ipaddress
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from yellowdog_client.model import TaskStatus

from tests.e2e.conftest import YAMLS, Box, as_user
from tests.e2e.ray_cli import PlatformView, Ray, wait_until
from tests.e2e.test_life_of_a_cluster import HAS_TOKENS, kept_tokens, names, running_workers
from tests.selection import EXHAUSTIVE
from yellowdog_local.hosts.network import PREFIX_LENGTH, bridges_of

SUBMIT = """\
mkdir -p ~/work && mv ~/job.py ~/work && ray job submit --no-wait --submission-id kept \
--metadata-json '{"raydog-restart": "true"}' --working-dir ~/work -- python job.py"""
JOB = """
import os, ray, time
ray.init()
if not os.environ["RAY_CLOUD_INSTANCE_ID"].endswith("-r1"):
    time.sleep(3600)  # it is lost with the first head
deadline = time.monotonic() + 60
while len(ray.nodes()) < 3 and time.monotonic() < deadline:
    time.sleep(0.5)
print("ran beside", len(ray.nodes()) - 1, "workers, on", ray.get(ray.remote(num_cpus=1)(lambda: "one").remote()))
"""


@pytest.fixture(params=["v2", "v1"] if EXHAUSTIVE else ["v2"])
def ray(box: Box, tmp_path: Path, request: pytest.FixtureRequest) -> Ray:
    """A user whose cluster has two workers that may replace the head."""
    config = yaml.safe_load(YAMLS["v2"].read_text())
    config["provider"] |= {"head_restart": True, "cluster_lifetime_hours": 0.75}
    config["available_node_types"]["worker"]["min_workers"] = 2
    return as_user(tmp_path, box, yaml.safe_dump(config), request.param)


@pytest.mark.timeout(600)
@pytest.mark.skipif(not HAS_TOKENS, reason="this Ray has no token authentication")
def test_worker_replaces_the_head_after_the_loss_of_its_machine(ray: Ray, box: Box) -> None:
    platform = box.view()
    ray("up", "-y")
    wait_until(lambda: running_workers(platform) == 2, "two workers run", 90)
    (ray.folder / "job.py").write_text(JOB)
    ray("rsync-up", str(ray.folder / "job.py"), "~/job.py")
    ray("exec", SUBMIT)
    wait_until(lambda: kits_with_jobs(box) == 2, "both workers have the kit, and the job in it", 120)
    (head,), workers, tokens = platform.live_nodes("head"), names(platform), kept_tokens(ray)

    began = time.monotonic()
    pull_cable(box, ray("get-head-ip").split()[-1])

    name = f"{head.name}-r1"
    wait_until(lambda: [task.name for task in platform.live_nodes("head")] == [name], "a new head is submitted", 180)
    wait_until(lambda: len(executing(platform) - workers) == 2, "new workers run", 180)
    print(f"replaced within {time.monotonic() - began:.0f} s")  # noqa: T201 - shown by pytest when a test fails
    secrets = [platform.key_secret, *tokens]
    assert not any(secret in str(task) for task in platform.all_tasks() for secret in secrets)

    ran = "ran beside 2 workers, on one"
    wait_until(lambda: ran in ray("exec", "ray job logs kept 2>&1 || true"), "the job runs again", 120)
    ray("up", "-y")
    assert [task.name for task in platform.live_nodes("head")] == [name], "a later `ray up` adopts the new head"
    assert kept_tokens(ray) == tokens

    down = ray("down", "-y")
    assert "nothing is left of cluster" in down, down
    assert list((ray.folder / ".raydog/host-keys").iterdir()) == []
    assert (platform.live_instances(), platform.live_pools(), platform.unfinished_work()) == (0, [], [])


def executing(platform: PlatformView) -> set[str]:
    """The names of the workers whose tasks run."""
    return {str(task.name) for task in platform.live_nodes("worker") if task.status is TaskStatus.EXECUTING}


def kits_with_jobs(box: Box) -> int:
    """The number of hosts that have a kit with jobs."""
    kits = [file.parent for file in box.folder.rglob(".raydog/kit/*/carriers")]
    return sum((kit / "jobs.json").is_file() for kit in kits)


def pull_cable(box: Box, address: str) -> None:
    """Disconnect a host, which runs on, from the platform's network."""
    (bridge,) = bridges_of(str(box.folder))
    number = int(ipaddress.IPv4Address(address)) % 2 ** (32 - PREFIX_LENGTH)
    subprocess.run(["ip", "link", "set", f"{bridge}h{number}", "down"], check=True)
