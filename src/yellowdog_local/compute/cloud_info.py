"""A few instance types of each cloud, with their providers' published values."""

from __future__ import annotations

from dataclasses import dataclass

from yellowdog_client.model import CloudProvider, InstanceType, InstanceTypeRegion, InstanceTypeSearch
from yellowdog_client.model import ProcessorArchitecture as Architecture

from yellowdog_local.state.search import instance_type_matches


@dataclass(frozen=True)
class InstanceTypeRecord:
    """An instance type and its position in the list."""

    seq: int
    entity: InstanceType


_AWS, _GOOGLE, _AZURE, _OCI = CloudProvider.AWS, CloudProvider.GOOGLE, CloudProvider.AZURE, CloudProvider.OCI
_REGIONS = {
    _AWS: ("eu-west-1", "eu-west-2", "us-east-1"),
    _GOOGLE: ("europe-west2", "us-central1"),
    _AZURE: ("uksouth", "eastus"),
    _OCI: ("uk-london-1", "us-ashburn-1"),
}
_X86, _ARM = Architecture.X86_64, Architecture.ARM64
_TYPES: tuple[tuple[CloudProvider, str, Architecture, float, int, dict[str, int] | None], ...] = (
    (_AWS, "t3a.micro", _X86, 2, 1024, None),
    (_AWS, "c5.large", _X86, 2, 4096, None),
    (_AWS, "c5.xlarge", _X86, 4, 8192, None),
    (_AWS, "m5.xlarge", _X86, 4, 16384, None),
    (_AWS, "c7g.xlarge", _ARM, 4, 8192, None),
    (_AWS, "g4dn.xlarge", _X86, 4, 16384, {"NVIDIA T4": 1}),
    (_GOOGLE, "e2-standard-4", _X86, 4, 16384, None),
    (_GOOGLE, "n2-standard-8", _X86, 8, 32768, None),
    (_AZURE, "Standard_D4s_v3", _X86, 4, 16384, None),
    (_AZURE, "Standard_NC4as_T4_v3", _X86, 4, 28672, {"NVIDIA T4": 1}),
    (_OCI, "VM.Standard2.4", _X86, 8, 61440, None),
)


class CloudInfo:
    """The cloud information service."""

    def __init__(self) -> None:
        self._types = [
            InstanceTypeRecord(
                number,
                InstanceType(
                    provider=provider,
                    name=name,
                    processorArchitecture=architecture,
                    defaultVcpus=vcpus,
                    defaultGpus=gpus,
                    ramInMib=ram,
                    regions=[InstanceTypeRegion(region, [f"{region}a"]) for region in _REGIONS[provider]],
                ),
            )
            for number, (provider, name, architecture, vcpus, ram, gpus) in enumerate(_TYPES, start=1)
        ]

    def instance_types(self, wanted: InstanceTypeSearch) -> list[InstanceTypeRecord]:
        """The instance types that match a search."""
        return [record for record in self._types if instance_type_matches(record.entity, wanted)]
