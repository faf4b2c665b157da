"""The fields of compute sources by cloud: provider, capacity, start-up time, kind of instance. No I/O, no state."""

from __future__ import annotations

from dataclasses import dataclass

from yellowdog_client.model import (
    AwsFleetComputeSource,
    AwsFleetPurchaseOption,
    AwsInstance,
    AzureInstance,
    CloudProvider,
    ComputeRequirementSupportedOperations,
    ComputeSource,
    ComputeSourceTraits,
    GceInstance,
    Instance,
    InstancePricing,
    OciInstance,
    SimulatorComputeSource,
    SimulatorInstance,
)

from yellowdog_local.state.settings import Settings

_UNLIMITED = 1_000_000_000


@dataclass(frozen=True)
class _Cloud:
    """The names that a cloud's sources give to common fields."""

    provider: CloudProvider | None
    instance: type[Instance]
    instance_type: str
    image: str
    subregion: str


_CLOUDS = {
    "Aws": _Cloud(CloudProvider.AWS, AwsInstance, "instanceType", "imageId", "availabilityZone"),
    "Azure": _Cloud(CloudProvider.AZURE, AzureInstance, "vmSize", "imageId", "availabilityZone"),
    "Gce": _Cloud(CloudProvider.GOOGLE, GceInstance, "machineType", "image", "zone"),
    "Oci": _Cloud(CloudProvider.OCI, OciInstance, "shape", "imageId", "availabilityDomain"),
}
_FLEET_PRICING = {
    AwsFleetPurchaseOption.ON_DEMAND_ONLY: InstancePricing.ON_DEMAND_ONLY,
    AwsFleetPurchaseOption.CAPACITY_BLOCK: InstancePricing.ON_DEMAND_ONLY,
    AwsFleetPurchaseOption.SPOT_ONLY: InstancePricing.SPOT_ONLY,
}
_SPOT_FIELDS = ("spot", "useSpot", "preemptible")
_SIMULATOR = _Cloud(None, SimulatorInstance, "instanceType", "imageId", "subregion")


def traits(*, can_stop: bool) -> ComputeSourceTraits:
    """The traits of a source."""
    return ComputeSourceTraits(canStopStart=can_stop, canRestart=can_stop, canScaleOut=True, isSelfMaintained=False)


def supported_operations(*, can_stop: bool) -> ComputeRequirementSupportedOperations:
    """The supported operations of a requirement."""
    return ComputeRequirementSupportedOperations(canStopStart=can_stop, canScaleOut=True, canReprovision=True)


def _cloud(source: ComputeSource) -> _Cloud:
    name = type(source).__name__
    return next((cloud for prefix, cloud in _CLOUDS.items() if name.startswith(prefix)), _SIMULATOR)


def provider(source: ComputeSource) -> CloudProvider | None:
    """The provider of a source's type; None for the simulator."""
    return _cloud(source).provider


def pricing(source: ComputeSource) -> InstancePricing:
    """Whether a source's instances are on demand, spot, or both: by its type's own fields."""
    if isinstance(source, AwsFleetComputeSource):
        return _FLEET_PRICING.get(source.purchaseOption, InstancePricing.SPOT_AND_ON_DEMAND)
    return InstancePricing.SPOT_ONLY if is_spot(source) else InstancePricing.ON_DEMAND_ONLY


def set_assigned(source: ComputeSource, *, can_stop: bool, simulator_provider: CloudProvider | None) -> None:
    """Set the fields of a source that the platform assigns whatever a client sends.

    Args:
        source: the source of a template or of a compute requirement.
        can_stop: whether its instances can be stopped and started.
        simulator_provider: the provider of simulated sources; None for none.
    """
    source.provider = provider(source) or simulator_provider
    source.instancePricing = pricing(source)
    source.traits = traits(can_stop=can_stop)
    # Nothing is created beside the instances; a simulated source may report otherwise.
    source.supportingResourceCreated = bool(getattr(source, "reportSupportingResourcesExist", False))


def instance_type(source: ComputeSource) -> str | None:
    """The size of a source's machines: instance type, VM size, machine type or shape."""
    value: str | None = getattr(source, _cloud(source).instance_type)
    return value


def image(source: ComputeSource) -> str | None:
    """The image of a source's machines."""
    value: str | None = getattr(source, _cloud(source).image)
    return value


def subregion(source: ComputeSource) -> str | None:
    """The zone of a source; None if it has none."""
    value: str | None = getattr(source, _cloud(source).subregion)
    return value


def is_spot(source: ComputeSource) -> bool:
    """Whether all machines of a source are preemptible; those of sources without such a field are not."""
    if isinstance(source, AwsFleetComputeSource):
        return source.purchaseOption is AwsFleetPurchaseOption.SPOT_ONLY
    return any(getattr(source, field, None) for field in _SPOT_FIELDS)


def set_machine(source: ComputeSource, instance_type: str | None, image: str | None) -> None:
    """Set the size and image of a source's machines; None leaves a value unchanged."""
    cloud = _cloud(source)
    for field, value in ((cloud.instance_type, instance_type), (cloud.image, image)):
        if value:
            setattr(source, field, value)


def instance_for(source: ComputeSource) -> Instance:
    """A new instance entity of the source's kind."""
    cloud = _cloud(source)
    instance = cloud.instance()
    instance.provider = source.provider
    instance.instanceType = instance_type(source)
    instance.region = source.region
    instance.subregion = subregion(source)
    instance.imageId = image(source)
    instance.spot = is_spot(source)
    return instance


def startup_time(source: ComputeSource, settings: Settings) -> tuple[float, float]:
    """Start-up time (seconds) and its variance (0 to 1)."""
    if isinstance(source, SimulatorComputeSource):
        return source.instanceStartupTimeSeconds, source.instanceStartupTimeVariance
    return settings.default_startup_seconds, 0.0


def shutdown_time(source: ComputeSource) -> tuple[float, float]:
    """Shutdown time (seconds) and its variance (0 to 1)."""
    if isinstance(source, SimulatorComputeSource):
        return source.instanceShutdownTimeSeconds, source.instanceShutdownTimeVariance
    return 0.0, 0.0


def refusal(source: ComputeSource) -> str | None:
    """The reason why a source provides no instance, or None."""
    if isinstance(source, SimulatorComputeSource) and source.failOnProvision:
        return "simulated failure to provision (failOnProvision)"
    return None


def room(source: ComputeSource, alive: int) -> int:
    """Number of further instances that a source grants. A limit of 0 is no limit."""
    caps = [source.limit or _UNLIMITED]
    if isinstance(source, SimulatorComputeSource) and source.implicitCapacity is not None:
        caps.append(source.implicitCapacity)
    return max(0, min(caps) - alive)


def stated_room(source: ComputeSource, alive: int) -> int:
    """Number of further instances that a source's own limit allows, before any request."""
    return max(0, (source.limit or _UNLIMITED) - alive)
