from __future__ import annotations

from typing import Any

import pytest
from yellowdog_client.model import (
    AwsFleetComputeSource,
    AwsFleetPurchaseOption,
    AwsInstancesComputeSource,
    AzureInstance,
    AzureInstancesComputeSource,
    AzureScaleSetComputeSource,
    CloudProvider,
    ComputeSource,
    GceInstanceGroupComputeSource,
    GceInstancesComputeSource,
    InstancePricing,
    OciInstancesComputeSource,
    SimulatorComputeSource,
)

from yellowdog_local.compute import clouds
from yellowdog_local.state.settings import Settings

AWS = AwsInstancesComputeSource("s", "c", "r", "sg", "c5.large", "ami", availabilityZone="r-a", spot=True)
AZURE = AzureInstancesComputeSource("s", "c", "r", "g", "n", "sub", "D2", "img", availabilityZone="1")
GCE = GceInstancesComputeSource("s", "c", "p", "r", "n1", "img", zone="r-b", spot=True)
OCI = OciInstancesComputeSource("s", "c", "r", "comp", "img", "E4", "sub", availabilityDomain="AD1", preemptible=True)
SIMULATOR = SimulatorComputeSource("s", instanceType="small", imageId="img")


@pytest.mark.parametrize(
    ("source", "fields"),
    [
        (AWS, (CloudProvider.AWS, "c5.large", "ami", "r-a", True)),
        (AZURE, (CloudProvider.AZURE, "D2", "img", "1", False)),
        (GCE, (CloudProvider.GOOGLE, "n1", "img", "r-b", True)),
        (OCI, (CloudProvider.OCI, "E4", "img", "AD1", True)),
        (SIMULATOR, (None, "small", "img", None, False)),
    ],
)
def test_source_fields_are_read_under_the_names_of_their_cloud(source: Any, fields: tuple[Any, ...]) -> None:
    read = (clouds.provider, clouds.instance_type, clouds.image, clouds.subregion, clouds.is_spot)
    assert tuple(get(source) for get in read) == fields


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (AwsInstancesComputeSource, "spot"),
        (AzureInstancesComputeSource, "useSpot"),
        (AzureScaleSetComputeSource, "useSpot"),
        (GceInstancesComputeSource, "spot"),
        (GceInstancesComputeSource, "preemptible"),
        (GceInstanceGroupComputeSource, "preemptible"),
        (OciInstancesComputeSource, "preemptible"),
    ],
)
def test_source_is_spot_by_the_field_of_its_cloud(kind: type[ComputeSource], field: str) -> None:
    source = object.__new__(kind)
    assert not clouds.is_spot(source)
    setattr(source, field, True)
    assert clouds.is_spot(source)


@pytest.mark.parametrize("option", AwsFleetPurchaseOption)
def test_fleet_is_spot_if_all_its_machines_are(option: AwsFleetPurchaseOption) -> None:
    fleet = AwsFleetComputeSource("s", "c", "r", "sg", "c5.large", "ami", option)
    assert clouds.is_spot(fleet) is (option is AwsFleetPurchaseOption.SPOT_ONLY)


@pytest.mark.parametrize(
    ("option", "pricing"),
    [
        (AwsFleetPurchaseOption.ON_DEMAND_ONLY, InstancePricing.ON_DEMAND_ONLY),
        (AwsFleetPurchaseOption.CAPACITY_BLOCK, InstancePricing.ON_DEMAND_ONLY),
        (AwsFleetPurchaseOption.SPOT_ONLY, InstancePricing.SPOT_ONLY),
        (AwsFleetPurchaseOption.SPOT_THEN_ON_DEMAND, InstancePricing.SPOT_AND_ON_DEMAND),
    ],
)
def test_pricing_of_a_fleet_follows_its_purchase_option(
    option: AwsFleetPurchaseOption, pricing: InstancePricing
) -> None:
    assert clouds.pricing(AwsFleetComputeSource("s", "c", "r", "sg", "c5.large", "ami", option)) is pricing


def test_pricing_of_other_sources_follows_their_spot_field() -> None:
    assert clouds.pricing(OCI) is InstancePricing.SPOT_ONLY
    assert clouds.pricing(AZURE) is InstancePricing.ON_DEMAND_ONLY


def test_assigned_fields_replace_those_of_the_client() -> None:
    source = SimulatorComputeSource("s", reportSupportingResourcesExist=True)
    source.provider, source.instancePricing = CloudProvider.OCI, InstancePricing.SPOT_ONLY
    clouds.set_assigned(source, can_stop=True, simulator_provider=CloudProvider.AWS)
    assert (source.provider, source.instancePricing) == (CloudProvider.AWS, InstancePricing.ON_DEMAND_ONLY)
    assert source.supportingResourceCreated
    assert source.traits == clouds.traits(can_stop=True)


def test_set_machine_leaves_omitted_values() -> None:
    source = GceInstancesComputeSource("s", "c", "p", "r", "n1", "img")
    clouds.set_machine(source, None, "other")
    assert (source.machineType, source.image) == ("n1", "other")
    clouds.set_machine(source, "n2", None)
    assert (source.machineType, source.image) == ("n2", "other")


def test_instance_has_the_kind_and_place_of_its_source() -> None:
    instance = clouds.instance_for(AZURE)
    assert type(instance) is AzureInstance
    assert (instance.instanceType, instance.region, instance.subregion) == ("D2", "r", "1")


@pytest.mark.parametrize(
    ("fields", "alive", "rooms"),
    [
        ({}, 3, (1_000_000_000 - 3, 1_000_000_000 - 3)),
        ({"limit": 5}, 3, (2, 2)),
        ({"limit": 5, "implicitCapacity": 4}, 3, (1, 2)),
        ({"limit": 5, "implicitCapacity": 0}, 0, (0, 5)),
        ({"limit": 2}, 3, (0, 0)),
    ],
)
def test_room_has_the_lower_limit_and_stated_room_the_own_one(
    fields: dict[str, Any], alive: int, rooms: tuple[int, int]
) -> None:
    source: ComputeSource = SimulatorComputeSource("s", **fields)
    assert (clouds.room(source, alive), clouds.stated_room(source, alive)) == rooms


def test_times_of_a_cloud_source_are_those_of_the_settings() -> None:
    settings = Settings(default_startup_seconds=7)
    assert (clouds.startup_time(AWS, settings), clouds.shutdown_time(AWS)) == ((7, 0.0), (0.0, 0.0))
    simulator = SimulatorComputeSource("s", instanceStartupTimeSeconds=3, instanceShutdownTimeVariance=0.5)
    assert (clouds.startup_time(simulator, settings), clouds.shutdown_time(simulator)) == ((3, 0), (0, 0.5))


def test_only_a_failing_simulated_source_has_a_refusal() -> None:
    assert clouds.refusal(AWS) is clouds.refusal(SIMULATOR) is None
    assert "failOnProvision" in (clouds.refusal(SimulatorComputeSource("s", failOnProvision=True)) or "")
