"""A head on a real host, started by a contender's own `ray up`, with its provider; simulated workers.

Used for packages that need a head with SSH to list and launch nodes. Ray itself does not run on the head: Ray's classes
run beside the provider, as in Ray's monitor.
"""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from benchmarks.contenders import REPOSITORY, Contender, DriverProcess, driver_by
from benchmarks.lab import TEMPLATE, Lab, lab
from benchmarks.machine import Cores
from benchmarks.ray_cluster import ray_cluster, ssh
from benchmarks.valkey import TagServer

TAG_PORT = 16667
CONFIG_FILE = "/opt/yellowdog/agent/ray_bootstrap_config.yaml"
_KEY = "/opt/yellowdog/agent/ray_bootstrap_key.pem"
_PYTHON = "/opt/yellowdog/agent/venv/bin/python"
_CARRIED = (
    "benchmarks/__init__.py",
    "benchmarks/driver.py",
    "tests/__init__.py",
    "tests/simulation/__init__.py",
    "tests/simulation/raylets.py",
    "tests/simulation/v1.py",
    "tests/simulation/v2.py",
)
_HEAD_SCRIPT = f"""\
#!/usr/bin/bash
$(command -v valkey-server || command -v redis-server) --port {TAG_PORT} --protected-mode no --save '' --daemonize yes
sleep infinity
"""
_WORKER_SCRIPT = "#!/usr/bin/bash\nsleep infinity\n"


def changed(config: dict[str, Any], most: int) -> dict[str, Any]:
    """A user's YAML with scripts that do not start Ray, and a high `max_workers`."""
    config["max_workers"] = most
    config["provider"] |= {
        "head_node_tag_server_port": TAG_PORT,
        "cluster_lifetime_hours": 100.0,
        "ray_head_node_task_script": _HEAD_SCRIPT,
        "ray_worker_node_task_script": _WORKER_SCRIPT,
    }
    config["head_start_ray_commands"] = ["true"]
    for name, node_type in config["available_node_types"].items():
        node_type["node_config"] = {"compute_requirement_template": TEMPLATE}
        if name != config["head_node_type"]:
            node_type["max_workers"] = most
    return config


@contextmanager
def head_without_ray(contender: Contender, core: int | None, most: int) -> Iterator[tuple[Lab, str, list[str]]]:
    """Start a head without Ray. Yields the platform, the head's address, and the SSH command for a login to it.

    Args:
        contender: the package whose `ray up` starts the head.
        core: the core of the platform and the head's host; any core if None.
        most: maximum number of workers.
    """
    with (
        tempfile.TemporaryDirectory(prefix="raydog-bench-") as place,
        lab(core, kind="real head", python=contender.python) as platform,
        platform.flowing(),
        ray_cluster(contender, platform.address, Path(place)) as cluster,
    ):
        config: dict[str, Any] = changed(yaml.safe_load(cluster.yaml.read_text(encoding="utf-8")), most)
        cluster.yaml.write_text(yaml.safe_dump(config))
        cluster.ray("up", "-y", "--no-config-cache")
        address = platform.executing()[0]["ip"]
        yield platform, address, ssh(platform.address.ssh_key, address)


@contextmanager
def real_head(
    contender: Contender, cores: Cores, most: int
) -> Iterator[tuple[Lab, TagServer, DriverProcess, dict[str, Any]]]:
    """Start a head. Yields the platform, the tag server, the provider's process, and the head's configuration."""
    with (
        head_without_ray(contender, cores.platform, most) as (platform, address, login),
        tempfile.TemporaryDirectory(prefix="raydog-bench-") as place,
    ):
        _carry(login)
        config = _with_key_of_the_head(login)
        command = [*login, f"cd bench && exec {_PYTHON} -m benchmarks.driver"]
        with driver_by(command, Path(place)) as provider:
            environment = _environment(login)
            provider.do("prepare", environment=environment, core=cores.provider)
            yield platform, TagServer(address, TAG_PORT), provider, config


def _with_key_of_the_head(login: list[str]) -> dict[str, Any]:
    """The configuration on the head, with the path of the SSH key on the head.

    Outside Ray's monitor, the published package uses the user's own path, which does not exist on the head.
    """
    config_text = subprocess.run([*login, f"cat {CONFIG_FILE}"], check=True, capture_output=True).stdout
    config: dict[str, Any] = json.loads(config_text)
    for auth in (config["auth"], config["provider"]["auth"]):
        auth["ssh_private_key"] = _KEY
    subprocess.run([*login, f"cat > {CONFIG_FILE}"], input=json.dumps(config).encode(), check=True)
    return config


def _environment(login: list[str]) -> dict[str, str]:
    """Environment of the head's task, which Ray's monitor inherits."""
    read = "tr '\\0' '\\n' < /proc/$(pgrep -x sleep | head -1)/environ"
    lines = subprocess.run([*login, read], check=True, capture_output=True, text=True).stdout.splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _carry(login: list[str]) -> None:
    """Copy the driver, and the test modules that it imports, to the head."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in _CARRIED:
            tar.add(REPOSITORY / name, name)
    subprocess.run([*login, "mkdir -p bench && tar -C bench -xf -"], input=archive.getvalue(), check=True)
