"""Cloud information over the SDK."""

from __future__ import annotations

import pytest
from yellowdog_client import PlatformClient
from yellowdog_client.model import CloudProvider, DoubleRange, InstanceTypeSearch, ProcessorArchitecture


def names(client: PlatformClient, **search: object) -> list[str | None]:
    found = client.cloud_info_client.get_instance_types(InstanceTypeSearch(**search))  # type: ignore[arg-type]
    return [kind.name for kind in found.list_all()]


def test_instance_type_shows_its_resources(client: PlatformClient) -> None:
    (kind,) = client.cloud_info_client.get_instance_types(InstanceTypeSearch(name="g4dn.xlarge")).list_all()

    assert (kind.provider, kind.processorArchitecture) == (CloudProvider.AWS, ProcessorArchitecture.X86_64)
    assert (kind.defaultVcpus, kind.ramInMib, kind.defaultGpus) == (4, 16384, {"NVIDIA T4": 1})
    assert "eu-west-1" in [region.name for region in kind.regions or ()]


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ({"name": "c5"}, ["c5.large", "c5.xlarge"]),
        ({"providers": [CloudProvider.OCI]}, ["VM.Standard2.4"]),
        ({"processorArchitectures": [ProcessorArchitecture.ARM64]}, ["c7g.xlarge"]),
        ({"defaultVcpus": DoubleRange(min=8)}, ["n2-standard-8", "VM.Standard2.4"]),
        ({"ramInMib": DoubleRange(max=4096)}, ["t3a.micro", "c5.large"]),
        ({"region": "uksouth"}, ["Standard_D4s_v3", "Standard_NC4as_T4_v3"]),
        ({"region": "uksouth", "subRegion": "eastusa"}, []),
        ({"subRegion": "eastusa", "sortField": "name"}, ["Standard_D4s_v3", "Standard_NC4as_T4_v3"]),
    ],
)
def test_instance_types_are_searched_by_their_fields(
    client: PlatformClient, search: dict[str, object], expected: list[str]
) -> None:
    assert names(client, **search) == expected
