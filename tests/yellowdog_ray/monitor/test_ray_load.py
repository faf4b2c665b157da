"""The summary of what Ray's control store reports."""

from ray.core.generated.autoscaler_pb2 import (
    ClusterResourceConstraint,
    ClusterResourceState,
    GangResourceRequest,
    NodeState,
    NodeStatus,
    ResourceRequest,
    ResourceRequestByCount,
)

from yellowdog_ray.cluster.published import Shape
from yellowdog_ray.monitor.ray_load import MAX_SHAPES, Usage, summarise


def by_count(count: int, **resources: float) -> ResourceRequestByCount:
    return ResourceRequestByCount(request=ResourceRequest(resources_bundle=resources), count=count)


def test_equal_shapes_are_counted_together_with_bundles_of_placement_groups():
    gang = GangResourceRequest(requests=[ResourceRequest(resources_bundle={"GPU": 1})] * 2)
    state = ClusterResourceState(
        pending_resource_requests=[by_count(3, CPU=1), by_count(2, GPU=1)],
        pending_gang_resource_requests=[gang],
        cluster_resource_constraints=[ClusterResourceConstraint(resource_requests=[by_count(8, CPU=2)])],
    )

    load = summarise(state)

    assert load.demand == (Shape(resources={"GPU": 1}, count=4), Shape(resources={"CPU": 1}, count=3))
    assert load.requested == (Shape(resources={"CPU": 2}, count=8),)
    assert load.gangs == 1


def test_many_shapes_are_cut_to_those_with_most_requests():
    state = ClusterResourceState(pending_resource_requests=[by_count(n, CPU=n) for n in range(1, MAX_SHAPES + 5)])

    load = summarise(state)

    assert len(load.demand) == MAX_SHAPES
    assert load.demand[0].count == MAX_SHAPES + 4


def test_idle_nodes_are_counted_by_type_without_dead_ones():
    nodes = [
        NodeState(ray_node_type_name="cpu", idle_duration_ms=idle, status=status)
        for idle, status in [(0, NodeStatus.RUNNING), (9000, NodeStatus.IDLE), (99000, NodeStatus.DEAD)]
    ]

    assert summarise(ClusterResourceState(node_states=nodes)).usage == {"cpu": Usage(2, 1, 9.0)}


def test_bundles_that_must_be_on_one_node_are_one_shape():
    gang = GangResourceRequest()
    for _ in range(5):
        bundle = gang.requests.add(resources_bundle={"CPU": 4})
        bundle.placement_constraints.add().affinity.label_name = "group"
    gang.requests.add(resources_bundle={"CPU": 4})

    load = summarise(ClusterResourceState(pending_gang_resource_requests=[gang]))

    assert {shape.resources["CPU"] for shape in load.demand} == {20, 4}


def test_selectors_keep_their_operators():
    state = ClusterResourceState()
    for operator, values in [(1, ["spot"]), (2, ["spot"]), (1, ["b", "a"]), (2, ["b", "a"])]:
        request = state.pending_resource_requests.add(count=1).request
        constraint = request.label_selectors.add().label_constraints.add(label_key="key", operator=operator)
        constraint.label_values.extend(values)

    assert {shape.labels["key"] for shape in summarise(state).demand} == {"spot", "!spot", "in(a,b)", "!in(a,b)"}
