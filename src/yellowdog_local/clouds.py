"""What a compute source's own fields say: provider, capacity, start-up time, and the kind of its instances. Pure."""

from __future__ import annotations

from yellowdog_client.model import (
    AwsInstance,
    AzureInstance,
    CloudProvider,
    ComputeRequirementSupportedOperations,
    ComputeSource,
    ComputeSourceTraits,
    GceInstance,
    Instance,
    OciInstance,
    SimulatorComputeSource,
    SimulatorInstance,
)

from yellowdog_local.settings import Settings

_UNLIMITED = 1_000_000_000

_CLOUDS: dict[str, tuple[CloudProvider, type[Instance]]] = {
    "Aws": (CloudProvider.AWS, AwsInstance),
    "Azure": (CloudProvider.AZURE, AzureInstance),
    "Gce": (CloudProvider.GOOGLE, GceInstance),
    "Oci": (CloudProvider.OCI, OciInstance),
}


def traits(*, can_stop: bool) -> ComputeSourceTraits:
    """What can be done with the instances of a source."""
    return ComputeSourceTraits(canStopStart=can_stop, canRestart=can_stop, canScaleOut=True, isSelfMaintained=False)


def supported_operations(*, can_stop: bool) -> ComputeRequirementSupportedOperations:
    """What can be done with a requirement."""
    return ComputeRequirementSupportedOperations(canStopStart=can_stop, canScaleOut=True, canReprovision=True)


def _cloud(source: ComputeSource) -> tuple[CloudProvider, type[Instance]] | None:
    name = type(source).__name__
    return next((cloud for prefix, cloud in _CLOUDS.items() if name.startswith(prefix)), None)


def provider(source: ComputeSource) -> CloudProvider | None:
    """The provider that a source's type stands for; the simulator has none."""
    cloud = _cloud(source)
    return cloud[0] if cloud else None


def instance_for(source: ComputeSource) -> Instance:
    """A new instance entity of the source's kind."""
    cloud = _cloud(source)
    instance = cloud[1]() if cloud else SimulatorInstance()
    instance.provider = source.provider
    instance.instanceType = source.instanceType
    instance.region = source.region
    instance.subregion = source.subregion
    instance.imageId = source.imageId
    instance.spot = bool(getattr(source, "spot", False))
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
    """Why a source provides nothing at all, or None."""
    if isinstance(source, SimulatorComputeSource) and source.failOnProvision:
        return "simulated failure to provision (failOnProvision)"
    return None


def room(source: ComputeSource, alive: int) -> int:
    """How many more instances a source grants. A limit of 0 is none."""
    caps = [source.limit or _UNLIMITED]
    if isinstance(source, SimulatorComputeSource) and source.implicitCapacity is not None:
        caps.append(source.implicitCapacity)
    return max(0, min(caps) - alive)


def stated_room(source: ComputeSource, alive: int) -> int:
    """How many more instances a source's own limit allows: what a strategy can know beforehand."""
    return max(0, (source.limit or _UNLIMITED) - alive)
