"""Nodes that Ray's own updaters set up over SSH before Ray starts there: one life per autoscaler.

Under v2 the nodes' tasks start Ray, under v1 the user's own commands do.
"""

import json
import re
from pathlib import Path

import pytest

from tests.e2e.conftest import Box, as_user
from tests.e2e.ray_cli import wait_until

YAML = Path(__file__).parent / "updaters.yaml"
JOB = Path(__file__).parent / "set_up_job.py"
START = {"v2": [], "v1": ["ray stop", "ray start --address=$RAY_HEAD_IP:6379"]}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("version", ["v2", "v1"])
def test_nodes_are_set_up_over_ssh_before_ray_starts_there(box: Box, tmp_path: Path, version: str) -> None:
    platform = box.view()
    data = tmp_path / "data.txt"
    data.write_text("from the laptop\n")
    text = YAML.read_text().replace("DATA_FILE", str(data)).replace("WORKER_START", json.dumps(START[version]))
    ray = as_user(tmp_path, box, text, version)

    ray("up", "-y")
    assert "from the laptop\ninit\nevery node\nhead\n" in ray("exec", "cat ~/steps").replace("\r", "")

    output = ray("submit", str(JOB))
    match = re.search(r"found (\{.*\})", output)
    assert match, output
    found = json.loads(match[1])
    head_ip = ray("get-head-ip").strip().splitlines()[-1]
    assert found["data"] == "from the laptop\n"
    assert found["steps"].splitlines() == ["from the laptop", "init", "every node", f"worker {head_ip}"]
    (worker,) = platform.live_nodes("worker")
    assert found["node"] == worker.name
    tags = f"redis-cli -p 16667 hget raydog:updaters:tags {worker.name}"
    wait_until(lambda: "up-to-date" in ray("exec", tags), "the updater has written down that it is done")

    ray("down", "-y")
    assert (platform.live_instances(), platform.live_pools(), platform.unfinished_work()) == (0, [], [])
