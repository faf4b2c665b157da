from __future__ import annotations

import pytest
from yellowdog_client.model import NamespacePolicy, NamespacePolicySearch

from tests.simulation.lab import Lab
from yellowdog_local.account.policies import Policies
from yellowdog_local.errors import InvalidRequest, NotFound
from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.store import Store


@pytest.fixture
def policies(kernel: Kernel, store: Store) -> Policies:
    return Policies(kernel, store)


def test_policy_is_refused_for_another_namespace_or_a_negative_limit(policies: Policies) -> None:
    with pytest.raises(InvalidRequest, match="namespace must be"):
        policies.save("a", NamespacePolicy("b", 1))
    with pytest.raises(InvalidRequest, match="must not be negative"):
        policies.save("a", NamespacePolicy("a", -1))
    with pytest.raises(NotFound):
        policies.get("a")


def test_replaced_policy_keeps_its_place_in_the_order(policies: Policies) -> None:
    for namespace, most in (("a", 1), ("b", 2), ("a", 3)):
        policies.save(namespace, NamespacePolicy(namespace, most))
    found = policies.search(NamespacePolicySearch())
    assert [(r.seq, r.entity.autoscalingMaxNodes) for r in found] == [(1, 3), (2, 2)]
    assert [r.entity.namespace for r in policies.search(NamespacePolicySearch(namespaces=["b", "c"]))] == ["b"]
    assert policies.search(NamespacePolicySearch(namespace="a", namespaces=["b"])) == []


def test_namespace_without_a_limit_has_unlimited_capacity(policies: Policies) -> None:
    policies.save("b", NamespacePolicy("b"))
    assert (policies.room("a"), policies.room("b")) == (None, None)
    capacity = policies.capacity("a")
    assert (capacity.capacityLimited, capacity.remainingCapacity) == (False, None)


def test_room_counts_targets_of_the_namespace_and_is_never_negative(lab: Lab) -> None:
    lab.pool(2)
    policies = lab.platform.policies
    for most, room in ((3, 1), (1, 0)):
        policies.save("demo", NamespacePolicy("demo", most))
        assert policies.room("demo") == room
    policies.save("other", NamespacePolicy("other", 3))
    assert policies.room("other") == 3
