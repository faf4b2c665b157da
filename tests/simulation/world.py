"""A cluster under Ray's real autoscaler on a stepped platform, with a neighbour that nobody may touch.

`World.tick` is one round of Ray's monitor: time passes, raylets join and die, Ray decides, and what must hold always
is checked.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray.autoscaler._private.util import hash_launch_conf
from yellowdog_client.model import (
    ComputeRequirementStaticTemplate,
    ComputeSourceTemplate,
    ComputeSourceUsage,
    SimulatorComputeSource,
)

from tests.platform_time import PlatformTime
from tests.simulation.invariants import Invariants
from tests.simulation.ray_time import Threads
from tests.simulation.raylets import Demand, FakeGcs, RayCluster
from tests.simulation.v1 import V1
from tests.simulation.v2 import V2
from tests.simulation.wire import Wire
from yellowdog_local.faults.rules import parse
from yellowdog_local.state.records import InstanceRecord, TaskRecord, WorkRecord
from yellowdog_local.testing import RunningPlatform
from yellowdog_ray.commands.deliver import for_the_head
from yellowdog_ray.provider import RayDogNodeProvider

TICK_SECONDS = 5.0
"""Ray's AUTOSCALER_UPDATE_INTERVAL_S."""

BOOT_SECONDS = 8.0
"""More than one tick: nodes are pending for a while, as they really are."""

TEMPLATE = "demo/roomy"
CONFIG_FILE = "ray_bootstrap_config.yaml"


class HeadTime(PlatformTime):
    """The clock on the head, where nothing may sleep."""

    def sleep(self, seconds: float) -> None:
        pytest.fail(f"the provider would keep the autoscaler waiting for {seconds} s")


def add_roomy_template(local: RunningPlatform) -> None:
    """A template whose hosts take a while to boot, and of which there are plenty."""
    source = SimulatorComputeSource(name="roomy", instanceStartupTimeSeconds=int(BOOT_SECONDS), limit=10_000)
    with local.platform.locked():
        templates = local.platform.templates
        kept = templates.add_source(ComputeSourceTemplate(source=source, namespace="demo"))
        templates.add_requirement(
            ComputeRequirementStaticTemplate(
                name="roomy",
                strategyType="co.yellowdog.platform.model.SingleSourceProvisionStrategy",
                sources=[ComputeSourceUsage(sourceTemplateId=kept.id or "")],
                namespace="demo",
            )
        )


def node_type(**fields: Any) -> dict[str, Any]:
    """An entry of `available_node_types`."""
    return {"resources": {"CPU": 1}, "node_config": {"compute_requirement_template": TEMPLATE}, **fields}


def cluster_config(
    name: str,
    key: Path,
    cluster_lifetime_hours: float = 1.0,
    worker_node_build_timeout_minutes: float = 10.0,
    **changes: Any,
) -> dict[str, Any]:
    """A user's YAML, complete enough for Ray."""
    empty = ("setup_commands", "head_setup_commands", "worker_setup_commands", "cluster_synced_files")
    return {
        **{key: [] for key in (*empty, "initialization_commands", "worker_start_ray_commands")},
        "head_start_ray_commands": [],
        "file_mounts": {},
        "cluster_name": name,
        "max_workers": 300,
        "idle_timeout_minutes": 1,
        "provider": {
            "type": "external",
            "module": "yellowdog_ray.raydog.autoscaler.RayDogNodeProvider",
            "cluster_namespace": "demo",
            "cluster_lifetime_hours": cluster_lifetime_hours,
            "worker_node_build_timeout_minutes": worker_node_build_timeout_minutes,
            "head_node_tag_server_port": 1,  # nobody listens there: the tag store is absent
        },
        "auth": {"ssh_user": "yd-agent", "ssh_private_key": str(key)},
        "head_node_type": "head",
        "available_node_types": {
            "head": node_type(resources={"CPU": 0}, max_workers=0),
            "worker": node_type(min_workers=0, max_workers=300),
        },
        **changes,
    }


def head_up(config: dict[str, Any]) -> tuple[RayDogNodeProvider, dict[str, Any]]:
    """What `ray up` does as far as the platform sees it. Returns the laptop's provider and the completed YAML."""
    config = RayDogNodeProvider.bootstrap_config(copy.deepcopy(config))
    provider = RayDogNodeProvider(config["provider"], config["cluster_name"])
    node_config = config["available_node_types"]["head"]["node_config"]
    tags = {
        "ray-node-type": "head",
        "ray-user-node-type": "head",
        "ray-launch-config": hash_launch_conf(node_config, config["auth"]),
        "ray-node-name": f"ray-{config['cluster_name']}-head",
        "ray-node-status": "uninitialized",
    }
    provider.create_node(node_config, tags, 1)
    return provider, config


class World:
    """One cluster, from the head's point of view.

    Attributes:
        ray: Ray's side: raylets and load.
        wire: what was asked of the platform in the last tick.
        autoscaler: Ray's autoscaler, in its present life.
        told: the ids that the provider listed for Ray in the last tick; None if it could not.
    """

    def __init__(
        self,
        local: RunningPlatform,
        wire: Wire,
        threads: Threads,
        home: Path,
        kind: type[V1] | type[V2],
    ) -> None:
        self.local = local
        self.wire = wire
        self.ray = RayCluster(self.tasks, local.clock.now)
        self.gcs = FakeGcs(self.ray)
        self.name = ""
        self.told: set[str] | None = None
        self._threads = threads
        self._home = home
        self._kind = kind
        self._invariants = Invariants(self)

    def up(self, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
        """Bring the cluster's head up, and be inside it from then on."""
        self.name = config["cluster_name"]
        self._yaml = config
        monkeypatch.setenv("RAY_UP_enable_autoscaler_v2", "1" if self._kind is V2 else "0")
        _, config = head_up(config)
        self.local.advance(BOOT_SECONDS + 1)
        (self._home / "ray_bootstrap_key.pem").write_text("not a real key\n")
        self._send(config)
        environment = self.head.entity.environment or {}
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        self._kind.prepare(monkeypatch, environment)
        self._invariants.begin()
        self.restart_autoscaler()

    def up_again(self, **changes: Any) -> None:
        """Another `ray up`, with changes to the YAML, as far as the head sees it."""
        provider = {**self._yaml["provider"], **changes.pop("provider", {})}
        self._yaml = {**self._yaml, "provider": provider, **changes}
        self._send(RayDogNodeProvider.bootstrap_config(copy.deepcopy(self._yaml)))
        self.autoscaler.read_config()

    def _send(self, config: dict[str, Any]) -> None:
        """Put a completed YAML where Ray's autoscaler on the head reads it."""
        self.config = for_the_head(config)
        self.config["auth"]["ssh_private_key"] = str(self._home / "ray_bootstrap_key.pem")
        (self._home / CONFIG_FILE).write_text(json.dumps(self.config))

    def restart_autoscaler(self) -> None:
        """Begin another life of the autoscaler, which remembers nothing."""
        self.autoscaler = self._kind(self._home / CONFIG_FILE, self.gcs)
        listing = self.provider.non_terminated_nodes

        def tell(tag_filters: dict[str, str]) -> list[str]:
            ids = listing(tag_filters)
            self.told = set(ids)
            return ids

        self.provider.non_terminated_nodes = tell

    def die(self) -> None:
        """Let the autoscaler's process be gone with all its threads, and another life begin."""
        self._threads.abandon()
        self.restart_autoscaler()

    # What happens

    def want(self, *demands: Demand) -> None:
        """Let Ray's users want this, and nothing else."""
        self.ray.demands = list(demands)

    def want_cpus(self, count: int) -> None:
        """Let Ray's users want so many tasks of one CPU each."""
        self.want(*([Demand({"CPU": 1}, count)] if count else []))

    def tick(self, seconds: float = TICK_SECONDS) -> bool:
        """One round of Ray's monitor. Returns whether Ray could carry it out."""
        self.local.advance(seconds)
        self.ray.observe()
        self.wire.clear()
        self.told = None
        known = set(self.provider.side.cluster.snapshot.nodes)
        done = self.autoscaler.tick()
        self._threads.settle()
        self._invariants.check(known)
        return done

    def settle(self) -> None:
        """Wait for what was begun beside the loop."""
        self._threads.settle()
        self.local.advance()

    def ticks(self, count: int) -> None:
        """Several rounds, each of which Ray must be able to carry out."""
        for _ in range(count):
            assert self.tick()

    def grown_to(self, count: int) -> None:
        """A cluster of so many busy workers that have all joined."""
        self.want_cpus(count)
        self.ticks(4)
        assert len(self.ray.workers) == count

    def lose(self, node_id: str) -> None:
        """Let the instance that a node runs on die."""
        worker = self.task(node_id).worker
        assert worker is not None
        self.local.hosts.lose(worker.node.instance.id)

    def fault(self, kind: str, **fields: Any) -> str:
        """Put a fault of the platform in force. Returns its id."""
        return self.local.faults.add(parse({"kind": kind, **fields}))

    # What the platform holds

    @property
    def work(self) -> WorkRecord:
        """The cluster's work requirement."""
        return self.local.platform.store.work_by_name("demo", self.name)

    def tasks(self) -> Iterator[TaskRecord]:
        """The cluster's tasks, ended ones too."""
        for group in self.work.groups:
            yield from tuple(group.tasks.values())

    def task(self, node_id: str) -> TaskRecord:
        """A node's task."""
        return next(task for task in self.tasks() if task.entity.name == node_id)

    @property
    def head(self) -> TaskRecord:
        """The head's task."""
        return next(iter(self.work.groups[0].tasks.values()))

    @property
    def instances(self) -> list[InstanceRecord]:
        """The live instances of the cluster's workers."""
        return [instance for instance in self.all_instances if instance is not self._head_instance]

    @property
    def all_instances(self) -> list[InstanceRecord]:
        """The live instances of the cluster, the head's too."""
        tags = {tag for group in self.work.groups for tag in group.spec.workerTags or []}
        store = self.local.platform.store
        return [
            instance
            for pool in store.pools.values()
            if pool.name in tags
            for instance in pool.requirement.live.values()
        ]

    @property
    def _head_instance(self) -> InstanceRecord | None:
        worker = self.head.worker
        return worker.node.instance if worker else None

    # What Ray and the provider hold

    @property
    def provider(self) -> RayDogNodeProvider:
        """The node provider of the autoscaler's present life."""
        return self.autoscaler.provider

    def listed(self, name: str | None = None) -> set[str]:
        """Ids of the listed workers, or of those of one type."""
        nodes = self.provider.side.cluster.snapshot.nodes.values()
        return {node.id for node in nodes if not node.is_head and name in (None, node.node_type)}
