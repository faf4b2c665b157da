"""Templates and other resources with YellowDog's own command line; refusals of uncovered calls."""

from __future__ import annotations

import copy
import re
from typing import Any

from yellowdog_client import PlatformClient
from yellowdog_client.model import (
    AllowanceSearch,
    ComputeRequirementDynamicTemplate,
    ComputeSourceTemplate,
    KeyringSearch,
    NamespaceSearch,
    StringAttributePreference,
)

from tests.official_cli.command_line import OfficialCli
from yellowdog_local.testing import RunningPlatform

RESOURCES: list[dict[str, Any]] = [
    {"resource": "Namespace", "name": "extra"},
    {"resource": "Keyring", "name": "ring", "description": "mine"},
    {
        "resource": "ComputeSourceTemplate",
        "namespace": "demo",
        "description": "boots at once",
        "source": {
            "type": "co.yellowdog.platform.model.SimulatorComputeSource",
            "name": "quick",
            "instanceStartupTimeSeconds": 0,
        },
    },
    {
        "resource": "ComputeRequirementTemplate",
        "namespace": "demo",
        "name": "quick",
        "type": "co.yellowdog.platform.model.ComputeRequirementStaticTemplate",
        "strategyType": "co.yellowdog.platform.model.SingleSourceProvisionStrategy",
        "sources": [{"sourceTemplateId": "quick"}],
    },
    {
        "resource": "MachineImageFamily",
        "namespace": "demo",
        "name": "ubuntu",
        "osType": "LINUX",
        "imageGroups": [
            {
                "name": "v1",
                "osType": "LINUX",
                "images": [{"name": "one", "provider": "AWS", "providerImageId": "ami-1", "osType": "LINUX"}],
            }
        ],
    },
    {"resource": "StringAttributeDefinition", "name": "user.zone", "title": "Zone"},
    {"resource": "NamespacePolicy", "namespace": "demo", "autoscalingMaxNodes": 5},
    {
        "resource": "Allowance",
        "type": "co.yellowdog.platform.model.AccountAllowance",
        "description": "all",
        "allowedHours": 10,
        "effectiveFrom": "2026-01-01",
        "resetType": "NONE",
        "limitEnforcement": "SOFT",
        "monitoredStatuses": ["RUNNING"],
    },
]
KINDS = [str(resource["resource"]) for resource in RESOURCES]


def source(client: PlatformClient) -> ComputeSourceTemplate:
    return client.compute_client.get_compute_source_template_by_name("demo", "quick")


def test_resources_are_created_updated_and_removed(client: PlatformClient, yd: OfficialCli) -> None:
    specification = yd.file("resources.json", RESOURCES)
    created = yd.run("yd-create", "--yes", "--json", specification).json
    assert {(entry["resource"], entry["action"]) for entry in created} >= {(kind, "created") for kind in KINDS}
    assert source(client).source.instanceStartupTimeSeconds == 0  # type: ignore[attr-defined]
    template = client.compute_client.get_compute_requirement_template_by_name("demo", "quick")
    assert [usage.sourceTemplateId for usage in template.sources] == [source(client).id]  # type: ignore[attr-defined]
    (group,) = client.images_client.get_image_family_by_name("demo", "ubuntu").imageGroups
    assert [image.providerImageId for image in group.images] == ["ami-1"]
    assert client.namespaces_client.get_namespace_policy("demo").autoscalingMaxNodes == 5
    assert [ring.name for ring in client.keyring_client.get_keyrings(KeyringSearch()).list_all()] == ["ring"]

    changed = copy.deepcopy(RESOURCES[2])
    changed["source"]["instanceStartupTimeSeconds"] = 9
    assert yd.act("yd-create", yd.file("changed.json", [changed]))["action"] == "updated"
    assert source(client).source.instanceStartupTimeSeconds == 9  # type: ignore[attr-defined]

    (allowance,) = client.allowances_client.get_allowances(AllowanceSearch()).list_all()
    assert yd.act("yd-boost", "5", str(allowance.id))["outcome"] == "boosted"
    assert client.allowances_client.get_allowance(allowance).remainingHours == 15

    removed = yd.run("yd-remove", "--yes", "--json", "--match-allowances-by-description", specification).json
    assert {(entry["resource"], entry["action"]) for entry in removed} >= {(kind, "removed") for kind in KINDS}
    assert [t.name for t in client.compute_client.find_all_compute_source_templates()] == ["local"]
    assert [t.name for t in client.compute_client.find_all_compute_requirement_templates()] == ["local"]
    assert [n.namespace for n in client.namespaces_client.get_namespaces(NamespaceSearch()).list_all()] == ["demo"]
    assert client.allowances_client.get_allowances(AllowanceSearch()).list_all() == []


def test_application_is_shown_and_the_doctor_finds_no_problem(local: RunningPlatform, yd: OfficialCli) -> None:
    application = yd.run("yd-application", "--json").json
    assert (application["name"], application["accountName"]) == ("local", "local")
    checks = {check["check"]: check["status"] for check in yd.run("yd-doctor", "--json").json}
    assert (checks["Authenticated"], checks["Groups and roles"], checks["Namespace granted"]) == ("OK", "OK", "OK")


def test_wrong_key_is_reported_by_the_command_line(yd: OfficialCli) -> None:
    failed = yd.run("yd-list", "--secret", "wrong", "work-requirements", exit_code=4)
    assert "Your Application Key ID and SECRET are not recognised" in failed.err


def test_cloud_information_is_refused_as_not_covered(yd: OfficialCli) -> None:
    failed = yd.run("yd-cloud-info", "regions", exit_code=1)
    assert "is not covered by the local platform" in " ".join(failed.err.split())


def test_report_of_a_dynamic_template_lists_its_sources_in_order(client: PlatformClient, yd: OfficialCli) -> None:
    fast_first = StringAttributePreference("source.name", preferredValues=["quick"])
    template = ComputeRequirementDynamicTemplate(
        "dynamic", "co.yellowdog.platform.model.WaterfallProvisionStrategy", "demo", preferences=[fast_first]
    )
    client.compute_client.add_compute_requirement_template(template)
    yd.run("yd-create", "--yes", yd.file("source.json", [RESOURCES[2]]))
    wanted = ("--property", 'workerPool.templateId="demo/dynamic"')
    report = yd.run("yd-instantiate", "--report", *wanted).out
    assert re.findall(r"│ +(\d) │ +(\d) │.*│ (\w+) +│\n", report) == [("1", "1", "quick"), ("2", "2", "local")]
