from __future__ import annotations

from yellowdog_client.model import ComputeRequirementSearch, InstanceSearch, InstanceStatus

from tests.simulation.lab import Lab
from yellowdog_local.compute import views


def test_requirement_view_counts_instances_by_status(lab: Lab) -> None:
    requirement = lab.booted(2).requirement
    lab.do(lambda p: p.instances.terminate(next(iter(requirement.instances.values())), "a test"))
    lab.advance(1)
    (source,) = requirement.sources
    source.expired = 3
    view = views.requirement_view(requirement)
    summary = view.provisionStrategy.sources[0].instanceSummary
    assert summary is source.entity.instanceSummary
    assert view.expectedInstanceCount == summary.aliveCount == requirement.alive
    assert summary.totalCount == len(requirement.instances) + 3
    assert 0 not in (summary.statusCounts or {}).values()
    assert (summary.statusCounts or {})[InstanceStatus.TERMINATED] == 1


def test_instances_are_searched_in_one_requirement_or_all(lab: Lab) -> None:
    first, second = lab.booted(1, "first").requirement, lab.booted(2, "second").requirement
    store = lab.platform.store
    assert len(views.search_instances(store, InstanceSearch())) == 3
    found = views.search_instances(store, InstanceSearch(computeRequirementId=second.id))
    assert {instance.requirement.id for instance in found} == {second.id}
    assert views.search_instances(store, InstanceSearch(computeRequirementId="ydid:compreq:none")) == []
    assert views.search_requirements(store, ComputeRequirementSearch(name="irs")) == [first]
