import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result
from yellowdog_client.model import (
    ComputeRequirementTemplateUsage,
    ProvisionedWorkerPoolProperties,
    RunSpecification,
    TaskGroup,
    WorkRequirement,
)

from raydog_cli.main import app
from tests.own_machines import configured_pool
from tests.yellowdog_ray.cluster_lab import BOOT, NODE_CONFIG, LabCluster, grow, make_head, make_launcher, request
from yellowdog_local import faults
from yellowdog_local.testing import RunningPlatform
from yellowdog_ray import names
from yellowdog_ray.clock import SystemClock
from yellowdog_ray.cluster.journal import Decision
from yellowdog_ray.cluster.published import VERSION, BackOffState, HeadState, NodeTypeState, Shape, encode, idle_end
from yellowdog_ray.config.node_config import NodeConfig
from yellowdog_ray.errors import RayDogError
from yellowdog_ray.platform.types import Counts, Placement, TaskGroupView, TaskPhase, WorkRequirementView

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)
OLD = NOW - timedelta(hours=1)
TAG = "demo-head-0a0b0c0d"

CPU = {"cpu": NodeTypeState(max_workers=10, resources={"CPU": 4.0}, alive=0, idle=0)}
GPUS = [Shape(resources={"GPU": 1.0}, count=7)]
CPUS = [Shape(resources={"CPU": 1.0}, count=7)]


def make_work(
    name: str = "demo", id_: str = "w", status: str = "RUNNING", live: int = 0, created: datetime = OLD, tag: str = TAG
) -> WorkRequirementView:
    """A cluster's work requirement, with a head's task group only."""
    head = TaskGroupView("g", "head", tag, None, Counts({TaskPhase.EXECUTING: live}), Placement((tag,), ("demo",)))
    return WorkRequirementView(id_, name, status, status == "CANCELLED", status == "CANCELLING", created, (head,))


@pytest.fixture
def local(platform: RunningPlatform, in_a_users_folder: Path) -> RunningPlatform:
    """The stepped platform of a user who has a good key."""
    return platform


class Raydog:
    """The installed command."""

    def run(self, *arguments: str, answer: str | None = None) -> Result:
        return CliRunner().invoke(app, list(arguments), input=answer)

    def json(self, *arguments: str) -> dict[str, Any]:
        result = self.run(*arguments, "--json")
        shape = json.loads(result.stdout)
        assert shape["version"] == 1
        return dict(shape)


@pytest.fixture
def raydog() -> Raydog:
    return Raydog()


@pytest.fixture
def with_workers(local: RunningPlatform, make_cluster: Callable[..., LabCluster]) -> Callable[..., LabCluster]:
    """Makes a running cluster with workers, as the autoscaler on its head sees it."""

    def make(name: str = "demo", workers: int = 2, **provider: Any) -> LabCluster:
        laptop = make_cluster(name, **provider)
        make_head(laptop)
        local.advance(BOOT)
        work = laptop.find()
        assert work is not None
        cluster = make_cluster(name, on_head=True, pinned=work.id, **provider)
        cluster.refresh()
        if workers:
            grow(cluster, workers)
            local.advance(BOOT)
        return cluster

    return make


def add_strangers_work(local: RunningPlatform, name: str, group: str = "head", tag: str | None = None) -> str:
    """Another program's work requirement."""
    with local.client() as client:
        groups = [TaskGroup(name=group, tag=tag, runSpecification=RunSpecification(["bash"], workerTags=[f"{name}-a"]))]
        return str(client.work_client.add_work_requirement(WorkRequirement("demo", name, groups)).id)


def add_strangers_pool(local: RunningPlatform, name: str) -> str:
    """Another program's worker pool with one machine."""
    usage = ComputeRequirementTemplateUsage(
        templateId="demo/local", requirementNamespace="demo", requirementName=name, targetInstanceCount=1
    )
    with local.client() as client:
        properties = ProvisionedWorkerPoolProperties(workerTag=name)
        return str(client.worker_pool_client.provision_worker_pool(usage, properties).id)


@pytest.fixture
def in_step(local: RunningPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command's waiting lets the platform's time pass."""
    monkeypatch.setattr(SystemClock, "sleep", lambda _, seconds: local.advance(seconds))


@pytest.fixture
def with_failed_worker(local: RunningPlatform, with_workers: Callable[..., LabCluster]) -> str:
    """A cluster one of whose workers failed; returns the worker's id."""
    cluster = with_workers("demo", 0, cluster_lifetime_hours=24)
    with local.faults.during(faults.TaskExits(task="cpu-*", exit_code=3)):
        (worker,) = grow(cluster, 1)
        local.advance(60)
    return worker


def publish(cluster: LabCluster, *decisions: Decision, **fields: Any) -> HeadState:
    """A state as the head of a cluster publishes it."""
    head_pool = cluster.groups[0].worker_tag
    cluster.find()  # the answer shows the platform's time
    now = cluster.platform.clock.now()
    head = names.head_id(names.token_of(head_pool))
    state = HeadState(version=VERSION, cluster=cluster.name, head=head, at=now, started=now, **fields)
    text = encode(state, decisions, 0)
    name = names.new_state_name(names.token_of(head_pool), idle_end(state))
    created = cluster.platform.create_document(name, names.state_tag(head_pool), text)
    cluster.platform.cancel_work_requirement(created)
    return state


class Scene:
    """A running cluster of one head, and ways to plant what keeps it from growing or shrinking."""

    def __init__(self, local: RunningPlatform, cluster: LabCluster) -> None:
        self.local = local
        self.cluster = cluster

    def fault(self, rule: Any) -> AbstractContextManager[None]:
        return self.local.faults.during(rule)

    def client(self) -> Any:
        return self.local.client()

    def workers(self, count: int = 2, seconds: float = BOOT) -> list[str]:
        ids = grow(self.cluster, count)
        self.local.advance(seconds)
        self.cluster.refresh()
        return ids

    def own_workers(self, machines: int, **fields: Any) -> None:
        """Two workers on a configured pool with so many machines."""
        configured_pool(self.local, machines, **fields)
        make_launcher(self.cluster).launch(request(2, "cpu", NodeConfig(worker_pool="demo/own")))
        self.local.advance(BOOT)

    def publish_failure(self, node_config: NodeConfig = NODE_CONFIG) -> None:
        """Launch, as Ray's autoscaler would, and publish the back-off that follows."""
        launcher = make_launcher(self.cluster)
        with pytest.raises(RayDogError):
            launcher.launch(request(1, "cpu", node_config))
        now = self.cluster.platform.clock.now()
        publish(
            self.cluster,
            demand=CPUS,
            node_types=CPU,
            back_offs=[
                BackOffState(
                    node_type=each.node_type,
                    code=each.reason.code,
                    reason=str(each.reason),
                    failures=each.failures,
                    until=now + timedelta(seconds=each.left),
                )
                for each in launcher.backoff.failing()
            ],
        )


@pytest.fixture
def scene(local: RunningPlatform, with_workers: Callable[..., LabCluster]) -> Scene:
    return Scene(local, with_workers("demo", 0, cluster_lifetime_hours=24))
