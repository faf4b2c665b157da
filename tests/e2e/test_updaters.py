"""Nodes that Ray's own updaters set up over SSH before Ray starts there: one life per autoscaler.

Under v2 the nodes' tasks start Ray; under v1 the user's own commands do, and the cluster is on a private network that
this machine reaches through a jump host only.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.conftest import Box, as_user
from tests.e2e.networks import jump_host
from tests.e2e.ray_cli import Ray

YAML = Path(__file__).parent / "updaters.yaml"
JOB = Path(__file__).parent / "set_up_job.py"
OWN_START = ["ray stop", "ray start --address=$RAY_HEAD_IP:6379"]


@contextmanager
def cluster_of(box: Box, folder: Path, version: str) -> Iterator[tuple[Ray, str | None]]:
    """A user of the YAML, and the only address from which the head can be reached, if there is only one."""
    (folder / "data.txt").write_text("from the laptop\n")
    text = YAML.read_text().replace("DATA_FILE", str(folder / "data.txt"))
    if version == "v2":
        yield as_user(folder, box, text.replace("WORKER_START", "[]"), version), None
        return
    with jump_host(box.view()) as jump:
        through = (
            f"ssh -i {box.ssh_key} -oStrictHostKeyChecking=no -oUserKnownHostsFile=/dev/null -W %h:%p yd-agent@{jump}"
        )
        text = text.replace("WORKER_START", json.dumps(OWN_START))
        text = text.replace("auth:\n", f"auth:\n  ssh_proxy_command: {through}\n")
        text = text.replace("provider:\n", "provider:\n  use_internal_ips: true\n")
        yield as_user(folder, box, text, version), jump


@pytest.mark.timeout(300)
@pytest.mark.parametrize("version", ["v2", "v1"])
def test_nodes_are_set_up_over_ssh_before_ray_starts_there(box: Box, tmp_path: Path, version: str) -> None:
    platform = box.view()
    with cluster_of(box, tmp_path, version) as (ray, only_way):
        ray("up", "-y")
        output = ray("submit", str(JOB))
        (worker,) = platform.live_nodes("worker")
        ray("down", "-y")

    match = re.search(r"found (\{.*\})", output)
    assert match, output
    found = json.loads(match[1])
    every_node = "from the laptop\ninit\nevery node\n"
    assert found["head"]["steps"] == f"{every_node}head\n"
    assert found["worker"]["steps"] == f"{every_node}worker {found['head']['ip']}\n"
    assert (found["worker"]["data"], found["worker"]["node"]) == ("from the laptop\n", worker.name)
    assert found["status"] == "up-to-date"
    assert only_way in (None, found["head"]["client"])
    assert (platform.live_instances(), platform.live_pools(), platform.unfinished_work()) == (0, [], [])
