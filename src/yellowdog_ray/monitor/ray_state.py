"""The cluster state of Ray's control store, as autoscaler v2 reads it. Imports Ray in functions only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray.core.generated.autoscaler_pb2 import ClusterResourceState

TIMEOUT_SECONDS = 3
"""Longest duration of one request to the control store, so that Ray's loop is not kept waiting."""

NOT_IN = 2
"""`LabelSelectorOperator.LABEL_OPERATOR_NOT_IN` of Ray's common.proto (2.60)."""


def read_state(client: Any) -> ClusterResourceState:
    """Read the nodes, and what waits for resources.

    Args:
        client: Ray's `GcsClient`.

    Raises:
        ray.exceptions.RayError: no answer.
    """
    from ray.core.generated.autoscaler_pb2 import GetClusterResourceStateReply

    answer = client.get_cluster_resource_state(timeout_s=TIMEOUT_SECONDS)
    return GetClusterResourceStateReply.FromString(answer).cluster_resource_state


def label_constraints(request: Any) -> list[Any]:
    """The label constraints of a request for resources, of all its selectors; empty in a Ray without labels."""
    selectors = getattr(request, "label_selectors", ())
    return [constraint for selector in selectors for constraint in selector.label_constraints]
