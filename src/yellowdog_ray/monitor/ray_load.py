"""The demand that waits in Ray, and how idle its nodes are: a summary of its control store's answer. No I/O."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from yellowdog_ray.cluster.published import Shape
from yellowdog_ray.monitor.ray_state import NOT_IN, label_constraints

if TYPE_CHECKING:
    from ray.core.generated.autoscaler_pb2 import ClusterResourceState

MAX_SHAPES = 20
"""Shapes of a demand at most, those with the most requests."""


@dataclass(frozen=True)
class Usage:
    """The nodes of one type that have joined."""

    alive: int
    idle: int
    longest_idle_seconds: float


@dataclass(frozen=True)
class RayLoad:
    """The load of a Ray cluster.

    Attributes:
        demand: what waits for resources, by shape.
        gangs: how many placement groups wait.
        requested: what `request_resources()` demands, by shape.
        usage: the nodes by type.
    """

    demand: tuple[Shape, ...]
    gangs: int
    requested: tuple[Shape, ...]
    usage: Mapping[str, Usage] = field(default_factory=dict)


def summarise(state: ClusterResourceState) -> RayLoad:
    """The load that Ray's control store reports; placement groups count with each of their bundles."""
    gangs: Any = state.pending_gang_resource_requests
    bundles = [(request, 1) for gang in gangs for request in _bundles(gang)]
    waiting: Any = state.pending_resource_requests
    constraints: Any = state.cluster_resource_constraints
    return RayLoad(
        demand=_shapes([*((each.request, each.count) for each in waiting), *bundles]),
        gangs=len(gangs),
        requested=_shapes((each.request, each.count) for one in constraints for each in one.resource_requests),
        usage=_usage(state.node_states),
    )


def _bundles(gang: Any) -> list[Any]:
    if gang.requests:
        return _combined(gang.requests)
    selectors = getattr(gang, "bundle_selectors", ())
    return _combined(selectors[0].resource_requests) if selectors else []


def _combined(requests: Iterable[Any]) -> list[Any]:
    """The bundles; those that must be on one node (STRICT_PACK) are one bundle."""
    together: dict[tuple[str, str], Any] = {}
    bundles = []
    for request in requests:
        places = [each.affinity for each in request.placement_constraints if each.HasField("affinity")]
        if not places:
            bundles.append(request)
            continue
        key = (places[0].label_name, places[0].label_value)
        if key not in together:
            together[key] = type(request)()
            together[key].label_selectors.extend(request.label_selectors)
            bundles.append(together[key])
        for name, amount in request.resources_bundle.items():
            together[key].resources_bundle[name] += amount
    return bundles


def _shapes(requests: Iterable[tuple[Any, int]]) -> tuple[Shape, ...]:
    counts: Counter[tuple[tuple[tuple[str, float], ...], tuple[tuple[str, str], ...]]] = Counter()
    for request, count in requests:
        labels = {each.label_key: _selector(each) for each in label_constraints(request)}
        counts[tuple(sorted(request.resources_bundle.items())), tuple(sorted(labels.items()))] += count
    return tuple(
        Shape(resources=dict(resources), labels=dict(labels), count=count)
        for (resources, labels), count in counts.most_common(MAX_SHAPES)
    )


def _selector(constraint: Any) -> str:
    """A constraint in Ray's syntax."""
    values = list(constraint.label_values)
    text = values[0] if len(values) == 1 else f"in({','.join(sorted(values))})"
    return f"!{text}" if constraint.operator == NOT_IN else text


def _usage(nodes: Any) -> dict[str, Usage]:
    from ray.core.generated.autoscaler_pb2 import NodeStatus

    of_type: dict[str, list[float]] = defaultdict(list)
    for node in nodes:
        if node.status != NodeStatus.DEAD:
            of_type[node.ray_node_type_name].append(node.idle_duration_ms / 1000)
    return {name: Usage(len(idle), sum(seconds > 0 for seconds in idle), max(idle)) for name, idle in of_type.items()}
