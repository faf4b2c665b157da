"""The overview of a platform: its counts, and its errors without an answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from yellowdog_client.model import (
    ComputeRequirementTemplateUsage,
    RunSpecification,
    Task,
    TaskGroup,
    WorkRequirement,
)

from tests.simulation.lab import BOOT_SECONDS
from yellowdog_local.cli.overview import OverviewReader
from yellowdog_local.service.directory import ApiKey, LocalPlatformError
from yellowdog_local.state.clock import SteppedClock
from yellowdog_local.testing import RunningPlatform, local_platform


@pytest.fixture
def local() -> Iterator[RunningPlatform]:
    with local_platform(clock=SteppedClock()) as running:
        yield running


@pytest.fixture
def reader(local: RunningPlatform) -> OverviewReader:
    return OverviewReader(local.url, ApiKey(local.key_id, local.key_secret))


def test_overview_is_empty_for_a_fresh_platform(reader: OverviewReader) -> None:
    seen = reader.read()

    assert (seen.hosts, seen.pools, seen.nodes, seen.tasks, seen.running, seen.groups) == ([], [], {}, {}, [], [])
    assert (seen.calls, seen.faults) == (0, 0)
    assert seen.time.startswith("2026-01-01T00:00:00")


def test_overview_counts_hosts_pools_nodes_and_tasks(local: RunningPlatform, reader: OverviewReader) -> None:
    with local.client() as client:
        for name in ("pool", "ended"):
            usage = ComputeRequirementTemplateUsage(
                templateId="demo/local", requirementNamespace="demo", requirementName=name, targetInstanceCount=2
            )
            pool = client.worker_pool_client.provision_worker_pool(usage)
        local.advance(BOOT_SECONDS)
        client.worker_pool_client.shutdown_worker_pool(pool)
        group = TaskGroup(name="group", runSpecification=RunSpecification(["bash"]), finishIfAllTasksFinished=False)
        work = client.work_client.add_work_requirement(WorkRequirement("demo", "work", [group]))
        tasks = [Task(name=name, taskType="bash") for name in ("one", "two", "three")]
        client.work_client.add_tasks_to_task_group_by_id(work.taskGroups[0].id, tasks)
    seen = reader.read()

    assert [host["status"] for host in seen.hosts] == ["RUNNING", "RUNNING"]
    assert [(p["name"], p["status"], p["nodes"], p["working"]) for p in seen.pools] == [("pool", "RUNNING", 2, 2)]
    assert seen.nodes == {"RUNNING": 2, "TERMINATED": 2}
    assert seen.tasks == {"EXECUTING": 2, "READY": 1}
    assert [(task["name"], task["host"]) for task in seen.running] == [
        ("one", seen.hosts[0]["instance"]),
        ("two", seen.hosts[1]["instance"]),
    ]
    assert [node["tasks"] for node in seen.live_nodes] == [["one"], ["two"]]
    assert seen.groups == [
        {"work": "work", "group": "group", "status": "RUNNING", "tasks": {"EXECUTING": 2, "READY": 1}}
    ]
    assert seen.calls == 5


def test_read_fails_when_the_platform_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    made = OverviewReader("http://platform", ApiKey("id", "secret"))

    def request(*_words: Any, **_options: Any) -> None:
        raise requests.ConnectTimeout

    monkeypatch.setattr(made._client._session, "request", request)
    with pytest.raises(LocalPlatformError, match=r"http://platform does not answer \(ConnectTimeout\)"):
        made.read()


def test_read_fails_without_showing_the_secret_when_refused(local: RunningPlatform) -> None:
    made = OverviewReader(local.url, ApiKey("id", "geheim"))

    with pytest.raises(LocalPlatformError, match="refused GET /admin/overview: 401 Unauthorized") as caught:
        made.read()
    assert "geheim" not in str(caught.value)
