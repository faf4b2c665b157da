"""The documented example for containers, unmodified, with a real engine."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.e2e import container_host
from tests.e2e.conftest import Box
from tests.e2e.ray_cli import Ray, wait_until

REPOSITORY = Path(__file__).parents[2]
EXAMPLE = REPOSITORY / "examples/autoscaler/raydog-docker.yaml"
JOB = REPOSITORY / "examples/local/two_workers.py"

pytestmark = pytest.mark.skipif(
    bool(container_host.missing_programs()), reason="containers need podman and crun: run scripts/test"
)


def as_a_user_fills_it_in(box: Box) -> str:
    text = EXAMPLE.read_text().replace("<your-registry/your-ray-image>", container_host.IMAGE)
    text = text.replace("<path of your private key>", str(box.ssh_key)).replace("<your-namespace>", "demo")
    config = yaml.safe_load(re.sub("<your-namespace/[^>]*>", "demo/local", text))
    config["available_node_types"]["worker"]["resources"] = {"CPU": 1}
    for node_type in config["available_node_types"].values():
        node_type["node_config"]["userdata"] = container_host.user_data()
    return yaml.safe_dump(config)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("version", ["v2"])
def test_ray_works_in_containers_and_no_container_outlives_its_task(life: Ray, box: Box) -> None:
    ray, platform = life, box.view()
    ray.yaml.write_text(as_a_user_fills_it_in(box))

    up = ray("up", "-y")
    assert "met on 2 workers" in ray("submit", str(JOB))
    first_process = """python -c 'print("PID 1 is", open("/proc/1/comm").read())'"""
    log = ray("exec", f"cat /tmp/ray/session_latest/logs/monitor.log; {first_process}")
    assert "PID 1 is bash" in log, "`python` on the head is the container's"
    assert "StandardAutoscaler" not in log, "the variable that selects v2 is in the container: else v1 runs"
    # Ray also prints the command that may print this, in the middle of a line.
    assert not re.search("^Ray on the head runs without|cannot identify them:", up + log, re.MULTILINE), (
        "no variable is missing"
    )

    first, second = platform.live_nodes("worker")
    platform.abort(first)
    wait_until(lambda: containers(box) == (3, 1), "the container of an aborted task is gone")
    (address,) = set(re.findall(r"^\d+\.\d+\.\d+\.\d+$", ray("get-worker-ips"), flags=re.MULTILINE))
    assert (
        box.raydog("fault", "add", "abort-lost").returncode == 0
    )  # by which the autoscaler could end the task as well
    on_host(box, address, "docker exec ray-worker ray stop || true")  # it ends with its container
    wait_until(lambda: platform.ended(second), "a task ends with its raylet, by itself")
    assert containers(box) == (3, 2)
    box.raydog("fault", "clear")

    ray("down", "-y")
    assert containers(box) == (3, 3)


def containers(box: Box) -> tuple[int, int]:
    """How many containers the engines of all hosts have made, and how many they have removed."""
    records = [line for file in box.folder.rglob(container_host.EVENTS) for line in file.read_text().splitlines()]
    events = [json.loads(record) for record in records]
    done = [event["Status"] for event in events if event["Type"] == "container"]
    return done.count("create"), done.count("remove")


def on_host(box: Box, address: str, command: str) -> None:
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"]
    login = ["ssh", "-F", "none", "-i", str(box.ssh_key), *options, f"yd-agent@{address}", command]
    done = subprocess.run(login, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
