"""A Ray cluster on real hosts, driven by a contender's own `ray` command."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.contenders import PUBLISHED, REPOSITORY, Contender, Failed
from benchmarks.lab import TEMPLATE, Address

CLUSTER = "bench"
USER_YAML = REPOSITORY / "tests/e2e/existing_user.yaml"
"""A YAML for the published package, which has no default task scripts."""

_COMMAND_SECONDS = 150.0

_WHEN = """
import glob, os, sys, time
began = time.time() - float(open("/proc/uptime").read().split()[0])
found = []
for process in glob.glob("/proc/[0-9]*"):
    try:
        words = open(process + "/cmdline").read().split("\\0")
        ticks = int(open(process + "/stat").read().rsplit(")", 1)[1].split()[19])
    except OSError:
        continue
    if all(any(word.endswith(wanted) for word in words) for wanted in sys.argv[1:]):
        found.append(began + ticks / os.sysconf("SC_CLK_TCK"))
print(min(found))
"""


@dataclass(frozen=True)
class Command:
    """A completed `ray` command.

    Attributes:
        began: start time (seconds since the epoch).
        seconds: duration.
        lines: the printed lines, each with its time (seconds since the start).
    """

    began: float
    seconds: float
    lines: list[tuple[float, str]]

    @property
    def last_json(self) -> dict[str, Any]:
        """The last line that is a JSON object."""
        for _, line in reversed(self.lines):
            if line.startswith("{"):
                return dict(json.loads(line))
        raise Failed("the job printed no result: " + " / ".join(line for _, line in self.lines[-5:]))


@dataclass(frozen=True)
class RayCluster:
    """One cluster's YAML, and the environment of its commands."""

    contender: Contender
    yaml: Path
    env: dict[str, str]
    ssh_key: Path | None

    def ray(self, command: str, *arguments: str) -> Command:
        """Run `ray COMMAND yaml ARGUMENTS`.

        Raises:
            Failed: the exit code is not 0, or the command timed out.
        """
        began, started, lines = time.time(), time.monotonic(), []
        with subprocess.Popen(
            [str(self.contender.python.with_name("ray")), command, str(self.yaml), *arguments],
            cwd=self.yaml.parent,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            for line in process.stdout or ():
                lines.append((time.monotonic() - started, line.rstrip()))
                if time.monotonic() - started > _COMMAND_SECONDS:
                    process.kill()
        seconds = time.monotonic() - started
        if process.returncode != 0:
            errors = [line for _, line in lines if re.match(r"[\w.]+Error: ", line)] or [line for _, line in lines[-4:]]
            raise Failed(f"`ray {command}` ended with {process.returncode} after {seconds:.0f} s: {errors[-1][-300:]}")
        return Command(began, seconds, lines)

    def process_began(self, host: str, *endings: str) -> float:
        """Start time of a host's first process with arguments of these endings (seconds since the epoch)."""
        command = ssh(self.ssh_key, host)
        done = subprocess.run(
            [*command, "python3", "-", *endings], input=_WHEN, capture_output=True, text=True, check=True
        )
        return float(done.stdout)


def ssh(key: Path | None, host: str) -> list[str]:
    """The SSH command for a login to a host."""
    options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes")
    return ["ssh", "-F", "none", "-i", str(key), *(f"-o{option}" for option in options), f"yd-agent@{host}"]


@contextmanager
def ray_cluster(contender: Contender, address: Address, directory: Path) -> Iterator[RayCluster]:
    """A cluster's YAML and environment."""
    config = _config(contender, address)
    file = directory / "cluster.yaml"
    file.write_text(yaml.safe_dump(config))
    env = {name: value for name, value in os.environ.items() if not name.startswith(("YD_", "RAY_"))}
    env |= {
        "YD_API_URL": address.url,
        "YD_API_KEY_ID": address.key_id,
        "YD_API_KEY_SECRET": address.key_secret,
        "TMPDIR": str(directory),
        "RAY_USAGE_STATS_ENABLED": "0",
        "COLUMNS": "200",
        "PYTHONUNBUFFERED": "1",
    }
    yield RayCluster(contender, file, env, address.ssh_key)


def _config(contender: Contender, address: Address) -> dict[str, Any]:
    text = USER_YAML.read_text(encoding="utf-8").replace("SSH_KEY", str(address.ssh_key))
    config: dict[str, Any] = yaml.safe_load(text)
    config["cluster_name"] = CLUSTER
    config["idle_timeout_minutes"] = 5  # no idle termination during a measurement
    for node_type in config["available_node_types"].values():
        node_type["node_config"] = {"compute_requirement_template": TEMPLATE}
    if contender is not PUBLISHED:
        del config["provider"]["ray_head_node_task_script"], config["provider"]["ray_worker_node_task_script"]
    return config
