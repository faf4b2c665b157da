"""Every search returns everything in order over several slices, of 3 entries in these tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from yellowdog_client import PlatformClient
from yellowdog_client.common import SearchClient
from yellowdog_client.model import (
    AccountAllowance,
    AllowanceSearch,
    ComputeRequirementSearch,
    ComputeRequirementStaticTemplate,
    ComputeRequirementSummarySearch,
    ComputeRequirementTemplateSearch,
    ComputeSourceTemplate,
    ComputeSourceTemplateSearch,
    ComputeSourceUsage,
    ImageOsType,
    InstanceSearch,
    KeyringSearch,
    MachineImageFamily,
    MachineImageFamilySearch,
    NamespacePolicy,
    NamespacePolicySearch,
    NamespaceSearch,
    NodeSearch,
    SimulatorComputeSource,
    SliceReference,
    TaskSearch,
    WorkerPoolSearch,
    WorkRequirementSearch,
)
from yellowdog_client.model.exceptions import InvalidRequestException

from tests.contract.examples import filled
from tests.contract.test_sdk import add, provision, submit
from yellowdog_local import coverage
from yellowdog_local.testing import RunningPlatform

NAMES = [f"n{number}" for number in range(7)]
SEEDED = {"search_namespaces": ["demo"]}  # what a fresh platform holds already


def named(entity: Any) -> str:
    return str(entity.name)


def in_namespace(entity: Any) -> str:
    return str(entity.namespace)


def of_instance(entity: Any) -> str:
    """Pool n0 has instance 1, and so on; instances and nodes have no names of their own."""
    instance_id = entity.details.instanceId if hasattr(entity, "details") else entity.id.instanceId
    return f"n{int(instance_id.rpartition('-')[2]) - 1}"


def described(entity: Any) -> str:
    return str(entity.description)


Search = Callable[[PlatformClient], SearchClient[Any]]
SEARCHES: dict[str, tuple[Search, Callable[[Any], str]]] = {
    "find_work_requirements": (lambda c: c.work_client.get_work_requirements(WorkRequirementSearch()), named),
    "search_tasks": (lambda c: c.work_client.get_tasks(TaskSearch()), named),
    "find_worker_pools": (lambda c: c.worker_pool_client.get_worker_pools(WorkerPoolSearch()), named),
    "search_nodes": (lambda c: c.worker_pool_client.get_nodes(NodeSearch()), of_instance),
    "search_compute_requirements": (
        lambda c: c.compute_client.get_compute_requirements(ComputeRequirementSearch()),
        named,
    ),
    "search_compute_requirement_summaries": (
        lambda c: c.compute_client.get_compute_requirement_summaries(ComputeRequirementSummarySearch()),
        named,
    ),
    "search_compute_requirement_templates": (
        lambda c: c.compute_client.get_compute_requirement_templates(ComputeRequirementTemplateSearch(name="n")),
        named,
    ),
    "search_compute_source_templates": (
        lambda c: c.compute_client.get_compute_source_templates(ComputeSourceTemplateSearch(name="n")),
        named,
    ),
    "search_instances": (lambda c: c.compute_client.get_instances(InstanceSearch()), of_instance),
    "search_namespaces": (lambda c: c.namespaces_client.get_namespaces(NamespaceSearch()), in_namespace),
    "get_namespace_policies": (
        lambda c: c.namespaces_client.get_namespace_policies(NamespacePolicySearch()),
        in_namespace,
    ),
    "search_image_families": (
        lambda c: c.images_client.get_image_families(MachineImageFamilySearch(includePublic=True)),
        named,
    ),
    "find_keyrings": (lambda c: c.keyring_client.get_keyrings(KeyringSearch()), named),
    "search_allowances": (lambda c: c.allowances_client.get_allowances(AllowanceSearch()), described),
}


@pytest.fixture
def seven(local: RunningPlatform, client: PlatformClient) -> PlatformClient:
    """A platform with seven entities of each kind."""
    for name in NAMES:
        work = submit(client, name)
        add(client, work, name)
        provision(client, name)
        _records(client, name)
    local.advance(2)
    return client


def _records(client: PlatformClient, name: str) -> None:
    source = SimulatorComputeSource(name)
    kept = client.compute_client.add_compute_source_template(ComputeSourceTemplate(source, namespace="demo"))
    client.compute_client.add_compute_requirement_template(
        ComputeRequirementStaticTemplate(
            name=name,
            namespace="demo",
            strategyType="co.yellowdog.platform.model.SingleSourceProvisionStrategy",
            sources=[ComputeSourceUsage(kept.id)],
        )
    )
    client.namespaces_client.save_namespace_policy(NamespacePolicy(name, autoscalingMaxNodes=1))
    client.images_client.add_image_family(MachineImageFamily(name, name, ImageOsType.LINUX))
    client.keyring_client.add_keyring(name, "")
    client.allowances_client.add_allowance(filled(AccountAllowance, description=name))


@pytest.mark.parametrize("call", SEARCHES)
def test_search_returns_everything_in_order_over_several_slices(
    local: RunningPlatform, seven: PlatformClient, call: str
) -> None:
    search, name_of = SEARCHES[call]
    expected = [*SEEDED.get(call, []), *NAMES]
    slices, reference = [], SliceReference()
    while reference is not None:
        found = search(seven).slice(reference)
        slices.append([name_of(entity) for entity in found.items])
        reference = SliceReference(sliceId=found.nextSliceId) if found.nextSliceId else None
    assert slices == [expected[:3], expected[3:6], expected[6:]]
    mark = local.calls.mark()
    assert [name_of(entity) for entity in search(seven).list_all()] == expected
    assert len(local.calls.since(mark)) == 3
    larger = search(seven).slice(SliceReference(size=5))
    assert ([name_of(entity) for entity in larger.items], bool(larger.nextSliceId)) == (expected[:5], True)
    with pytest.raises(InvalidRequestException, match="size must be between 1 and 1000"):
        search(seven).slice(SliceReference(size=0))


def test_every_search_has_a_case() -> None:
    # The account service has one of everything at most: nothing to page through.
    beginnings = ("search_", "find_work", "find_keyrings", "get_namespace_policies")
    covered = {c.name for c in coverage.sdk_calls() if c.route is not None and c.service != "Account"}
    assert {name for name in covered if name.startswith(beginnings)} == set(SEARCHES)
