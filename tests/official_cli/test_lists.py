"""Every kind of entity with `yd-list` and `yd-show`, with the values printed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from yellowdog_client import PlatformClient
from yellowdog_client.model import (
    AccountAllowance,
    AllowanceLimitEnforcement,
    AllowanceResetType,
    ImageOsType,
    InstanceStatus,
    MachineImageFamily,
    NamespacePolicy,
    ProvisionedWorkerPool,
    RunSpecification,
    Task,
    TaskGroup,
    WorkRequirement,
)

from tests.official_cli.command_line import OfficialCli
from yellowdog_local.testing import RunningPlatform


@pytest.fixture
def populated(local: RunningPlatform, client: PlatformClient, pool: ProvisionedWorkerPool) -> RunningPlatform:
    """A platform with an entity of each kind."""
    group = TaskGroup("group", runSpecification=RunSpecification(["bash"], workerTags=["cpu"]))
    work = client.work_client.add_work_requirement(WorkRequirement("demo", "work", [group], tag="daily"))
    tasks = [Task(name=name, taskType="bash") for name in ("a", "b")]
    client.work_client.add_tasks_to_task_group_by_id(work.taskGroups[0].id, tasks)
    client.images_client.add_image_family(MachineImageFamily("demo", "ubuntu", ImageOsType.LINUX))
    client.keyring_client.add_keyring("ring", "mine")
    client.namespaces_client.save_namespace_policy(NamespacePolicy("demo", autoscalingMaxNodes=5))
    client.allowances_client.add_allowance(
        AccountAllowance(
            effectiveFrom=datetime(2026, 1, 1, tzinfo=timezone.utc),
            resetType=AllowanceResetType.NONE,
            limitEnforcement=AllowanceLimitEnforcement.SOFT,
            monitoredStatuses=[InstanceStatus.RUNNING],
            allowedHours=10,
        )
    )
    return local


Shown = Callable[[dict[str, Any]], Any]
# What is listed of each kind, and which of its values are compared.
LISTED: dict[str, tuple[Shown, list[Any]]] = {
    "allowances": (lambda it: (it["allowedHours"], it["limitEnforcement"]), [(10, "SOFT")]),
    "applications": (lambda it: it["name"], ["local"]),
    "attribute-definitions": (lambda it: it, []),
    "compute-requirement-templates": (lambda it: (it["namespace"], it["name"]), [("demo", "local")]),
    "compute-requirements": (lambda it: (it["name"], it["status"], it["tag"]), [("pool", "RUNNING", "daily")]),
    "compute-source-templates": (lambda it: (it["namespace"], it["name"]), [("demo", "local")]),
    "groups": (lambda it: it["name"], ["administrators"]),
    "image-families": (lambda it: (it["name"], it["osType"]), [("ubuntu", "LINUX")]),
    "instances": (lambda it: (it["id"]["instanceId"], it["status"]), [("i-sim-1", "RUNNING")]),
    "keyrings": (lambda it: (it["name"], it["description"]), [("ring", "mine")]),
    "namespace-policies": (lambda it: (it["namespace"], it["autoscalingMaxNodes"]), [("demo", 5)]),
    "namespaces": (lambda it: it["namespace"], ["demo"]),
    "nodes": (lambda it: (it["details"]["instanceId"], it["status"]), [("i-sim-1", "RUNNING")]),
    "permissions": (lambda it: it["name"].startswith("ACCOUNT_USER"), [True, True]),
    "roles": (lambda it: it["name"], ["administrator"]),
    "task-groups": (lambda it: (it["name"], it["taskSummary"]["taskCount"]), [("group", 2)]),
    "tasks": (lambda it: (it["name"], it["status"]), [("a", "EXECUTING"), ("b", "READY")]),
    "users": (lambda it: it, []),
    "work-requirements": (lambda it: (it["name"], it["status"], it["tag"]), [("work", "RUNNING", "daily")]),
    "worker-pools": (lambda it: (it["name"], it["status"]), [("pool", "RUNNING")]),
    "workers": (lambda it: it["status"], ["RUNNING"]),
}
# Lists of which one is enough to see: asked for by name.
NARROWED = {"permissions": ("--name", "ACCOUNT_USER_*")}


# Not a platform for each kind, and not all kinds in one long test.
@pytest.mark.parametrize("kinds", [list(LISTED)[:7], list(LISTED)[7:14], list(LISTED)[14:]], ids=["A-E", "G-P", "R-W"])
def test_list_shows_every_kind_with_its_values(populated: RunningPlatform, yd: OfficialCli, kinds: list[str]) -> None:
    for kind in kinds:
        shown, expected = LISTED[kind]
        answer = yd.run("yd-list", "--json", "--tag", "", *NARROWED.get(kind, ()), kind)
        found = [shown(entry) for entry in answer.json] if answer.out.strip() else []
        assert found == expected, kind


def test_every_kind_has_a_case(yd: OfficialCli) -> None:
    output = " ".join(yd.run("yd-list", "--help").out.split())
    kinds = output.split("Valid types: ")[1].split(" options:")[0]
    assert {word.strip(" ,") for word in kinds.split() if not word.startswith("(")} == set(LISTED)


def test_show_prints_an_entity_by_its_id(populated: RunningPlatform, yd: OfficialCli) -> None:
    store = populated.platform.store
    records = (store.pools, store.nodes, store.works, store.tasks, store.requirements)
    ids = [str(record.entity.id) for kind in records for record in kind.values()]
    shown = yd.run("yd-show", *ids, "--quiet").json
    assert [entry["id"] for entry in shown] == ids
    assert [entry["status"] for entry in shown] == ["RUNNING"] * 3 + ["EXECUTING", "READY", "RUNNING"]
