"""Compute requirements and templates over the SDK."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
import requests
from yellowdog_client import PlatformClient
from yellowdog_client.model import (
    AutoShutdown,
    AwsFleetComputeSource,
    AwsFleetPurchaseOption,
    AwsInstancesComputeSource,
    AzureInstancesComputeSource,
    ComputeRequirement,
    ComputeRequirementSearch,
    ComputeRequirementStaticTemplate,
    ComputeRequirementStaticTemplateTestResult,
    ComputeRequirementStatus,
    ComputeRequirementTemplateUsage,
    ComputeSource,
    ComputeSourceTemplate,
    ComputeSourceTraits,
    ComputeSourceUsage,
    GceInstancesComputeSource,
    Instance,
    InstancePricing,
    InstanceSearch,
    InstanceStatus,
    OciInstancesComputeSource,
    SimulatorComputeSource,
    SingleSourceProvisionStrategy,
    SortDirection,
)
from yellowdog_client.model.exceptions import InvalidRequestException

from tests.contract.examples import filled, leaves
from tests.contract.test_sdk import START, provision
from yellowdog_local.testing import RunningPlatform

SPLIT = "co.yellowdog.platform.model.SplitProvisionStrategy"
# What clouds call the size of a machine.
SIZES = ("instanceType", "vmSize", "machineType", "shape")
RUNNING, STOPPED = ComputeRequirementStatus.RUNNING, ComputeRequirementStatus.STOPPED


def usage(name: str = "cr", count: int = 2, **fields: object) -> ComputeRequirementTemplateUsage:
    return ComputeRequirementTemplateUsage(
        templateId="demo/local",
        requirementNamespace="demo",
        requirementName=name,
        targetInstanceCount=count,
        **fields,  # type: ignore[arg-type]
    )


def provisioned(local: RunningPlatform, client: PlatformClient, **fields: object) -> ComputeRequirement:
    made = client.compute_client.provision_compute_requirement_template(usage(**fields))  # type: ignore[arg-type]
    local.advance(2)
    return client.compute_client.get_compute_requirement(made)


def instances(client: PlatformClient, requirement: ComputeRequirement) -> list[Instance]:
    return client.compute_client.get_instances(InstanceSearch(computeRequirementId=requirement.id)).list_all()


def statuses(client: PlatformClient, requirement: ComputeRequirement) -> list[InstanceStatus]:
    return [instance.status for instance in instances(client, requirement)]


def test_template_is_provisioned_into_a_running_requirement(local: RunningPlatform, client: PlatformClient) -> None:
    made = client.compute_client.provision_compute_requirement_template(usage(requirementTag="mine"))
    assert (made.status, made.nextStatus) == (ComputeRequirementStatus.PROVISIONING, RUNNING)
    assert client.compute_client.is_compute_requirement_updating(made)
    local.advance(2)
    requirement = client.compute_client.get_compute_requirement_by_name("demo", "cr")
    assert (requirement.status, requirement.nextStatus, requirement.tag) == (RUNNING, None, "mine")
    assert (requirement.targetInstanceCount, requirement.expectedInstanceCount) == (2, 2)
    assert requirement.provisionStrategy.sources[0].createdFromId.startswith("ydid:cst:")
    assert not client.compute_client.is_compute_requirement_updating(requirement)


def test_testing_a_template_creates_nothing(client: PlatformClient) -> None:
    result = client.compute_client.test_compute_requirement_template(usage(count=7))
    assert isinstance(result, ComputeRequirementStaticTemplateTestResult)
    assert (result.computeRequirement.name, result.computeRequirement.targetInstanceCount) == ("cr", 7)
    assert [source.name for source in result.computeRequirement.provisionStrategy.sources] == ["local"]
    assert client.compute_client.get_compute_requirements(ComputeRequirementSearch()).list_all() == []


def test_requirement_is_created_without_a_template(local: RunningPlatform, client: PlatformClient) -> None:
    source = SimulatorComputeSource(name="own", instanceStartupTimeSeconds=1)
    entity = ComputeRequirement("demo", "own", SingleSourceProvisionStrategy([source]), targetInstanceCount=1)
    made = client.compute_client.add_compute_requirement(entity)
    assert made.id.startswith("ydid:compreq:")
    assert made.provisionStrategy.sources[0].id == made.id.replace("compreq", "compsrc") + ":1"
    local.advance(1)
    assert statuses(client, made) == [InstanceStatus.RUNNING]
    with pytest.raises(InvalidRequestException, match="already exists"):
        client.compute_client.add_compute_requirement(entity)


def test_changed_target_boots_missing_instances_or_terminates_the_newest(
    local: RunningPlatform, client: PlatformClient
) -> None:
    requirement = provisioned(local, client)
    requirement.targetInstanceCount, requirement.tag = 3, "changed"
    requirement = client.compute_client.update_compute_requirement(requirement)
    assert (requirement.status, requirement.tag) == (ComputeRequirementStatus.PROVISIONING, "changed")
    local.advance(2)
    assert statuses(client, requirement) == [InstanceStatus.RUNNING] * 3
    requirement.targetInstanceCount = 1
    requirement = client.compute_client.update_compute_requirement(requirement)
    assert statuses(client, requirement) == [InstanceStatus.RUNNING] + [InstanceStatus.TERMINATED] * 2
    assert (requirement.status, requirement.expectedInstanceCount) == (RUNNING, 1)


def test_reprovisioning_restores_the_number_of_instances(local: RunningPlatform, client: PlatformClient) -> None:
    requirement = provisioned(local, client)
    first, _ = instances(client, requirement)
    client.compute_client.terminate_instances(requirement, [first])
    requirement = client.compute_client.get_compute_requirement(requirement)
    assert (requirement.status, requirement.targetInstanceCount, requirement.expectedInstanceCount) == (RUNNING, 2, 1)
    client.compute_client.reprovision_compute_requirement(requirement)
    local.advance(2)
    assert statuses(client, requirement).count(InstanceStatus.RUNNING) == 2
    _, second, third = instances(client, requirement)
    client.compute_client.deprovision_instances(requirement, [second])
    requirement = client.compute_client.get_compute_requirement(requirement)
    assert (requirement.targetInstanceCount, requirement.expectedInstanceCount) == (1, 1)
    client.compute_client.terminate_instances(requirement, [third])
    requirement = client.compute_client.get_compute_requirement(requirement)
    client.compute_client.update_compute_requirement(requirement, reprovision=True)
    local.advance(2)
    assert statuses(client, requirement).count(InstanceStatus.RUNNING) == 1


def test_maintained_requirement_replaces_lost_instances(local: RunningPlatform, client: PlatformClient) -> None:
    requirement = provisioned(local, client, maintainInstanceCount=True)
    client.compute_client.terminate_instances(requirement, instances(client, requirement)[:1])
    local.advance(3)
    assert statuses(client, requirement).count(InstanceStatus.RUNNING) == 2


def test_requirement_is_stopped_and_started_as_a_whole(local: RunningPlatform, client: PlatformClient) -> None:
    requirement = provisioned(local, client)
    assert requirement.supportedOperations.canStopStart
    before = [instance.id.instanceId for instance in instances(client, requirement)]
    assert client.compute_client.stop_compute_requirement(requirement).status is STOPPED
    assert statuses(client, requirement) == [InstanceStatus.STOPPED] * 2
    assert local.hosts.instance_ids == []  # type: ignore[attr-defined]
    starting = client.compute_client.start_compute_requirement(requirement)
    assert (starting.status, starting.nextStatus) == (ComputeRequirementStatus.STARTING, RUNNING)
    local.advance(2)
    assert client.compute_client.get_compute_requirement(requirement).status is RUNNING
    assert [instance.id.instanceId for instance in instances(client, requirement)] == before


def test_single_instances_are_stopped_started_and_restarted(local: RunningPlatform, client: PlatformClient) -> None:
    requirement = provisioned(local, client)
    first, second = instances(client, requirement)
    client.compute_client.stop_instances(requirement, [first])
    client.compute_client.restart_instances(requirement, [second])
    assert statuses(client, requirement) == [InstanceStatus.STOPPED, InstanceStatus.PENDING]
    client.compute_client.start_instances(requirement, [first])
    local.advance(2)
    assert statuses(client, requirement) == [InstanceStatus.RUNNING] * 2
    client.compute_client.stop_instances(requirement, [first])
    client.compute_client.restart_instances(requirement, [first])
    local.advance(2)
    assert statuses(client, requirement) == [InstanceStatus.RUNNING] * 2


def test_stopped_requirement_is_terminated(local: RunningPlatform, client: PlatformClient) -> None:
    requirement = provisioned(local, client)
    client.compute_client.stop_compute_requirement(requirement)
    client.compute_client.terminate_compute_requirement(requirement)
    assert statuses(client, requirement) == [InstanceStatus.TERMINATED] * 2
    ended = client.compute_client.get_compute_requirement(requirement)
    assert ended.status is ComputeRequirementStatus.TERMINATED
    with pytest.raises(requests.HTTPError, match="InvalidComputeRequirementStatusException") as refused:
        client.compute_client.start_compute_requirement(requirement)
    assert refused.value.response.status_code == 403


def test_stopping_is_refused_for_the_requirement_of_a_pool(local: RunningPlatform, client: PlatformClient) -> None:
    pool = provision(client)
    with pytest.raises(requests.HTTPError, match="NotCoveredException"):
        client.compute_client.stop_compute_requirement_by_id(pool.computeRequirementId)


def test_auto_shutdown_terminates_a_requirement_on_time(local: RunningPlatform, client: PlatformClient) -> None:
    requirement = provisioned(local, client)
    wanted = AutoShutdown(enabled=True, timeout=timedelta(minutes=1))
    changed = client.compute_client.update_compute_requirement_auto_shutdown(requirement.id, wanted)
    assert changed.autoShutdownTime == START + timedelta(seconds=62)
    local.advance(59)
    assert client.compute_client.get_compute_requirement(requirement).status is RUNNING
    local.advance(1)
    ended = client.compute_client.get_compute_requirement(requirement)
    assert ended.status is ComputeRequirementStatus.TERMINATED


def test_auto_shutdown_can_be_cancelled(local: RunningPlatform, client: PlatformClient) -> None:
    shutdown = AutoShutdown(enabled=True, timeout=timedelta(minutes=1))
    requirement = provisioned(local, client, autoShutdown=shutdown)
    assert requirement.autoShutdownTime == START + timedelta(minutes=1)
    changed = client.compute_client.update_compute_requirement_auto_shutdown(requirement.id, None)
    assert (changed.autoShutdown, changed.autoShutdownTime) == (None, None)
    local.advance(600)
    assert client.compute_client.get_compute_requirement(requirement).status is RUNNING


def test_pool_follows_a_change_of_its_requirement(local: RunningPlatform, client: PlatformClient) -> None:
    pool = provision(client)
    local.advance(2)
    requirement = client.compute_client.get_compute_requirement_by_id(pool.computeRequirementId)
    requirement.targetInstanceCount = 3
    client.compute_client.update_compute_requirement(requirement)
    local.advance(2)
    assert client.worker_pool_client.get_worker_pool_by_id(pool.id).expectedNodeCount == 3
    requirement.targetInstanceCount = 1
    client.compute_client.update_compute_requirement(requirement)
    assert client.worker_pool_client.get_worker_pool_by_id(pool.id).expectedNodeCount == 1


def test_list_is_sorted_by_any_of_its_fields(local: RunningPlatform, client: PlatformClient) -> None:
    for name, count in (("b", 1), ("a", 3), ("c", 2), ("d", 0)):
        provisioned(local, client, name=name, count=count)
    by_name = ComputeRequirementSearch(sortField="name", sortDirection=SortDirection.DESCENDING)
    assert [r.name for r in client.compute_client.get_compute_requirements(by_name).list_all()] == ["d", "c", "b", "a"]
    by_size = ComputeRequirementSearch(sortField="targetInstanceCount")
    assert [r.name for r in client.compute_client.get_compute_requirements(by_size).list_all()] == ["d", "b", "c", "a"]
    with pytest.raises(InvalidRequestException, match="sortField 'beauty' is unknown"):
        client.compute_client.get_compute_requirements(ComputeRequirementSearch(sortField="beauty")).list_all()


def test_unknown_filter_is_refused_by_name(local: RunningPlatform) -> None:
    headers = {"Authorization": f"yd-key {local.key_id}:{local.key_secret}"}
    answer = httpx.get(f"{local.url}/compute/instances?colour=red", headers=headers)
    assert answer.status_code == 400
    assert answer.json()["message"] == "colour: no such filter in InstanceSearch"


def test_user_attributes_are_stored_by_name(local: RunningPlatform) -> None:
    headers = {"Authorization": f"yd-key {local.key_id}:{local.key_secret}"}
    attribute = {"type": "co.yellowdog.platform.model.StringAttributeDefinition", "name": "user.zone", "title": "Zone"}
    with httpx.Client(base_url=f"{local.url}/compute/attributes/", headers=headers) as http:
        assert http.post("user", json=attribute).status_code == 200
        again = http.post("user", json=attribute)
        assert (again.status_code, "Attribute already exists" in again.text) == (400, True)
        assert http.put("user", json={**attribute, "title": "Area"}).status_code == 200
        (kept,) = http.get("user").json()
        assert (kept["name"], kept["title"], kept["type"]) == ("user.zone", "Area", attribute["type"])
        assert http.delete("user/user.zone").status_code == 200
        assert http.get("user").json() == []
        assert http.delete("user/user.zone").status_code == 404


@pytest.mark.parametrize("kind", leaves(ComputeSource))
def test_source_of_every_cloud_is_provisioned_with_its_region_and_type(
    local: RunningPlatform, client: PlatformClient, kind: type[ComputeSource]
) -> None:
    lasting = {"failOnProvision": False, "unexpectedInstanceTerminationProbability": 0}
    source = filled(kind, name="source", limit=1, **lasting, **dict.fromkeys(SIZES, "big"))
    client.compute_client.add_compute_source_template(ComputeSourceTemplate(source=source, namespace="clouds"))
    template = ComputeRequirementStaticTemplate(
        "any", SPLIT, [ComputeSourceUsage("clouds/source", imageId="an-image")], namespace="clouds"
    )
    client.compute_client.add_compute_requirement_template(template)
    wanted = ComputeRequirementTemplateUsage("clouds/any", "cr", targetInstanceCount=1)
    made = client.compute_client.provision_compute_requirement_template(wanted)
    local.advance(60)
    (instance,) = instances(client, made)
    assert (instance.status, instance.instanceType, instance.imageId) == (InstanceStatus.RUNNING, "big", "an-image")
    assert (instance.region, instance.provider) == ("text", made.provisionStrategy.sources[0].provider)


PRICED: list[tuple[type[ComputeSource], dict[str, object], InstancePricing]] = [
    (SimulatorComputeSource, {}, InstancePricing.ON_DEMAND_ONLY),
    (AwsInstancesComputeSource, {"spot": True}, InstancePricing.SPOT_ONLY),
    (AwsInstancesComputeSource, {"spot": False}, InstancePricing.ON_DEMAND_ONLY),
    (AzureInstancesComputeSource, {"useSpot": True}, InstancePricing.SPOT_ONLY),
    (GceInstancesComputeSource, {"spot": False, "preemptible": False}, InstancePricing.ON_DEMAND_ONLY),
    (GceInstancesComputeSource, {"spot": False, "preemptible": True}, InstancePricing.SPOT_ONLY),
    (OciInstancesComputeSource, {"preemptible": True}, InstancePricing.SPOT_ONLY),
    (AwsFleetComputeSource, {"purchaseOption": AwsFleetPurchaseOption.SPOT_ONLY}, InstancePricing.SPOT_ONLY),
    (AwsFleetComputeSource, {"purchaseOption": AwsFleetPurchaseOption.CAPACITY_BLOCK}, InstancePricing.ON_DEMAND_ONLY),
    (
        AwsFleetComputeSource,
        {"purchaseOption": AwsFleetPurchaseOption.SPOT_THEN_ON_DEMAND},
        InstancePricing.SPOT_AND_ON_DEMAND,
    ),
]


class TestAssignedFields:
    """Fields that the platform assigns and returns, whatever a client sends."""

    @pytest.mark.parametrize(("kind", "fields", "pricing"), PRICED)
    def test_source_shows_its_pricing_provider_and_traits(
        self, client: PlatformClient, kind: type[ComputeSource], fields: dict[str, object], pricing: InstancePricing
    ) -> None:
        template = ComputeSourceTemplate(source=filled(kind, name="priced", **fields), namespace="demo")
        made = client.compute_client.add_compute_source_template(template)
        read = client.compute_client.get_compute_source_template(made.id)
        sent_back = client.compute_client.update_compute_source_template(read)
        sources = [one.source for one in (made, read, sent_back)]
        strategy = SingleSourceProvisionStrategy([filled(kind, name="priced", **fields)])
        requirement = client.compute_client.add_compute_requirement(ComputeRequirement("demo", "own", strategy))
        sources += requirement.provisionStrategy.sources
        cloud = kind.__name__[:3].upper()
        provider = {"SIM": None, "AWS": "AWS", "AZU": "AZURE", "GCE": "GOOGLE", "OCI": "OCI"}[cloud]
        for source in sources:
            assert source.instancePricing is pricing
            assert (source.provider and source.provider.name) == provider
            assert source.traits == ComputeSourceTraits(canStopStart=True, canRestart=True, canScaleOut=True)
            assert source.supportingResourceCreated is getattr(source, "reportSupportingResourcesExist", False)

    def test_seeded_source_template_shows_them(self, client: PlatformClient) -> None:
        source = client.compute_client.get_compute_source_template_by_name("demo", "local").source
        assert source.instancePricing is InstancePricing.ON_DEMAND_ONLY
        assert source.traits == ComputeSourceTraits(canStopStart=True, canRestart=True, canScaleOut=True)
        assert source.supportingResourceCreated is False

    def test_compute_requirement_names_its_creator(self, local: RunningPlatform, client: PlatformClient) -> None:
        pool = provision(client)
        creator = client.application_client.get_application_details().id
        assert creator
        assert provisioned(local, client).createdById == creator
        assert client.compute_client.get_compute_requirement_by_id(pool.computeRequirementId).createdById == creator
