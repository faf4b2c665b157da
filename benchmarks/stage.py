"""A cluster with a running head on simulated hosts, and its provider as on that head."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.simulation.config import CONFIG_FILE, cluster_config, node_type

from benchmarks import real_head
from benchmarks.contenders import RAYDOG, Contender, DriverProcess, driver
from benchmarks.lab import BOOT_SECONDS, TEMPLATE, Lab, lab
from benchmarks.machine import Cores
from benchmarks.valkey import TagServer, tag_server

CLUSTER = "bench"
HEAD_TAGS = {
    "ray-node-type": "head",
    "ray-user-node-type": "head",
    "ray-launch-config": "0" * 52,
    "ray-node-name": f"ray-{CLUSTER}-head",
    "ray-node-status": "uninitialized",
}
_LIFETIME_HOURS = 100.0
_TIMEOUT_SECONDS = 120.0
_MOST = 20_000
_READ_BY_RAY = (
    "RAY_CLOUD_INSTANCE_ID",
    "RAY_NODE_TYPE_NAME",
    "RAY_OVERRIDE_LABELS",
    "RAY_OVERRIDE_RESOURCES",
    "RAYDOG_ON_HEAD",
)
_DEFAULTS = {"RAY_NODE_TYPE_NAME": "", "RAY_OVERRIDE_LABELS": "{}", "RAY_OVERRIDE_RESOURCES": '{"CPU": 1}'}
"""Ray's defaults for a node whose task lacks these variables."""


@dataclass
class Stage:
    """One cluster and its provider.

    Attributes:
        contender: the package of the provider.
        lab: the platform.
        tags: the tag server.
        provider: the provider's process, on the head.
        config: the cluster's configuration on the head.
        config_file: path of that configuration.
    """

    contender: Contender
    lab: Lab
    tags: TagServer
    provider: DriverProcess
    config: dict[str, Any]
    config_file: str

    def grow(self, count: int) -> dict[str, Any]:
        """Launch workers with one request, and boot them."""
        figures: dict[str, Any] = self.provider.do("grow", count=count, **self.worker)
        self.boot()
        return figures

    def boot(self) -> None:
        """Advance time until every host has booted, then list twice."""
        self.lab.advance(BOOT_SECONDS + 1)
        self.join()
        self.provider.do("list")
        self.provider.do("list")

    def join(self) -> None:
        """Join a raylet for every node with an executing task."""
        tasks = self.lab.executing()
        for task in tasks:  # only the variables that Ray reads: the data passes through two pipes
            given = {key: text for key, text in task["environment"].items() if key in _READ_BY_RAY}
            task["environment"] = {**_DEFAULTS, "RAY_CLOUD_INSTANCE_ID": task["name"], **given}
        tasks[0]["environment"] |= {"RAYDOG_ON_HEAD": "1", "RAY_OVERRIDE_RESOURCES": '{"CPU": 0}'}
        self.provider.do("join", tasks=tasks)

    @property
    def worker(self) -> dict[str, Any]:
        """The worker's type, as arguments."""
        types = self.config["available_node_types"]
        (name,) = (name for name in types if name != self.config["head_node_type"])
        return {"node_type": name, "node_config": types[name]["node_config"]}

    def live(self) -> int:
        """Number of workers on the platform, including those with pending terminations."""
        return self.lab.live() - 1

    def wait_until_gone(self, *, listing: bool = False) -> float:
        """Wait until the platform has no worker.

        Args:
            listing: whether the provider lists during the wait, as in the autoscaler's loop.

        Returns:
            Duration of the longest listing (seconds).
        """
        deadline, longest = time.monotonic() + _TIMEOUT_SECONDS, 0.0
        while self.live() > 0:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.live()} workers are still live after {_TIMEOUT_SECONDS:.0f} s")
            if listing:
                longest = max(longest, self.provider.do("list")["seconds"])
            time.sleep(0.2)
        return longest


@contextmanager
def stage(contender: Contender, cores: Cores, *, constructs: bool = True, **environment: str) -> Iterator[Stage]:
    """Start a cluster's head, as `ray up` does, and its provider on the head.

    Args:
        contender: the package of the provider.
        cores: the cores of platform and provider.
        constructs: whether to construct the provider; Ray's autoscalers construct their own.
        environment: additional environment of the head's processes.
    """
    bring_up = _light_head if contender is RAYDOG else _real_head
    with bring_up(contender, cores, environment) as on:
        on.join()
        if constructs:
            on.provider.do("construct", provider=on.config["provider"], cluster=CLUSTER)
            on.provider.do("list")
        yield on


@contextmanager
def _real_head(contender: Contender, cores: Cores, environment: dict[str, str]) -> Iterator[Stage]:
    with real_head.real_head(contender, cores, _MOST) as (platform, tags, provider, config):
        provider.do("prepare", environment=environment, core=cores.provider)
        yield Stage(contender, platform, tags, provider, config, real_head.CONFIG_FILE)


@contextmanager
def _light_head(contender: Contender, cores: Cores, environment: dict[str, str]) -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="raydog-bench-") as place, lab(cores.platform) as platform:
        directory = Path(place)
        key = directory / "id_ed25519"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        address = platform.address
        account = {"YD_API_URL": address.url, "YD_API_KEY_ID": address.key_id, "YD_API_KEY_SECRET": address.key_secret}
        with tag_server() as tags:
            config = _config(key, tags.port)
            with driver(contender, account, directory, cores.provider) as laptop:
                config = _head_up(laptop, config)
            platform.advance(BOOT_SECONDS + 1)
            head = {**account, **platform.executing()[0]["environment"], **environment}
            file = directory / CONFIG_FILE
            file.write_text(json.dumps(config))
            with driver(contender, head, directory, cores.provider) as provider:
                yield Stage(contender, platform, tags, provider, config, str(file))


def _config(key: Path, tag_port: int) -> dict[str, Any]:
    config = cluster_config(CLUSTER, key, cluster_lifetime_hours=_LIFETIME_HOURS, max_workers=_MOST)
    config["provider"]["head_node_tag_server_port"] = tag_port
    config["available_node_types"] = {
        "head": node_type(resources={"CPU": 0}, max_workers=0),
        "worker": node_type(min_workers=0, max_workers=_MOST),
    }
    for kind in config["available_node_types"].values():
        kind["node_config"] = {"compute_requirement_template": TEMPLATE}
    return config


def _head_up(laptop: DriverProcess, config: dict[str, Any]) -> dict[str, Any]:
    config = laptop.do("bootstrap", config=config)
    laptop.do("construct", provider=config["provider"], cluster=CLUSTER)
    laptop.do("create_head", node_config=config["available_node_types"]["head"]["node_config"], tags=HEAD_TAGS)
    return config
